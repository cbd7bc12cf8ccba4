//! The error log. Texts are passed as an argument, never as a format.

use std::ffi::{CString, c_int};

use crate::config::Server;
use crate::sys;

/// Levels, as httpd counts them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "httpd's LogLevel has the meanings")]
pub enum Level {
    Critical,
    Error,
    Warning,
    Notice,
    Info,
    Debug,
}

impl Level {
    pub(crate) fn number(self) -> c_int {
        match self {
            Self::Critical => sys::APLOG_CRIT,
            Self::Error => sys::APLOG_ERR,
            Self::Warning => sys::APLOG_WARNING,
            Self::Notice => sys::APLOG_NOTICE,
            Self::Info => sys::APLOG_INFO,
            Self::Debug => sys::APLOG_DEBUG,
        }
    }
}

/// The file that log records name.
pub(crate) const FILE: &std::ffi::CStr = c"mod_wsgi";

/// Text for C: cut at a NUL, as every log would.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

/// Logs where no server is at hand.
pub fn log_to_process(level: Level, text: &str) {
    let text = c_text(text);
    // SAFETY: S5: a null server is httpd's way to name the main log; the texts
    // end in NUL and live for the call.
    unsafe {
        sys::ap_log_error_(
            FILE.as_ptr(),
            0,
            -1,
            level.number(),
            0,
            std::ptr::null(),
            c"%s".as_ptr(),
            text.as_ptr(),
        );
    }
}

/// Logs for the main server, if its level for the module lets it through.
pub fn log_to_main(index: c_int, level: Level, text: &str) {
    // SAFETY: httpd's own variable: the main server, once it is configured.
    match unsafe { sys::ap_server_conf.as_mut() } {
        // SAFETY: S5.
        Some(server) => log_to(unsafe { Server::from_raw(server) }, index, level, text),
        None => log_to_process(level, text),
    }
}

/// Logs for a server, if its level for the module lets it through.
pub fn log_to(server: Server, index: c_int, level: Level, text: &str) {
    // SAFETY: S5.
    let server = unsafe { &*server.raw() };
    if !lets_through(&server.log, index, level) {
        return;
    }
    let text = c_text(text);
    // SAFETY: S5; the texts end in NUL and live for the call.
    unsafe {
        sys::ap_log_error_(
            FILE.as_ptr(),
            0,
            index,
            level.number(),
            0,
            server,
            c"%s".as_ptr(),
            text.as_ptr(),
        );
    }
}

/// What httpd's log macros ask first: the module's own level, else the server's.
pub(crate) fn lets_through(levels: &sys::ap_logconf, index: c_int, level: Level) -> bool {
    let mut most = levels.level;
    if !levels.module_levels.is_null()
        && let Ok(index) = usize::try_from(index)
    {
        // SAFETY: S5: httpd sizes the list for every loaded module.
        let own = unsafe { *levels.module_levels.add(index) };
        if own >= 0 {
            most = c_int::from(own);
        }
    }
    level.number() <= most
}
