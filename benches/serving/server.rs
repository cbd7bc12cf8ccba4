//! A server that runs, its load, and what it costs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::Row;
use crate::place::{Place, command};

/// Where applications run.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Mode {
    Embedded,
    Daemon,
}

impl Mode {
    pub(crate) const ALL: [Self; 2] = [Self::Embedded, Self::Daemon];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Daemon => "daemon",
        }
    }

    /// What names of its rows start with.
    pub(crate) fn prefix(self) -> &'static str {
        if self == Self::Daemon { "daemon-" } else { "" }
    }
}

/// How a server is set up.
#[derive(Clone, Copy)]
pub(crate) struct Setup<'a> {
    pub(crate) mode: Mode,
    /// Options of the group of daemon processes, besides the usual ones.
    pub(crate) options: &'a str,
    /// Directives besides the usual ones; `SITE` is the folder of the applications.
    pub(crate) directives: &'a str,
}

impl From<Mode> for Setup<'_> {
    fn from(mode: Mode) -> Self {
        Self { mode, options: "", directives: "" }
    }
}

/// Who answers.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Side {
    Original,
    Ours,
    /// httpd itself, from the file.
    Static,
}

/// What a process of a server is for.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Role {
    Parent,
    /// One that has clients.
    Child,
    /// One that starts daemon processes.
    Supervisor,
    Daemon,
}

/// One measurement.
pub(crate) struct Sample {
    /// Microseconds of processors a request, user and system, of all processes.
    pub(crate) cpu: f64,
    /// MiB.
    pub(crate) memory: Memory,
    pub(crate) load: Load,
}

/// MiB of the processes of each role, pages that processes share counted once.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    pub(crate) parent: f64,
    pub(crate) child: f64,
    pub(crate) supervisor: f64,
    pub(crate) daemon: f64,
}

impl Memory {
    pub(crate) fn total(self) -> f64 {
        self.parent + self.child + self.supervisor + self.daemon
    }
}

/// What the client saw.
pub(crate) struct Load {
    /// Requests a second.
    pub(crate) rate: f64,
    /// Milliseconds that 99 of 100 requests stay below.
    pub(crate) p99: f64,
    pub(crate) failed: u64,
}

/// Unit of processor times in `/proc`, the same on all supported machines.
const TICKS_PER_SECOND: f64 = 100.0;
/// Longer than a start or an end takes, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(120);
/// What names of daemon processes start with.
const TITLE: &str = "(wsgi:";

/// A running server; ended with it.
pub(crate) struct Server<'p> {
    pub(crate) place: &'p Place,
    child: Child,
    pub(crate) port: u16,
}

impl<'p> Server<'p> {
    /// Starts a server of one child, below another program if there is one; one of a
    /// single process then, unless it has daemon processes.
    pub(crate) fn start<'s>(
        place: &'p Place,
        setup: impl Into<Setup<'s>>,
        side: Side,
        below: Option<Command>,
    ) -> Self {
        let setup = setup.into();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let port = port.port();
        let configuration = place.configure(setup, side, port);
        let program = place.base.join("bin/httpd");
        let is_single = below.is_some() && setup.mode == Mode::Embedded;
        let mut httpd = match below {
            None => command(program),
            Some(mut outer) => {
                outer.arg(program);
                outer
            }
        };
        httpd.arg("-f").arg(configuration);
        httpd.arg(if is_single { "-X" } else { "-DFOREGROUND" });
        let child = httpd.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{httpd:?}: {error}"));
        let mut server = Self { place, child, port };
        server.wait();
        server
    }

    /// Waits until it listens.
    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().unwrap().is_some();
            assert!(!ended && Instant::now() < deadline, "httpd does not start\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The process id of httpd's parent.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.place.path("error_log")).unwrap_or_default()
    }

    /// The body of a page.
    pub(crate) fn get(&self, name: &str) -> String {
        let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        write!(wire, "GET /{name}/ HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        wire.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(" 200 "), "{reply}\n{}", self.log());
        body.to_owned()
    }

    /// Sends so many requests by so many connections.
    pub(crate) fn load(&self, row: &Row, side: Side, requests: u32, connections: u32) -> Load {
        let percentiles = self.place.path("percentiles.csv");
        let mut ab = command(self.place.base.join("bin/ab"));
        ab.args(["-k", "-q", "-n", &requests.to_string(), "-c", &connections.to_string()]);
        ab.arg("-e").arg(&percentiles);
        for number in 0..row.headers {
            ab.args(["-H", &format!("X-Question-{number}: value of header {number}")]);
        }
        if row.posts {
            ab.args(["-T", "application/octet-stream", "-p"]).arg(self.place.path("body"));
        }
        let target = if side == Side::Static { "file1m.bin" } else { &format!("{}/", row.app) };
        let output = ab.arg(format!("http://127.0.0.1:{}/{target}", self.port)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(number);
        let complete = found("Complete requests:").unwrap_or(0.0);
        assert!(complete > 0.0, "ab: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
        let unlike = found("Document Length:") != Some(row.length as f64);
        let failed = if unlike { complete } else { 0.0 }
            + found("Failed requests:").unwrap_or(0.0)
            + found("Non-2xx responses:").unwrap_or(0.0)
            + (f64::from(requests) - complete);
        let percentiles = std::fs::read_to_string(percentiles).unwrap();
        let p99 = percentiles.lines().find_map(|line| line.strip_prefix("99,")).map(number);
        let rate = found("Requests per second:").unwrap();
        Load { rate, p99: p99.unwrap(), failed: failed as u64 }
    }

    /// Its processes.
    pub(crate) fn processes(&self) -> Vec<(u32, Role)> {
        let numbers = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|item| item.file_name().to_str()?.parse::<u32>().ok());
        let all: Vec<(u32, u32)> =
            numbers.filter_map(|pid| Some((pid, *stat(pid).get(1)? as u32))).collect();
        let children = |of: u32| all.iter().filter(move |(_, parent)| *parent == of);
        let mut found = vec![(self.child.id(), Role::Parent)];
        for &(pid, _) in children(self.child.id()) {
            let grandchildren: Vec<u32> = children(pid).map(|(pid, _)| *pid).collect();
            found.push((
                pid,
                if is_daemon(pid) {
                    Role::Daemon
                } else if grandchildren.is_empty() {
                    Role::Child
                } else {
                    Role::Supervisor
                },
            ));
            found.extend(grandchildren.into_iter().map(|pid| (pid, Role::Daemon)));
        }
        found
    }

    /// Processor seconds of its processes.
    pub(crate) fn cpu(&self) -> f64 {
        // The 14th and 15th field; the third is the first after the name.
        let ticks = |(pid, _)| stat(pid).iter().skip(11).take(2).sum::<f64>();
        self.processes().into_iter().map(ticks).sum::<f64>() / TICKS_PER_SECOND
    }

    pub(crate) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for (pid, role) in self.processes() {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
            let text = text.unwrap_or_default();
            let kib = text.lines().find_map(|line| line.strip_prefix("Pss:")).map_or(0.0, number);
            let part = match role {
                Role::Parent => &mut memory.parent,
                Role::Child => &mut memory.child,
                Role::Supervisor => &mut memory.supervisor,
                Role::Daemon => &mut memory.daemon,
            };
            *part += kib / 1024.0;
        }
        memory
    }

    /// Ends it: whether it ended by itself, without a fault.
    pub(crate) fn stop(&mut self) -> bool {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status.success();
        }
        let processes = self.processes();
        let _ended = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for pid in processes.into_iter().filter_map(|(pid, _)| Pid::from_raw(pid.cast_signed())) {
            let _ended = kill_process(pid, Signal::KILL);
        }
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_daemon(pid: u32) -> bool {
    std::fs::read(format!("/proc/{pid}/cmdline"))
        .is_ok_and(|text| text.starts_with(TITLE.as_bytes()))
}

/// What the kernel says of a process, as numbers; the first is the third field.
fn stat(pid: u32) -> Vec<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, fields) = text.rsplit_once(") ").unwrap_or_default();
    fields.split(' ').map(number).collect()
}

/// The number that a text starts with, 0 if there is none.
pub(crate) fn number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}
