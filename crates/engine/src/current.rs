//! The request that this thread serves now: where its log lines go.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::OnceLock;

use door::{Exchange, Host, Text};

static HOST: OnceLock<&'static Host> = OnceLock::new();

thread_local! {
    static CURRENT: Cell<Exchange> = const { Cell::new(std::ptr::null_mut()) };
    static SCRIPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Levels of httpd's log.
pub(crate) mod level {
    use std::ffi::c_int;

    pub(crate) const CRITICAL: c_int = 2;
    pub(crate) const ERROR: c_int = 3;
    pub(crate) const INFO: c_int = 6;
}

/// Remembers the host; the first one stays.
pub(crate) fn set_host(host: &'static Host) {
    HOST.get_or_init(|| host);
}

/// The host, once there is one.
pub(crate) fn host() -> Option<&'static Host> {
    HOST.get().copied()
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

/// Runs with that script's name before each line that it writes.
pub(crate) fn with_script<R>(path: &[u8], run: impl FnOnce() -> R) -> R {
    struct Restore(Vec<u8>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SCRIPT.set(std::mem::take(&mut self.0));
        }
    }
    let _restore = Restore(SCRIPT.replace(path.to_vec()));
    run()
}

/// Logs a line that an application wrote.
pub(crate) fn log_output(level: c_int, text: &[u8]) {
    let script = SCRIPT.take();
    if script.is_empty() || level != level::ERROR {
        log(level, text);
    } else {
        log(level, &[b"[script ", script.as_slice(), b"] ", text].concat());
    }
    SCRIPT.set(script);
}

/// Logs a line for the thread's request, or for the server.
pub(crate) fn log(level: c_int, text: &[u8]) {
    if let Some(host) = host() {
        // SAFETY: the host's own function; the exchange is null or that of the
        // call that runs on this thread.
        unsafe { (host.log)(CURRENT.get(), level, Text::new(text)) };
    }
}
