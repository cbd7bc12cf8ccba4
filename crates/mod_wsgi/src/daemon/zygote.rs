//! Zygotes, as the supervisor sees them (`preload=on`): a group with one has its
//! processes forked by it. It has a place of its own, behind those of the others.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use httpd::{Level, log_to};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Signal;
use wsgi::launch::Order;

use super::place::{Ordered, Process, Role};
use super::spawn::connection;
use super::team::Team;

impl Team {
    /// The number of the zygote's place.
    pub(crate) fn zygote(&self) -> Option<usize> {
        (self.places.len() > self.listeners.len()).then_some(self.listeners.len())
    }

    /// The zygote that forks now.
    fn ready_zygote(&self) -> Option<&Process> {
        let current = self.places[self.zygote()?].current.as_ref();
        current.filter(|zygote| zygote.is_ready && !zygote.is_ending)
    }

    /// Has the zygote fork a process. Where there is none, that is made up for later.
    pub(super) fn order(&mut self, number: usize, role: Role) {
        let Some(zygote) = self.ready_zygote() else {
            if self.zygote().is_some_and(|zygote| self.places[zygote].retry.is_some()) {
                self.set_failing(number);
            }
            return;
        };
        let zygote_pid = zygote.pid;
        let deadline = Instant::now() + self.startup_timeout().unwrap_or(LONGEST_FORK);
        match send(&zygote.control, number, &self.listeners[number]) {
            Ok(control) => {
                let ordered = Ordered { role, control, zygote: zygote_pid, deadline };
                self.places[number].ordered = Some(ordered);
            }
            // It is gone, which is about to be noticed.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => self.has_not_started(number, &error),
        }
    }

    /// A zygote says that it has forked a process for that place, or cannot.
    pub(super) fn has_forked(&mut self, zygote: i32, number: usize, pid: Option<i32>) {
        let Some(own) = self.zygote() else { return };
        let mut all = self.places[own].processes();
        let Some(started) = all.find(|it| it.pid == zygote).map(|it| it.started) else { return };
        drop(all);
        let ordered = self.places.get_mut(number).map(|place| &mut place.ordered);
        let ordered = ordered.and_then(|ordered| ordered.take_if(|it| it.zygote == zygote));
        let Some(Ordered { role, control, .. }) = ordered else { return };
        let process = pid
            .ok_or_else(|| io::Error::other("its zygote cannot fork it"))
            .and_then(|pid| Process::new(pid, control))
            .and_then(|process| {
                // Asked of one that lives afterwards: the pid is that of nobody else.
                let is_ours = self.program.is_of_account(process.pid) && !process.has_ended();
                is_ours
                    .then_some(process)
                    .ok_or_else(|| io::Error::other("it is gone or somebody else's"))
            });
        match process {
            Ok(process) => self.has_started(number, role, Process { started, ..process }),
            Err(error) => self.has_not_started(number, &error),
        }
    }

    /// Forgets what a zygote was told that has ended.
    pub(super) fn forget_orders(&mut self, zygote: i32) {
        for place in &mut self.places {
            place.ordered.take_if(|ordered| ordered.zygote == zygote);
        }
    }

    /// Ends a zygote that does not do what it was told.
    pub(super) fn look_at_orders(&mut self) {
        let Some(number) = self.zygote() else { return };
        let now = Instant::now();
        let mut orders = self.places.iter().filter_map(|place| place.ordered.as_ref());
        let late = orders.find(|ordered| now >= ordered.deadline).map(|ordered| ordered.zygote);
        let name = &self.group.options.name;
        for zygote in self.places[number].processes_mut() {
            if Some(zygote.pid) == late && !zygote.is_ending {
                zygote.is_ending = true;
                zygote.signal(Signal::KILL);
                let pid = zygote.pid;
                let text = format!(
                    "Killing daemon process '{name}' (pid={pid}, zygote): it does not fork."
                );
                log_to(self.server, crate::index(), Level::Error, &text);
            }
        }
    }

    /// Whether processes have to wait for another zygote: what has changed since it was
    /// started, they would not know either.
    pub(super) fn renews_zygote(&mut self, fresh_since: i64) -> bool {
        let Some(number) = self.zygote() else { return false };
        match self.ready_zygote().map(|zygote| zygote.started) {
            Some(started) if started >= fresh_since => false,
            None => true,
            Some(_) => {
                if self.places[number].retry.is_none() {
                    self.start(number, Role::Next);
                }
                true
            }
        }
    }

    /// Whether a process may be there that is not known yet.
    fn awaits_fork(&self) -> bool {
        self.places.iter().any(|place| place.ordered.is_some())
    }
}

/// Tells a zygote to fork a process for that place: our end of the connection with it.
fn send(zygote: &OwnedFd, place: usize, listener: &OwnedFd) -> io::Result<OwnedFd> {
    let (control, theirs) = connection()?;
    let packet = serde_json::to_vec(&Order::Fork(place))?;
    let descriptors = [theirs.as_fd(), listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(zygote, &[IoSlice::new(&packet)], &mut beside, flags)?;
    Ok(control)
}

/// Makes what loses its parent a child of this process: a zygote's processes, so that
/// it learns how they end.
pub(crate) fn adopt_orphans() {
    // Without that it learns only that they end.
    let _unknown = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// Takes notice of the end of others that have become children of this process, as
/// applications leave them behind.
pub(crate) fn bury_orphans(teams: &[Team]) {
    if teams.iter().any(Team::awaits_fork) {
        return;
    }
    while let Some(pid) = ended_child() {
        if teams.iter().flat_map(Team::processes).any(|process| process.pid == pid) {
            // Its own team looks at it next.
            return;
        }
        // SAFETY: no place for a status.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
    }
}

/// A child that has ended, which it stays.
fn ended_child() -> Option<i32> {
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: a record of this frame's, filled in by the call; its pid is 0 where no
    // child has ended.
    let (found, pid) = unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let found = libc::waitid(libc::P_ALL, 0, &raw mut info, flags);
        (found, info.si_pid())
    };
    (found == 0 && pid > 0).then_some(pid)
}

/// How long a zygote has to fork a process, and the application for what it does before
/// and after that, if no `startup-timeout` is given.
const LONGEST_FORK: Duration = Duration::from_secs(30);
