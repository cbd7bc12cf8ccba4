//! A virtual environment with what other people have made, which pip fills once.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::Instance;
use crate::real::command;
use crate::sandbox::Outcome;

/// A virtual environment with the packages of `tests/requirements.txt`.
pub(crate) struct Venv {
    pub(crate) home: PathBuf,
    pub(crate) packages: PathBuf,
}

/// Made once, and kept for later runs as long as it is what they need.
pub(crate) fn venv() -> &'static Venv {
    static VENV: OnceLock<Venv> = OnceLock::new();
    VENV.get_or_init(|| {
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/requirements.txt");
        let instance = Instance::serving("ask", "");
        let python = instance.ask("sys.base_prefix + '/bin/python%d.%d' % sys.version_info[:2]");
        let version = instance.ask("sys.version");
        drop(instance);
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("applications");
        let complete = home.join("complete");
        let made_of =
            format!("{python}\n{version}\n{}", std::fs::read_to_string(&requirements).unwrap());
        if std::fs::read_to_string(&complete).ok().as_ref() != Some(&made_of) {
            // What an interrupted run has left.
            let _absent = std::fs::remove_dir_all(&home);
            let mut venv = command(python.trim_matches('\''));
            Outcome::of(venv.args(["-m", "venv"]).arg(&home).output().unwrap()).expect(0);
            let mut pip = command(home.join("bin/python"));
            pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]);
            Outcome::of(pip.arg(requirements).output().unwrap()).expect(0);
            std::fs::write(complete, made_of).unwrap();
        }
        let mut ask = command(home.join("bin/python"));
        ask.args(["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
        let packages = Outcome::of(ask.output().unwrap()).expect(0).stdout.trim().into();
        Venv { home, packages }
    })
}
