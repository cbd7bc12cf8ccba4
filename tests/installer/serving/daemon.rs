//! Applications in processes of their own: how these are made, limited, replaced
//! and ended, and what becomes of requests meanwhile.
//!
//! One file below for each subject; here is a server with such a group, and what
//! tells its processes apart. All groups are titled `(wsgi:NAME)`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::wire::Wire;
use super::{Instance, PATIENCE, Site, meanwhile, under_load};

mod eviction;
mod failures;
mod limits;
mod load;
mod options;
mod preload;
mod restarts;
mod services;
mod signals;
mod status;
mod timers;

/// Asks for the process that answers.
const PID: &str = "__import__('os').getpid()";

/// What `ask.wsgi` calls to wait inside of a request.
fn sleep(seconds: f64) -> String {
    format!("__import__('time').sleep({seconds})")
}

/// Directives for a group `g` with these options, whose application `ask` is at
/// `/`, in the main interpreter. Those of a test come first, and so do its
/// aliases.
fn group(options: &str, directives: &str) -> String {
    format!(
        "User nobody\nGroup \"#65534\"\nWSGIDaemonProcess g display-name=%{{GROUP}} {options}\n\
         WSGIProcessGroup g\nWSGIApplicationGroup %{{GLOBAL}}\nWSGIPythonHome \"{}\"\n\
         WSGISocketPrefix \"SITE/wsgi\"\n{directives}\n\
         WSGIScriptAlias / \"SITE/apps/ask.wsgi\"",
        python().home.display()
    )
}

/// The Python of the module.
pub(crate) struct Python {
    pub(crate) home: PathBuf,
    /// Such as `3.13`.
    version: String,
}

/// One that anybody may read: where it lives in a home that only root may enter, it
/// is copied, without what no test needs.
pub(crate) fn python() -> &'static Python {
    static PYTHON: OnceLock<Python> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let instance = Instance::serving("ask", "");
        let home = PathBuf::from(instance.ask("sys.base_prefix").trim_matches('\''));
        let version = instance.ask("'%d.%d' % sys.version_info[:2]").trim_matches('\'').to_owned();
        drop(instance);
        let open = |folder: &Path| {
            folder.metadata().is_ok_and(|data| data.permissions().mode() & 0o001 != 0)
        };
        if home.ancestors().all(open) {
            return Python { home, version };
        }
        let below = format!("lib/python{version}");
        let copied = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("python-{version}"));
        if !copied.join("complete").exists() {
            let _none = std::fs::remove_dir_all(&copied);
            copy_some(&home.join(&below), &copied.join(&below));
            copy_program(&home, &version, &copied);
            std::fs::write(copied.join("complete"), "").unwrap();
        }
        Python { home: copied, version }
    })
}

/// Copies the program with its shared library, which it looks for where it was built:
/// a script tells it of the other place.
fn copy_program(home: &Path, version: &str, to: &Path) {
    std::fs::create_dir_all(to.join("bin")).unwrap();
    let name = format!("bin/python{version}");
    std::fs::copy(home.join(&name), to.join(&name)).unwrap();
    for item in std::fs::read_dir(home.join("lib")).unwrap().flatten() {
        let name = item.file_name();
        if name.to_string_lossy().starts_with(&format!("libpython{version}.so")) {
            std::fs::copy(item.path(), to.join("lib").join(name)).unwrap();
        }
    }
    let place = to.display();
    let script = format!("#!/bin/sh\nLD_LIBRARY_PATH={place}/lib exec {place}/{name} \"$@\"\n");
    let python = to.join("bin/python");
    std::fs::write(&python, script).unwrap();
    std::fs::set_permissions(python, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// Copies a standard library.
fn copy_some(from: &Path, to: &Path) {
    const LEFT_OUT: [&str; 8] = [
        "__pycache__",
        "ensurepip",
        "idlelib",
        "lib2to3",
        "pydoc_data",
        "site-packages",
        "test",
        "tkinter",
    ];
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap().flatten() {
        let name = item.file_name().into_string().unwrap();
        if LEFT_OUT.contains(&name.as_str()) || name.starts_with("config-") {
            continue;
        }
        if item.path().is_dir() {
            copy_some(&item.path(), &to.join(name));
        } else {
            std::fs::copy(item.path(), to.join(name)).unwrap();
        }
    }
}

/// A server with that group.
fn serving(options: &str) -> Instance {
    Instance::new(&group(options, ""))
}

/// The same, with room for many connections at once.
fn roomy(options: &str, directives: &str) -> Instance {
    const ROOM: &str = "ThreadLimit 200\nThreadsPerChild 200\nMaxRequestWorkers 200";
    Instance::new(&group(options, &format!("{directives}\n{ROOM}")))
}

/// A request under way; its reply is read later.
fn begin(instance: &Instance, target: &str, code: &str) -> Wire {
    let length = code.len();
    instance.raw(
        format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Length: {length}\r\n\r\n{code}"
        )
        .as_bytes(),
    )
}

/// A request that notes its start in the file `kept/NAME` and then sleeps; given
/// once it runs.
#[track_caller]
fn begin_sleep(instance: &Instance, name: &str, seconds: f64) -> Wire {
    let note = instance.site.path("kept").join(name);
    let code = format!(
        "import time\nopen({note:?}, 'w').write('begun')\ntime.sleep({seconds})\nanswer = 'slept'\n"
    );
    let wire = begin(instance, "/", &code);
    instance.comes(&format!("kept/{name}"), "begun");
    wire
}

/// The process that answers.
#[track_caller]
fn pid(instance: &Instance) -> u32 {
    instance.ask(PID).parse().unwrap()
}

/// The processes of the group `name`.
fn members(instance: &Instance, name: &str) -> BTreeSet<u32> {
    let parent = instance.child.id();
    let title = format!("(wsgi:{name})");
    let ours = |pid: &u32| {
        // Between them there may be a process that looks after the group.
        let ancestors = [parent_of(*pid), parent_of(*pid).and_then(parent_of)];
        ancestors.contains(&Some(parent)) && title_of(*pid) == title
    };
    let folders = std::fs::read_dir("/proc").unwrap().flatten();
    folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok()).filter(ours).collect()
}

/// The parent of a process.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:\t"))?.parse().ok()
}

/// The processes of the group `name`, once there are so many.
#[track_caller]
fn all_of(instance: &Instance, name: &str, count: usize) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    wait(&format!("{count} of {name}"), instance, || {
        found = members(instance, name);
        found.len() == count
    });
    found
}

/// The first word of the command line of a process.
pub(crate) fn title_of(pid: u32) -> String {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let word = line.split(|byte| *byte == 0).next().unwrap();
    String::from_utf8_lossy(word).trim_end().to_owned()
}

/// Whether a process has ended; one that nobody has asked after counts.
pub(crate) fn is_gone(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, state)| state.starts_with(['Z', 'X']))
}

/// Waits for that, and tells how long it took.
#[track_caller]
fn wait(what: &str, instance: &Instance, mut done: impl FnMut() -> bool) -> f64 {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "{what}: in vain\n{}", instance.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    begin.elapsed().as_secs_f64()
}

/// How long it took until the process ended.
#[track_caller]
fn gone(instance: &Instance, pid: u32) -> f64 {
    wait(&format!("the end of {pid}"), instance, || is_gone(pid))
}

/// Another process than `old` that answers.
#[track_caller]
fn successor(instance: &Instance, old: u32) -> u32 {
    gone(instance, old);
    let new = pid(instance);
    assert_ne!(new, old);
    new
}

/// Sends a signal to a process of the server.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// The names of the sockets of all groups.
fn sockets(instance: &Instance) -> Vec<String> {
    let items = std::fs::read_dir(instance.site.path("")).unwrap().flatten();
    let names = items.map(|item| item.file_name().into_string().unwrap());
    let mut found: Vec<String> = names.filter(|name| name.ends_with(".sock")).collect();
    found.sort();
    found
}

/// The number of a user of this machine.
fn uid_of(name: &str) -> u32 {
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
    line.split(':').nth(2).unwrap().parse().unwrap()
}

/// Has the process that answers write to `kept/reason` why it stops.
#[track_caller]
fn note_reason(instance: &Instance) {
    let file = instance.site.path("kept/reason");
    let code = format!(
        "def note(name, **payload):\n    with open({file:?}, 'a') as file:\n        \
         print(name, payload['shutdown_reason'], file=file)\n\
         answer = mod_wsgi.subscribe_shutdown(note) is note\n"
    );
    assert_eq!(instance.ask(&code), "True");
}

/// The reason, once it is known.
#[track_caller]
fn reason(instance: &Instance) -> String {
    let text = instance.comes("kept/reason", "\n");
    text.strip_prefix("process_stopping ").unwrap().trim_end().to_owned()
}

/// What lies between these times, one a line.
fn pauses(times: &str) -> Vec<f64> {
    let times: Vec<f64> = times.lines().map(|line| line.parse().unwrap()).collect();
    times.windows(2).map(|two| two[1] - two[0]).collect()
}

/// The third pause is longer than the first one by more than chance.
#[track_caller]
fn grow(pauses: &[f64], what: &str) {
    assert!(pauses[2] > pauses[0] + 0.8, "{what}: {pauses:?}");
}

/// How long something took.
fn timed<R>(work: impl FnOnce() -> R) -> (R, f64) {
    let begin = Instant::now();
    let result = work();
    (result, begin.elapsed().as_secs_f64())
}

/// Whether the server, and so its processes, can be other users.
fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not tested, since root alone can do it: {what}");
    }
    root
}

/// Ends a server of which a process was made to crash.
fn stop_crashed(mut instance: Instance) -> String {
    let log = instance.stop();
    instance.site.write("error_log", "");
    log
}

/// Ends the server; no process of its groups may be left.
#[track_caller]
fn stop(mut instance: Instance, names: &[&str]) -> String {
    let all: BTreeSet<u32> = names.iter().flat_map(|name| members(&instance, name)).collect();
    assert!(!all.is_empty());
    let log = instance.stop();
    let left: Vec<u32> = all.into_iter().filter(|pid| !is_gone(*pid)).collect();
    assert_eq!(left, Vec::<u32>::new(), "{log}");
    log
}
