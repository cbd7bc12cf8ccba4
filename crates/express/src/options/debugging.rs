//! Options that show what goes on, and what goes wrong.

use clap::Args;

use super::{needs, number};
use crate::error::{Error, Result};

/// Figures about the running server.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Status and metrics")]
pub struct Telemetry {
    /// Let applications ask for httpd's figures.
    #[arg(long)]
    pub server_metrics: bool,
    /// Show httpd's status page at /server-status to this machine.
    #[arg(long)]
    pub server_status: bool,
    /// Socket of a service that takes figures, `unix:PATH`.
    #[arg(long, value_name = "TARGET")]
    pub telemetry_service: Option<String>,
    /// Run the service of the package mod_wsgi-telemetry.
    #[arg(long)]
    pub enable_telemetry: bool,
    /// Port of its page on this machine.
    #[arg(long, value_name = "NUMBER", default_value = "8888", value_parser = number::whole())]
    pub telemetry_ui_port: u32,
    /// Time between figures.
    #[arg(long, value_name = "SECONDS", default_value = "1.0", value_parser = number::seconds(false))]
    pub telemetry_interval: f64,
    /// What is sent, as `WSGITelemetryOptions` has it. May be repeated.
    #[arg(long, value_name = "ARGS")]
    pub telemetry_options: Vec<String>,
    /// Report requests that take so long.
    #[arg(long, value_name = "SECONDS", value_parser = number::seconds(true))]
    pub slow_requests: Option<f64>,
}

impl Telemetry {
    pub(super) fn check(&self) -> Result<()> {
        match &self.telemetry_service {
            Some(_) if self.enable_telemetry => {
                Err(Error::usage("--enable-telemetry cannot be used with --telemetry-service."))
            }
            Some(target) if !target.starts_with("unix:") => Err(Error::usage(format!(
                "--telemetry-service: `{target}` must start with `unix:`."
            ))),
            None if self.slow_requests.is_some() && !self.enable_telemetry => {
                Err(needs("--slow-requests", "--telemetry-service or --enable-telemetry"))
            }
            _ => Ok(()),
        }
    }
}

/// Debugging: one process in the foreground.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Debugging (one process in the foreground)")]
pub struct Debugging {
    /// Run everything in one process that keeps the terminal.
    #[arg(long)]
    pub debug_mode: bool,
    /// Open the debugger pdb on exceptions.
    #[arg(long)]
    pub enable_debugger: bool,
    /// Open it before the application loads, too.
    #[arg(long)]
    pub debugger_startup: bool,
    /// Report what code has run; needs the package coverage.
    #[arg(long)]
    pub enable_coverage: bool,
    /// Folder of that report. Unset, `htmlcov` in the server root.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub coverage_directory: Option<String>,
    /// Profile the application.
    #[arg(long)]
    pub enable_profiler: bool,
    /// Folder of profiles. Unset, `pstats` in the server root.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub profiler_directory: Option<String>,
    /// Record requests and responses.
    #[arg(long)]
    pub enable_recorder: bool,
    /// Folder of records. Unset, `archive` in the server root.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub recorder_directory: Option<String>,
    /// Run httpd under gdb.
    #[arg(long)]
    pub enable_gdb: bool,
    /// The program gdb.
    #[arg(long, value_name = "FILE-PATH", default_value = "gdb")]
    pub gdb_executable: String,
    /// Write the files of the server, but do not start it.
    #[arg(long)]
    pub setup_only: bool,
    /// Terminal handling of old; without effect.
    #[arg(long, hide = true)]
    pub isatty: bool,
}

impl Debugging {
    /// Whether httpd is to be one process in the foreground. Each tool needs that.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.debug_mode
            || self.enable_debugger
            || self.enable_coverage
            || self.enable_profiler
            || self.enable_recorder
            || self.enable_gdb
    }
}
