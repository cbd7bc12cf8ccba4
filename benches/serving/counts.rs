//! What is counted and not timed: instructions and system calls of one `hello`, as
//! the difference between two runs.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::place::{Place, command};
use crate::server::{Mode, Server, Side, number};
use crate::{HELLO, Row};

/// One number.
pub(crate) struct Count {
    pub(crate) mode: Mode,
    what: What,
    /// How high it may be, all processes together.
    most: f64,
}

#[derive(Clone, Copy, PartialEq)]
enum What {
    Instructions,
    Calls,
}

pub(crate) const COUNTS: [Count; 3] = [
    Count { mode: Mode::Embedded, what: What::Instructions, most: 65_000.0 },
    Count { mode: Mode::Daemon, what: What::Instructions, most: 90_000.0 },
    Count { mode: Mode::Daemon, what: What::Calls, most: 20.0 },
];

/// Requests of the two runs whose difference is counted.
const COUNTED: [u32; 2] = [500, 1_500];

impl Count {
    pub(crate) fn name(&self) -> String {
        let what = if self.what == What::Calls { "calls" } else { "instructions" };
        format!("{}{what}", self.mode.prefix())
    }

    pub(crate) fn has_tool(&self) -> bool {
        // Our supervisor needs `pidfd_open`, which not every valgrind knows.
        if self.mode == Mode::Daemon && self.what == What::Instructions {
            return false;
        }
        let tool = if self.what == What::Calls { "strace" } else { "valgrind" };
        command(tool).arg("--version").output().is_ok_and(|output| output.status.success())
    }

    pub(crate) fn print(&self, place: &Place) {
        let [theirs, ours] = [Side::Original, Side::Ours].map(|side| self.of_one(place, side));
        let verdict = if ours <= self.most { "met" } else { "MISSED" };
        let (what, digits) = match self.what {
            What::Instructions => ("Instructions", 0),
            What::Calls => ("System calls", 1),
        };
        println!(
            "\n{what} of one `hello`, {}: {theirs:.digits$}, ours {ours:.digits$} (<= {}: {verdict}).",
            self.mode.name(),
            self.most
        );
    }

    /// What one request takes.
    fn of_one(&self, place: &Place, side: Side) -> f64 {
        let [few, many] = COUNTED.map(|requests| {
            // The event MPM, run as one process, sometimes aborts at its end.
            let counted = (0..5).find_map(|_| match self.what {
                What::Instructions => instructions(place, self.mode, side, requests),
                What::Calls => calls(place, self.mode, side, requests),
            });
            counted.expect("a server that ends well while it is looked at")
        });
        (many - few) / f64::from(COUNTED[1] - COUNTED[0])
    }
}

fn load(server: &Server<'_>, mode: Mode, side: Side, requests: u32) {
    let row = Row { mode, ..HELLO };
    let load = server.load(&row, side, requests, 1);
    assert!(load.failed == 0, "requests failed while they were counted\n{}", server.log());
}

/// Instructions of a server that answers so many requests, if it ends well.
fn instructions(place: &Place, mode: Mode, side: Side, requests: u32) -> Option<f64> {
    let name = if side == Side::Original { "original" } else { "ours" };
    let folder = place.home.join(format!("callgrind.{}.{name}.{requests}", mode.name()));
    let _none = std::fs::remove_dir_all(&folder);
    std::fs::create_dir(&folder).unwrap();
    let mut valgrind = command("valgrind");
    valgrind.args(["--tool=callgrind", "--trace-children=yes"]);
    valgrind.arg(format!("--callgrind-out-file={}/%p", folder.display()));
    let mut server = Server::start(place, mode, side, Some(valgrind));
    load(&server, mode, side, requests);
    let ended_well = server.stop();
    let files = folder.read_dir().unwrap().flatten().map(|file| file.path());
    let counted: Vec<f64> = files.filter_map(|file| total(&file)).collect();
    (ended_well && !counted.is_empty()).then(|| counted.iter().sum())
}

fn total(file: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("totals:")).map(number)
}

/// System calls of a server while it answers so many requests.
fn calls(place: &Place, mode: Mode, side: Side, requests: u32) -> Option<f64> {
    let server = Server::start(place, mode, side, None);
    server.get("hello");
    let file = place.home.join("strace");
    let processes: Vec<u32> = server.processes().into_iter().map(|(pid, _)| pid).collect();
    let mut strace: Command = command("strace");
    strace.args(["-f", "-c", "-o"]).arg(&file);
    for pid in &processes {
        strace.args(["-p", &pid.to_string()]);
    }
    let mut strace = strace.stderr(Stdio::null()).spawn().unwrap();
    while !processes.iter().all(|pid| is_traced(*pid)) {
        std::thread::sleep(Duration::from_millis(20));
    }
    load(&server, mode, side, requests);
    let _ended = kill_process(Pid::from_child(&strace), Signal::INT);
    strace.wait().unwrap();
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let line = text.lines().find(|line| line.ends_with(" total"))?;
    line.split_whitespace().nth(3).map(number)
}

/// Whether all threads of a process are traced.
fn is_traced(pid: u32) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let texts = threads.map(|thread| std::fs::read_to_string(thread.path().join("status")));
    texts.flatten().all(|text| !text.contains("TracerPid:\t0\n"))
}
