//! What httpd's processes and the supervisor know in common about a group of
//! daemon processes: a few numbers in shared memory. Daemon processes
//! themselves have no part in it.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64, Ordering};

use wsgi::status::Ended;

use super::place::Process;
use super::relay::now;

/// The shared numbers of one group.
#[derive(Debug)]
pub(crate) struct Board {
    memory: NonNull<Group>,
    processes: usize,
}

// SAFETY: atomic numbers.
unsafe impl Send for Board {}
// SAFETY: as above.
unsafe impl Sync for Board {}

/// What holds for all processes of the group.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Group {
    /// Processes that started before this time (microseconds since 1970) may hold a
    /// script that has changed since.
    pub(crate) fresh_since: AtomicI64,
    /// Requests whose body a thread may have to wait for.
    pub(crate) waiting_for_clients: AtomicI32,
    _reserved: AtomicI32,
}

/// One process of the group, whoever has the place at the moment.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Slot {
    state: AtomicU32,
    /// Its pid.
    pub(crate) pid: AtomicI32,
    /// When it was started, in microseconds since 1970.
    pub(crate) started: AtomicI64,
    /// Requests that httpd's processes have given it: below, those that have not ended;
    /// above, all. One number, so that to count them costs a request nothing.
    traffic: AtomicU64,
    /// How many of them were others' who had the place before.
    before: AtomicU64,
    /// When it was started itself, not what it knows: its zygote may be older.
    pub(crate) born: AtomicI64,
    /// How many processes were started for the place.
    starts: AtomicU32,
    /// Why the last one that had it has it no more, as [`Ended`] is written.
    ended: AtomicU32,
    /// The last one that has died in this place, and how, as of `wait`.
    pub(crate) dead_pid: AtomicI32,
    /// See above; valid once `dead_pid` is the one asked for.
    pub(crate) dead_status: AtomicI32,
}

/// How it stands with a place.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u32)]
pub(crate) enum State {
    /// A process starts: requests may wait for it.
    Starting = 0,
    /// A process serves.
    Ready = 1,
    /// Starting it has failed, and is tried again later: nobody should wait.
    Failing = 2,
    /// It cannot be started; the log has said why.
    Broken = 3,
}

impl Board {
    /// Numbers for so many processes, all of them starting; shared with the processes
    /// that are forked from now on.
    ///
    /// # Errors
    /// When there is no memory.
    pub(crate) fn new(processes: usize) -> std::io::Result<Self> {
        // SAFETY: a mapping of its own, which is zero: a valid state of all numbers.
        let memory = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size(processes),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        match NonNull::new(memory.cast::<Group>()) {
            Some(memory) if memory.as_ptr().cast() != libc::MAP_FAILED => {
                Ok(Self { memory, processes })
            }
            _ => Err(std::io::Error::last_os_error()),
        }
    }

    /// What holds for all.
    pub(crate) fn group(&self) -> &Group {
        // SAFETY: mapped for as long as this lives.
        unsafe { self.memory.as_ref() }
    }

    /// The places of the processes.
    pub(crate) fn slots(&self) -> &[Slot] {
        // SAFETY: `new` made room for so many behind the group.
        unsafe {
            let first = self.memory.as_ptr().add(1).cast::<Slot>();
            std::slice::from_raw_parts(first, self.processes)
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, in this process.
        unsafe { libc::munmap(self.memory.as_ptr().cast(), size(self.processes)) };
    }
}

impl Group {
    /// A process that was started at that time has found a script changed: from when on
    /// a process must have been started to have it as it is now. Said by whoever is
    /// handed the request back, so that it is known before another one is chosen.
    pub(crate) fn note_change(&self, started: i64) -> i64 {
        let known = self.fresh_since.load(Ordering::Acquire);
        // One from before the last change tells of that one.
        if started < known {
            return known;
        }
        let now = now();
        let noted =
            self.fresh_since.compare_exchange(known, now, Ordering::AcqRel, Ordering::Acquire);
        // Another thread was quicker.
        noted.map_or_else(|later| later, |_| now)
    }
}

impl Slot {
    /// How it stands.
    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Starting,
            1 => State::Ready,
            2 => State::Failing,
            _ => State::Broken,
        }
    }

    /// Says how it stands.
    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u32, Ordering::Release);
    }

    /// A request is given to it.
    pub(crate) fn begin(&self) {
        self.traffic.fetch_add(ONE_OF_ALL + 1, Ordering::Relaxed);
    }

    /// One of its requests has ended.
    pub(crate) fn end(&self) {
        self.traffic.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests that have not ended.
    pub(crate) fn load(&self) -> u32 {
        // Fewer than 2^24: an httpd has not so many threads.
        u32::try_from(self.traffic.load(Ordering::Relaxed) & (ONE_OF_ALL - 1)).unwrap_or(u32::MAX)
    }

    /// All requests: whoever had the place, and those of the present process.
    pub(crate) fn requests(&self) -> (u64, u64) {
        let all = self.traffic.load(Ordering::Relaxed) / ONE_OF_ALL;
        (all, all.saturating_sub(self.before.load(Ordering::Relaxed)))
    }

    /// A process was started for it.
    pub(crate) fn count_start(&self) {
        self.starts.fetch_add(1, Ordering::Relaxed);
    }

    /// Processes that were started for it after the first one.
    pub(crate) fn restarts(&self) -> u32 {
        self.starts.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A process has it from now on; so many requests wait for it already.
    pub(crate) fn is_taken(&self, process: &Process, waiting: u32) {
        let age = i64::try_from(process.begin.elapsed().as_micros()).unwrap_or(0);
        self.born.store(now() - age, Ordering::Relaxed);
        self.before.store(self.requests().0.saturating_sub(waiting.into()), Ordering::Relaxed);
        self.pid.store(process.pid, Ordering::Relaxed);
    }

    /// Whoever had it has it no more.
    pub(crate) fn note_end(&self, why: Ended) {
        self.ended.store(why.number(), Ordering::Relaxed);
    }

    /// Why the last one has it no more, if one had it.
    pub(crate) fn last_end(&self) -> Option<Ended> {
        Ended::of_number(self.ended.load(Ordering::Relaxed))
    }
}

/// One request among all, above the lower 24 bits.
const ONE_OF_ALL: u64 = 1 << 24;

const fn size(processes: usize) -> usize {
    size_of::<Group>() + processes * size_of::<Slot>()
}

// The slots lie behind the group.
const _: () = assert!(size_of::<Group>().is_multiple_of(align_of::<Slot>()));
