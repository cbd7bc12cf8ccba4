//! Options that say where things are written, where programs are, and which
//! services run beside the application.

use std::collections::BTreeSet;

use clap::Args;

use super::{number, pairs};
use crate::error::{Error, Result};

/// Logs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct Logs {
    /// Folder of the logs. Unset, the server root.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub log_directory: Option<String>,
    /// What is logged, as httpd's `LogLevel` has it.
    #[arg(long, value_name = "NAME", default_value = "warn")]
    pub log_level: String,
    /// Log to the terminal; no effect with --log-directory.
    #[arg(long)]
    pub log_to_terminal: bool,
    /// Log requests.
    #[arg(long)]
    pub access_log: bool,
    /// Format of that log: `common`, `combined`, or one of httpd's.
    #[arg(long, value_name = "FORMAT")]
    pub access_log_format: Option<String>,
    /// Name of that log.
    #[arg(long, value_name = "FILE-NAME", default_value = "access_log")]
    pub access_log_name: String,
    /// Format of the error log, as httpd's `ErrorLogFormat` has it.
    #[arg(long, value_name = "FORMAT")]
    pub error_log_format: Option<String>,
    /// Name of the error log.
    #[arg(long, value_name = "FILE-NAME", default_value = "error_log")]
    pub error_log_name: String,
    /// Write each line of the logs as an object of JSON; on the terminal, both logs to
    /// standard output.
    #[arg(long)]
    pub json_logs: bool,
    /// Log what httpd says before its error log is open.
    #[arg(long)]
    pub startup_log: bool,
    /// Name of that log.
    #[arg(long, value_name = "FILE-NAME", default_value = "startup_log")]
    pub startup_log_name: String,
    /// Begin a new log when one has become too large.
    #[arg(long)]
    pub rotate_logs: bool,
    /// Size at which that happens.
    #[arg(long, value_name = "MB", default_value = "5", value_parser = number::whole())]
    pub max_log_size: u32,
    /// The program rotatelogs. Unset, that beside httpd.
    #[arg(long, value_name = "FILE-PATH")]
    pub rotatelogs_executable: Option<String>,
    /// Old debugging output; without effect.
    #[arg(long, hide = true)]
    pub verbose_debugging: bool,
}

/// Places and programs.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Places and programs")]
pub struct Files {
    /// File of options, in TOML. Unset, `mod_wsgi.toml` or a `pyproject.toml` with a table
    /// `[tool.mod_wsgi]` in the current folder, if there is one.
    #[arg(long, value_name = "FILE-PATH")]
    pub options_file: Option<String>,
    /// Read no such file.
    #[arg(long)]
    pub no_options_file: bool,
    /// Folder that everything is written to. Unset, one that is named by host, port and
    /// user among the temporary files.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub server_root: Option<String>,
    /// File with httpd's process id.
    #[arg(long, value_name = "FILE-PATH")]
    pub pid_file: Option<String>,
    /// Folder of the sockets of daemon processes. Unset, the server root.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub socket_prefix: Option<String>,
    /// The program httpd. Unset, the private one.
    #[arg(long, value_name = "FILE-PATH")]
    pub httpd_executable: Option<String>,
    /// Folder of httpd's modules.
    #[arg(long, value_name = "DIRECTORY-PATH")]
    pub modules_directory: Option<String>,
    /// File of MIME types.
    #[arg(long, value_name = "FILE-PATH")]
    pub mime_types: Option<String>,
    /// Shell of the control script `apachectl`.
    #[arg(long, value_name = "FILE-PATH")]
    pub shell_executable: Option<String>,
    /// Title of httpd in lists of processes.
    #[arg(long, value_name = "NAME", default_value = "httpd (mod_wsgi-express)")]
    pub process_name: String,
}

/// What is shown instead of done.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Show, and do nothing")]
pub struct Shown {
    /// Print the configuration of httpd.
    #[arg(long)]
    pub print_config: bool,
    /// Print a unit of systemd that starts this server.
    #[arg(long)]
    pub print_unit: bool,
    /// Print the summary; write and start nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Load the applications once, as the server would, and tell whether they do.
    #[arg(long)]
    pub check: bool,
}

/// Services: scripts in daemon processes of their own.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Services")]
pub struct Services {
    /// Run a script in a daemon process of its own. May be repeated.
    #[arg(long, num_args = 2, value_names = ["SERVICE", "SCRIPT-PATH"])]
    pub service_script: Vec<String>,
    /// User that a service runs as, when root starts the server. May be repeated.
    #[arg(long, num_args = 2, value_names = ["SERVICE", "USERNAME"])]
    pub service_user: Vec<String>,
    /// Group that a service runs as, when root starts the server. May be repeated.
    #[arg(long, num_args = 2, value_names = ["SERVICE", "GROUP"])]
    pub service_group: Vec<String>,
    /// Log file of a service. May be repeated.
    #[arg(long, num_args = 2, value_names = ["SERVICE", "FILE-NAME"])]
    pub service_log_file: Vec<String>,
}

impl Logs {
    pub(super) fn check(&self) -> Result<()> {
        let formats = [
            ("--access-log-format", &self.access_log_format),
            ("--error-log-format", &self.error_log_format),
        ];
        for (option, format) in formats {
            if self.json_logs && format.is_some() {
                return Err(Error::usage(format!("{option} cannot be used with --json-logs.")));
            }
        }
        Ok(())
    }
}

impl Services {
    /// The last value that one of the options above has for a service.
    #[must_use]
    pub fn of<'a>(values: &'a [String], service: &str) -> Option<&'a str> {
        pairs(values).filter(|(name, _)| *name == service).last().map(|(_, value)| value)
    }

    pub(super) fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for (name, _) in pairs(&self.service_script) {
            if !names.insert(name) {
                return Err(Error::usage(format!(
                    "--service-script: the name `{name}` duplicates previous service."
                )));
            }
        }
        let partners = [
            ("--service-user", &self.service_user),
            ("--service-group", &self.service_group),
            ("--service-log-file", &self.service_log_file),
        ];
        for (option, values) in partners {
            if let Some((name, _)) = pairs(values).find(|(name, _)| !names.contains(name)) {
                return Err(Error::usage(format!(
                    "{option}: there is no service `{name}`; --service-script makes one."
                )));
            }
        }
        Ok(())
    }
}
