//! The launcher beside the original's: from the command to the first answer, in turns
//! on the same machine, each with a server root that is not there yet. README.md in
//! this folder says what is needed.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};

/// Our launcher, as it is installed.
const OURS: &str = "MOD_WSGI_EXPRESS";
/// The virtual environment of the original.
const ORIGINAL: &str = "MOD_WSGI_ORIGINAL_VENV";
/// Starts of each.
const RUNS: usize = 15;
/// Our time by the original's.
const TARGET: f64 = 0.5;
/// Longer than a start takes.
const PATIENCE: Duration = Duration::from_secs(60);

const APPLICATION: &str = "def application(environ, start_response):\n    \
    start_response('200 OK', [('Content-Type', 'text/plain')])\n    return [b'hello']\n";

fn main() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hello.wsgi"), APPLICATION).unwrap();
    let venv = named(ORIGINAL);
    let launchers = [venv.join("bin/mod_wsgi-express"), named(OURS)];
    let mut times = [Vec::new(), Vec::new()];
    // One start of each is not counted: files are not in memory yet.
    for run in 0..=RUNS {
        for (launcher, times) in launchers.iter().zip(&mut times) {
            let took = start(launcher, &venv, folder.path());
            if run > 0 {
                times.push(took.as_secs_f64() * 1000.0);
            }
        }
    }
    let [original, ours] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        (times[RUNS / 2], times[0])
    });
    println!("original: median {:.0} ms, least {:.0} ms", original.0, original.1);
    println!("ours:     median {:.0} ms, least {:.0} ms", ours.0, ours.1);
    let share = ours.0 / original.0;
    let word = if share <= TARGET { "kept" } else { "MISSED" };
    println!("share:    {share:.2} of the median; target {TARGET}: {word}");
}

fn named(variable: &str) -> PathBuf {
    let value = std::env::var_os(variable);
    PathBuf::from(value.unwrap_or_else(|| panic!("{variable} must be set: see benches/README.md")))
}

/// How long it takes until a server has answered; it is ended then.
fn start(launcher: &Path, venv: &Path, folder: &Path) -> Duration {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let root = folder.join("root");
    let _absent = std::fs::remove_dir_all(&root);
    // httpd serves nobody as root, and another account would have to be made first.
    let mut command = match getuid().is_root() {
        true => {
            let mut unshare = Command::new("unshare");
            unshare.args(["--map-user=1", "--map-group=1"]).arg(launcher);
            unshare
        }
        false => Command::new(launcher),
    };
    command.args(["start-server", "hello.wsgi", "--server-root"]).arg(&root);
    command.args(["--port", &port.to_string()]).current_dir(folder).env("VIRTUAL_ENV", venv);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let begin = Instant::now();
    let mut child = command.spawn().unwrap();
    while !answers(port) {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "`{}` has ended: {ended:?}", launcher.display());
        assert!(begin.elapsed() < PATIENCE, "`{}` does not answer", launcher.display());
        std::thread::sleep(Duration::from_micros(500));
    }
    let took = begin.elapsed();
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    took
}

fn answers(port: u16) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer.starts_with("HTTP/1.1 200 "))
    };
    ask().unwrap_or(false)
}
