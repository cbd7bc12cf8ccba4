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

/// The line of code that a record of the log names (`%F` of `ErrorLogFormat`).
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its file.
    pub file: &'a str,
    /// Its number.
    pub line: u32,
}

impl<'a> Source<'a> {
    /// That line, if there is a file.
    #[must_use]
    pub fn of(file: &'a str, line: u32) -> Option<Self> {
        (!file.is_empty()).then_some(Self { file, line })
    }

    /// As httpd has them: [`FILE`] for what is logged by the module itself.
    pub(crate) fn parts(this: Option<Self>) -> (CString, c_int) {
        match this {
            Some(source) => (c_text(source.file), c_int::try_from(source.line).unwrap_or(0)),
            None => (FILE.to_owned(), 0),
        }
    }
}

/// Logs for the main server, if its level for the module lets it through.
pub fn log_to_main(index: c_int, level: Level, text: &str) {
    log_to_main_from(index, level, text, None);
}

/// The same for code of the application's.
pub fn log_to_main_from(index: c_int, level: Level, text: &str, source: Option<Source<'_>>) {
    match main_server() {
        Some(server) => log_to_from(server, index, level, text, source),
        None => log_to_process(level, text),
    }
}

/// The highest level that the main server's log takes from the module.
#[must_use]
pub fn log_level_of_main(index: c_int) -> c_int {
    main_server().map_or(c_int::MAX, |server| log_level_of(server, index))
}

/// The highest level that a server's log takes from the module.
#[must_use]
pub fn log_level_of(server: Server, index: c_int) -> c_int {
    // SAFETY: S5.
    highest(unsafe { &(*server.raw()).log }, index)
}

fn main_server() -> Option<Server> {
    // SAFETY: httpd's own variable: the main server, once it is configured.
    unsafe { sys::ap_server_conf.as_mut() }
        // SAFETY: S5.
        .map(|server| unsafe { Server::from_raw(server) })
}

/// Logs for a server, if its level for the module lets it through.
pub fn log_to(server: Server, index: c_int, level: Level, text: &str) {
    log_to_from(server, index, level, text, None);
}

/// The same for code of the application's.
pub fn log_to_from(
    server: Server,
    index: c_int,
    level: Level,
    text: &str,
    source: Option<Source<'_>>,
) {
    if level.number() > log_level_of(server, index) {
        return;
    }
    let text = c_text(text);
    let (file, line) = Source::parts(source);
    // SAFETY: S5; the texts end in NUL and live for the call.
    unsafe {
        sys::ap_log_error_(
            file.as_ptr(),
            line,
            index,
            level.number(),
            0,
            server.raw(),
            c"%s".as_ptr(),
            text.as_ptr(),
        );
    }
}

/// What httpd's log macros ask first: the module's own level, else the server's.
pub(crate) fn highest(levels: &sys::ap_logconf, index: c_int) -> c_int {
    if !levels.module_levels.is_null()
        && let Ok(index) = usize::try_from(index)
    {
        // SAFETY: S5: httpd sizes the list for every loaded module.
        let own = unsafe { *levels.module_levels.add(index) };
        if own >= 0 {
            return c_int::from(own);
        }
    }
    levels.level
}
