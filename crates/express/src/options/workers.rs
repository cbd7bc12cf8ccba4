//! Options that say how many processes and threads there are, whose they are and
//! when they are replaced by changed code.

use clap::Args;

use super::number;

/// Processes and threads.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Processes and threads")]
pub struct Workers {
    /// Number of daemon processes. Given at all, `wsgi.multiprocess` is true.
    #[arg(long, value_name = "NUMBER", value_parser = number::whole())]
    pub processes: Option<u32>,
    /// Number of threads in each.
    #[arg(long, value_name = "NUMBER", default_value = "5", value_parser = number::whole())]
    pub threads: u32,
    /// Most clients that are connected at once. Unset, half as many again as there are
    /// threads, and ten.
    #[arg(long, value_name = "NUMBER", value_parser = number::whole())]
    pub max_clients: Option<u32>,
    /// Share of httpd's workers that start with it, 0 to 1.
    #[arg(long, value_name = "NUMBER", value_parser = number::share())]
    pub initial_workers: Option<f64>,
    /// Share of httpd's workers that are kept idle at least.
    #[arg(long, value_name = "NUMBER", value_parser = number::share())]
    pub minimum_spare_workers: Option<f64>,
    /// Share of httpd's workers that are kept idle at most.
    #[arg(long, value_name = "NUMBER", value_parser = number::share())]
    pub maximum_spare_workers: Option<f64>,
    /// An MPM that may be used: event, worker or prefork, the first that is there. May
    /// be repeated.
    #[arg(long, value_name = "NAME")]
    pub server_mpm: Vec<String>,
    /// Run the application in httpd's own processes.
    #[arg(long)]
    pub embedded_mode: bool,
    /// Leave Python's interpreters standing when a process ends.
    #[arg(long)]
    pub orphan_interpreter: bool,
    /// Run without the GIL; needs a free-threaded Python.
    #[arg(long)]
    pub free_threading: bool,
    /// How long a thread keeps the GIL while others wait for it.
    #[arg(long, value_name = "SECONDS", value_parser = number::seconds(false))]
    pub switch_interval: Option<f64>,
}

impl Workers {
    /// Processes and threads in each of them that applications have.
    #[must_use]
    pub fn of_application(&self) -> (u32, u32) {
        (self.processes.unwrap_or(1).max(1), self.threads.max(1))
    }
}

/// Reloading of changed code.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Reloading")]
pub struct Reloading {
    /// Do not look whether the entry point has changed.
    #[arg(long)]
    pub disable_reloading: bool,
    /// Replace the processes as soon as any module has changed.
    #[arg(long)]
    pub reload_on_changes: bool,
    /// Have the server that runs from this server root take over what the options say
    /// now, by a graceful restart that loses no request.
    #[arg(long)]
    pub graceful: bool,
}

/// The account that the server runs as.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Account")]
pub struct Identity {
    /// User that processes run as, when root starts the server.
    #[arg(long, value_name = "USERNAME")]
    pub user: Option<String>,
    /// Group that processes run as, when root starts the server.
    #[arg(long, value_name = "GROUP")]
    pub group: Option<String>,
}
