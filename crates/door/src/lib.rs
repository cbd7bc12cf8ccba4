//! What `mod_wsgi.so` (the host: httpd's side) and its Python side (the guest)
//! say to each other. Both are libraries of their own, because the first must
//! load without a libpython; between them stand C functions and plain records.
//! All texts are borrowed for the length of the call that they are handed to.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "reading a field of a raw record to call with it is one thought; SAFETY.md has the promises"
)]

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;

/// Bytes of somebody else.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    start: *const u8,
    length: usize,
    _borrowed: PhantomData<&'a [u8]>,
}

impl<'a> Text<'a> {
    /// The text that these bytes are.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { start: bytes.as_ptr(), length: bytes.len(), _borrowed: PhantomData }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(self) -> &'a [u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: made by `new` from a slice that is borrowed for `'a`.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// A name and its value.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// The name.
    pub name: Text<'a>,
    /// The value.
    pub value: Text<'a>,
}

/// A list of records.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct List<'a, T> {
    start: *const T,
    length: usize,
    _borrowed: PhantomData<&'a [T]>,
}

impl<'a, T> List<'a, T> {
    /// The list that this slice is.
    #[must_use]
    pub fn new(items: &'a [T]) -> Self {
        Self { start: items.as_ptr(), length: items.len(), _borrowed: PhantomData }
    }

    /// The slice.
    #[must_use]
    pub fn items(&self) -> &'a [T] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: made by `new` from a slice that is borrowed for `'a`.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }
}

/// One request, as the host knows it; the guest only hands it back.
pub type Exchange = *mut c_void;

/// What the host does for the guest. Every function may block; none needs
/// Python's lock. The exchange is that of the running call.
#[repr(C)]
pub struct Host {
    /// [`VERSION`] of the host.
    pub version: u32,
    /// Reads some of the body: count, 0 at its end, [`GONE`] when it broke.
    pub read: unsafe extern "C" fn(Exchange, *mut u8, usize) -> isize,
    /// Sets status and headers; nothing is sent yet.
    pub start: unsafe extern "C" fn(Exchange, u16, Text<'_>, List<'_, Pair<'_>>) -> c_int,
    /// Sends a block and flushes it: 0, or [`GONE`].
    pub send: unsafe extern "C" fn(Exchange, Text<'_>) -> c_int,
    /// Sends a part of an open file: descriptor, start, length.
    pub send_file: unsafe extern "C" fn(Exchange, c_int, i64, i64) -> c_int,
    /// Logs a line. The exchange may be null.
    pub log: unsafe extern "C" fn(Exchange, LogLevel, Text<'_>),
}

/// The client, or its connection, is gone.
pub const GONE: c_int = -1;

/// Levels of the log, as httpd counts them.
pub type LogLevel = c_int;

/// What the guest is started with.
#[repr(C)]
pub struct Settings<'a> {
    /// The Python program that `sys.executable` is; empty to let Python guess.
    pub program: Text<'a>,
    /// `WSGIPythonHome`, when it is no virtual environment.
    pub home: Text<'a>,
    /// `WSGIPythonPath`: folders separated by colons.
    pub path: Text<'a>,
    /// `WSGIPythonWarnings`, each as after `-W`.
    pub warnings: List<'a, Text<'a>>,
    /// `WSGIPythonOptimize`.
    pub optimize: c_int,
    /// `WSGIDontWriteBytecode`.
    pub dont_write_bytecode: bool,
    /// `WSGIPythonHashSeed`; negative for random.
    pub hash_seed: i64,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: bool,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: bool,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: bool,
    /// Whether httpd runs as one process for a debugger: streams stay alone.
    pub one_process: bool,
    /// Most processes and threads of the MPM.
    pub processes: c_int,
    /// Threads of each process.
    pub threads: c_int,
    /// Version of httpd, as numbers.
    pub apache_version: [c_int; 3],
    /// Words of httpd about itself, for the `apache` module.
    pub apache_description: Text<'a>,
    /// Name of the MPM.
    pub mpm_name: Text<'a>,
    /// When httpd was built.
    pub build_date: Text<'a>,
}

/// One request for the guest.
#[repr(C)]
pub struct Call<'a> {
    /// The request.
    pub exchange: Exchange,
    /// Environment of CGI and of the request, without what only Python can make.
    pub environ: List<'a, Pair<'a>>,
    /// File of the script.
    pub script: Text<'a>,
    /// Time of its last change, in microseconds since 1970; negative when it
    /// cannot be read.
    pub script_time: i64,
    /// Name of the interpreter; empty for the main one.
    pub application_group: Text<'a>,
    /// Name of what is called in the script.
    pub callable: Text<'a>,
    /// `WSGIScriptReloading`.
    pub reloading: bool,
    /// Whether the request came in by TLS.
    pub https: bool,
    /// Begin of the request, in microseconds since 1970.
    pub begun: i64,
    /// Whether the body's end is the application's to see; else it has none.
    pub has_body: bool,
}

/// What a call ended with.
pub type Outcome = c_int;
/// The answer was sent.
pub const DONE: Outcome = 0;
/// Nothing was sent: the script failed, answer 500.
pub const FAILED: Outcome = 500;
/// Nothing was sent: the script has no such callable, answer 404.
pub const NO_CALLABLE: Outcome = 404;
/// Something was sent, then the application failed: the client must see it.
pub const BROKEN_OFF: Outcome = -2;

/// What the guest does for the host.
#[repr(C)]
pub struct Guest {
    /// [`VERSION`] of the guest.
    pub version: u32,
    /// Starts Python in this process: whether it runs. Called once, before any
    /// other thread.
    pub start: unsafe extern "C" fn(&'static Host, &Settings<'_>) -> bool,
    /// Loads a script into an interpreter before any request: script, its time in
    /// microseconds since 1970, application group.
    pub load: unsafe extern "C" fn(Text<'_>, i64, Text<'_>),
    /// Answers a request, on any thread.
    pub handle: unsafe extern "C" fn(&Call<'_>) -> Outcome,
    /// Ends Python; no call runs any more. Told not to, it only tells those who
    /// subscribed to the end.
    pub stop: unsafe extern "C" fn(bool),
}

/// What the guest's library exports: `extern "C" fn() -> &'static Guest`.
pub const SYMBOL: &CStr = c"mod_wsgi_guest";
/// Type of that function.
pub type Enter = unsafe extern "C" fn() -> &'static Guest;
/// Changes with every change of this file: host and guest are built together.
pub const VERSION: u32 = 1;
