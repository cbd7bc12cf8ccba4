//! How it stands with a server, as `wsgi-status` and `wsgi-metrics` tell it: the facts,
//! and how each is written.

mod metrics;

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use serde::Serialize;

use crate::launch::Reason;

/// The facts at one moment. Times are seconds, since 1970 where they are no durations.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Now.
    pub time: f64,
    /// httpd.
    pub server: Server,
    /// Groups of daemon processes, in the order of the configuration.
    pub groups: Vec<Group>,
    /// What httpd's workers do at the moment; only a client on this machine is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Vec<Live>>,
}

/// httpd itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Server {
    /// Such as `Apache/2.4.69 (Unix)`.
    pub version: String,
    /// Such as `event`.
    pub mpm: String,
    /// When it was started, or last restarted.
    pub started: f64,
    /// Counts graceful restarts.
    pub generation: i32,
    /// The machine's load over 1, 5 and 15 minutes.
    pub load: Option<[f64; 3]>,
    /// Workers that have a request or a connection.
    pub busy: u32,
    /// Workers that wait for one.
    pub idle: u32,
    /// Workers that there may be.
    pub capacity: u32,
    /// Requests so far; unknown without `ExtendedStatus`.
    pub requests: Option<u64>,
    /// Bytes sent so far; likewise.
    pub bytes: Option<u64>,
    /// Its processes that serve.
    pub processes: Vec<Child>,
}

/// A process of httpd's.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "as above")]
pub struct Child {
    pub pid: i32,
    pub generation: i32,
    /// Whether it only finishes what it has begun.
    pub ending: bool,
    pub busy: u32,
    pub idle: u32,
    pub memory: Option<Memory>,
}

/// A group of daemon processes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Threads of each process; 0 for a service, which takes no requests.
    pub threads: u16,
    /// The places of its processes.
    pub processes: Vec<Process>,
}

/// A place for a daemon process, and who has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Process {
    /// The last one that had it, if it has none.
    pub pid: i32,
    /// How it stands.
    pub state: State,
    /// When that process was started.
    pub started: f64,
    /// Requests that it has, those that wait for a thread among them.
    pub live: u32,
    /// Requests of all that had the place.
    pub requests: u64,
    /// Requests of this process.
    pub own_requests: u64,
    /// How many took the place after the first.
    pub restarts: u32,
    /// Why the one before has gone.
    pub last_end: Option<String>,
    /// What it holds; unknown where it cannot be read.
    pub memory: Option<Memory>,
}

/// How it stands with a place.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// A process starts.
    #[default]
    Starting,
    /// A process serves.
    Ready,
    /// Starts fail, and are tried again.
    Failing,
    /// It cannot be started.
    Broken,
}

/// What a process holds in memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Memory {
    /// So many bytes.
    pub bytes: u64,
    /// Whether what it shares with others is divided among them (PSS), or counted in
    /// full (RSS).
    pub proportional: bool,
}

/// A request that httpd has.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Live {
    /// The process of httpd's.
    pub pid: i32,
    /// The letter of mod_status.
    pub state: char,
    /// Method and path, without the query; cut off where they are long.
    pub request: String,
    /// For how long it has had it.
    pub seconds: f64,
}

impl Group {
    /// Whether it is a service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.threads == 0
    }

    /// Whether one of its processes takes requests.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.processes.iter().any(|process| process.state == State::Ready)
    }
}

impl Process {
    /// Requests that have a thread, and those that wait for one.
    #[must_use]
    pub fn busy_and_waiting(&self, threads: u16) -> (u32, u32) {
        let busy = self.live.min(threads.into());
        (busy, self.live - busy)
    }
}

impl Memory {
    /// What stands in `/proc/PID/smaps_rollup`.
    #[must_use]
    pub fn of_smaps(text: &str) -> Option<Self> {
        Some(Self { bytes: kilobytes(text, "Pss:")?, proportional: true })
    }

    /// What stands in `/proc/PID/status`.
    #[must_use]
    pub fn of_status(text: &str) -> Option<Self> {
        Some(Self { bytes: kilobytes(text, "VmRSS:")?, proportional: false })
    }
}

/// The figure of a line such as `Pss:  123 kB`.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Method and path of a request line, without its query.
#[must_use]
pub fn without_query(line: &str) -> String {
    let (method, rest) = line.split_once(' ').unwrap_or((line, ""));
    let path = rest.split(['?', ' ']).next().unwrap_or_default();
    format!("{method} {path}")
}

/// Why a process has its place no more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ended {
    /// It, or its supervisor, wanted another one.
    Asked(Reason),
    /// It died: its status as of `wait`.
    Died(u16),
}

impl Ended {
    /// It died, with that status.
    #[must_use]
    pub fn of_status(status: i32) -> Self {
        // No system has more bits in use.
        Self::Died(u16::try_from(status & 0xffff).unwrap_or(u16::MAX))
    }

    /// As a number, which is not 0.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Asked(reason) => 1 + reason as u32,
            Self::Died(status) => DIED | u32::from(status),
        }
    }

    /// That number's meaning.
    #[must_use]
    pub fn of_number(number: u32) -> Option<Self> {
        if number & DIED != 0 {
            return u16::try_from(number & !DIED).ok().map(Self::Died);
        }
        let index = usize::try_from(number.checked_sub(1)?).ok()?;
        Reason::ALL.get(index).copied().map(Self::Asked)
    }

    /// In words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Asked(reason) => reason.text().to_owned(),
            Self::Died(status) => ExitStatus::from_raw(status.into()).to_string(),
        }
    }
}

const DIED: u32 = 1 << 16;

/// What the page of directives says of the handlers.
pub(crate) const HANDLERS: &str = "\n## Handlers for those who look after a server\n\n\
`SetHandler` chooses them. They answer GET and HEAD without any Python, and nobody may\n\
keep their answers.\n\n\
- `wsgi-status`: JSON. `server` is httpd, with its workers and processes; `groups` are\n  \
those of daemon processes, each process with its state (`starting`, `ready`,\n  \
`failing`, `broken`), requests (`live` has those that wait for a thread, too),\n  \
memory, start, restarts and why the one before it ended. `live`, what httpd's workers\n  \
do, is for clients on this machine only, and has no query strings.\n\
- `wsgi-metrics`: the same figures for Prometheus, in text format 0.0.4.\n\
- `wsgi-health`: `200 ok`. With the query `ready`, or `/ready` at the end of the path,\n  \
503 while a group has no process that takes requests, which it names; services do not\n  \
count.\n\n\
```apache\n\
<Location /server/metrics>\n    \
SetHandler wsgi-metrics\n    \
Require local\n\
</Location>\n\
```\n\n\
Who may see them is for `Require` to say. Requests are counted where httpd gives them to\n\
a process, so that one which is given to another process after the first has gone counts\n\
for both. httpd counts its own only with `ExtendedStatus On`. Those counters begin\n\
at 0 when httpd is restarted. Memory is what `/proc` tells httpd's own user when the\n\
page is asked for: with a part of what is shared (PSS) where it may be read, else in\n\
full (RSS).\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_come_out_as_they_went_in() {
        let asked = Reason::ALL.into_iter().map(Ended::Asked);
        for ended in asked.chain([0, 9, 0x100, 0xff00, 0x8b].map(Ended::of_status)) {
            assert_ne!(ended.number(), 0);
            assert_eq!(Ended::of_number(ended.number()), Some(ended));
        }
        assert_eq!(Ended::of_number(0), None);
        assert_eq!(Ended::of_number(99), None);
        assert_eq!(Ended::of_status(9).text(), "signal: 9 (SIGKILL)");
        assert_eq!(Ended::of_status(0x300).text(), "exit status: 3");
        assert_eq!(Ended::Asked(Reason::CpuTimeLimit).text(), "cpu_time_limit");
    }

    #[test]
    fn memory_is_read_as_the_kernel_writes_it() {
        let smaps = "55d0-7ffe ---p 00000000 00:00 0   [rollup]\nRss:  900 kB\nPss:  512 kB\n";
        assert_eq!(Memory::of_smaps(smaps), Some(Memory { bytes: 524_288, proportional: true }));
        let status = "Name:\tpython\nVmRSS:\t    900 kB\n";
        assert_eq!(Memory::of_status(status), Some(Memory { bytes: 921_600, proportional: false }));
        assert_eq!(Memory::of_status("Name:\tkthread\n"), None);
    }

    #[test]
    fn no_query_is_told() {
        for (line, told) in [
            ("GET /a?token=b HTTP/1.1", "GET /a"),
            ("GET /a HTTP/1.1", "GET /a"),
            ("GET /long", "GET /long"),
            ("NULL", "NULL "),
        ] {
            assert_eq!(without_query(line), told);
        }
    }

    #[test]
    fn a_request_waits_when_all_threads_are_busy() {
        let with = |live| Process { live, ..Process::default() };
        assert_eq!(with(2).busy_and_waiting(5), (2, 0));
        assert_eq!(with(7).busy_and_waiting(5), (5, 2));
    }
}
