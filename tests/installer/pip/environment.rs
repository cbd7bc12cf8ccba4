//! A virtual environment, and an application that is served in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;

use super::done;
use crate::real::{command, free_port};
use crate::sandbox::Outcome;

/// A folder with an environment, an application and its server's files.
pub(super) struct Environment {
    pub(super) folder: TempDir,
    pub(super) home: PathBuf,
}

impl Environment {
    /// An empty one.
    pub(super) fn new(python: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("venv");
        done(command(python).args(["-m", "venv"]).arg(&home));
        Self { folder, home }
    }

    pub(super) fn bin(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    pub(super) fn pip(&self, words: &[&str]) -> Outcome {
        let mut pip = command(self.bin("python"));
        pip.args(["-m", "pip", "--disable-pip-version-check"]).args(words);
        // The tools of this environment are to be found, as if it were active.
        let path = std::env::var("PATH").unwrap();
        pip.env("PATH", format!("{}:{path}", self.home.join("bin").display()));
        done(&mut pip)
    }

    /// What an application answers that says where it runs.
    pub(super) fn serve(&self, launcher: &[&str]) -> String {
        let mut server = as_nobody(self.bin(launcher[0]));
        server.args(&launcher[1..]).env_remove("VIRTUAL_ENV");
        ask(server, &[], self.folder.path())
    }

    /// Files with our names in them, by the name alone.
    pub(super) fn ours(&self) -> Vec<String> {
        let found = done(command("find").arg(&self.home).args(["-iname", "*wsgi*"]));
        found.stdout.lines().map(str::to_owned).collect()
    }
}

/// A command that root does not run as root, whom the launcher asks for an account.
pub(super) fn as_nobody(program: impl AsRef<OsStr>) -> Command {
    let mut outer = command(if getuid().is_root() { "unshare" } else { "env" });
    if getuid().is_root() {
        outer.args(["--map-user=1", "--map-group=1"]);
    }
    outer.arg(program.as_ref());
    outer
}

/// Starts a server by the launcher, in a folder of its own, and gives what its
/// application answers.
pub(super) fn ask(mut launcher: Command, options: &[&str], folder: &Path) -> String {
    let script = folder.join("app.wsgi");
    std::fs::write(&script, APPLICATION).unwrap();
    let port = free_port();
    launcher.arg("start-server").arg(&script).args(["--port", &port.to_string()]);
    launcher.args(["--server-root", "root"]).args(options).current_dir(folder);
    let log = std::fs::File::create(folder.join("log")).unwrap();
    launcher.stdout(Stdio::null()).stderr(log);
    let mut server = launcher.spawn().unwrap();
    let begin = Instant::now();
    let answer = loop {
        let mut curl = command("curl");
        curl.args(["--silent", "--fail", &format!("http://127.0.0.1:{port}/")]);
        let answer = Outcome::of(curl.output().unwrap());
        let is_over = server.try_wait().unwrap().is_some();
        if answer.status == 0 || is_over || begin.elapsed() > Duration::from_secs(30) {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if server.try_wait().unwrap().is_none() {
        kill_process(Pid::from_child(&server), Signal::TERM).unwrap();
    }
    server.wait().unwrap();
    let said = std::fs::read_to_string(folder.join("log")).unwrap();
    assert_eq!(answer.status, 0, "{said}");
    answer.stdout
}

/// Where it runs: its environment, its Python, our module and the libpython in use.
const APPLICATION: &str = "
import sys

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    with open('/proc/self/maps') as maps:
        files = {line.split(None, 5)[-1].strip() for line in maps}
    version = '%d.%d' % sys.version_info[:2]
    used = [sorted(file for file in files if name in file) for name in ('mod_wsgi_python', 'libpython')]
    return ['\\n'.join([sys.prefix, version, *used[0], *used[1], sys.base_prefix]).encode()]
";

/// The first line of an answer: the environment.
pub(super) fn home_in(answer: &str) -> &str {
    answer.lines().next().unwrap_or_default()
}
