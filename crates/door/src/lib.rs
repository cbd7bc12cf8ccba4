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
use std::sync::atomic::AtomicU64;

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

/// A variable of a request.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Variable<'a> {
    /// Number of a key that both sides know, or [`BY_NAME`].
    pub key: u16,
    /// Its name, if it has no such number.
    pub name: Text<'a>,
    /// Its value.
    pub value: Text<'a>,
}

/// A variable that has no number.
pub const BY_NAME: u16 = u16::MAX;

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

/// Where the other side puts texts, in one call each, with a number that says what
/// the text belongs to.
#[repr(C)]
pub struct Sink<'a> {
    context: *mut c_void,
    put: unsafe extern "C" fn(*mut c_void, usize, Text<'_>),
    _lent: PhantomData<&'a mut ()>,
}

impl<'a> Sink<'a> {
    /// A sink that hands each text to a function of this side, which must not
    /// panic.
    #[must_use]
    pub fn new<F: FnMut(usize, &[u8])>(take: &'a mut F) -> Self {
        unsafe extern "C" fn put<F: FnMut(usize, &[u8])>(
            context: *mut c_void,
            number: usize,
            text: Text<'_>,
        ) {
            // SAFETY: the function that `new` was lent, for as long as the sink lives.
            let take = unsafe { &mut *context.cast::<F>() };
            take(number, text.bytes());
        }
        Self { context: std::ptr::from_mut(take).cast(), put: put::<F>, _lent: PhantomData }
    }

    /// Puts a text.
    pub fn put(&mut self, number: usize, text: &[u8]) {
        // SAFETY: the function and context of `new`.
        unsafe { (self.put)(self.context, number, Text::new(text)) };
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
    /// Sends a block: 0, or [`GONE`]. It is flushed, unless it is the last one and
    /// nothing runs after it.
    pub send: unsafe extern "C" fn(Exchange, Text<'_>, bool) -> c_int,
    /// Sends a part of an open file: descriptor, start, length.
    pub send_file: unsafe extern "C" fn(Exchange, c_int, i64, i64) -> c_int,
    /// Logs a line. The exchange may be null.
    pub log: unsafe extern "C" fn(Exchange, &Line<'_>),
    /// The highest level of lines that the log takes. The exchange may be null.
    pub log_level: unsafe extern "C" fn(Exchange) -> LogLevel,
    /// Whether the connection is one of mod_ssl's.
    pub is_https: unsafe extern "C" fn(Exchange) -> bool,
    /// A variable of mod_ssl's; nothing is put where it has none.
    pub ssl_variable: unsafe extern "C" fn(Exchange, Text<'_>, Sink<'_>),
    /// The scoreboard: every process is shown to the function, with that context.
    /// False where there is none.
    pub scoreboard: unsafe extern "C" fn(&mut Scoreboard, *mut c_void, ShowProcess) -> bool,
}

/// Takes one process of the scoreboard.
pub type ShowProcess = unsafe extern "C" fn(*mut c_void, &Process<'_>);

/// What the scoreboard says of the whole server.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Scoreboard {
    /// Most processes.
    pub server_limit: c_int,
    /// Most threads of each.
    pub thread_limit: c_int,
    /// Counts graceful restarts.
    pub running_generation: c_int,
    /// Microseconds since 1970.
    pub restart_time: i64,
}

/// One process of the scoreboard.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Process<'a> {
    /// Its place.
    pub number: c_int,
    /// 0 for a place that is not used.
    pub pid: c_int,
    /// Generation in which it started.
    pub generation: c_int,
    /// Whether it takes no new connections.
    pub quiescing: bool,
    /// Its threads.
    pub workers: List<'a, Worker<'a>>,
}

/// One thread of the scoreboard. Times are microseconds since 1970.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, reason = "as in httpd's scoreboard.h")]
pub struct Worker<'a> {
    pub number: c_int,
    pub generation: c_int,
    /// The letter of mod_status.
    pub status: u8,
    pub access_count: i64,
    pub bytes_served: i64,
    pub start_time: i64,
    pub stop_time: i64,
    pub last_used: i64,
    pub client: Text<'a>,
    pub request: Text<'a>,
    pub vhost: Text<'a>,
}

/// The client, or its connection, is gone.
pub const GONE: c_int = -1;

/// A line for the log.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Its level.
    pub level: LogLevel,
    /// The line, without its end.
    pub text: Text<'a>,
    /// Where in the application it was logged.
    pub source: Source<'a>,
}

/// A line of Python code.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its file; empty for none.
    pub file: Text<'a>,
    /// Its number.
    pub line: u32,
}

impl Source<'_> {
    /// What is logged by the module itself.
    #[must_use]
    pub fn none() -> Self {
        Self { file: Text::new(&[]), line: 0 }
    }
}

/// Levels of the log, as httpd counts them.
pub type LogLevel = c_int;

/// Levels of httpd's log that are used on the Python side.
pub mod level {
    #![allow(missing_docs, reason = "httpd's LogLevel has the meanings")]

    use super::LogLevel;

    pub const CRITICAL: LogLevel = 2;
    pub const ERROR: LogLevel = 3;
    pub const WARNING: LogLevel = 4;
    pub const INFO: LogLevel = 6;
    pub const DEBUG: LogLevel = 7;
}

/// What the guest is started with.
#[repr(C)]
pub struct Settings<'a> {
    /// The Python program that `sys.executable` is; empty to let Python guess.
    pub program: Text<'a>,
    /// `WSGIPythonHome`, when it is no virtual environment.
    pub home: Text<'a>,
    /// `WSGIPythonWarnings`, each as after `-W`.
    pub warnings: List<'a, Text<'a>>,
    /// `WSGIPythonOptimize`.
    pub optimize: c_int,
    /// `WSGIDontWriteBytecode`.
    pub dont_write_bytecode: bool,
    /// `WSGIPythonHashSeed`; negative for random.
    pub hash_seed: i64,
    /// What holds for interpreters: settings of the server, then its sections in the
    /// order of the configuration.
    pub sections: List<'a, Section<'a>>,
    /// `WSGIPythonEggs`; empty if it is not given.
    pub eggs: Text<'a>,
    /// `WSGIServerMetrics`.
    pub server_metrics: bool,
    /// Whether `WSGITelemetryService` is given: figures are its own then.
    pub telemetry: bool,
    /// `WSGICaseSensitivity`.
    pub case_sensitivity: bool,
    /// Whether httpd runs as one process for a debugger: streams stay alone.
    pub one_process: bool,
    /// Where it runs, if not in httpd's own processes.
    pub daemon: Option<&'a Daemon<'a>>,
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

/// What a daemon process has of its own.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Daemon<'a> {
    /// Name of its group.
    pub group: Text<'a>,
    /// Processes of the group.
    pub processes: c_int,
    /// Threads of each; 0 where no requests are served.
    pub threads: c_int,
    /// `wsgi.multiprocess`.
    pub multiprocess: bool,
    /// `wsgi.run_once`.
    pub run_once: bool,
    /// First entry of `sys.path`; empty for none.
    pub home: Text<'a>,
}

/// Settings of interpreters, as one `<WSGIInterpreterOptions>` or the server has
/// them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    /// Whether it is for one process group alone, and for which.
    pub has_process_group: bool,
    /// See above.
    pub process_group: Text<'a>,
    /// Whether it is for one application group alone, and for which.
    pub has_application_group: bool,
    /// See above.
    pub application_group: Text<'a>,
    /// `WSGIPythonPath`: folders separated by colons.
    pub path: Text<'a>,
    /// `WSGISwitchInterval` in seconds; 0 if it is not given.
    pub switch_interval: f64,
    /// `WSGIPerInterpreterGIL`.
    pub per_interpreter_gil: Choice,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Choice,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Choice,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Choice,
}

/// A flag that may be left out.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "they say it")]
pub enum Choice {
    Unset,
    Off,
    On,
}

impl From<Option<bool>> for Choice {
    fn from(flag: Option<bool>) -> Self {
        match flag {
            None => Self::Unset,
            Some(false) => Self::Off,
            Some(true) => Self::On,
        }
    }
}

impl From<Choice> for Option<bool> {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Unset => None,
            Choice::Off => Some(false),
            Choice::On => Some(true),
        }
    }
}

/// A script and the interpreter that it runs in.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Script<'a> {
    /// Its file.
    pub path: Text<'a>,
    /// Time of the file's last change, in microseconds since 1970; negative when it
    /// cannot be read.
    pub time: i64,
    /// Name of the interpreter; empty for the main one.
    pub application_group: Text<'a>,
    /// `WSGIScriptReloading`.
    pub reloading: bool,
}

/// Functions of a script that decide about a request.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The request.
    pub exchange: Exchange,
    /// The script.
    pub script: Script<'a>,
    /// Names of the functions, called one after the other until one fails.
    pub functions: List<'a, Text<'a>>,
    /// Their first argument, without what only Python can make; of equal names the
    /// last one counts.
    pub environ: List<'a, Variable<'a>>,
    /// Their other arguments.
    pub arguments: List<'a, Text<'a>>,
    /// What they may answer with.
    pub answers: Answers,
    /// The file that the request is for, to be shown before lines of the log.
    pub filename: Text<'a>,
    /// Whether its environ has versions and what mod_ssl knows, as scripts that
    /// decide about access are given.
    pub knows_tls: bool,
}

/// What a function may answer with, besides nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answers {
    /// A flag.
    Flag,
    /// A flag, or a text that goes out as UTF-8.
    FlagOrText,
    /// A text or bytes; a text in latin-1.
    Bytes,
    /// Several of these.
    List,
}

/// What the last function that was called answered, and which one that is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Answered {
    /// Number of the function.
    pub number: usize,
    /// Its answer.
    pub answer: Answer,
}

/// What a function answered.
#[repr(C)]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// The script does not load; the log says why.
    NotLoaded,
    /// The script has no such function.
    NoFunction,
    /// The function raised; the log says what.
    Raised,
    /// `None`.
    Nothing,
    /// `True` or `False`.
    Yes,
    /// See above.
    No,
    /// What the sink was given.
    Texts,
    /// Something of another type.
    Other,
    /// A text that has no latin-1 form.
    NotLatin1,
    /// Where several are asked for: something that is no sequence.
    NotIterable,
}

impl Answer {
    /// Whether the next function is to be asked.
    #[must_use]
    pub fn lets_go_on(self) -> bool {
        matches!(self, Self::NoFunction | Self::Nothing | Self::Yes | Self::No | Self::Texts)
    }
}

/// One request for the guest.
#[repr(C)]
pub struct Call<'a> {
    /// The request.
    pub exchange: Exchange,
    /// Environment of CGI and of the request, without what only Python can make; of
    /// equal names the last one counts.
    pub environ: List<'a, Variable<'a>>,
    /// The script.
    pub script: Script<'a>,
    /// Name of what is called in the script.
    pub callable: Text<'a>,
    /// Whether the request came in by TLS.
    pub https: bool,
    /// Begin of the request, in microseconds since 1970.
    pub begun: i64,
    /// Bytes of the body; negative when only its end will tell.
    pub body_length: i64,
    /// The `request_rec`, with `WSGIPassApacheRequest`; else null.
    pub apache_request: *mut c_void,
    /// How it came to a daemon process.
    pub way: Option<&'a Way<'a>>,
}

/// How a request came to a daemon process. Times are microseconds since 1970.
#[repr(C)]
#[derive(Debug)]
pub struct Way<'a> {
    /// When httpd looked for a process.
    pub queue_start: i64,
    /// When a thread of it had the request.
    pub daemon_start: i64,
    /// How often httpd has connected for it.
    pub connects: u16,
    /// How often it was handed back.
    pub restarts: u16,
    /// Whether `RequestTimeout` may be raised in the thread, or was: a number of the
    /// request, shifted by [`INTERRUPTIBLE_BITS`], with [`INTERRUPTED`] and [`OVER`].
    pub interruption: &'a AtomicU64,
}

/// Places of the flags in [`Way::interruption`].
pub const INTERRUPTIBLE_BITS: u32 = 2;
/// The exception is on its way.
pub const INTERRUPTED: u64 = 1;
/// Nothing of the application runs any more.
pub const OVER: u64 = 2;

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

/// Nothing was begun: the script has changed, and a daemon process does not load it
/// anew.
pub const CHANGED: Outcome = -3;

/// What the guest does for the host.
#[repr(C)]
pub struct Guest {
    /// [`VERSION`] of the guest.
    pub version: u32,
    /// Starts Python in this process: whether it runs. Called once, before any
    /// other thread.
    pub start: unsafe extern "C" fn(&'static Host, &Settings<'_>) -> bool,
    /// Loads a script into its interpreter before any request.
    pub load: unsafe extern "C" fn(&Script<'_>),
    /// Asks functions of a script, on any thread. Texts of their answers go to the
    /// sink, with the function's number.
    pub ask: unsafe extern "C" fn(&Question<'_>, Sink<'_>) -> Answered,
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
pub const VERSION: u32 = 5;
