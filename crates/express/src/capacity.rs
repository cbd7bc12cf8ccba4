//! How many workers httpd gets (reference 3.2). Applications run in daemon
//! processes, so httpd's own workers only carry connections: half as many again as
//! the application has threads, and ten.

use crate::options::Workers;

/// Figures for each MPM.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Capacity {
    /// For prefork.
    pub prefork: Prefork,
    /// For worker and event.
    pub threaded: Threaded,
}

/// What prefork is told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the fields are directives of httpd")]
pub(crate) struct Prefork {
    pub server_limit: u32,
    pub start_servers: u32,
    pub min_spare_servers: u32,
    pub max_spare_servers: u32,
}

/// What worker and event are told.
#[derive(Clone, Debug, Eq, PartialEq)]
#[allow(missing_docs, reason = "the fields are directives of httpd")]
pub(crate) struct Threaded {
    pub server_limit: u32,
    pub threads_per_child: u32,
    pub max_clients: u32,
    pub start_servers: u32,
    pub min_spare_threads: u32,
    pub max_spare_threads: u32,
}

/// Where applications run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    /// In daemon processes.
    Daemon,
    /// In httpd's children.
    Embedded,
    /// In the one process that there is.
    Debug,
}

impl Mode {
    /// As the summary has it.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Embedded => "embedded",
            Self::Debug => "debug",
        }
    }
}

impl Capacity {
    /// The figures for these options, and processes and threads of applications.
    #[must_use]
    pub(crate) fn of(workers: &Workers, (processes, threads): (u32, u32), mode: Mode) -> Self {
        let application = processes.saturating_mul(threads);
        match mode {
            Mode::Debug => Self::fixed(1, 1),
            Mode::Embedded => Self::fixed(processes, threads),
            Mode::Daemon => Self::for_daemons(workers, application),
        }
    }

    fn fixed(processes: u32, threads: u32) -> Self {
        let all = processes.saturating_mul(threads);
        Self {
            prefork: Prefork {
                server_limit: all,
                start_servers: all,
                min_spare_servers: all,
                max_spare_servers: all,
            },
            threaded: Threaded {
                server_limit: processes,
                threads_per_child: threads,
                max_clients: all,
                start_servers: processes,
                min_spare_threads: all,
                max_spare_threads: all,
            },
        }
    }

    fn for_daemons(workers: &Workers, application: u32) -> Self {
        let clients = match workers.max_clients {
            Some(clients) => clients.max(application),
            None => (application.saturating_add(application / 2)).max(10).saturating_add(10),
        };
        let initial = workers.initial_workers;
        let minimum = workers.minimum_spare_workers.or(initial);
        let maximum = workers.maximum_spare_workers;
        let per_child = if clients <= 20 { 10 } else { clients / (clients / 20).saturating_add(1) };
        let servers = clients.div_ceil(per_child);
        let spare = |share: f64| part(share, servers).saturating_mul(per_child).max(per_child);
        Self {
            prefork: Prefork {
                server_limit: clients,
                start_servers: part(initial.unwrap_or(0.05), clients).max(1),
                min_spare_servers: part(minimum.unwrap_or(0.05), clients).max(1),
                max_spare_servers: part(maximum.unwrap_or(0.1), clients).max(1),
            },
            threaded: Threaded {
                server_limit: servers,
                threads_per_child: per_child,
                max_clients: servers.saturating_mul(per_child),
                start_servers: part(initial.unwrap_or(0.2), servers).max(1),
                min_spare_threads: spare(minimum.unwrap_or(0.2)),
                max_spare_threads: spare(maximum.unwrap_or(0.6)),
            },
        }
    }
}

/// A share of a number, cut towards zero.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of 0 to 1 of a number is no larger than the number"
)]
fn part(share: f64, of: u32) -> u32 {
    (share * f64::from(of)) as u32
}
