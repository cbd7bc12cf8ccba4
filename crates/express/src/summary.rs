//! What `start-server` and `setup-server` say on standard output (reference 1.3).

use std::fmt::Write as _;

use crate::capacity::Mode;
use crate::server::Server;

/// The summary; the files that a user may edit only in setup mode.
#[must_use]
pub(crate) fn text(server: &Server, setup: bool) -> String {
    let options = &server.options;
    let mut text = String::new();
    let mut say = |label: &str, value: &dyn std::fmt::Display| {
        let _never = writeln!(text, "{label:<19}: {value}");
    };
    say("Server URL", &server.url());
    if let Some(url) = server.tls_url() {
        say("Server URL (HTTPS)", &url);
    }
    if options.telemetry.server_status {
        say("Server Status", &format!("{}server-status", server.url()));
    }
    if let Some(port) = options.status.status_port {
        say("Status Page", &format!("http://127.0.0.1:{port}/"));
        say("Prometheus Metrics", &format!("http://127.0.0.1:{port}/metrics"));
    }
    if let Some(path) = &options.status.health_url {
        say("Health URL", &format!("{}{path}", server.url().trim_end_matches('/')));
    }
    if let Some(file) = &server.options_file {
        say("Options File", &file.display());
    }
    for one in server.applications().filter(|_| !server.others.is_empty()) {
        let (processes, threads) = one.options.workers.of_application();
        let what = one.entry.what.as_deref().unwrap_or_default();
        let (url, group) = (&one.mount_point, &one.group_name);
        say("Application", &format!("{url} -> {what} ({group}, {processes} * {threads})"));
    }
    say("Server Root", &server.root.display());
    say("Server Conf", &server.path("httpd.conf").display());
    let logs = &options.logs;
    let terminal = |file: &str| match server.logs_to_terminal() {
        true => "terminal".to_owned(),
        false => server.log_file(file).to_string_lossy().into_owned(),
    };
    say("Error Log File", &format!("{} ({})", terminal(&logs.error_log_name), logs.log_level));
    if server.has_access_log() {
        say("Access Log File", &terminal(&logs.access_log_name));
    }
    if logs.startup_log {
        say("Startup Log File", &terminal(&logs.startup_log_name));
    }
    for (tool, folder) in server.tools() {
        say(&format!("{tool} Output"), &folder.display());
    }
    if setup || options.content.rewrite_rules.is_some() {
        say("Rewrite Rules", &server.rewrite_rules().display());
    }
    if setup || options.python.envvars_script.is_some() {
        say("Environ Variables", &server.path("envvars").display());
    }
    if setup {
        say("Control Script", &server.path("apachectl").display());
    }
    say("Operating Mode", &server.mode.name());
    let threads_of = |(processes, threads): (u32, u32)| u64::from(processes) * u64::from(threads);
    let capacity: u64 =
        server.applications().map(|one| threads_of(one.options.workers.of_application())).sum();
    let (processes, threads) = options.workers.of_application();
    let plural = if processes == 1 { "process" } else { "processes" };
    let how = match server.others.len() {
        0 => format!("{processes} {plural} * {threads} threads"),
        others => format!("{} applications", others + 1),
    };
    say("Request Capacity", &format!("{capacity} ({how})"));
    if server.mode == Mode::Daemon {
        let limits = &options.limits;
        say("Request Timeout", &format!("{} (seconds)", limits.request_timeout));
        if limits.interrupt_timeout != 0 {
            say("Interrupt Timeout", &format!("{} (seconds)", limits.interrupt_timeout));
        }
        if limits.startup_timeout != 0 {
            say("Startup Timeout", &format!("{} (seconds)", limits.startup_timeout));
        }
        say("Queue Backlog", &format!("{} (connections)", options.buffers.daemon_backlog));
        say("Queue Timeout", &format!("{} (seconds)", limits.queue_timeout));
        say(
            "Server Capacity",
            &format!(
                "{} (event/worker), {} (prefork)",
                server.capacity.threaded.max_clients, server.capacity.prefork.server_limit
            ),
        );
    }
    say("Server Backlog", &format!("{} (connections)", options.buffers.server_backlog));
    say("Locale Setting", &server.locale);
    text
}
