//! The supervisor: a process of one thread that keeps the daemon processes of all
//! groups running, for one start of the server's configuration.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use httpd::{Level, Server};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;

use super::team::Team;
use super::zygote;

/// What the supervisor has of its own.
pub(crate) struct Supervisor {
    pub(crate) teams: Vec<Team>,
    /// Orders of httpd's parent, a byte each.
    pub(crate) orders: Option<OwnedFd>,
    /// Ends when the last process of httpd's that may send requests is gone.
    pub(crate) clients: Option<OwnedFd>,
    /// Sockets to remove at the end.
    pub(crate) sockets: Vec<PathBuf>,
    /// The main server, for the log.
    pub(crate) main: Server,
    pub(crate) mode: Mode,
}

/// What the supervisor is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// Processes are kept running.
    Serving,
    /// The same, but httpd has another configuration by now: only its older processes
    /// still send requests.
    Outdated,
    /// Everything ends, by force from that time on.
    Ending(Instant),
}

/// httpd restarts gracefully: go on for those of its processes that are left.
pub(crate) const OUTDATE: u8 = b'g';
/// httpd ends, or restarts at once.
pub(crate) const END: u8 = b't';

/// Of the descriptors that are waited for, whose one is.
#[derive(Clone, Copy, Debug)]
enum Source {
    Orders,
    Clients,
    Process { team: usize, pid: i32 },
}

impl Supervisor {
    /// Runs until everything has ended.
    pub(crate) fn run(mut self) {
        let parent = rustix::process::getppid();
        let has_zygotes = self.teams.iter().any(|team| team.zygote().is_some());
        if has_zygotes {
            zygote::adopt_orphans();
        }
        for team in &mut self.teams {
            team.start_all();
        }
        loop {
            if let Mode::Ending(force) = self.mode {
                if self.teams.iter().all(Team::is_empty) {
                    break;
                }
                if Instant::now() >= force {
                    self.teams.iter_mut().for_each(|team| team.signal(Signal::KILL));
                }
            }
            for source in self.wait() {
                match source {
                    Source::Orders => self.take_orders(),
                    Source::Clients => self.end(),
                    Source::Process { team, pid } => {
                        let mode = self.mode;
                        self.teams[team].look_at(pid, mode);
                    }
                }
            }
            if self.mode == Mode::Serving && rustix::process::getppid() != parent {
                // httpd's parent was killed.
                self.end();
            }
            let mode = self.mode;
            for team in &mut self.teams {
                team.keep(mode);
            }
            if has_zygotes {
                zygote::bury_orphans(&self.teams);
            }
        }
        for socket in &self.sockets {
            let _gone = std::fs::remove_file(socket);
        }
    }

    /// What has something to say, until the next deadline at most.
    fn wait(&self) -> Vec<Source> {
        let mut sources = Vec::new();
        sources.extend(self.orders.iter().map(|orders| (orders, Source::Orders)));
        sources.extend(self.clients.iter().map(|clients| (clients, Source::Clients)));
        for (number, team) in self.teams.iter().enumerate() {
            for process in team.processes() {
                let source = Source::Process { team: number, pid: process.pid };
                sources.extend([(&process.control, source), (&process.life, source)]);
            }
        }
        let mut watched: Vec<PollFd<'_>> =
            sources.iter().map(|(fd, _)| PollFd::new(fd, PollFlags::IN)).collect();
        let deadlines = self.teams.iter().filter_map(Team::deadline);
        let force = match self.mode {
            Mode::Ending(force) => Some(force),
            Mode::Serving | Mode::Outdated => None,
        };
        let next = deadlines.chain(force).min();
        let time = next.map_or(LONGEST_WAIT, |next| {
            next.saturating_duration_since(Instant::now()).clamp(SHORTEST_WAIT, LONGEST_WAIT)
        });
        let time =
            Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        if poll(&mut watched, Some(&time)).is_err() {
            return Vec::new();
        }
        let told = watched.iter().map(|fd| !fd.revents().is_empty());
        sources.iter().zip(told).filter(|(_, told)| *told).map(|((_, source), _)| *source).collect()
    }

    fn take_orders(&mut self) {
        let mut order = [0];
        let read = self.orders.as_ref().map(|orders| rustix::io::read(orders, &mut order));
        match (read, order) {
            (Some(Ok(1)), [OUTDATE]) => self.outdate(),
            // httpd's parent is gone, if it says nothing.
            _ => {
                self.orders = None;
                self.end();
            }
        }
    }

    /// Goes on as a process that httpd's parent does not know: it would take the end
    /// of one that it has forgotten for something strange.
    fn outdate(&mut self) {
        self.orders = None;
        self.mode = Mode::Outdated;
        // A service has no two processes at a time, and the next one starts now.
        for team in self.teams.iter_mut().filter(|team| team.group.options.threads == 0) {
            team.end_service();
        }
        // SAFETY: this process has one thread. It ends in the parent of the two without
        // running what httpd would run at an exit.
        unsafe {
            if libc::fork() > 0 {
                libc::_exit(0);
            }
        }
        if self.teams.iter().any(|team| team.zygote().is_some()) {
            zygote::adopt_orphans();
        }
    }

    fn end(&mut self) {
        self.clients = None;
        if !matches!(self.mode, Mode::Ending(_)) {
            self.mode = Mode::Ending(Instant::now() + PATIENCE);
            self.teams.iter_mut().for_each(|team| team.signal(Signal::TERM));
            httpd::log_to(self.main, crate::index(), Level::Debug, "Ending daemon processes.");
        }
    }
}

/// How long processes have to end with httpd (reference 6.3).
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the supervisor sleeps at most.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
