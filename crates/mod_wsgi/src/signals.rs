//! Where one process serves one request at a time (prefork), httpd ends a child from
//! within the handler of SIGTERM or SIGHUP, wherever that finds it: Python would be
//! taken down below the frames of the application that runs. While a request is at
//! work such a signal means the same as the graceful one: finish it, then end.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use httpd::sys;

static AT_WORK: AtomicBool = AtomicBool::new(false);
/// The thread that serves: `pthread_self` of it.
static SERVING: AtomicUsize = AtomicUsize::new(0);
static HANDLERS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];
const SIGNALS: [c_int; 2] = [libc::SIGTERM, libc::SIGHUP];

/// A request at work, until it goes.
pub(crate) struct AtWork(());

impl AtWork {
    pub(crate) fn begin() -> Self {
        AT_WORK.store(true, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        AT_WORK.store(false, Ordering::Relaxed);
    }
}

/// Takes the place of httpd's handlers in a child that serves one request at a time.
pub(crate) fn watch() {
    if crate::python::asked_of_mpm(sys::AP_MPMQ_IS_THREADED) != 0 {
        return;
    }
    // SAFETY: a number of this thread's own.
    SERVING.store(unsafe { libc::pthread_self() } as usize, Ordering::Relaxed);
    for (signal, kept) in SIGNALS.into_iter().zip(&HANDLERS) {
        // SAFETY: records of plain numbers; the child has one thread so far.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &raw mut action);
            let is_function = ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction);
            if is_function && action.sa_flags & libc::SA_SIGINFO == 0 {
                kept.store(action.sa_sigaction, Ordering::Relaxed);
                action.sa_sigaction = handle as *const () as usize;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut());
            }
        }
    }
}

/// Does what a handler may: reads flags, and passes the signal on.
extern "C" fn handle(signal: c_int) {
    let serving = SERVING.load(Ordering::Relaxed) as libc::pthread_t;
    // SAFETY: the thread that serves lives as long as the process. One that Python
    // made may get the signal, and must not take Python down from within.
    unsafe {
        if libc::pthread_self() != serving {
            libc::pthread_kill(serving, signal);
            return;
        }
    }
    if AT_WORK.load(Ordering::Relaxed) {
        // SAFETY: httpd's own handler takes no more connections, and ends the child
        // after this one.
        unsafe { libc::raise(sys::AP_SIG_GRACEFUL) };
        return;
    }
    let index = usize::from(signal != SIGNALS[0]);
    let handler = HANDLERS[index].load(Ordering::Relaxed);
    if handler != 0 {
        // SAFETY: httpd's handler of this signal, as `watch` found it.
        unsafe { std::mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal) };
    }
}
