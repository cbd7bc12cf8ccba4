//! The processes of one group: each has a place, in which another one follows it.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use httpd::{Level, Server, Source};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::process::Signal;
use wsgi::launch::{Notice, Order, Reason};
use wsgi::status::Ended;

use super::board::{Slot, State};
use super::gate::Gate;
use super::place::{Place, Process, Role};
use super::spawn::Program;
use super::supervisor::Mode;
use super::{Group, scoreboard};

/// The processes of one group.
pub(crate) struct Team {
    pub(crate) group: &'static Group,
    pub(crate) server: Server,
    pub(crate) program: Program,
    /// The listening socket of each place.
    pub(crate) listeners: Vec<OwnedFd>,
    /// One for each of those, and one behind them for the zygote, if there is one.
    pub(crate) places: Vec<Place>,
    /// For a service: it starts where none of an older generation runs.
    pub(crate) gate: Option<Gate>,
}

impl Team {
    /// All of its processes.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.places.iter().flat_map(Place::processes)
    }

    /// Whether it has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.processes().next().is_none()
    }

    /// Sends all of them a signal that ends them.
    pub(crate) fn signal(&mut self, signal: Signal) {
        let zygote = self.zygote();
        for (number, place) in self.places.iter_mut().enumerate() {
            // Who is forked now finds nobody behind its connection, and ends.
            place.ordered = None;
            // Nothing in a zygote needs to be ended.
            let signal = if zygote == Some(number) { Signal::KILL } else { signal };
            for process in place.processes_mut() {
                process.is_ending = true;
                let is_again = process.is_terminated;
                process.is_terminated = true;
                if signal != Signal::TERM || !is_again {
                    process.signal(signal);
                }
            }
        }
    }

    /// Ends a service, for which another supervisor starts the next process.
    pub(crate) fn end_service(&mut self) {
        self.signal(Signal::TERM);
        let limit = self.group.options.shutdown_timeout;
        let force = (!limit.is_zero()).then(|| Instant::now() + limit + MARGIN);
        for process in self.places.iter_mut().flat_map(Place::processes_mut) {
            process.force = force;
        }
    }

    /// Starts a process in each place.
    pub(crate) fn start_all(&mut self) {
        for place in 0..self.places.len() {
            if self.may_start(place, Mode::Serving) {
                self.start(place, Role::Current);
            }
        }
    }

    /// When something is to be done next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let startup = self.startup_timeout();
        self.places
            .iter()
            .flat_map(|place| {
                let starts = place.current.iter().chain(&place.next);
                let ready = starts
                    .filter(|process| !process.is_ready)
                    .filter_map(|process| startup.map(|limit| process.begin + limit));
                let forced = place.processes().filter_map(|process| process.force);
                let ordered = place.ordered.as_ref().map(|ordered| ordered.deadline);
                ready.chain(forced).chain(place.retry).chain(ordered)
            })
            .min()
    }

    pub(super) fn startup_timeout(&self) -> Option<Duration> {
        Some(self.group.options.startup_timeout).filter(|limit| !limit.is_zero())
    }

    /// Does what its time has come for.
    pub(crate) fn keep(&mut self, mode: Mode) {
        let time = Instant::now();
        let startup = self.startup_timeout();
        for number in 0..self.places.len() {
            let mut overdue = Vec::new();
            let place = &mut self.places[number];
            for process in place.processes_mut() {
                if process.force.is_some_and(|force| time >= force) {
                    process.force = None;
                    process.signal(Signal::KILL);
                    overdue.push((process.pid, "it did not end in time"));
                }
                let is_late = startup.is_some_and(|limit| time >= process.begin + limit);
                if !process.is_ready && !process.is_ending && is_late {
                    process.is_ending = true;
                    process.signal(Signal::KILL);
                    overdue.push((process.pid, "startup-timeout expired before it was ready"));
                }
            }
            for (pid, why) in overdue {
                self.log(
                    Level::Error,
                    &format!("Killing daemon process {}: {why}.", self.named(number, pid)),
                );
            }
            let place = &mut self.places[number];
            let is_due = place.retry.is_none_or(|retry| time >= retry);
            if matches!(mode, Mode::Ending(_)) || !is_due {
                continue;
            }
            place.retry = None;
            if place.is_vacant() && self.may_start(number, mode) {
                self.start(number, Role::Current);
            }
        }
        self.look_at_orders();
        if let Some(gate) = &mut self.gate
            && mode != Mode::Serving
            && self.places.iter().all(|place| place.processes().next().is_none())
        {
            gate.leave();
        }
        if mode == Mode::Serving {
            self.roll();
        }
    }

    /// A service has no two processes at a time.
    fn may_start(&mut self, number: usize, mode: Mode) -> bool {
        let Some(gate) = &mut self.gate else { return true };
        let place = &mut self.places[number];
        if mode != Mode::Serving || !place.former.is_empty() {
            return false;
        }
        let may = gate.pass();
        if !may {
            place.retry = Some(Instant::now() + PAUSE_AT_GATE);
        }
        may
    }

    /// Starts the next process that is wanted, one at a time for the whole group.
    fn roll(&mut self) {
        if self.places.iter().any(Place::has_next) {
            return;
        }
        // A script has changed since those were started.
        let fresh_since = self.group.board.group().fresh_since.load(Ordering::Acquire);
        if self.renews_zygote(fresh_since) {
            return;
        }
        let can = |place: &Place| {
            place.retry.is_none()
                && place.current.as_ref().is_some_and(|process| {
                    process.is_ready && (place.wanted.is_some() || process.started < fresh_since)
                })
        };
        // Who has waited longest, or a busy one would keep the others from their turn.
        let next = (0..self.listeners.len())
            .filter(|number| can(&self.places[*number]))
            .min_by_key(|number| self.places[*number].wanted);
        if let Some(place) = next {
            self.start(place, Role::Next);
        }
    }

    pub(super) fn start(&mut self, number: usize, role: Role) {
        if self.zygote().is_some_and(|zygote| zygote != number) {
            return self.order(number, role);
        }
        let started = self.program.start(self.listeners.get(number));
        match started.and_then(|started| Process::new(started.pid, started.control)) {
            Ok(process) => self.has_started(number, role, process),
            Err(error) => self.has_not_started(number, &error),
        }
    }

    pub(super) fn has_started(&mut self, number: usize, role: Role, process: Process) {
        let slot = self.slot(number);
        let place = &mut self.places[number];
        let pid = process.pid;
        if let Some(slot) = slot {
            slot.count_start();
        }
        if role == Role::Next {
            place.next = Some(process);
        } else {
            if let Some(slot) = slot {
                slot.is_taken(&process, slot.load());
                slot.started.store(process.started, Ordering::Release);
                // One that keeps failing is not waited for until it is ready.
                if place.failures == 0 {
                    slot.set_state(State::Starting);
                }
            }
            place.current = Some(process);
        }
        let options = &self.group.options;
        let identity = self.program.identity.as_ref();
        let text = format!(
            "Starting {} '{}' with uid={}, gid={} and threads={}. (pid={pid})",
            if slot.is_some() { "process" } else { "zygote of processes" },
            options.name,
            identity.map_or_else(|| rustix::process::geteuid().as_raw(), |who| who.uid),
            identity.map_or_else(|| rustix::process::getegid().as_raw(), |who| who.gid),
            options.threads
        );
        self.log(Level::Info, &text);
    }

    pub(super) fn has_not_started(&mut self, number: usize, error: &std::io::Error) {
        let name = &self.group.options.name;
        let text = format!("WSGI0010: Couldn't spawn process '{name}': {error}.");
        self.log(Level::Critical, &text);
        self.failed(number, Level::Error);
    }

    /// A start has failed: it is tried again, after longer and longer pauses.
    pub(super) fn failed(&mut self, number: usize, level: Level) {
        let is_service = self.group.options.threads == 0;
        let first = if is_service { FIRST_PAUSE_OF_SERVICE } else { FIRST_PAUSE };
        let place = &mut self.places[number];
        let pause = first * 2_u32.saturating_pow(place.failures.min(6));
        place.failures += 1;
        let pause = pause.min(LONGEST_PAUSE);
        place.retry = Some(Instant::now() + pause);
        if place.current.is_none() {
            self.set_failing(number);
        }
        let text = format!(
            "{} '{}' is started again in {:.1} s, after {} failure(s).",
            if self.slot(number).is_some() { "Daemon process" } else { "Zygote of processes" },
            self.group.options.name,
            pause.as_secs_f64(),
            self.places[number].failures
        );
        self.log(level, &text);
    }

    /// A process may have said something, or ended.
    pub(crate) fn look_at(&mut self, pid: i32, mode: Mode) {
        // Whether it has ended is asked first: then all that it said is there.
        let status = wait_for(pid, self.processes().find(|process| process.pid == pid));
        while let Some((notice, beside)) = self.notice_of(pid) {
            self.take_notice(pid, notice, beside, mode);
        }
        if let Some(status) = status {
            self.has_died(pid, status, mode);
        }
    }

    /// Nobody is to wait for that place; without a zygote, for none that is empty.
    pub(super) fn set_failing(&self, number: usize) {
        let is_zygote = self.zygote() == Some(number);
        for (other, slot) in self.group.board.slots().iter().enumerate() {
            if other == number || is_zygote && self.places[other].current.is_none() {
                slot.set_state(State::Failing);
            }
        }
    }

    fn place_of(&self, pid: i32) -> Option<(usize, Role)> {
        self.places
            .iter()
            .enumerate()
            .find_map(|(number, place)| Some((number, place.role_of(pid)?)))
    }

    /// What a process says, and what it sends beside that.
    fn notice_of(&self, pid: i32) -> Option<(Notice, Option<OwnedFd>)> {
        let process = self.processes().find(|process| process.pid == pid)?;
        let mut packet = vec![0; LONGEST_PACKET];
        loop {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut place = [IoSliceMut::new(&mut packet)];
            let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
            let received = recvmsg(&process.control, &mut place, &mut beside, flags);
            let length = received.ok().map(|received| received.bytes).filter(|it| *it > 0)?;
            let mut descriptors = beside.drain().filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
                _ => None,
            });
            let descriptor = descriptors.next();
            // What is none is not worth more than that.
            if let Ok(notice) = serde_json::from_slice(&packet[..length]) {
                return Some((notice, descriptor));
            }
        }
    }

    fn take_notice(&mut self, pid: i32, notice: Notice, beside: Option<OwnedFd>, mode: Mode) {
        let Some((number, role)) = self.place_of(pid) else { return };
        match notice {
            Notice::Log(level, text, file, line) => {
                let level = crate::exchange::level_of(level.into());
                let source = Source::of(&file, line);
                httpd::log_to_from(self.server, crate::index(), level, &text, source);
            }
            Notice::Ready => self.is_ready(number, role),
            Notice::Replace(reason) if role == Role::Current => {
                let place = &mut self.places[number];
                place.wanted.get_or_insert_with(Instant::now);
                self.note_end(number, Ended::Asked(reason));
                let place = &self.places[number];
                if let (Reason::ScriptReload, Some(process)) = (reason, &place.current) {
                    // Whoever was handed the request back may be gone before it says so.
                    self.group.board.group().note_change(process.started);
                }
            }
            Notice::Ending(reason) if role == Role::Current => {
                self.note_end(number, Ended::Asked(reason));
                let force = self.force();
                let place = &mut self.places[number];
                let old = place.current.take();
                place.former.extend(old.map(|old| old.ending(force)));
                if !place.has_next() {
                    self.set_starting(number);
                }
                self.keep(mode);
            }
            Notice::Ending(_) if self.is_latest_former(number, pid) => self.note_start(number),
            Notice::Scoreboard => {
                if let Some(asker) = beside.filter(|_| self.group.options.server_metrics) {
                    // Whoever asks does not wait for long.
                    let _unheard = scoreboard::tell(&asker);
                }
            }
            Notice::Forked(place, forked) => self.has_forked(pid, place, forked),
            Notice::Replace(_) | Notice::Ending(_) => {}
        }
    }

    fn note_end(&self, number: usize, why: Ended) {
        if let Some(slot) = self.slot(number) {
            slot.note_end(why);
        }
    }

    /// None is the zygote's.
    fn slot(&self, number: usize) -> Option<&'static Slot> {
        self.group.board.slots().get(number)
    }

    fn set_starting(&self, number: usize) {
        if let Some(slot) = self.slot(number) {
            slot.set_state(State::Starting);
        }
    }

    fn is_ready(&mut self, number: usize, role: Role) {
        let force = self.force();
        let slot = self.slot(number);
        let place = &mut self.places[number];
        let mut takes_over = false;
        if role == Role::Next
            && let Some(mut next) = place.next.take()
        {
            next.is_ready = true;
            takes_over = place.current.is_some();
            if let Some(old) = place.current.replace(next) {
                if let Ok(packet) = serde_json::to_vec(&Order::Retire) {
                    // One that is gone needs no telling.
                    let _gone =
                        send(&old.control, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
                }
                place.former.push(old.ending(force));
            }
            place.wanted = None;
        }
        let Some(process) = &mut place.current else { return };
        process.is_ready = true;
        if let Some(slot) = slot {
            if role == Role::Next {
                slot.is_taken(process, 0);
            }
            // The old one may still take what is for the new one alone.
            if !takes_over {
                slot.started.store(process.started, Ordering::Release);
            }
            slot.set_state(State::Ready);
        }
    }

    /// Whether the current process of a place took over from that one.
    fn is_latest_former(&self, number: usize, pid: i32) -> bool {
        self.places[number].former.last().is_some_and(|former| former.pid == pid)
    }

    /// Requests that come to a place are the current process's from now on.
    fn note_start(&self, number: usize) {
        if let (Some(slot), Some(process)) = (self.slot(number), &self.places[number].current) {
            slot.started.store(process.started, Ordering::Release);
        }
    }

    /// When one that ends from now on is ended by force.
    fn force(&self) -> Option<Instant> {
        let options = &self.group.options;
        let drain = options.graceful_timeout.max(options.eviction_timeout);
        let shutdown = options.shutdown_timeout;
        (!shutdown.is_zero()).then(|| Instant::now() + drain + shutdown + MARGIN)
    }

    fn has_died(&mut self, pid: i32, status: i32, mode: Mode) {
        let Some((number, role)) = self.place_of(pid) else { return };
        if self.is_latest_former(number, pid) {
            self.note_start(number);
        }
        let Some(process) = self.places[number].take(pid) else { return };
        match self.slot(number) {
            Some(slot) => {
                // The status first: who finds the pid takes it.
                slot.dead_status.store(status, Ordering::Relaxed);
                slot.dead_pid.store(pid, Ordering::Release);
            }
            None => self.forget_orders(pid),
        }
        self.log_death(number, &process, status);
        if matches!(mode, Mode::Ending(_)) || role == Role::Former {
            return;
        }
        if role == Role::Current {
            self.note_end(number, Ended::of_status(status));
        }
        let is_service = self.group.options.threads == 0;
        if role == Role::Next || !process.is_ready {
            return self.failed(number, Level::Error);
        }
        self.set_starting(number);
        let lived = process.begin.elapsed();
        let place = &mut self.places[number];
        if place.has_next() {
            return;
        }
        let was_killed = ExitStatus::from_raw(status).signal().is_some();
        let is_at_once = lived >= LONG_LIFE || is_service && was_killed;
        if is_at_once {
            place.failures = 0;
        } else if is_service || place.failures >= QUICK_DEATHS {
            let has_left = is_service && ExitStatus::from_raw(status).success();
            return self.failed(number, if has_left { Level::Info } else { Level::Error });
        } else {
            place.failures += 1;
        }
        self.keep(mode);
    }

    fn log_death(&self, number: usize, process: &Process, status: i32) {
        let exit = ExitStatus::from_raw(status);
        let named = self.named(number, process.pid);
        let (level, text) = match exit.signal() {
            Some(_) if process.is_ending => {
                (Level::Info, format!("Process {named} was terminated by {exit}."))
            }
            Some(signal) => (
                // Somebody has asked for that.
                if [libc::SIGKILL, libc::SIGTERM].contains(&signal) {
                    Level::Warning
                } else {
                    Level::Error
                },
                format!(
                    "Process {named} has died, it was terminated by {exit}; deregistering and restarting it."
                ),
            ),
            None if exit.success() => {
                (Level::Info, format!("Process {named} terminated normally, exit code 0."))
            }
            None if process.is_ready => {
                (Level::Warning, format!("Process {named} has ended ({exit}); restarting it."))
            }
            None => {
                (Level::Error, format!("Process {named} has ended before it was ready ({exit})."))
            }
        };
        self.log(level, &text);
    }

    fn named(&self, number: usize, pid: i32) -> String {
        let zygote = if self.slot(number).is_some() { "" } else { ", zygote" };
        format!("'{}' (pid={pid}{zygote})", self.group.options.name)
    }

    fn log(&self, level: Level, text: &str) {
        httpd::log_to(self.server, crate::index(), level, text);
    }
}

/// How a process has ended, if it has. One that is no child of ours, as after a
/// graceful restart, tells only that.
fn wait_for(pid: i32, process: Option<&Process>) -> Option<i32> {
    let mut status = 0;
    // SAFETY: a number of this frame's.
    match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
        0 => None,
        found if found == pid => Some(status),
        _ => process?.has_ended().then_some(0),
    }
}

/// After the first failed start; doubled after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const FIRST_PAUSE_OF_SERVICE: Duration = Duration::from_secs(1);
/// Before it is asked again whether the service of an older generation has ended.
const PAUSE_AT_GATE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// One that has lived so long has not failed.
const LONG_LIFE: Duration = Duration::from_secs(10);
/// Deaths soon after the start before there are pauses.
const QUICK_DEATHS: u32 = 5;
/// By how much the supervisor outlasts a process's own limits.
const MARGIN: Duration = Duration::from_secs(2);
/// Bytes of one message at most.
const LONGEST_PACKET: usize = 64 * 1024;
