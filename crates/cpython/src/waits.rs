//! How long this thread waits for an interpreter's lock: measured once somebody
//! wants to know.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Waits of one thread since [`take_waits`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Waits {
    /// How often the lock was taken.
    pub count: u32,
    /// Time spent on all of them.
    pub total: Duration,
    /// The shortest one.
    pub least: Duration,
    /// The longest one.
    pub most: Duration,
}

const NONE: Waits =
    Waits { count: 0, total: Duration::ZERO, least: Duration::ZERO, most: Duration::ZERO };

static MEASURED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static WAITS: Cell<Waits> = const { Cell::new(NONE) };
}

/// Measures from now on, for all threads.
pub fn measure_waits() {
    MEASURED.store(true, Ordering::Relaxed);
}

/// This thread's waits so far; counting starts anew.
#[must_use]
pub fn take_waits() -> Waits {
    WAITS.replace(NONE)
}

/// Takes a lock, and the time for it if that is wanted.
pub(crate) fn waiting(take: impl FnOnce()) {
    if !MEASURED.load(Ordering::Relaxed) {
        return take();
    }
    let begin = Instant::now();
    take();
    let time = begin.elapsed();
    let waits = WAITS.get();
    WAITS.set(Waits {
        count: waits.count + 1,
        total: waits.total + time,
        least: if waits.count == 0 { time } else { waits.least.min(time) },
        most: waits.most.max(time),
    });
}
