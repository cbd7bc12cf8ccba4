//! The Python that the installed httpd is for: whose prefix it goes under.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder;
use crate::process::Program;

/// What an interpreter says of itself.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Python {
    /// The interpreter.
    pub executable: PathBuf,
    /// `sys.prefix`: the virtual environment, if it is one.
    pub prefix: PathBuf,
    /// `sys.base_prefix`: that of the Python that an environment was made with.
    pub base_prefix: PathBuf,
    /// Folder of the standard library.
    pub stdlib: PathBuf,
    /// For example `3.11.7`.
    pub version: String,
    /// Folder of `Python.h`.
    pub include: PathBuf,
    /// Folder of the shared library, if there is one.
    pub library_folder: Option<PathBuf>,
    /// The shared library, if there is one.
    pub library: Option<String>,
    /// Whether what is built for it names no place of it, and so is for every Python
    /// of its version.
    #[serde(default)]
    pub portable: bool,
}

/// The interpreter asked for, else that of the active virtual environment,
/// else `python3`.
///
/// # Errors
/// When there is none, or it does not answer; what else to name is the caller's
/// advice.
pub fn find(chosen: Option<&str>, env: &Env) -> Result<Python> {
    let name = match (chosen, env.path("VIRTUAL_ENV")) {
        (Some(name), _) => name.to_owned(),
        (None, Some(folder)) => folder.join("bin/python").to_string_lossy().into_owned(),
        (None, None) => "python3".to_owned(),
    };
    let missing = || Error::new(Kind::Usage, format!("there is no Python `{name}`"));
    let path = env.find_program(&name).ok_or_else(missing)?;
    let output = Program::new(&path)
        // `site` has to run: it is what finds a virtual environment's prefix.
        .args(["-I", "-c", QUESTION])
        .envs(env.for_python())
        .output(Kind::Usage)?;
    serde_json::from_slice(&output.stdout).map_err(|source| {
        Error::new(Kind::Usage, format!("`{}` does not answer like a Python 3", path.display()))
            .detail(String::from_utf8_lossy(&output.stderr).trim().to_owned())
            .caused_by(source)
    })
}

impl Python {
    /// How what is built for it names it: by its place, or, if that may be anywhere, by
    /// its name alone.
    #[must_use]
    pub fn name(&self) -> PathBuf {
        if !self.portable {
            return self.executable.clone();
        }
        format!("python{}", self.series()).into()
    }

    /// For example `3.11`.
    fn series(&self) -> String {
        self.version.split('.').take(2).collect::<Vec<_>>().join(".")
    }

    /// The base folder, relative to the interpreter's prefix.
    pub const BASE: &str = "lib/mod_wsgi-httpd";

    /// The base folder under this interpreter's prefix.
    #[must_use]
    pub fn base(&self) -> PathBuf {
        self.prefix.join(Self::BASE)
    }

    /// The shared library, if it is there: some distributions have it in a
    /// package of its own.
    #[must_use]
    pub fn shared_library(&self) -> Option<PathBuf> {
        let path = self.library_folder.as_ref()?.join(self.library.as_ref()?);
        path.is_file().then_some(path)
    }

    /// The folder that keeps users other than the owner of this interpreter from
    /// running it, if there is one.
    #[must_use]
    pub fn closed_to_others(&self) -> Option<PathBuf> {
        let library = self.shared_library();
        [&self.executable, &self.prefix, &self.base_prefix, &self.stdlib]
            .into_iter()
            .chain(&library)
            .find_map(|path| folder::closed_to_others(path))
    }

    /// Where its programs lie.
    #[must_use]
    pub fn bin(&self) -> PathBuf {
        self.prefix.join("bin")
    }

    /// Where its packages lie, in a virtual environment or a Python of upstream's
    /// make. Distributions have theirs elsewhere.
    #[must_use]
    pub fn site_packages(&self) -> PathBuf {
        self.prefix.join(format!("lib/python{}/site-packages", self.series()))
    }
}

/// Whether files can be made in that folder, or in the nearest one above it
/// that exists.
#[must_use]
pub fn is_writable(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|above| above.exists());
    existing.is_some_and(|above| {
        above.is_dir() && rustix::fs::access(above, rustix::fs::Access::WRITE_OK).is_ok()
    })
}

const QUESTION: &str = "
import json, sys, sysconfig
v = sysconfig.get_config_vars()
shared = bool(v.get('Py_ENABLE_SHARED'))
print(json.dumps({
    'executable': sys.executable, 'prefix': sys.prefix,
    'base_prefix': sys.base_prefix, 'stdlib': sysconfig.get_path('stdlib'),
    'version': '%d.%d.%d' % sys.version_info[:3],
    'include': v.get('INCLUDEPY', ''),
    'library_folder': v.get('LIBDIR') if shared else None,
    'library': v.get('INSTSONAME') if shared else None}))
";
