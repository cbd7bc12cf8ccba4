//! The options of `start-server` and `setup-server`: one field each, which is
//! its name, its type, its default and its help in one place. Nothing here looks
//! at the machine; what follows from the options stands in `server`.

mod content;
mod debugging;
mod files;
mod limits;
mod listening;
pub(crate) mod number;
mod python;
mod status;
mod workers;

use clap::Args;

pub use content::{Access, Content, Proxy};
pub use debugging::{Debugging, Telemetry};
pub use files::{Files, Logs, Services, Shown};
pub use limits::{Buffers, Limits};
pub use listening::Listening;
pub use python::{NewRelic, Python};
pub use status::Status;
pub use workers::{Identity, Reloading, Workers};

use crate::error::{Error, Result};

/// All options.
#[derive(Clone, Debug, Args)]
#[allow(missing_docs, reason = "each group says itself what it holds")]
pub struct Options {
    /// The application: a script file, a module, a deployment file or a folder, as
    /// `--application-type` says.
    #[arg(value_name = "FILE-PATH|MODULE")]
    pub words: Vec<String>,
    #[command(flatten)]
    pub python: Python,
    #[command(flatten)]
    pub listening: Listening,
    #[command(flatten)]
    pub workers: Workers,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub buffers: Buffers,
    #[command(flatten)]
    pub reloading: Reloading,
    #[command(flatten)]
    pub identity: Identity,
    #[command(flatten)]
    pub content: Content,
    #[command(flatten)]
    pub proxy: Proxy,
    #[command(flatten)]
    pub access: Access,
    #[command(flatten)]
    pub telemetry: Telemetry,
    #[command(flatten)]
    pub status: Status,
    #[command(flatten)]
    pub logs: Logs,
    #[command(flatten)]
    pub files: Files,
    #[command(flatten)]
    pub services: Services,
    #[command(flatten)]
    pub debugging: Debugging,
    #[command(flatten)]
    pub newrelic: NewRelic,
    #[command(flatten)]
    pub shown: Shown,
}

/// The values of an option that takes two at a time.
pub fn pairs(values: &[String]) -> impl Iterator<Item = (&str, &str)> {
    values.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str()))
}

impl Options {
    /// What no single option can tell: options that need or exclude each other.
    ///
    /// # Errors
    /// The first rule that is broken, with the names of its options.
    pub fn check(&self) -> Result<()> {
        self.listening.check()?;
        self.telemetry.check()?;
        self.status.check(&self.listening)?;
        self.services.check()?;
        self.proxy.check()?;
        self.logs.check()?;
        if self.debugging.debugger_startup && !self.debugging.enable_debugger {
            return Err(needs("--debugger-startup", "--enable-debugger"));
        }
        if self.access.auth_group_script.is_some() && self.access.auth_user_script.is_none() {
            return Err(needs("--auth-group-script", "--auth-user-script"));
        }
        Ok(())
    }

    /// Whether an application, or a folder of files, is named.
    #[must_use]
    pub fn names_application(&self) -> bool {
        let python = &self.python;
        python.entry_point.is_some()
            || !self.words.is_empty()
            || python.application_type == "static"
    }

    /// Options that are given and change nothing.
    #[must_use]
    pub fn idle(&self) -> Vec<String> {
        let mut found = self.listening.idle();
        if self.words.len() > 1 {
            found.push(format!(
                "only the first word names the application; `{}` is ignored",
                self.words[1..].join(" ")
            ));
        }
        if self.workers.embedded_mode && self.workers.max_clients.is_some() {
            found.push("--max-clients has no effect with --embedded-mode".to_owned());
        }
        let telemetry = &self.telemetry;
        for (given, text) in [
            (
                telemetry.enable_telemetry || telemetry.telemetry_service.is_some(),
                "no telemetry is sent; --status-port has live figures, also for Prometheus",
            ),
            (self.content.enable_docs, "--enable-docs has no effect: no documentation is shipped"),
            (self.debugging.isatty, "--isatty has no effect: terminals are seen to as they are"),
            (
                self.newrelic.platform(),
                "--with-newrelic-platform has no effect: its service is gone, and only figures \
                 are kept, as by --server-metrics",
            ),
        ] {
            if given {
                found.push(text.to_owned());
            }
        }
        found
    }
}

/// The error for an option that is given without its partner.
fn needs(option: &str, partner: &str) -> Error {
    Error::usage(format!("{option} can only be used with {partner}."))
}
