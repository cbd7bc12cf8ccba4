//! The module at work: applications served by the real httpd.
//!
//! One file below for each subject; here is the server that they share. The subjects
//! are compiled for both modes, so every case runs twice: as `embedded::…` and as
//! `daemon_mode::…`. What only one mode has is the subject of `embedded::children` and
//! of `daemon`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use self::wire::{Reply, Wire};
use crate::real::{command, free_port, real};
use crate::sandbox::Outcome;

mod configuration;
mod contexts;
pub(crate) mod daemon;
pub(crate) mod venv;
mod wire;
mod wrapper;

/// Applications run in the processes of httpd.
#[path = "serving"]
mod embedded {
    use super::{Instance, PATIENCE, Reply, Site, under_load, wire};

    const DAEMON: bool = false;
    /// The process group, as applications see it and as the configuration names it.
    const GROUP: &str = "";
    const NAMED: &str = "%{GLOBAL}";
    /// Why a process stops that ends with its server.
    const REASON: &str = "";

    mod access;
    mod applications;
    mod children;
    mod dispatch;
    mod endurance;
    mod environ;
    mod errors;
    mod events;
    mod failures;
    mod files;
    mod groups;
    mod input;
    mod loading;
    mod mapping;
    mod metrics;
    mod options;
    mod proxies;
    mod response;
    mod runtime;
    mod users;
}

/// Applications run in a daemon process, like that child of httpd.
#[path = "serving"]
#[allow(clippy::duplicate_mod, reason = "the same cases, in the other mode")]
mod daemon_mode {
    use super::{PATIENCE, Reply, Site, under_load, wire};

    const DAEMON: bool = true;
    const GROUP: &str = "tests";
    const NAMED: &str = GROUP;
    const REASON: &str = "shutdown_signal";
    type Instance = super::Server<DAEMON>;

    mod access;
    mod applications;
    mod dispatch;
    mod endurance;
    mod environ;
    mod errors;
    mod events;
    mod failures;
    mod files;
    mod groups;
    mod input;
    mod loading;
    mod mapping;
    mod metrics;
    mod options;
    mod proxies;
    mod response;
    mod runtime;
    mod users;
}

/// Longer than anything takes on a machine that is busy; nothing waits so long
/// unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with the applications, a configuration and its logs.
struct Site {
    folder: TempDir,
    /// Words of the command that the server is started by, if it is by one.
    below: Vec<String>,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("serving-").tempdir().unwrap();
        let site = Self { folder, below: Vec::new() };
        for below in ["htdocs", "kept"] {
            std::fs::create_dir(site.path(below)).unwrap();
        }
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps"), &site.path("apps"));
        // A server started by root serves as somebody else, who writes to `kept`.
        for (below, mode) in [("", 0o755), ("kept", 0o777)] {
            let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode);
            std::fs::set_permissions(site.path(below), mode).unwrap();
        }
        site
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn read(&self, below: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(below)).unwrap_or_default()).into_owned()
    }

    fn write(&self, below: &str, text: &str) {
        let path = self.path(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Writes the configuration; `SITE` in the directives is this folder, `PORT`
    /// the port.
    fn configure(&self, mpm: &str, port: u16, directives: &str) {
        let processes = match mpm {
            "prefork" => "MinSpareServers 1\nMaxSpareServers 2\nServerLimit 2\nMaxRequestWorkers 2",
            _ => {
                "MinSpareThreads 1\nMaxSpareThreads 8\nServerLimit 1\nThreadLimit 8\nThreadsPerChild 8\nMaxRequestWorkers 8"
            }
        };
        let modules: String = MODULES
            .iter()
            .map(|name| format!("LoadModule {name}_module modules/mod_{name}.so\n"))
            .collect();
        let directives = directives
            .replace("SITE", self.folder.path().to_str().unwrap())
            .replace("PORT", &port.to_string());
        let folder = self.folder.path().display();
        let module = module().display().to_string();
        let text = format!(
            "LoadModule mpm_{mpm}_module modules/mod_mpm_{mpm}.so\n{modules}\
             LoadModule wsgi_module \"{module}\"\n\
             ServerName localhost\nListen 127.0.0.1:{port}\nStartServers 1\n{processes}\nTimeout 30\n\
             PidFile \"{folder}/httpd.pid\"\nDefaultRuntimeDir \"{folder}\"\n\
             ErrorLog \"{folder}/error_log\"\nLogLevel warn wsgi:info\n\
             CustomLog \"{folder}/access_log\" \"%m %U %>s\"\n\
             TypesConfig conf/mime.types\nDocumentRoot \"{folder}/htdocs\"\n\
             <Directory \"{folder}\">\nRequire all granted\n</Directory>\n{directives}\n"
        );
        self.write("httpd.conf", &text);
    }

    /// What `httpd -t` says about these directives.
    fn check(&self, directives: &str) -> Outcome {
        self.configure("event", free_port(), directives);
        Outcome::of(self.httpd().arg("-t").output().unwrap())
    }

    /// Each case: directives that are refused, and words that are said then.
    #[track_caller]
    fn refuses<D: AsRef<str>>(&self, cases: impl IntoIterator<Item = (D, &'static str)>) {
        for (directives, words) in cases {
            let directives = directives.as_ref();
            let outcome = self.check(directives);
            assert_eq!(outcome.status, 1, "{directives}");
            let said = outcome.stderr;
            assert!(said.contains(words), "{directives}\n`{words}` is not in {said}");
        }
    }

    fn httpd(&self) -> Command {
        let program = base().join("bin/httpd");
        let mut httpd = match &self.below[..] {
            [] => command(program),
            [outer, words @ ..] => {
                let mut outer = command(outer);
                outer.args(words).arg(program);
                outer
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PYTHON") {
                httpd.env_remove(name);
            }
        }
        httpd.arg("-f").arg(self.path("httpd.conf"));
        httpd
    }
}

/// Copies a folder, with the folders in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for item in std::fs::read_dir(from).unwrap().flatten() {
        let (item, to) = (item.path(), to.join(item.file_name()));
        if item.is_dir() {
            copy(&item, &to);
        } else {
            std::fs::copy(item, to).unwrap();
        }
    }
}

/// A server whose applications run where its directives say.
type Instance = Server<false>;

/// A running server; ended with it. The test fails if a process of the server
/// has crashed.
struct Server<const DAEMON: bool> {
    site: Site,
    child: Child,
    port: u16,
    stopped: bool,
}

impl<const DAEMON: bool> Server<DAEMON> {
    fn new(directives: &str) -> Self {
        Self::with_mpm("event", directives)
    }

    fn with_mpm(mpm: &str, directives: &str) -> Self {
        Self::of(Site::new(), mpm, directives)
    }

    /// A server whose application `name` is at `/`.
    fn serving(name: &str, directives: &str) -> Self {
        Self::new(&format!("WSGIScriptAlias / \"SITE/apps/{name}.wsgi\"\n{directives}"))
    }

    fn of(site: Site, mpm: &str, directives: &str) -> Self {
        Self::start(site, mpm, "", directives)
    }

    /// A server whose daemon processes, where it has some, have these options.
    fn with_options(site: Site, options: &str, directives: &str) -> Self {
        Self::start(site, "event", options, directives)
    }

    fn start(site: Site, mpm: &str, options: &str, directives: &str) -> Self {
        let directives = &if DAEMON {
            format!(
                "WSGIDaemonProcess tests {THREADS} {options}\nWSGIProcessGroup tests\n{directives}"
            )
        } else {
            directives.to_owned()
        };
        for _attempt in 0..5 {
            let port = free_port();
            site.configure(mpm, port, directives);
            let mut httpd = site.httpd();
            if mpm == "prefork" {
                // At its end its parent sends SIGTERM to the whole group.
                httpd.process_group(0);
            }
            let mut child = httpd.arg("-DFOREGROUND").spawn().unwrap();
            if listens(&site, &mut child, port) {
                return Self { site, child, port, stopped: false };
            }
            // Somebody else may have been given the same port.
            let log = site.read("error_log");
            assert!(log.is_empty() || log.contains("in use"), "httpd does not start\n{log}");
        }
        panic!("httpd does not start\n{}", site.read("error_log"));
    }

    /// The reply to a request for a page.
    fn get(&self, target: &str) -> Reply {
        self.send("GET", target, &[], b"")
    }

    fn post(&self, target: &str, body: &[u8]) -> Reply {
        self.send("POST", target, &[], body)
    }

    fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost:{}\r\n", self.port);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if method == "POST" {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("Connection: close\r\n\r\n");
        let mut wire = self.raw(&[head.as_bytes(), body].concat());
        wire.reply(method)
    }

    /// A connection on which these bytes have been sent.
    fn raw(&self, bytes: &[u8]) -> Wire {
        let mut wire = Wire::connect(self.port);
        wire.write(bytes);
        wire
    }

    /// What `ask.wsgi` makes of Python code: `repr` of an expression, or the
    /// class and text of its exception.
    #[track_caller]
    fn ask(&self, code: &str) -> String {
        self.ask_at("/", code)
    }

    #[track_caller]
    fn ask_at(&self, target: &str, code: &str) -> String {
        let reply = self.post(target, code.as_bytes());
        assert_eq!(reply.status, 200, "{code}\n{reply:?}\n{}", self.log());
        reply.text()
    }

    /// The error log so far.
    fn log(&self) -> String {
        self.site.read("error_log")
    }

    /// The error log, when it has that text.
    #[track_caller]
    fn logs(&self, text: &str) -> String {
        self.comes("error_log", text)
    }

    /// A file of the site, when it has that text.
    #[track_caller]
    fn comes(&self, below: &str, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.site.read(below);
            if found.contains(text) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "`{text}` is not in {below}:\n{found}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn signal(&self, signal: Signal) {
        // One that has ended by itself is what the test will tell.
        let _ended = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Ends the server and gives the whole error log.
    fn stop(&mut self) -> String {
        self.stopped = true;
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = self.child.try_wait() {
            if Instant::now() > deadline {
                let _killed = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.log()
    }
}

impl<const DAEMON: bool> Drop for Server<DAEMON> {
    fn drop(&mut self) {
        let log = if self.stopped { self.log() } else { self.stop() };
        if std::thread::panicking() {
            eprintln!("--- error log\n{log}");
            return;
        }
        for word in CRASHES {
            assert!(!log.contains(word), "`{word}` is in the error log:\n{log}");
        }
    }
}

/// Waits until the server listens; false if it has ended.
fn listens(site: &Site, child: &mut Child, port: u16) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let pid = child.id().to_string();
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        let ours = site.read("httpd.pid").trim() == pid;
        if ours && TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("httpd does not listen");
}

/// Processes whose parent is that one.
fn children_of(parent: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for item in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended in between.
        let stat = std::fs::read_to_string(item.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>());
        if fields.is_some_and(|fields| fields.get(1) == Some(&parent.to_string().as_str())) {
            found.insert(pid);
        }
    }
    found
}

/// The prefix of the httpd that serves.
pub(crate) fn base() -> PathBuf {
    std::env::var_os("MOD_WSGI_HTTPD_BASE").map_or_else(|| real().base.clone(), PathBuf::from)
}

/// The module under test: that of the prefix, unless the environment names one.
///
/// That is how these tests are tried against another module: with
/// `MOD_WSGI_SO=/a/mod_wsgi.so` and, if it was built for another httpd,
/// `MOD_WSGI_HTTPD_BASE=/its/prefix`.
pub(crate) fn module() -> PathBuf {
    std::env::var_os("MOD_WSGI_SO").map_or_else(|| built().join("mod_wsgi.so"), PathBuf::from)
}

/// The folder with our module, built once for the prefix: every declaration of
/// httpd's is compared with its headers on the way.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("module/modules");
        build_module(&folder, &[]);
        folder
    })
}

/// Builds our module into a folder, for the Python that the variables name.
pub(crate) fn build_module(folder: &Path, variables: &[(&str, &str)]) {
    // The next build replaces what this one has made.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap();
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("module");
    let mut cargo = command(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "-p", "mod_wsgi", "-p", "pywsgi"]);
    cargo.arg("--target-dir").arg(&target).env("MOD_WSGI_HTTPD_PREFIX", base().join("current"));
    cargo.envs(variables.iter().copied());
    Outcome::of(cargo.output().unwrap()).expect(0);
    std::fs::create_dir_all(folder).unwrap();
    for name in ["mod_wsgi", "mod_wsgi_python"] {
        let library = target.join(format!("debug/lib{name}.so"));
        std::fs::copy(library, folder.join(format!("{name}.so"))).unwrap();
    }
}

/// A name that only the headers know, as inline functions are, would fail at the
/// first call instead of here.
#[test]
fn every_name_that_the_module_wants_is_exported() {
    let linkage = |path: PathBuf| mod_wsgi_httpd::stage::link::read(&path).unwrap().unwrap();
    let current = base().join("current");
    let mut exported = linkage(current.join("bin/httpd")).defines;
    for library in ["lib/libapr-1.so.0", "lib/libaprutil-1.so.0"] {
        exported.extend(linkage(current.join(library)).defines);
    }
    let wanted = linkage(built().join("mod_wsgi.so")).wants;
    let ours = |name: &&String| name.starts_with("ap_") || name.starts_with("apr_");
    let (known, unknown): (Vec<&String>, Vec<&String>) =
        wanted.iter().filter(ours).partition(|name| exported.contains(*name));
    assert_eq!(unknown, Vec::<&String>::new());
    assert!(known.len() > 30, "{known:?}");
}

/// Does each of these again and again, on a thread of its own, until `work` is done.
fn meanwhile<R>(again: Vec<impl FnMut() + Send>, work: impl FnOnce() -> R) -> R {
    /// Ends them also when the work panics.
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Release);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let end = Done(&done);
        for mut one in again {
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    one();
                }
            });
        }
        let result = work();
        drop(end);
        result
    })
}

/// Has four clients ask on and on, until `work` is done.
fn under_load<R>(ask: impl Fn() + Sync, work: impl FnOnce() -> R) -> R {
    meanwhile((0..4).map(|_client| || ask()).collect(), work)
}

/// What the log has when a process has crashed.
const CRASHES: [&str; 5] = ["exit signal", "panicked", "(SIGSEGV)", "(SIGABRT)", "(SIGBUS)"];

/// As many as the child of httpd has here.
const THREADS: &str = "threads=8";

/// What the server loads besides its MPM and the module.
const MODULES: [&str; 19] = [
    "access_compat",
    "actions",
    "alias",
    "auth_basic",
    "auth_digest",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "deflate",
    "dir",
    "env",
    "filter",
    "include",
    "log_config",
    "mime",
    "rewrite",
    "setenvif",
    "unixd",
];
