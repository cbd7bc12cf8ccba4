//! Connections to the processes of a group: one for each request at a time, kept
//! for later ones.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix,
    SocketFlags, SocketType, connect, sendmsg, shutdown, socket_with, sockopt,
};

use super::Group;
use super::board::{Slot, State};

/// Connections that no request has, by the place of their process.
#[derive(Debug)]
pub(crate) struct Idle(Vec<Mutex<Vec<Link>>>);

impl Idle {
    /// For so many processes.
    pub(crate) fn new(processes: usize) -> Self {
        Self((0..processes).map(|_| Mutex::default()).collect())
    }

    fn take(&self, place: usize) -> Option<Link> {
        self.0.get(place)?.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a connection whose request has ended well.
    pub(crate) fn give_back(&self, place: usize, link: Link) {
        if let Some(links) = self.0.get(place) {
            links.lock().unwrap_or_else(PoisonError::into_inner).push(link);
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) socket: Arc<OwnedFd>,
    /// The process that had the place when the connection was made, and when that was
    /// started.
    pub(crate) pid: i32,
    pub(crate) started: i64,
}

/// All connections, for the end of this process of httpd's; and whether that has come.
static ALL: Mutex<Vec<Weak<OwnedFd>>> = Mutex::new(Vec::new());
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// Ends all requests of this process of httpd's: their clients have been cut off, and
/// httpd would wait ten seconds for threads that wait for a daemon process.
pub(crate) fn cut_off() {
    IS_ENDING.store(true, Ordering::Release);
    // Of a process without threads this is a signal's handler, in the midst of anything.
    if let Ok(all) = ALL.try_lock() {
        for socket in all.iter().filter_map(Weak::upgrade) {
            let _is_down_already = shutdown(&socket, Shutdown::Both);
        }
    }
}

/// Whether requests of this process of httpd's are cut off.
pub(crate) fn is_ending() -> bool {
    IS_ENDING.load(Ordering::Acquire)
}

/// Has a connection be among those that are cut off.
fn register(socket: &Arc<OwnedFd>) {
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(socket));
}

/// A request among those that a place has, until it is dropped.
pub(crate) struct Ticket<'g>(&'g Slot);

impl<'g> Ticket<'g> {
    fn of(slot: &'g Slot) -> Self {
        slot.begin();
        Self(slot)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Why no process can have the request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// The group cannot be started at all.
    Broken,
    /// Its processes fail to start.
    Failing,
    /// The socket cannot be connected to.
    Unreachable(Errno),
    /// Nobody has taken the connection in time.
    Full,
}

/// The place of the process that has least to do, of those that started no sooner
/// than that time; waits for one that may have the request until the deadline.
pub(crate) fn choose(group: &Group, since: i64, deadline: Instant) -> Result<usize, Refusal> {
    let slots = group.board.slots();
    let mut pause = Duration::from_millis(2);
    loop {
        let is_fresh = |slot: &Slot| slot.started.load(Ordering::Acquire) >= since;
        let ready = |slot: &Slot| slot.state() == State::Ready && is_fresh(slot);
        let starting = |slot: &Slot| slot.state() == State::Starting;
        // One that may hold an old script is for those for whom no other has a thread.
        let fresh_since = group.board.group().fresh_since.load(Ordering::Acquire);
        let has_thread = |slot: &Slot| {
            ready(slot)
                && slot.started.load(Ordering::Acquire) >= fresh_since
                && slot.load() < u32::from(group.options.threads)
        };
        if let Some(place) = least_busy(slots, has_thread).or_else(|| least_busy(slots, ready)) {
            return Ok(place);
        }
        // Who must wait for a new process does not queue where the old one may be.
        if since == 0
            && let Some(place) = least_busy(slots, starting)
        {
            return Ok(place);
        }
        let is_any = |state| slots.iter().any(|slot| slot.state() == state);
        if !is_any(State::Ready) && !is_any(State::Starting) {
            return Err(if is_any(State::Failing) { Refusal::Failing } else { Refusal::Broken });
        }
        if Instant::now() >= deadline || is_ending() {
            return least_busy(slots, |slot| slot.state() == State::Ready).ok_or(Refusal::Full);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Of equals, each in its turn.
fn least_busy(slots: &[Slot], may: impl Fn(&Slot) -> bool) -> Option<usize> {
    static TURN: AtomicUsize = AtomicUsize::new(0);
    if let [only] = slots {
        return may(only).then_some(0);
    }
    let first = TURN.fetch_add(1, Ordering::Relaxed);
    (0..slots.len())
        .map(|number| (first + number) % slots.len())
        .filter(|place| may(&slots[*place]))
        .min_by_key(|place| slots[*place].load())
}

/// A connection to a place, and whether it is a new one.
pub(crate) fn link<'g>(
    group: &'g Group,
    place: usize,
    deadline: Instant,
) -> Result<(Link, Ticket<'g>, bool), Refusal> {
    let ticket = Ticket::of(&group.board.slots()[place]);
    if let Some(link) = group.idle.take(place) {
        return Ok((link, ticket, false));
    }
    let begin = Instant::now();
    loop {
        match connect_to(group, place) {
            Ok(socket) => {
                let slot = &group.board.slots()[place];
                let pid = slot.pid.load(Ordering::Relaxed);
                let started = slot.started.load(Ordering::Relaxed);
                let socket = Arc::new(socket);
                register(&socket);
                if is_ending() {
                    return Err(Refusal::Full);
                }
                return Ok((Link { socket, pid, started }, ticket, true));
            }
            Err(Errno::AGAIN | Errno::CONNREFUSED | Errno::INTR) => {}
            Err(error) => return Err(Refusal::Unreachable(error)),
        }
        if Instant::now() >= deadline || is_ending() {
            return Err(Refusal::Full);
        }
        // The pauses of the reference (5.7).
        let is_patient = begin.elapsed() >= Duration::from_secs(2);
        std::thread::sleep(Duration::from_millis(if is_patient { 1000 } else { 125 }));
    }
}

fn connect_to(group: &Group, place: usize) -> Result<OwnedFd, Errno> {
    let address = SocketAddrUnix::new(&group.sockets[place])?;
    // A connection is not waited for: a full backlog is told at once.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &address)?;
    rustix::io::ioctl_fionbio(&socket, false)?;
    let timeout = Some(group.socket_timeout).filter(|timeout| !timeout.is_zero());
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, timeout)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, timeout)?;
    Ok(socket)
}

impl Link {
    /// Sends both texts, with the descriptor of a file beside the first byte.
    ///
    /// # Errors
    /// When it cannot; the process has not been told of a whole request then.
    pub(crate) fn send(
        &self,
        mut first: &[u8],
        mut second: &[u8],
        mut file: Option<&File>,
    ) -> io::Result<()> {
        while !(first.is_empty() && second.is_empty()) {
            let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let descriptor = file.map(|file| [file.as_fd()]);
            if let Some(descriptor) = &descriptor {
                control.push(SendAncillaryMessage::ScmRights(descriptor));
            }
            let texts = [first, second].map(IoSlice::new);
            match sendmsg(&self.socket, &texts, &mut control, SendFlags::NOSIGNAL) {
                Ok(count) => {
                    let of_first = count.min(first.len());
                    first = &first[of_first..];
                    second = &second[count - of_first..];
                    file = None;
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
