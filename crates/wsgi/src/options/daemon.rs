//! The options of `WSGIDaemonProcess`: one record each of name, error text and
//! rule, so that a group is right before any process of it starts.
//!
//! Accounts are not looked up here and root is not asked for; the texts for
//! what goes wrong there are constants of this file.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{decimal_seconds, flag, octal_mask, signed, whole};

/// A group of daemon processes as configured (reference 2.1). A zero time means
/// that the limit is off, unless said otherwise.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct DaemonOptions {
    /// The group's name, unique for the whole server.
    pub name: String,
    /// Account to switch to, or `#uid`; Apache's `User` when not given.
    pub user: Option<String>,
    /// Primary group; Apache's `Group` when not given.
    pub group: Option<String>,
    /// Further groups instead of those of the account. Empty: `initgroups`.
    pub supplementary_groups: Vec<String>,
    /// Number of processes. Default 1.
    pub processes: u32,
    /// The number of processes was written, be it 1: `wsgi.multiprocess`.
    pub multiprocess: bool,
    /// Request threads of each process; 0 makes a service daemon. Default 15.
    pub threads: u16,
    /// File mode mask; inherited when not given.
    pub umask: Option<u32>,
    /// Absolute folder to be the root; needs root at start-up.
    pub chroot: Option<String>,
    /// Absolute working directory and first entry of `sys.path`. When not given:
    /// the account's home if it is not Apache's account, else Apache's directory.
    pub home: Option<String>,
    /// Sets `LANG`.
    pub lang: Option<String>,
    /// Sets `LC_ALL` and the locale.
    pub locale: Option<String>,
    /// Python installation or virtual environment; `WSGIPythonHome` when not given.
    pub python_home: Option<String>,
    /// Colon list for `sys.path`. `WSGIPythonPath` does not count here.
    pub python_path: Option<String>,
    /// Sets `PYTHON_EGG_CACHE`. `WSGIPythonEggs` does not count here.
    pub python_eggs: Option<String>,
    /// Seconds for `sys.setswitchinterval`, above 0; Python's when not given.
    pub switch_interval: Option<f64>,
    /// Bytes of stack per thread, above 0; the system's when not given.
    pub stack_size: Option<u64>,
    /// Restart a process after that many requests; 0 = never.
    pub maximum_requests: u64,
    /// From the first request until a script has loaded well. Off by default.
    pub startup_timeout: Duration,
    /// With no activity and no running request. Off by default.
    pub inactivity_timeout: Duration,
    /// Basis of the limit of one request. Off by default.
    pub request_timeout: Duration,
    /// How long a request has that was told of its timeout by an exception. Off
    /// by default: it is not told.
    pub interrupt_timeout: Duration,
    /// Without anybody getting Python's lock. Default 300 s.
    pub deadlock_timeout: Duration,
    /// Longest wait for running requests before a restart. Default 15 s.
    pub graceful_timeout: Duration,
    /// The same after SIGUSR1; 0, the default, means `graceful_timeout`. See
    /// [`Self::eviction_wait`].
    pub eviction_timeout: Duration,
    /// Restart a process at that age. Off by default.
    pub restart_interval: Duration,
    /// Hard limit once shutdown has begun. Default 5 s.
    pub shutdown_timeout: Duration,
    /// How long an Apache child tries to connect. Default 15 s.
    pub connect_timeout: Duration,
    /// Each read and write between child and daemon; 0, the default, means
    /// Apache's `Timeout`.
    pub socket_timeout: Duration,
    /// Longest age of a request when it reaches a daemon, else 504. Off by default.
    pub queue_timeout: Duration,
    /// Writes to the client; 0, the default, means `socket_timeout`.
    pub response_socket_timeout: Duration,
    /// How long the relay waits for more before it flushes; given in milliseconds,
    /// default 5 ms, 0 = flush at once.
    pub response_flush_delay: Duration,
    /// Bytes relayed after which a flush is forced. Default, and meant by 0: 8 MiB.
    pub response_buffer_size: u64,
    /// Longest response header line in bytes. Default, and meant by 0: 32768.
    pub header_buffer_size: u64,
    /// Bytes for `SO_SNDBUF`; the system's when not given or 0.
    pub send_buffer_size: Option<u64>,
    /// Bytes for `SO_RCVBUF`; the system's when not given or 0.
    pub receive_buffer_size: Option<u64>,
    /// Depth of `listen()`. Default 100.
    pub listen_backlog: u32,
    /// Name of the processes in `ps`; `%{GROUP}` is expanded already.
    pub display_name: Option<String>,
    /// Owner of the socket file; Apache's `User` when not given.
    pub socket_user: Option<String>,
    /// User who must own a script and its directory.
    pub script_user: Option<String>,
    /// Group that must own a script and its directory; never with `script_user`.
    pub script_group: Option<String>,
    /// Seconds of CPU for `RLIMIT_CPU`. Off by default.
    pub cpu_time_limit: Duration,
    /// Priority for `setpriority`; the system cuts it to what it knows. Default 0.
    pub cpu_priority: i32,
    /// Bytes for `RLIMIT_DATA`; 0 = no limit.
    pub memory_limit: u64,
    /// Bytes for `RLIMIT_AS`; 0 = no limit.
    pub virtual_memory_limit: u64,
    /// Allows `mod_wsgi.server_metrics()`. Default off.
    pub server_metrics: bool,
    /// Scripts are loaded once, by a process that forks the others. Default off.
    pub preload: bool,
}

impl DaemonOptions {
    /// Reads the options of one directive. Of an option given twice the last
    /// counts.
    ///
    /// # Errors
    /// The text for httpd's start-up message. It begins with upstream's own and
    /// goes on with option, value and what is allowed.
    pub fn parse(name: &str, pairs: &[(String, String)]) -> Result<Self, String> {
        if name.is_empty() {
            return Err(NAME_MISSING.to_owned());
        }
        let mut options = Self::new(name);
        for (option, text) in pairs {
            let record = OPTIONS.iter().find(|record| record.0 == option);
            let (_, thing, .., set) = record.ok_or_else(|| unknown(option, text))?;
            set(&mut options, &Value { option, thing, text })?;
        }
        if options.script_user.is_some() && options.script_group.is_some() {
            return Err("Only one of script-user and script-group allowed.".to_owned());
        }
        if options.preload && options.threads == 0 {
            return Err(PRELOAD_OF_SERVICE.to_owned());
        }
        Ok(options)
    }

    /// The options as a table in Markdown.
    #[must_use]
    pub fn table() -> String {
        let mut table = String::from("| Option | Default | Meaning |\n| --- | --- | --- |\n");
        for (name, _, default, meaning, _) in OPTIONS {
            table.push_str(&format!("| `{name}` | {default} | {meaning} |\n"));
        }
        table
    }

    /// How long requests may go on after SIGUSR1 (reference 2.3, 8).
    #[must_use]
    pub fn eviction_wait(&self) -> Duration {
        if self.eviction_timeout.is_zero() { self.graceful_timeout } else { self.eviction_timeout }
    }

    /// `wsgi.multithread` (reference 3.1).
    #[must_use]
    pub fn is_multithread(&self) -> bool {
        self.threads != 1
    }

    /// `wsgi.run_once` (reference 3.1).
    #[must_use]
    pub fn is_run_once(&self) -> bool {
        self.threads == 1 && self.maximum_requests == 1
    }

    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            user: None,
            group: None,
            supplementary_groups: Vec::new(),
            processes: 1,
            multiprocess: false,
            threads: 15,
            umask: None,
            chroot: None,
            home: None,
            lang: None,
            locale: None,
            python_home: None,
            python_path: None,
            python_eggs: None,
            switch_interval: None,
            stack_size: None,
            maximum_requests: 0,
            startup_timeout: Duration::ZERO,
            inactivity_timeout: Duration::ZERO,
            request_timeout: Duration::ZERO,
            interrupt_timeout: Duration::ZERO,
            deadlock_timeout: Duration::from_secs(300),
            graceful_timeout: Duration::from_secs(15),
            eviction_timeout: Duration::ZERO,
            restart_interval: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(15),
            socket_timeout: Duration::ZERO,
            queue_timeout: Duration::ZERO,
            response_socket_timeout: Duration::ZERO,
            response_flush_delay: Duration::from_millis(5),
            response_buffer_size: RESPONSE_BUFFER_SIZE,
            header_buffer_size: HEADER_BUFFER_SIZE,
            send_buffer_size: None,
            receive_buffer_size: None,
            listen_backlog: 100,
            display_name: None,
            socket_user: None,
            script_user: None,
            script_group: None,
            cpu_time_limit: Duration::ZERO,
            cpu_priority: 0,
            memory_limit: 0,
            virtual_memory_limit: 0,
            server_metrics: false,
            preload: false,
        }
    }

    fn set_display_name(&mut self, value: &Value<'_>) -> Result<(), String> {
        let text = value.filled()?;
        let group = || format!("(wsgi:{})", self.name);
        self.display_name = Some(if text == "%{GROUP}" { group() } else { text });
        Ok(())
    }

    fn set_processes(&mut self, value: &Value<'_>) -> Result<(), String> {
        self.processes = value.number(1..=INT_MAX)?;
        self.multiprocess = true;
        Ok(())
    }
}

/// No name was given to the directive.
pub const NAME_MISSING: &str = "Name of WSGI daemon process not supplied.";

/// Another directive has used the name, anywhere in the server.
pub const NAME_TAKEN: &str = "Name duplicates previous WSGI daemon definition.";

/// The account to run as is root.
pub const USER_IS_ROOT: &str = "WSGI process blocked from running as root.";

/// `user=#uid` names no account.
pub const USER_UNKNOWN: &str = "Couldn't determine user name from uid.";

/// `chroot` without being root.
pub const CHROOT_WITHOUT_ROOT: &str = "Cannot chroot WSGI daemon process when not root.";

/// `socket-user` names no account.
pub const SOCKET_USER_UNKNOWN: &str = "Couldn't determine user name from socket user.";

/// `script-user` names no account.
pub const SCRIPT_USER_UNKNOWN: &str = "Couldn't determine uid from script user.";

/// `script-group` names no group.
pub const SCRIPT_GROUP_UNKNOWN: &str = "Couldn't determine gid from script group.";

/// A service is one process, whose script is its program.
const PRELOAD_OF_SERVICE: &str =
    "WSGI daemon process: preload=on is not for a service daemon (threads=0).";

/// One option as written, with upstream's words for what it sets.
struct Value<'a> {
    option: &'a str,
    thing: &'a str,
    text: &'a str,
}

impl Value<'_> {
    fn refused(&self, upstream: &str, allowed: &str) -> String {
        format!("{upstream} ({}={}; allowed: {allowed})", self.option, self.text)
    }

    fn invalid(&self, allowed: &str) -> String {
        self.refused(&format!("Invalid {} for WSGI daemon process.", self.thing), allowed)
    }

    fn filled(&self) -> Result<String, String> {
        if self.text.is_empty() {
            return Err(self.invalid("a value that is not empty"));
        }
        Ok(self.text.to_owned())
    }

    fn absolute(&self) -> Result<String, String> {
        if !self.text.starts_with('/') {
            return Err(self.invalid("an absolute path"));
        }
        Ok(self.text.to_owned())
    }

    fn groups(&self) -> Result<Vec<String>, String> {
        let groups: Vec<String> = self.text.split(',').map(str::to_owned).collect();
        if groups.iter().any(String::is_empty) {
            return Err(self.invalid("group names parted by commas"));
        }
        if groups.len() > MAXIMUM_GROUPS {
            let upstream = "Too many supplementary groups WSGI daemon process";
            return Err(format!("{upstream} ({}; allowed: {MAXIMUM_GROUPS})", self.option));
        }
        Ok(groups)
    }

    fn number<Number: TryFrom<u64>>(&self, range: RangeInclusive<u64>) -> Result<Number, String> {
        let number = whole(self.text, range.clone()).and_then(|number| number.try_into().ok());
        number.ok_or_else(|| {
            self.invalid(&format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    fn priority(&self) -> Result<i32, String> {
        let number = signed(self.text, i32::MIN.into()..=i32::MAX.into());
        number
            .and_then(|number| number.try_into().ok())
            .ok_or_else(|| self.invalid("a whole number"))
    }

    fn seconds(&self) -> Result<Duration, String> {
        self.number(0..=INT_MAX).map(Duration::from_secs)
    }

    fn milliseconds(&self) -> Result<Duration, String> {
        self.number(0..=INT_MAX).map(Duration::from_millis)
    }

    fn interval(&self) -> Result<f64, String> {
        let seconds = decimal_seconds(self.text).filter(|seconds| *seconds > 0.0);
        seconds.ok_or_else(|| self.invalid("a number of seconds above 0"))
    }

    fn mask(&self) -> Result<u32, String> {
        octal_mask(self.text).ok_or_else(|| self.invalid("an octal number from 0 to 777"))
    }

    fn flag(&self) -> Result<bool, String> {
        flag(self.option, self.text).map_err(|_| self.invalid("On, Off"))
    }

    /// A size of at least so many bytes; nothing for 0, which means `default`.
    fn size(&self, least: u64, default: &str) -> Result<Option<u64>, String> {
        match signed(self.text, i64::MIN..=INT_MAX.cast_signed()).map(u64::try_from) {
            Some(Ok(0)) => Ok(None),
            Some(Ok(size)) if size >= least => Ok(Some(size)),
            Some(_) => Err(format!(
                "{} must be >= {least} bytes, or 0 for {default}. ({}={})",
                capitalized(self.thing),
                self.option,
                self.text
            )),
            None => Err(self
                .invalid(&format!("a whole number from {least} to {INT_MAX}, or 0 for {default}"))),
        }
    }
}

fn capitalized(thing: &str) -> String {
    let mut letters = thing.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

fn unknown(option: &str, text: &str) -> String {
    let hint = match option {
        "proxy-buffer-size" => "; hint: the option is named response-buffer-size since 4.4.7",
        "newrelic-config-file" | "newrelic-environment" => {
            "; hint: removed in 6.0.0, set it in the application's environment"
        }
        _ => "",
    };
    format!("Invalid option to WSGI daemon process definition. ({option}={text}{hint})")
}

type Setter = fn(&mut DaemonOptions, &Value<'_>) -> Result<(), String>;

/// Name of an option, what upstream's error text calls it, its default, what it
/// means, what it sets.
const OPTIONS: [(&str, &str, &str, &str, Setter); 45] = [
    (
        "user",
        "user",
        "Apache's `User`",
        "Account to switch to, or `#uid`. Used only if httpd is started by root; never root itself.",
        |to, value| value.filled().map(|user| to.user = Some(user)),
    ),
    ("group", "group", "Apache's `Group`", "Primary group, or `#gid`.", |to, value| {
        value.filled().map(|group| to.group = Some(group))
    }),
    (
        "supplementary-groups",
        "supplementary groups",
        "those of the account",
        "Groups, parted by commas, in place of those of the account.",
        |to, value| value.groups().map(|groups| to.supplementary_groups = groups),
    ),
    (
        "processes",
        "process count",
        "1",
        "Number of processes. Written at all, it makes `wsgi.multiprocess` true.",
        DaemonOptions::set_processes,
    ),
    (
        "threads",
        "thread count",
        "15",
        "Threads for requests in each process. 0 makes a service daemon, which runs its import script in the main thread and takes no requests.",
        |to, value| value.number(0..=MAXIMUM_THREADS).map(|count| to.threads = count),
    ),
    ("umask", "umask", "inherited", "Octal file mode mask.", |to, value| {
        value.mask().map(|mask| to.umask = Some(mask))
    }),
    (
        "chroot",
        "chroot directory",
        "none",
        "Folder that becomes the root. Python and the scripts must lie in it, and `/proc` be mounted there, or `mod_wsgi_python.so` lie at its own path; root alone can do it.",
        |to, value| value.absolute().map(|path| to.chroot = Some(path)),
    ),
    (
        "home",
        "home directory",
        "the account's home, or httpd's folder",
        "Absolute working folder; when given, the first entry of `sys.path`, too.",
        |to, value| value.absolute().map(|path| to.home = Some(path)),
    ),
    ("lang", "lang", "inherited", "Sets `LANG`.", |to, value| {
        value.filled().map(|lang| to.lang = Some(lang))
    }),
    ("locale", "locale", "inherited", "Sets `LC_ALL` and the locale.", |to, value| {
        value.filled().map(|locale| to.locale = Some(locale))
    }),
    (
        "python-home",
        "python home",
        "`WSGIPythonHome`",
        "Python installation or virtual environment. One that does not fit the module is told of when httpd starts, and requests are answered 500.",
        |to, value| value.filled().map(|path| to.python_home = Some(path)),
    ),
    (
        "python-path",
        "python path",
        "none",
        "Folders for `sys.path`, separated by colons.",
        |to, value| value.filled().map(|path| to.python_path = Some(path)),
    ),
    ("python-eggs", "python eggs directory", "none", "Sets `PYTHON_EGG_CACHE`.", |to, value| {
        value.filled().map(|path| to.python_eggs = Some(path))
    }),
    (
        "switch-interval",
        "switch interval",
        "Python's",
        "Seconds for `sys.setswitchinterval`.",
        |to, value| value.interval().map(|seconds| to.switch_interval = Some(seconds)),
    ),
    ("stack-size", "stack size", "the system's", "Bytes of stack for each thread.", |to, value| {
        value.number(1..=INT_MAX).map(|size| to.stack_size = Some(size))
    }),
    (
        "maximum-requests",
        "request count",
        "0 (off)",
        "A process is replaced after that many requests; the next one is ready before it goes.",
        |to, value| value.number(0..=INT_MAX).map(|count| to.maximum_requests = count),
    ),
    (
        "startup-timeout",
        "startup timeout",
        "0 (off)",
        "Seconds from the first request until a script has loaded, and from the start until scripts that are loaded in advance have.",
        |to, value| value.seconds().map(|time| to.startup_timeout = time),
    ),
    (
        "inactivity-timeout",
        "inactivity timeout",
        "0 (off)",
        "Seconds without activity and without running requests, after which a process is replaced.",
        |to, value| value.seconds().map(|time| to.inactivity_timeout = time),
    ),
    (
        "request-timeout",
        "request timeout",
        "0 (off)",
        "Seconds that a request may take, times 1 + ln(threads).",
        |to, value| value.seconds().map(|time| to.request_timeout = time),
    ),
    (
        "interrupt-timeout",
        "interrupt timeout",
        "0 (off)",
        "Seconds that a request has which was told of its timeout by `mod_wsgi.RequestTimeout`.",
        |to, value| value.seconds().map(|time| to.interrupt_timeout = time),
    ),
    (
        "deadlock-timeout",
        "deadlock timeout",
        "300",
        "Seconds in which nobody gets Python's lock, after which a process is replaced. 0 is off.",
        |to, value| value.seconds().map(|time| to.deadlock_timeout = time),
    ),
    (
        "graceful-timeout",
        "graceful timeout",
        "15",
        "Seconds that running requests have before a process that is to be replaced ends.",
        |to, value| value.seconds().map(|time| to.graceful_timeout = time),
    ),
    (
        "eviction-timeout",
        "eviction timeout",
        "0 (`graceful-timeout`)",
        "The same after SIGUSR1, during which the process goes on accepting requests. If both are 0, it waits for running requests without limit.",
        |to, value| value.seconds().map(|time| to.eviction_timeout = time),
    ),
    (
        "restart-interval",
        "restart interval",
        "0 (off)",
        "Seconds after which a process is replaced.",
        |to, value| value.seconds().map(|time| to.restart_interval = time),
    ),
    (
        "shutdown-timeout",
        "shutdown timeout",
        "5",
        "Seconds that a process has which ends; 0 is no limit.",
        |to, value| value.seconds().map(|time| to.shutdown_timeout = time),
    ),
    (
        "connect-timeout",
        "connect timeout",
        "15",
        "Seconds that httpd waits for a process to take a request: 503 then.",
        |to, value| value.seconds().map(|time| to.connect_timeout = time),
    ),
    (
        "socket-timeout",
        "socket timeout",
        "0 (Apache's `Timeout`)",
        "Seconds for each read and write between httpd and a process: 504 if no answer begins.",
        |to, value| value.seconds().map(|time| to.socket_timeout = time),
    ),
    (
        "queue-timeout",
        "queue timeout",
        "0 (off)",
        "Seconds that a request may wait for a thread: 504 then, and it is not run.",
        |to, value| value.seconds().map(|time| to.queue_timeout = time),
    ),
    (
        "response-socket-timeout",
        "response socket timeout",
        "0 (`socket-timeout`)",
        "Seconds in which a client must take something of an answer.",
        |to, value| value.seconds().map(|time| to.response_socket_timeout = time),
    ),
    (
        "response-flush-delay",
        "response flush delay",
        "5",
        "Milliseconds that httpd waits for more of an answer before it sends what it has; 0 sends at once.",
        |to, value| value.milliseconds().map(|time| to.response_flush_delay = time),
    ),
    (
        "response-buffer-size",
        "response buffer size",
        "0 (8 MiB)",
        "Bytes of an answer after which httpd sends what it has; at least 65536. It was named `proxy-buffer-size` before release 4.4.7.",
        |to, value| {
            let size = value.size(65_536, "default")?;
            to.response_buffer_size = size.unwrap_or(RESPONSE_BUFFER_SIZE);
            Ok(())
        },
    ),
    (
        "header-buffer-size",
        "header buffer size",
        "0 (32768)",
        "Bytes of the longest response header; at least 8192. A longer one is answered 500.",
        |to, value| {
            let size = value.size(8192, "default")?;
            to.header_buffer_size = size.unwrap_or(HEADER_BUFFER_SIZE);
            Ok(())
        },
    ),
    (
        "send-buffer-size",
        "send buffer size",
        "0 (the system's)",
        "Bytes for `SO_SNDBUF` of the sockets; at least 512.",
        |to, value| value.size(512, "system default").map(|size| to.send_buffer_size = size),
    ),
    (
        "receive-buffer-size",
        "receive buffer size",
        "0 (the system's)",
        "Bytes for `SO_RCVBUF` of the sockets; at least 512.",
        |to, value| value.size(512, "system default").map(|size| to.receive_buffer_size = size),
    ),
    (
        "listen-backlog",
        "listen backlog",
        "100",
        "Connections that may wait for a process.",
        |to, value| value.number(0..=INT_MAX).map(|depth| to.listen_backlog = depth),
    ),
    (
        "display-name",
        "display name",
        "none",
        "Title of the processes in `ps`; `%{GROUP}` is `(wsgi:name)`.",
        DaemonOptions::set_display_name,
    ),
    ("socket-user", "socket user", "Apache's `User`", "Owner of the sockets.", |to, value| {
        value.filled().map(|user| to.socket_user = Some(user))
    }),
    (
        "script-user",
        "script user",
        "none",
        "User who must own a script and its folder, which nobody else may write to: 403 otherwise.",
        |to, value| value.filled().map(|user| to.script_user = Some(user)),
    ),
    (
        "script-group",
        "script group",
        "none",
        "Group that must own a script and its folder, which the world may not write to: 403 otherwise.",
        |to, value| value.filled().map(|group| to.script_group = Some(group)),
    ),
    (
        "cpu-time-limit",
        "CPU time limit",
        "0 (off)",
        "Seconds of CPU after which a process is replaced.",
        |to, value| value.seconds().map(|time| to.cpu_time_limit = time),
    ),
    ("cpu-priority", "CPU priority", "0", "Priority for `setpriority`.", |to, value| {
        value.priority().map(|priority| to.cpu_priority = priority)
    }),
    ("memory-limit", "memory limit", "0 (off)", "Bytes for `RLIMIT_DATA`.", |to, value| {
        value.number(0..=MAXIMUM_MEMORY).map(|size| to.memory_limit = size)
    }),
    (
        "virtual-memory-limit",
        "virtual memory limit",
        "0 (off)",
        "Bytes for `RLIMIT_AS`.",
        |to, value| value.number(0..=MAXIMUM_MEMORY).map(|size| to.virtual_memory_limit = size),
    ),
    (
        "server-metrics",
        "server metrics flag",
        "Off",
        "Allows `mod_wsgi.server_metrics()`.",
        |to, value| value.flag().map(|allowed| to.server_metrics = allowed),
    ),
    (
        "preload",
        "preload flag",
        "Off",
        "Loads scripts once, in a process that serves nobody and forks the others: they start at once and share its memory. See [below](#preloadon).",
        |to, value| value.flag().map(|wanted| to.preload = wanted),
    ),
];

/// What fits in the `int` that upstream keeps numbers in.
const INT_MAX: u64 = 2_147_483_647;

const MAXIMUM_MEMORY: u64 = 9_223_372_036_854_775_807;

const MAXIMUM_THREADS: u64 = 65_533;

/// Linux's `NGROUPS_MAX` less the primary group, which comes first in the list.
const MAXIMUM_GROUPS: usize = 65_535;

const RESPONSE_BUFFER_SIZE: u64 = 8 * 1024 * 1024;

const HEADER_BUFFER_SIZE: u64 = 32_768;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(line: &str) -> Result<DaemonOptions, String> {
        DaemonOptions::parse("app", &super::super::pairs(line).unwrap())
    }

    /// What `parse` makes of the line, as the change to the defaults.
    #[track_caller]
    fn sets(line: &str, change: impl FnOnce(&mut DaemonOptions)) {
        let mut expected = DaemonOptions::new("app");
        change(&mut expected);
        assert_eq!(parse(line), Ok(expected), "{line}");
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let options = parse("").unwrap();
        assert_eq!((options.processes, options.threads, options.multiprocess), (1, 15, false));
        assert_eq!(options.deadlock_timeout.as_secs(), 300);
        assert_eq!(options.graceful_timeout.as_secs(), 15);
        assert_eq!(options.shutdown_timeout.as_secs(), 5);
        assert_eq!(options.connect_timeout.as_secs(), 15);
        assert_eq!(options.response_flush_delay.as_millis(), 5);
        assert_eq!(options.response_buffer_size, 8 << 20);
        assert_eq!(options.header_buffer_size, 32_768);
        assert_eq!(options.listen_backlog, 100);
    }

    #[test]
    fn texts_are_taken_as_they_are() {
        sets("user=#1000 group=web", |to| {
            (to.user, to.group) = (Some("#1000".into()), Some("web".into()));
        });
        sets("supplementary-groups=a,b", |to| {
            to.supplementary_groups = vec!["a".into(), "b".into()];
        });
        sets("chroot=/jail home=/srv", |to| {
            (to.chroot, to.home) = (Some("/jail".into()), Some("/srv".into()));
        });
        sets("lang=C locale=de_DE.UTF-8", |to| {
            (to.lang, to.locale) = (Some("C".into()), Some("de_DE.UTF-8".into()));
        });
        sets("python-home=/v", |to| to.python_home = Some("/v".into()));
        sets("python-path=/a:/b", |to| to.python_path = Some("/a:/b".into()));
        sets("python-eggs=/e", |to| to.python_eggs = Some("/e".into()));
        sets("display-name='my app'", |to| to.display_name = Some("my app".into()));
        sets("display-name=%{GROUP}", |to| to.display_name = Some("(wsgi:app)".into()));
        sets("socket-user=web", |to| to.socket_user = Some("web".into()));
        sets("script-user=me", |to| to.script_user = Some("me".into()));
        sets("script-group=us", |to| to.script_group = Some("us".into()));
    }

    #[test]
    fn counts_and_sizes_are_numbers() {
        sets("processes=1", |to| to.multiprocess = true);
        sets("processes=3 threads=0", |to| {
            (to.processes, to.multiprocess, to.threads) = (3, true, 0);
        });
        sets("threads=65533", |to| to.threads = 65_533);
        sets("umask=027", |to| to.umask = Some(0o27));
        sets("switch-interval=0.001", |to| to.switch_interval = Some(0.001));
        sets("stack-size=524288", |to| to.stack_size = Some(524_288));
        sets("maximum-requests=10", |to| to.maximum_requests = 10);
        sets("response-buffer-size=65536", |to| to.response_buffer_size = 65_536);
        sets("response-buffer-size=70000 response-buffer-size=0", |_| {});
        sets("header-buffer-size=8192", |to| to.header_buffer_size = 8192);
        sets("header-buffer-size=0", |_| {});
        sets("send-buffer-size=512", |to| to.send_buffer_size = Some(512));
        sets("receive-buffer-size=512", |to| to.receive_buffer_size = Some(512));
        sets("send-buffer-size=0 receive-buffer-size=0", |_| {});
        sets("listen-backlog=5", |to| to.listen_backlog = 5);
        sets("cpu-priority=-5", |to| to.cpu_priority = -5);
        sets("memory-limit=4294967296", |to| to.memory_limit = 1 << 32);
        sets("virtual-memory-limit=1", |to| to.virtual_memory_limit = 1);
        sets("server-metrics=on", |to| to.server_metrics = true);
        sets("preload=on", |to| to.preload = true);
    }

    #[test]
    fn times_are_seconds_but_for_the_flush_delay() {
        let seconds = Duration::from_secs(7);
        sets("startup-timeout=7", |to| to.startup_timeout = seconds);
        sets("inactivity-timeout=7", |to| to.inactivity_timeout = seconds);
        sets("request-timeout=7", |to| to.request_timeout = seconds);
        sets("interrupt-timeout=7", |to| to.interrupt_timeout = seconds);
        sets("deadlock-timeout=7", |to| to.deadlock_timeout = seconds);
        sets("graceful-timeout=7", |to| to.graceful_timeout = seconds);
        sets("eviction-timeout=7", |to| to.eviction_timeout = seconds);
        sets("restart-interval=7", |to| to.restart_interval = seconds);
        sets("shutdown-timeout=7", |to| to.shutdown_timeout = seconds);
        sets("connect-timeout=7", |to| to.connect_timeout = seconds);
        sets("socket-timeout=7", |to| to.socket_timeout = seconds);
        sets("queue-timeout=7", |to| to.queue_timeout = seconds);
        sets("response-socket-timeout=7", |to| to.response_socket_timeout = seconds);
        sets("cpu-time-limit=7", |to| to.cpu_time_limit = seconds);
        sets("response-flush-delay=7", |to| {
            to.response_flush_delay = Duration::from_millis(7);
        });
    }

    #[test]
    fn a_wrong_value_is_named() {
        for (option, text) in [
            (
                "threads=abc",
                "Invalid thread count for WSGI daemon process. \
                 (threads=abc; allowed: a whole number from 0 to 65533)",
            ),
            (
                "processes=0",
                "Invalid process count for WSGI daemon process. \
                 (processes=0; allowed: a whole number from 1 to 2147483647)",
            ),
            (
                "umask=9",
                "Invalid umask for WSGI daemon process. \
                 (umask=9; allowed: an octal number from 0 to 777)",
            ),
            (
                "home=srv",
                "Invalid home directory for WSGI daemon process. \
                 (home=srv; allowed: an absolute path)",
            ),
            (
                "switch-interval=0",
                "Invalid switch interval for WSGI daemon process. \
                 (switch-interval=0; allowed: a number of seconds above 0)",
            ),
            (
                "server-metrics=1",
                "Invalid server metrics flag for WSGI daemon process. \
                 (server-metrics=1; allowed: On, Off)",
            ),
            (
                "response-buffer-size=100",
                "Response buffer size must be >= 65536 bytes, or 0 for default. \
                 (response-buffer-size=100)",
            ),
            (
                "header-buffer-size=-1",
                "Header buffer size must be >= 8192 bytes, or 0 for default. \
                 (header-buffer-size=-1)",
            ),
            (
                "send-buffer-size=1",
                "Send buffer size must be >= 512 bytes, or 0 for system default. \
                 (send-buffer-size=1)",
            ),
            (
                "receive-buffer-size=8k",
                "Invalid receive buffer size for WSGI daemon process. (receive-buffer-size=8k; \
                 allowed: a whole number from 512 to 2147483647, or 0 for system default)",
            ),
        ] {
            assert_eq!(parse(option).unwrap_err(), text);
        }
    }

    #[test]
    fn every_option_refuses_an_empty_value_in_upstreams_words() {
        for (option, thing, ..) in OPTIONS {
            let refused = parse(&format!("{option}=")).unwrap_err();
            let text = format!("Invalid {thing} for WSGI daemon process. ({option}=; allowed: ");
            assert!(refused.starts_with(&text), "{refused}");
        }
    }

    #[test]
    fn numbers_with_rubbish_are_refused() {
        let texts = ["user", "group", "lang", "locale", "display-name", "supplementary-groups"];
        for (option, ..) in OPTIONS {
            let text = texts.contains(&option)
                || ["python-", "socket-user", "script-"]
                    .iter()
                    .any(|name| option.starts_with(name));
            assert_eq!(parse(&format!("{option}=5x")).is_ok(), text, "{option}");
        }
    }

    #[test]
    fn an_unknown_option_is_named_and_renamed_ones_hinted_at() {
        assert_eq!(
            parse("thread=5").unwrap_err(),
            "Invalid option to WSGI daemon process definition. (thread=5)"
        );
        assert_eq!(
            parse("proxy-buffer-size=65536").unwrap_err(),
            "Invalid option to WSGI daemon process definition. (proxy-buffer-size=65536; \
             hint: the option is named response-buffer-size since 4.4.7)"
        );
        let removed = parse("newrelic-environment=x").unwrap_err();
        assert!(removed.contains("hint: removed in 6.0.0"), "{removed}");
    }

    #[test]
    fn what_cannot_go_together_is_refused() {
        assert_eq!(
            parse("script-user=a script-group=b").unwrap_err(),
            "Only one of script-user and script-group allowed."
        );
        assert_eq!(parse("threads=0 preload=on").unwrap_err(), PRELOAD_OF_SERVICE);
        assert_eq!(DaemonOptions::parse("", &[]).unwrap_err(), NAME_MISSING);
        let many = vec!["g"; MAXIMUM_GROUPS + 1].join(",");
        let refused = parse(&format!("supplementary-groups={many}")).unwrap_err();
        assert!(refused.starts_with("Too many supplementary groups WSGI daemon process"));
    }

    #[test]
    fn derived_facts_follow_the_options() {
        assert_eq!(parse("").unwrap().eviction_wait().as_secs(), 15);
        assert_eq!(parse("eviction-timeout=60").unwrap().eviction_wait().as_secs(), 60);
        assert!(parse("").unwrap().is_multithread());
        assert!(!parse("threads=1").unwrap().is_multithread());
        assert!(parse("threads=1 maximum-requests=1").unwrap().is_run_once());
        assert!(!parse("threads=1").unwrap().is_run_once());
    }

    proptest! {
        #[test]
        fn no_value_panics(at in 0..OPTIONS.len(), value in "\\PC*|-?[0-9]{1,25}") {
            let (option, ..) = OPTIONS[at];
            let pair = (option.to_owned(), value);
            let refused = DaemonOptions::parse("app", &[pair]).err();
            prop_assert!(refused.is_none_or(|text| text.contains(option)));
        }

        #[test]
        fn no_option_panics(name in "\\PC*", option in "\\PC*", value in "\\PC*") {
            prop_assert!(DaemonOptions::parse(&name, &[(option, value)]).is_err());
        }
    }
}
