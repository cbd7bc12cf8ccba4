//! What a daemon process is told at its start, and what it and its supervisor
//! say to each other afterwards, each message a packet of JSON.

use serde::{Deserialize, Serialize};

use crate::interpreter::Section;
use crate::options::daemon::DaemonOptions;

/// Descriptor of a process's end of the connection with its supervisor, which
/// keeps messages apart (`SOCK_SEQPACKET`). Its end means that the supervisor is
/// gone: the process ends as if told to.
pub const CONTROL: i32 = 3;
/// Descriptor of the listening socket. With `preload=on` what is executed is the
/// zygote, which has none: it forks those that listen.
pub const LISTENER: i32 = 4;
/// Descriptor of a file with the [`Launch`] as JSON, to be read from its start.
pub const LAUNCH: i32 = 5;
/// Descriptor of the Python side's library, where its path leads nowhere: below the
/// `chroot` of the process.
pub const LIBRARY: i32 = 6;

/// What the group's Python is to run, after `-c`. Arguments that follow it:
///
/// 1. path of `mod_wsgi_python.so`;
/// 2. version of the Python that this was built for, as in `3.11`;
/// 3. padding: as many blanks as a `display-name` is to have room for.
///
/// Variables of the environment that the application is not to see, such as a
/// `PYTHONHASHSEED` of the supervisor's, stand in `MOD_WSGI_DROP`, separated by
/// commas; that one itself is dropped, too. All others stay as they are.
///
/// A process that cannot run for good ends with status [`UNFIT`] after a line on its
/// stream of errors.
pub const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// Status of a process that nobody need start again with the same Python
/// (`EX_CONFIG`).
pub const UNFIT: i32 = 78;

/// Environment variable that names those which [`BOOTSTRAP`] drops.
pub const DROP: &str = "MOD_WSGI_DROP";

/// What a daemon process is told at its start.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Launch {
    /// Options of its group.
    pub options: DaemonOptions,
    /// What holds for interpreters: settings of the server, then its sections in the
    /// order of the configuration. `WSGIPythonPath` of the server is left out, the
    /// group's own `python-path` stands in its place.
    pub sections: Vec<Section>,
    /// Scripts that are loaded before any request: path and application group
    /// (empty for the main interpreter). For a service daemon the one that it is.
    pub preload: Vec<Preload>,
    /// Seconds for each read and write between httpd and the process.
    pub socket_timeout: u64,
    /// Accounts whose processes may connect, besides root.
    pub clients: Vec<u32>,
    /// The highest level of lines that the log takes, as httpd counts them.
    pub log_level: i32,
    /// Whether `WSGITelemetryService` is given.
    pub telemetry: bool,
    /// `WSGICaseSensitivity`.
    pub case_sensitivity: bool,
    /// `WSGIDestroyInterpreter`.
    pub destroy_interpreter: bool,
    /// Version of httpd.
    pub apache_version: [i32; 3],
    /// httpd's words about itself.
    pub apache_description: String,
    /// Name of the MPM.
    pub mpm_name: String,
    /// When httpd was built.
    pub build_date: String,
    /// Most processes and threads of the MPM.
    pub mpm_limits: [i32; 2],
}

/// A script that is loaded before any request.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Preload {
    /// Its file, as the process sees it.
    pub path: String,
    /// Name of the interpreter; empty for the main one.
    pub application_group: String,
}

/// What a process says to its supervisor.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Notice {
    /// It serves from now on.
    Ready,
    /// A line for the error log that belongs to no request: the level is httpd's
    /// number; the file (empty for the module itself) and line of the code that logs it.
    Log(u8, String, String, u32),
    /// It wants another one to take its place, which is then to be told
    /// [`Order::Retire`]. Until then it serves.
    Replace(Reason),
    /// It has begun to end, and takes no new requests.
    Ending(Reason),
    /// A zygote has forked the process for that place, with that pid; none if it
    /// cannot, and the log has said why.
    Forked(usize, Option<i32>),
    /// It wants the [`Scoreboard`](crate::scoreboard::Scoreboard), as a file that is
    /// sent to the socket which comes beside this.
    Scoreboard,
}

/// Why a process ends; its name is the `shutdown_reason` of the reference (2.3).
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "as in the reference")]
pub enum Reason {
    MaximumRequests,
    RestartInterval,
    CpuTimeLimit,
    EvictionSignal,
    GracefulSignal,
    RequestTimeout,
    StartupTimeout,
    InactivityTimeout,
    DeadlockTimeout,
    ScriptReload,
    ShutdownSignal,
}

impl Reason {
    /// All of them, in order.
    pub const ALL: [Self; 11] = [
        Self::MaximumRequests,
        Self::RestartInterval,
        Self::CpuTimeLimit,
        Self::EvictionSignal,
        Self::GracefulSignal,
        Self::RequestTimeout,
        Self::StartupTimeout,
        Self::InactivityTimeout,
        Self::DeadlockTimeout,
        Self::ScriptReload,
        Self::ShutdownSignal,
    ];

    /// As applications see it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::MaximumRequests => "maximum_requests",
            Self::RestartInterval => "restart_interval",
            Self::CpuTimeLimit => "cpu_time_limit",
            Self::EvictionSignal => "eviction_signal",
            Self::GracefulSignal => "graceful_signal",
            Self::RequestTimeout => "request_timeout",
            Self::StartupTimeout => "startup_timeout",
            Self::InactivityTimeout => "inactivity_timeout",
            Self::DeadlockTimeout => "deadlock_timeout",
            Self::ScriptReload => "script_reload",
            Self::ShutdownSignal => "shutdown_signal",
        }
    }
}

/// What a supervisor says to a process.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Order {
    /// The one that takes its place is ready: take no new requests, finish those that
    /// run, end.
    Retire,
    /// To a zygote: fork a process for that place. Beside the packet come two
    /// descriptors, which are to be the [`CONTROL`] and the [`LISTENER`] of the new one.
    Fork(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_comes_out_as_it_went_in() {
        let launch = Launch {
            options: DaemonOptions::parse("name", &[]).unwrap(),
            sections: vec![Section::default()],
            preload: vec![Preload { path: "/é".into(), application_group: String::new() }],
            socket_timeout: 60,
            clients: vec![33],
            log_level: 4,
            telemetry: false,
            case_sensitivity: true,
            destroy_interpreter: true,
            apache_version: [2, 4, 69],
            apache_description: "Apache".into(),
            mpm_name: "event".into(),
            build_date: "today".into(),
            mpm_limits: [16, 25],
        };
        let text = serde_json::to_string(&launch).unwrap();
        assert_eq!(serde_json::from_str::<Launch>(&text).unwrap(), launch);
    }

    #[test]
    fn messages_are_small_and_plain() {
        for (notice, text) in [
            (Notice::Ready, r#""Ready""#),
            (Notice::Log(4, "a\nb".into(), String::new(), 0), r#"{"Log":[4,"a\nb","",0]}"#),
            (Notice::Replace(Reason::ScriptReload), r#"{"Replace":"script_reload"}"#),
        ] {
            assert_eq!(serde_json::to_string(&notice).unwrap(), text);
        }
        let reason = serde_json::to_string(&Reason::CpuTimeLimit).unwrap();
        assert_eq!(reason.trim_matches('"'), Reason::CpuTimeLimit.text());
    }
}
