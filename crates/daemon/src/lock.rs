//! Whether anybody still gets Python's lock (`deadlock-timeout`): a thread that takes
//! it every second, and the main thread that looks how long ago that was.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The thread that takes the lock.
pub(crate) struct Watch {
    shared: Arc<Shared>,
    limit: Duration,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    started: Instant,
    /// When the lock was last taken, in milliseconds since the start.
    taken: AtomicU64,
    is_over: Mutex<bool>,
    over: Condvar,
}

impl Watch {
    /// Starts the thread, if there is a limit.
    pub(crate) fn start(limit: Duration) -> std::io::Result<Option<Self>> {
        if limit.is_zero() {
            return Ok(None);
        }
        let shared = Arc::new(Shared {
            started: Instant::now(),
            taken: AtomicU64::new(0),
            is_over: Mutex::new(false),
            over: Condvar::new(),
        });
        let its = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("wsgi-lock".into()).spawn(move || its.run())?;
        Ok(Some(Self { shared, limit, thread: Some(thread) }))
    }

    /// How long until nobody has had the lock for too long; none if that is so.
    pub(crate) fn left(&self) -> Option<Duration> {
        let taken = Duration::from_millis(self.shared.taken.load(Ordering::Relaxed));
        (taken + self.limit)
            .checked_sub(self.shared.started.elapsed())
            .filter(|left| !left.is_zero())
    }

    /// Ends the thread, which needs the lock once more for that at most.
    pub(crate) fn stop(mut self) {
        *self.shared.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.over.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ended = thread.join();
        }
    }
}

impl Shared {
    fn run(&self) {
        let mut is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        while !*is_over {
            drop(is_over);
            engine::take_lock();
            let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.taken.store(now, Ordering::Relaxed);
            is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
            if !*is_over {
                let waited = self.over.wait_timeout(is_over, EVERY);
                is_over = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }
}

/// Writes what all threads are doing to the stream of errors, without Python's lock,
/// if this Python can.
pub(crate) fn dump_stacks() {
    static IS_DUMPED: AtomicBool = AtomicBool::new(false);
    type Dump = unsafe extern "C" fn(i32, *mut c_void, *mut c_void) -> *const std::ffi::c_char;
    type Main = unsafe extern "C" fn() -> *mut c_void;
    if IS_DUMPED.swap(true, Ordering::Relaxed) {
        return;
    }
    // SAFETY: names that end in NUL; functions of Python's that `faulthandler` calls
    // the same way, in processes that hang. Absent ones are null.
    unsafe {
        let dump = libc::dlsym(libc::RTLD_DEFAULT, c"_Py_DumpTracebackThreads".as_ptr());
        let main = libc::dlsym(libc::RTLD_DEFAULT, c"PyInterpreterState_Main".as_ptr());
        if !dump.is_null() && !main.is_null() {
            let dump = std::mem::transmute::<*mut c_void, Dump>(dump);
            let main = std::mem::transmute::<*mut c_void, Main>(main);
            dump(2, main(), std::ptr::null_mut());
        }
    }
}

/// How often the lock is taken.
const EVERY: Duration = Duration::from_secs(1);
