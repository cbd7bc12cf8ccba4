//! The one door by which C enters Rust: a panic ends here as a logged failure,
//! never in httpd, which could not unwind it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::log::{Level, log_to_process};

/// What a callback answers when something blew up in it.
pub trait Failed {
    /// The answer that makes httpd give up this one thing and go on.
    fn failed() -> Self;
}

impl Failed for () {
    fn failed() -> Self {}
}

/// Status of a hook: 500.
impl Failed for std::ffi::c_int {
    fn failed() -> Self {
        crate::sys::HTTP_INTERNAL_SERVER_ERROR
    }
}

impl<T> Failed for *mut T {
    fn failed() -> Self {
        std::ptr::null_mut()
    }
}

/// The message of a directive.
impl Failed for *const std::ffi::c_char {
    fn failed() -> Self {
        c"mod_wsgi failed in itself; the error log has the reason".as_ptr()
    }
}

/// Runs a callback's body.
pub fn enter<R: Failed>(what: &str, body: impl FnOnce() -> R) -> R {
    // What the body touched is dropped with the request or the configuration.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        log_to_process(Level::Critical, &format!("mod_wsgi panicked in {what}: {text}"));
        R::failed()
    })
}
