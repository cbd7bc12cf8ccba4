//! The process environment behind one type, so that every variable that is
//! honoured is named in one place and tests can fake it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A snapshot of the environment.
#[derive(Clone, Debug, Default)]
pub struct Env {
    values: BTreeMap<OsString, OsString>,
}

impl Env {
    /// The environment of this process.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
    pub fn of_process() -> Self {
        Self { values: std::env::vars_os().collect() }
    }

    /// All variables.
    #[must_use]
    pub fn into_all(self) -> BTreeMap<OsString, OsString> {
        self.values
    }

    /// A variable that is set to something.
    #[must_use]
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.values
            .get(name.as_ref() as &std::ffi::OsStr)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    }

    /// A variable that is set to text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.path(name).and_then(|value| value.into_os_string().into_string().ok())
    }

    /// Whether a variable is set to something.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.path(name).is_some()
    }

    /// The variables that children which compile may see: no flag, path or
    /// make variable of the caller changes what is built. Whatever a build
    /// needs beyond these is set by the engine.
    #[must_use]
    pub fn for_build(&self) -> Vec<(OsString, OsString)> {
        let mut kept = self.keep(&["PATH", "HOME", "USER", "LOGNAME"]);
        for (name, value) in [("LC_ALL", "C"), ("LANG", "C"), ("TZ", "UTC")] {
            kept.push((name.into(), value.into()));
        }
        kept
    }

    /// The variables that children which download may see: proxies and
    /// certificates as well.
    #[must_use]
    pub fn for_download(&self) -> Vec<(OsString, OsString)> {
        let mut kept = self.for_build();
        kept.extend(self.keep(&[
            "http_proxy",
            "https_proxy",
            "no_proxy",
            "all_proxy",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "ALL_PROXY",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "APT_CONFIG",
        ]));
        kept
    }

    /// The variables that a Python interpreter may see; `PYTHONHOME` and
    /// `PYTHONPATH` would make it answer for another one.
    #[must_use]
    pub fn for_python(&self) -> Vec<(OsString, OsString)> {
        self.keep(&["PATH", "HOME", "PYENV_ROOT", "PYENV_VERSION", "LD_LIBRARY_PATH"])
    }

    /// The variables that cargo may see: where Rust lies and keeps what it has
    /// fetched, besides those for downloads and for the Python that its build
    /// scripts ask.
    #[must_use]
    pub fn for_cargo(&self) -> Vec<(OsString, OsString)> {
        let mut kept = self.for_python();
        kept.extend(self.for_download());
        kept.extend(self.keep(&["CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"]));
        kept
    }

    /// The first executable file of that name on `PATH`.
    #[must_use]
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return is_executable(Path::new(name)).then(|| PathBuf::from(name));
        }
        let path = self.path("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| is_executable(file))
    }

    fn keep(&self, names: &[&str]) -> Vec<(OsString, OsString)> {
        names
            .iter()
            .filter_map(|name| self.values.get_key_value(std::ffi::OsStr::new(name)))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }
}

impl<K: Into<OsString>, V: Into<OsString>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self {
            values: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
        }
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
