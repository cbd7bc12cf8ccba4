//! What all threads of the process know in common: its connections, what each
//! thread is at, and what has happened so far.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use door::{INTERRUPTIBLE_BITS, OVER};
use rustix::event::{EventfdFlags, epoll, eventfd};
use wsgi::launch::Launch;

use crate::connection::{Buffer, Connection};
use crate::fork;
use crate::timers::{Run, Seen};

/// What all threads know.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) launch: Launch,
    started: Instant,
    pub(crate) epoll: OwnedFd,
    pub(crate) listener: OwnedFd,
    /// Readable once threads are to end.
    stop: OwnedFd,
    /// Readable when the main thread is to look at things.
    pub(crate) wake: OwnedFd,
    connections: Mutex<HashMap<i32, Arc<Connection>>>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) activity: Activity,
    /// When the first request came, as a number of `Activity`.
    first: AtomicU64,
    completed: AtomicU64,
    serial: AtomicU64,
    is_changed: AtomicBool,
    /// No new requests are taken.
    is_refusing: AtomicBool,
    /// The main thread wants to know of each request's end.
    pub(crate) awaits_ends: AtomicBool,
}

/// When anything last happened for a request.
#[derive(Debug)]
pub(crate) struct Activity {
    started: Instant,
    /// Microseconds since the start.
    last: AtomicU64,
}

/// What a thread is at.
#[derive(Debug)]
pub(crate) struct Slot {
    /// When it had its request, in microseconds since the start; 0 for none.
    since: AtomicU64,
    /// See `door::Way`; names the request, too.
    pub(crate) interruption: AtomicU64,
    /// Python's number of the thread.
    pub(crate) thread: AtomicU64,
    /// The interpreter that the request runs in.
    pub(crate) group: Mutex<Vec<u8>>,
}

impl Activity {
    /// Something happens.
    pub(crate) fn note(&self) {
        self.last.store(micros(self.started), Ordering::Relaxed);
    }
}

/// Microseconds, never 0.
fn micros(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
}

impl State {
    pub(crate) fn new(launch: Launch, listener: OwnedFd) -> io::Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (stop, wake) = (eventfd(0, flags)?, eventfd(0, flags)?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&listener, true)?;
        // Level-triggered: one thread a connection, as long as there are some.
        let events = epoll::EventFlags::IN | epoll::EventFlags::EXCLUSIVE;
        epoll::add(&epoll, &listener, epoll::EventData::new_u64(LISTENER), events)?;
        epoll::add(&epoll, &stop, epoll::EventData::new_u64(STOP), epoll::EventFlags::IN)?;
        for descriptor in [&epoll, &listener, &stop, &wake] {
            fork::keep_from_children(descriptor);
        }
        let started = Instant::now();
        let slot = |_| Slot {
            since: AtomicU64::new(0),
            interruption: AtomicU64::new(OVER),
            thread: AtomicU64::new(0),
            group: Mutex::default(),
        };
        Ok(Self {
            slots: (0..launch.options.threads).map(slot).collect(),
            launch,
            started,
            epoll,
            listener,
            stop,
            wake,
            connections: Mutex::default(),
            activity: Activity { started, last: AtomicU64::new(0) },
            first: AtomicU64::new(0),
            completed: AtomicU64::new(0),
            serial: AtomicU64::new(0),
            is_changed: AtomicBool::new(false),
            is_refusing: AtomicBool::new(false),
            awaits_ends: AtomicBool::new(false),
        })
    }

    /// Has the main thread look at things.
    pub(crate) fn wake_main(&self) {
        signal(&self.wake);
    }

    /// Ends the threads, each when it is at no request any more.
    pub(crate) fn stop_threads(&self) {
        signal(&self.stop);
    }

    /// Whether new requests are handed back.
    pub(crate) fn is_refusing(&self) -> bool {
        self.is_refusing.load(Ordering::SeqCst)
    }

    /// Takes no new requests from now on: connections that nobody uses are closed, the
    /// others when their request has ended. What waits to be accepted waits for
    /// another process.
    pub(crate) fn refuse(&self) {
        if self.is_refusing.swap(true, Ordering::SeqCst) {
            return;
        }
        // It may be there no more.
        let _removed = epoll::delete(&self.epoll, &self.listener);
        let all: Vec<Arc<Connection>> = self.connections().values().cloned().collect();
        let mut buffer = Buffer::new();
        for connection in all {
            if connection.refuse(&mut buffer) {
                self.forget(&connection);
            }
        }
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<i32, Arc<Connection>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection of that number.
    pub(crate) fn connection(&self, number: i32) -> Option<Arc<Connection>> {
        self.connections().get(&number).cloned()
    }

    /// Keeps a new connection.
    pub(crate) fn keep(&self, connection: &Arc<Connection>) {
        fork::keep_from_children(connection);
        self.connections().insert(connection.number(), Arc::clone(connection));
    }

    /// Lets go of a connection; it closes with its last user.
    pub(crate) fn forget(&self, connection: &Arc<Connection>) {
        // Before it closes: its number may be used again at once.
        fork::leave_to_children(connection);
        self.connections().remove(&connection.number());
    }

    /// A thread has a request.
    pub(crate) fn begin(&self, slot: &Slot, group: &[u8], ignores_activity: bool) {
        let now = micros(self.started);
        {
            let mut place = slot.group.lock().unwrap_or_else(PoisonError::into_inner);
            place.clear();
            place.extend_from_slice(group);
        }
        let serial = self.serial.fetch_add(1, Ordering::Relaxed) + 1;
        slot.interruption.store(serial << INTERRUPTIBLE_BITS, Ordering::Release);
        slot.since.store(now, Ordering::Release);
        if !ignores_activity {
            self.activity.last.store(now, Ordering::Relaxed);
        }
        if self.first.load(Ordering::Relaxed) == 0
            && self.first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.wake_main();
        }
    }

    /// It has ended; `counts` says whether it was begun at all.
    pub(crate) fn end(&self, slot: &Slot, counts: bool) {
        slot.interruption.fetch_or(OVER, Ordering::AcqRel);
        slot.since.store(0, Ordering::Release);
        let completed =
            self.completed.fetch_add(counts.into(), Ordering::Relaxed) + u64::from(counts);
        if completed == self.launch.options.maximum_requests
            || self.awaits_ends.load(Ordering::SeqCst)
        {
            self.wake_main();
        }
    }

    /// A script has changed since it was loaded.
    pub(crate) fn note_change(&self) {
        self.is_changed.store(true, Ordering::Release);
        self.wake_main();
    }

    /// How it stands now.
    pub(crate) fn seen(&self) -> Seen {
        let runs = self.slots.iter().map(|slot| {
            let serial = slot.interruption.load(Ordering::Acquire) >> INTERRUPTIBLE_BITS;
            let since = slot.since.load(Ordering::Acquire);
            (since > 0).then(|| Run { serial, since: Duration::from_micros(since) })
        });
        let first = self.first.load(Ordering::Relaxed);
        Seen {
            runs: runs.collect(),
            first: (first > 0).then(|| Duration::from_micros(first)),
            activity: Duration::from_micros(self.activity.last.load(Ordering::Relaxed)),
            has_loaded: engine::has_loaded(),
            completed: self.completed.load(Ordering::Relaxed),
            is_changed: self.is_changed.load(Ordering::Acquire),
            now: self.started.elapsed(),
        }
    }
}

/// Makes an event readable.
fn signal(event: &OwnedFd) {
    // It fails where it is readable already.
    let _readable = rustix::io::write(event.as_fd(), &1_u64.to_ne_bytes());
}

/// What stands for the listening socket among events; connections stand for
/// themselves by their number.
pub(crate) const LISTENER: u64 = u64::MAX;
/// What stands for the end.
pub(crate) const STOP: u64 = u64::MAX - 1;
