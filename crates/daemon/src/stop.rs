//! The very end: at once when time is up, or after Python's own.

use std::sync::OnceLock;
use std::time::Duration;

use crate::control::{self, level};

/// Ends the process at that time, whatever it does then. No time is no limit.
pub(crate) fn abort_after(limit: Duration, name: &str) {
    if limit.is_zero() {
        return;
    }
    let name = name.to_owned();
    let started = std::thread::Builder::new().name("wsgi-reaper".into()).spawn(move || {
        std::thread::sleep(limit);
        let text = format!("Shutdown timeout expired; aborting daemon process '{name}'.");
        control::log(level::INFO, &text);
        end_now(ABORTED);
    });
    if started.is_err() {
        let text = "WSGI0070: Unable to create reaper thread in daemon process; shutdown timeout will not be enforced.";
        control::log(level::CRITICAL, text);
    }
}

/// Ends the process without a further word.
pub(crate) fn end_now(status: i32) -> ! {
    // SAFETY: nothing of the process is used any more.
    unsafe { libc::_exit(status) }
}

/// Logs the end after Python's own, which follows.
pub(crate) fn log_end_later(name: &str) {
    extern "C" fn log() {
        let Some((process, name)) = NAME.get() else { return };
        // Processes that the application has forked end as well.
        if *process == std::process::id() {
            control::log(
                level::INFO,
                &format!("Python runtime has shut down in daemon process '{name}'."),
            );
            log_end(name);
        }
    }
    static NAME: OnceLock<(u32, String)> = OnceLock::new();
    NAME.get_or_init(|| (std::process::id(), name.to_owned()));
    // SAFETY: a function of this library, which is never unloaded.
    let _registered = unsafe { libc::atexit(log) };
}

/// Logs the end.
pub(crate) fn log_end(name: &str) {
    control::log(level::INFO, &format!("Exiting daemon process '{name}'."));
}

/// Status of a process that did not end in time.
const ABORTED: i32 = 255;
