//! The launcher as its users see it: the real program, which starts the real httpd,
//! asked by curl.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Signal, getuid};
use tempfile::TempDir;

use crate::real::{command, free_port};
use crate::sandbox::{Outcome, program};
use crate::serving::daemon::{is_gone, parent_of, python, signal, title_of};
use crate::serving::{base, module};

mod buffer;
mod configuration;
mod defects;
mod django;
mod effects;
mod eviction;
mod golden;
mod grammar;
mod hosts;
mod legacy;
mod logs;
mod option_files;
mod page;
mod proxying;
mod reload;
mod root;
mod seed;
mod status;
mod stop;
mod tools;

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with applications, which the launcher works in.
struct Folder {
    folder: TempDir,
    /// The launcher has an ordinary user's number, whoever runs the tests.
    ordinary: bool,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("express-").tempdir().unwrap();
        let new = Self { folder, ordinary: !getuid().is_root() };
        // The server reads it, and its applications write to it, as somebody else.
        std::fs::set_permissions(new.path(""), Permissions::from_mode(0o777)).unwrap();
        new.write("app.wsgi", APPLICATION);
        new
    }

    /// One whose launcher is an ordinary user, and may read what this one may: the
    /// module's own libpython, which httpd's children open, may lie in a home that
    /// nobody else may enter.
    fn ordinary() -> Self {
        Self { ordinary: true, ..Self::new() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn write(&self, below: &str, text: &str) -> PathBuf {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, below: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(below)).unwrap_or_default()).into_owned()
    }

    /// The launcher with these words, in this folder.
    fn launcher(&self, words: &[&str]) -> Command {
        let mut launcher = if self.ordinary && getuid().is_root() {
            let mut unshare = command("unshare");
            unshare.args(["--map-user=1", "--map-group=1"]).arg(program());
            unshare
        } else {
            command(program())
        };
        launcher.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        launcher.env("VIRTUAL_ENV", &python().home).env("TMPDIR", self.path("tmp"));
        launcher.current_dir(self.path("")).arg("express").args(words);
        launcher
    }

    fn run(&self, words: &[&str]) -> Outcome {
        Outcome::of(self.launcher(words).output().unwrap())
    }

    /// `setup-server` with these words; the server root is `root`. httpd has accepted
    /// the configuration.
    #[track_caller]
    fn set_up(&self, words: &[&str]) -> Outcome {
        let mut launcher = self.launcher(&["setup-server"]);
        Outcome::of(launcher.args(self.always(words)).args(words).output().unwrap())
    }

    /// The configuration that these words make, in which this folder is `HERE`.
    #[track_caller]
    fn configuration(&self, words: &[&str]) -> String {
        self.set_up(words).expect(0);
        let text = self.read("root/httpd.conf");
        text.replace(self.folder.path().to_str().unwrap(), "HERE")
    }

    /// Words that every server of these tests needs.
    fn always(&self, words: &[&str]) -> Vec<String> {
        let mut always = vec![
            "--httpd-executable".to_owned(),
            base().join("bin/httpd").display().to_string(),
            "--modules-directory".to_owned(),
            modules().display().to_string(),
        ];
        if !words.contains(&"--server-root") {
            always.extend(["--server-root".to_owned(), "root".to_owned()]);
        }
        if !self.ordinary && !words.contains(&"--user") {
            always.extend(["--user", "nobody", "--group", "#65534"].map(str::to_owned));
        }
        always
    }
}

/// Modules of the private httpd, with our own as they stand now among them.
fn modules() -> &'static Path {
    static MODULES: OnceLock<PathBuf> = OnceLock::new();
    MODULES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("modules-of-launcher");
        let _absent = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let ours = module();
        let ours = ours.parent().unwrap();
        let link = |file: &Path| {
            let link = folder.join(file.file_name().unwrap());
            let _first = std::os::unix::fs::symlink(file, link);
        };
        link(&ours.join("mod_wsgi.so"));
        link(&ours.join("mod_wsgi_python.so"));
        for item in std::fs::read_dir(base().join("current/modules")).unwrap().flatten() {
            link(&item.path());
        }
        folder
    })
}

/// A running server; ended with it.
struct Express {
    folder: Folder,
    child: Child,
    port: u16,
}

impl Express {
    /// Starts `app.wsgi` with these words.
    #[track_caller]
    fn start(words: &[&str]) -> Self {
        Self::of(Folder::new(), &[&["app.wsgi"], words].concat())
    }

    /// The same as an ordinary user.
    #[track_caller]
    fn start_as_user(words: &[&str]) -> Self {
        Self::of(Folder::ordinary(), &[&["app.wsgi"], words].concat())
    }

    /// Starts what these words say; what it prints goes to `out` and `err`.
    #[track_caller]
    fn of(folder: Folder, words: &[&str]) -> Self {
        let port = free_port();
        let text = |word: &&str| word.replace("PORT", &port.to_string());
        let words: Vec<String> = words.iter().map(text).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut launcher = folder.launcher(&["start-server"]);
        launcher.args(folder.always(&words)).args(["--port", &port.to_string()]).args(words);
        let file = |name: &str| std::fs::File::create(folder.path(name)).unwrap();
        launcher.stdin(Stdio::null()).stdout(file("out")).stderr(file("err"));
        let child = launcher.spawn().unwrap();
        let mut express = Self { folder, child, port };
        express.wait("a listening server", |express| {
            std::net::TcpStream::connect(("127.0.0.1", express.port)).is_ok()
        });
        express
    }

    /// Waits until something is so.
    #[track_caller]
    fn wait(&mut self, what: &str, mut so: impl FnMut(&mut Self) -> bool) {
        let begin = Instant::now();
        while !so(self) {
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && begin.elapsed() < PATIENCE,
                "no {what} ({ended:?})\n{}\n{}",
                self.folder.read("err"),
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        self.folder.read("root/error_log")
    }

    /// An answer to curl, with these arguments besides.
    #[track_caller]
    fn curl(&self, target: &str, arguments: &[&str]) -> Answer {
        let url = match target.starts_with("http") {
            true => target.to_owned(),
            false => format!("http://127.0.0.1:{}{target}", self.port),
        };
        let mut curl = command("curl");
        curl.args(["-sS", "-i", "--path-as-is", "--noproxy", "*", "--max-time", "60"]);
        curl.args(arguments).arg(url);
        Answer::of(&Outcome::of(curl.output().unwrap()).expect(0).stdout)
    }

    /// The body of an answer that is 200.
    #[track_caller]
    fn ask(&self, target: &str) -> String {
        let answer = self.curl(target, &[]);
        assert_eq!(answer.status, 200, "{target}\n{answer:?}\n{}", self.log());
        answer.body
    }

    /// What Python makes of an expression in the application.
    #[track_caller]
    fn eval(&self, expression: &str) -> String {
        let answer = self.curl("/", &["-H", &format!("X-Eval: {expression}")]);
        assert_eq!(answer.status, 200, "{expression}\n{answer:?}\n{}", self.log());
        answer.body
    }

    /// httpd's parent.
    fn httpd(&self) -> u32 {
        self.folder.read("root/httpd.pid").trim().parse().unwrap()
    }

    /// The processes with this title, which descend from the launcher.
    fn titled(&self, title: &str) -> Vec<u32> {
        let folders = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = folders.filter_map(|item| item.file_name().to_str()?.parse::<u32>().ok());
        let ours = |pid: &u32| {
            let line = std::iter::successors(Some(*pid), |pid| parent_of(*pid));
            title_of(*pid) == title && line.take(5).any(|pid| pid == self.child.id())
        };
        pids.filter(ours).collect()
    }

    /// Stops it as a terminal does; its exit code.
    #[track_caller]
    fn stop(&mut self) -> i32 {
        signal(self.child.id(), Signal::INT);
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(begin.elapsed() < PATIENCE, "it does not stop\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Express {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            signal(self.child.id(), Signal::TERM);
            let begin = Instant::now();
            while self.child.try_wait().is_ok_and(|status| status.is_none()) {
                if begin.elapsed() > PATIENCE {
                    let _has_ended = self.child.kill();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// What curl has got.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((text, ""));
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of a header.
    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut fields = fields.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        fields.next().map(|(_, value)| value.trim())
    }
}

/// Tells of its process and request; evaluates what a header asks for.
const APPLICATION: &str = r#"
import os, sys, time
import mod_wsgi

def application(environ, start_response):
    asked = environ.get('HTTP_X_EVAL')
    if asked:
        body = str(eval(asked))
    else:
        body = '%s %s %s' % (environ['SCRIPT_NAME'], environ['PATH_INFO'], mod_wsgi.process_group)
    body = body.encode()
    start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(body)))])
    return [body]
"#;
