//! The request that this thread serves now: where its log lines go.

use std::cell::Cell;
use std::ffi::c_int;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use door::{Exchange, Host, Line, Source, Text};

static HOST: OnceLock<&'static Host> = OnceLock::new();
static CLOSED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static CURRENT: Cell<Exchange> = const { Cell::new(std::ptr::null_mut()) };
    static SCRIPT: Cell<Option<NonNull<[u8]>>> = const { Cell::new(None) };
    static CALLED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) use door::level;

/// Remembers the host; the first one stays.
pub(crate) fn set_host(host: &'static Host) {
    HOST.get_or_init(|| host);
}

/// The host, once there is one, and until the end.
pub(crate) fn host() -> Option<&'static Host> {
    if CLOSED.load(Ordering::Relaxed) { None } else { HOST.get().copied() }
}

/// The host is going: nothing is asked of it any more.
pub(crate) fn close() {
    CLOSED.store(true, Ordering::Relaxed);
}

/// Runs with that request as the thread's own.
pub(crate) fn with_exchange<R>(exchange: Exchange, run: impl FnOnce() -> R) -> R {
    struct Restore(Exchange);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(exchange));
    run()
}

/// Runs with that script as the one that records of ours name.
pub(crate) fn with_script<R>(path: &[u8], run: impl FnOnce() -> R) -> R {
    struct Restore(Option<NonNull<[u8]>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCRIPT.set(self.0);
        }
    }
    let _restore = Restore(SCRIPT.replace(Some(NonNull::from(path))));
    run()
}

/// Calls the script's function: its name stands before each line that it writes.
pub(crate) fn calling<R>(call: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            CALLED.set(self.0);
        }
    }
    let _restore = Restore(CALLED.replace(true));
    call()
}

/// The script's name as it stands before lines, with a blank after it.
pub(crate) fn shown() -> String {
    let Some(script) = SCRIPT.get() else { return String::new() };
    // SAFETY: lent to `with_script`, which runs on this thread and takes it back.
    let script = unsafe { script.as_ref() };
    format!("[script {}] ", String::from_utf8_lossy(script))
}

/// Logs a line that a script wrote.
pub(crate) fn log_of_script(level: c_int, text: &[u8], source: Source<'_>) {
    let shown = if CALLED.get() { shown() } else { String::new() };
    log_from(level, &[shown.as_bytes(), text].concat(), source);
}

/// Logs a line for the thread's request, or for the server.
pub(crate) fn log(level: c_int, text: &[u8]) {
    log_from(level, text, Source::none());
}

fn log_from(level: c_int, text: &[u8], source: Source<'_>) {
    if let Some(host) = host() {
        let line = Line { level, text: Text::new(text), source };
        // SAFETY: the host's own function; the exchange is null or that of the
        // call that runs on this thread.
        unsafe { (host.log)(CURRENT.get(), &line) };
    }
}

/// The highest level of lines that the log takes now.
pub(crate) fn log_level() -> c_int {
    // SAFETY: as above.
    host().map_or(c_int::MAX, |host| unsafe { (host.log_level)(CURRENT.get()) })
}
