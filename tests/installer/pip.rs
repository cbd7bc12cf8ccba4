//! The package, as pip and those who use it see it: wheels of the httpd that these
//! tests have anyway, in environments of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use tempfile::TempDir;

use self::environment::Environment;
use crate::real::command;
use crate::sandbox::{Outcome, names_in};
use crate::serving;

mod environment;
mod pythons;
mod sources;
mod tools;
mod wheel;

/// What builds wheels: a Python with the packages that `pyproject.toml` asks for, and a
/// tree to pack.
struct Workshop {
    folder: TempDir,
    python: PathBuf,
    tree: PathBuf,
    wheel: OnceLock<PathBuf>,
}

/// That of the Python that the httpd was installed for.
fn workshop() -> &'static Workshop {
    static WORKSHOP: OnceLock<Workshop> = OnceLock::new();
    WORKSHOP.get_or_init(|| Workshop::of(&pythons::first()))
}

/// That of another one, if there is one.
fn other_workshop() -> Option<&'static Workshop> {
    static WORKSHOP: OnceLock<Option<Workshop>> = OnceLock::new();
    WORKSHOP.get_or_init(|| pythons::second().as_deref().map(Workshop::of)).as_ref()
}

impl Workshop {
    fn of(python: &Path) -> Self {
        let version = pythons::version_of(python).unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("packaging-{version}"));
        done(command(python).args(["-m", "venv"]).arg(&home));
        let home_python = home.join("bin/python");
        let mut pip = command(&home_python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        done(pip.args(["hatchling", "packaging", "pyelftools", "setuptools"]));

        // The httpd is the same for all; the program and the module are those under test.
        let folder = tempfile::Builder::new().prefix("pip-").tempdir().unwrap();
        let tree = folder.path().join("tree");
        let current = serving::base().join("current").canonicalize().unwrap();
        done(command("cp").arg("-a").arg(current).arg(&tree));
        let packaged = env!("CARGO_BIN_EXE_mod_wsgi-packaged");
        std::fs::copy(packaged, tree.join("bin/mod_wsgi-httpd")).unwrap();
        let executable = python.to_str().unwrap();
        let portable = [("PYO3_PYTHON", executable), ("MOD_WSGI_PORTABLE", "1")];
        serving::build_module(&tree.join("modules"), &portable);
        pythons::record(&tree.join("build.json"), executable, &version);
        Self { folder, python: home_python, tree, wheel: OnceLock::new() }
    }

    /// A call of pip that makes a wheel of this checkout.
    fn wheel_into(&self, folder: &Path) -> Command {
        let mut pip = command(&self.python);
        pip.args(["-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir"]);
        pip.arg(folder).arg(env!("CARGO_MANIFEST_DIR")).current_dir(self.folder.path());
        pip.env("MOD_WSGI_HTTPD_TREE", &self.tree).env("TMPDIR", self.folder.path());
        pip
    }

    /// The wheel.
    fn wheel(&self) -> &Path {
        self.wheel.get_or_init(|| {
            let folder = self.folder.path().join("dist");
            done(&mut self.wheel_into(&folder));
            only_file(&folder)
        })
    }

    /// A virtual environment with the wheel in it, installed without a network.
    fn environment(&self) -> Environment {
        let environment = Environment::new(&self.python);
        environment.pip(&["install", "--no-index", self.wheel().to_str().unwrap()]);
        environment
    }
}

fn done(command: &mut Command) -> Outcome {
    Outcome::of(command.output().unwrap()).expect(0)
}

fn only_file(folder: &Path) -> PathBuf {
    let names = names_in(folder);
    assert_eq!(names.len(), 1, "{names:?}");
    folder.join(&names[0])
}
