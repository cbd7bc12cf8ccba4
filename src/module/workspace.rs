//! The module's workspace on disk: its crates written, those of others brought,
//! and both libraries built, the same bytes wherever it lies.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::rust::NEUTRAL;
use super::{FILES, Rust, WITHOUT, sources};
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::process::Program;
use crate::python::Python;

/// Folder of crates in a vendor folder.
pub const VENDORED: &str = "crates";

/// Where the crates of others may come from. Which ones, and their checksums,
/// stands in the lock file.
#[derive(Clone, Debug)]
pub struct Crates {
    /// A folder that has them all; nothing else is asked then.
    pub folder: Option<PathBuf>,
    /// Take what cargo has at hand; never touch the network.
    pub offline: bool,
}

impl fmt::Display for Crates {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.folder.is_some() { "vendor" } else { "cargo" })
    }
}

/// The sources of the module in a folder, and what builds them.
#[derive(Debug)]
pub struct Workspace<'a> {
    folder: PathBuf,
    logs: &'a Path,
    rust: Rust,
    env: &'a Env,
}

impl<'a> Workspace<'a> {
    /// Writes the sources into a fresh folder; output of the steps goes to `logs`.
    ///
    /// # Errors
    /// When there is no Rust, or the folder cannot be written.
    pub fn write(folder: &Path, logs: &'a Path, env: &'a Env) -> Result<Self> {
        let rust = Rust::find(env)?;
        sources::write(folder)?;
        // The compiler knows places by their real names.
        let folder =
            folder.canonicalize().map_err(Error::io(Kind::Install, "find folder", folder))?;
        Ok(Self { folder, logs, rust, env })
    }

    /// The Rust that builds it.
    #[must_use]
    pub fn rust(&self) -> &Rust {
        &self.rust
    }

    /// Brings the crates of others into the workspace itself.
    ///
    /// # Errors
    /// [`Kind::Module`] when one cannot be had, or is not the locked one.
    pub fn bring_crates(&self, from: &Crates) -> Result<()> {
        self.bring_crates_to(&self.folder.join(BROUGHT), from)
    }

    /// Brings the crates of others into a folder, each with its checksums.
    ///
    /// # Errors
    /// [`Kind::Module`] when one cannot be had, or is not the locked one.
    pub fn bring_crates_to(&self, to: &Path, from: &Crates) -> Result<()> {
        let mut cargo = self.cargo("vendor").args(["--versioned-dirs", "--respect-source-config"]);
        if from.offline || from.folder.is_some() {
            cargo = cargo.arg("--offline");
        }
        if let Some(folder) = &from.folder {
            cargo = cargo.args(crates_from(folder)?);
        }
        let brought = cargo.arg(to).run_logged(Kind::Module, &self.log("crates"));
        brought.map_err(|error| explain(error, from))?;
        sources::check_lock(&self.folder)
    }

    /// Builds for an httpd, against the headers of its tree, and a Python.
    /// Gives the two libraries in the order of [`FILES`].
    ///
    /// # Errors
    /// [`Kind::Module`] with the end of cargo's output.
    pub fn build(
        &self,
        python: &Python,
        httpd: &Path,
        cc: &Path,
        jobs: usize,
    ) -> Result<[PathBuf; 2]> {
        let temporary = self.folder.join("tmp");
        std::fs::create_dir_all(&temporary).map_err(Error::io(
            Kind::Install,
            "make folder",
            &temporary,
        ))?;
        let target = self.folder.join("target");
        let host = &self.rust.host;
        let linker = host.to_ascii_uppercase().replace(['-', '.'], "_");
        self.cargo("build")
            .args(["--release", "--locked", "--offline", "--package=mod_wsgi", "--package=pywsgi"])
            .args(crates_from(&self.folder.join(BROUGHT))?)
            .arg("--jobs")
            .arg(jobs.to_string())
            // Named, so that it decides where the result lies and build scripts
            // are spared the flags.
            .args(["--target", host])
            .arg("--target-dir")
            .arg(&target)
            .env("CARGO_ENCODED_RUSTFLAGS", self.flags())
            .env(&format!("CARGO_TARGET_{linker}_LINKER"), cc)
            .env("CC", cc)
            .env("MOD_WSGI_HTTPD_PREFIX", httpd)
            .env("PYO3_PYTHON", &python.executable)
            .env("MOD_WSGI_PORTABLE", if python.portable { "1" } else { "" })
            .env("TMPDIR", &temporary)
            .run_logged(Kind::Module, &self.log("build"))
            .map_err(|error| match error.kind {
                Kind::Module => error.hint(WITHOUT),
                _ => error,
            })?;
        let built = target.join(host).join("release");
        Ok(FILES.map(|name| built.join(format!("lib{name}"))))
    }

    fn cargo(&self, command: &str) -> Program {
        Program::new(&self.rust.cargo)
            .envs(self.env.for_cargo())
            .env("RUSTC", &self.rust.rustc)
            .env("CARGO_TERM_COLOR", "never")
            .folder(Path::new(NEUTRAL))
            .arg(command)
            .arg("--manifest-path")
            .arg(self.folder.join("Cargo.toml"))
    }

    /// Takes the places of this machine out of the texts of panics.
    fn flags(&self) -> OsString {
        let maps = [(self.folder.as_path(), "/src"), (&self.rust.std_sources, &self.rust.std_name)];
        let mut flags = OsString::new();
        for (from, to) in maps {
            if !flags.is_empty() {
                // How cargo separates flags that may have blanks.
                flags.push("\x1f");
            }
            flags.push("--remap-path-prefix=");
            flags.push(from);
            flags.push("=");
            flags.push(to);
        }
        flags
    }

    fn log(&self, step: &str) -> PathBuf {
        self.logs.join(format!("{}-{step}.log", super::NAME))
    }
}

/// Arguments that make a folder the only source of crates.
fn crates_from(folder: &Path) -> Result<[String; 4]> {
    let folder = folder.canonicalize().map_err(Error::io(Kind::Usage, "use folder", folder))?;
    let name = folder.to_str().ok_or_else(|| {
        Error::new(Kind::Usage, format!("the name of `{}` is not UTF-8", folder.display()))
            .hint("cargo needs it to be: move the folder")
    })?;
    let name = toml::Value::from(name);
    Ok([
        "--config".to_owned(),
        "source.crates-io.replace-with=\"vendored\"".to_owned(),
        "--config".to_owned(),
        format!("source.vendored.directory={name}"),
    ])
}

/// Adds where else crates could come from.
fn explain(error: Error, from: &Crates) -> Error {
    if error.kind != Kind::Module {
        return error;
    }
    let error = match (&from.folder, from.offline) {
        (Some(folder), _) => error
            .detail(format!("crates are taken from {} alone", folder.display()))
            .hint("that folder is of another release, or damaged: run `vendor` again"),
        (None, true) => error.hint(
            "without a network, crates come from a vendor folder (`vendor DIR`), or from what cargo has kept",
        ),
        (None, false) => error.hint("`vendor DIR` brings the crates on a machine with a network"),
    };
    error.hint(WITHOUT)
}

/// Folder of the workspace for the crates of others.
const BROUGHT: &str = "vendor";
