//! What the module is told: Python, the daemon process group, and the handler.

use super::{Conf, always_quoted, path};
use crate::capacity::Mode;
use crate::options::pairs;
use crate::server::Server;

/// Settings of the whole server.
pub(super) fn globals(conf: &mut Conf, server: &Server) {
    let options = &server.options;
    conf.title("Python");
    if let Some(home) = &server.programs.python_home {
        conf.line("WSGIPythonHome", [path(home)]);
    }
    if options.logs.verbose_debugging {
        conf.line("WSGIVerboseDebugging", ["On"]);
    }
    conf.line("WSGISocketPrefix", [server.socket_prefix()]);
    conf.line("WSGISocketRotation", ["Off"]);
    let destroy = if options.workers.orphan_interpreter { "Off" } else { "On" };
    conf.line("WSGIDestroyInterpreter", [destroy]);
    for filter in &options.python.python_warnings {
        conf.line("WSGIPythonWarnings", [filter]);
    }
}

/// The daemon process groups of the applications.
pub(super) fn daemons(conf: &mut Conf, server: &Server) {
    if server.mode != Mode::Daemon {
        return;
    }
    conf.title("Processes of the application");
    conf.line("WSGIRestrictEmbedded", ["On"]);
    for one in server.applications() {
        daemon(conf, one);
    }
}

fn daemon(conf: &mut Conf, server: &Server) {
    let (limits, buffers) = (&server.options.limits, &server.options.buffers);
    let mut group = Group::new(&server.group_name, &server.title);
    group.place(server);
    let (processes, threads) = server.options.workers.of_application();
    // Written at all, it tells the application that there may be others.
    if server.options.workers.processes.is_some() {
        group.add("processes", processes);
    }
    for (name, value) in [
        ("threads", threads),
        ("maximum-requests", limits.maximum_requests),
        ("listen-backlog", buffers.daemon_backlog),
        ("queue-timeout", limits.queue_timeout),
        ("socket-timeout", limits.socket_timeout),
        ("connect-timeout", limits.connect_timeout),
        ("request-timeout", limits.request_timeout),
        ("interrupt-timeout", limits.interrupt_timeout),
        ("inactivity-timeout", limits.inactivity_timeout),
        ("startup-timeout", limits.startup_timeout),
        ("deadlock-timeout", limits.deadlock_timeout),
        ("graceful-timeout", limits.graceful_timeout),
        ("eviction-timeout", limits.eviction_timeout),
        ("restart-interval", limits.restart_interval),
        ("cpu-time-limit", limits.cpu_time_limit),
        ("shutdown-timeout", limits.shutdown_timeout),
        ("send-buffer-size", buffers.send_buffer_size),
        ("receive-buffer-size", buffers.receive_buffer_size),
        ("header-buffer-size", buffers.header_buffer_size),
        ("response-buffer-size", buffers.response_buffer_size),
        ("response-socket-timeout", buffers.response_socket_timeout),
        ("response-flush-delay", buffers.response_flush_delay),
    ] {
        group.add(name, value);
    }
    group.metrics(server);
    if let Some(interval) = server.options.workers.switch_interval {
        group.add("switch-interval", interval);
    }
    conf.written("WSGIDaemonProcess", &group.text);
}

/// Arguments of a `WSGIDaemonProcess`.
pub(super) struct Group {
    pub(super) text: String,
}

impl Group {
    pub(super) fn new(name: &str, title: &str) -> Self {
        let mut group = Self { text: always_quoted(name) };
        group.add_quoted("display-name", title);
        group
    }

    pub(super) fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text += &format!(" {name}={value}");
    }

    pub(super) fn add_quoted(&mut self, name: &str, value: &str) {
        self.add(name, always_quoted(value));
    }

    /// Working directory, module search path and locale.
    pub(super) fn place(&mut self, server: &Server) {
        if let Some(folder) = &server.working_directory {
            self.add_quoted("home", folder);
        }
        if !server.python_path.is_empty() {
            self.add_quoted("python-path", &server.python_path);
        }
        self.add_quoted("python-eggs", &path(&server.eggs()));
        self.add_quoted("lang", &server.locale);
        self.add_quoted("locale", &server.locale);
    }

    pub(super) fn metrics(&mut self, server: &Server) {
        self.add("server-metrics", if server.has_metrics() { "On" } else { "Off" });
    }
}

/// How requests are handled.
pub(super) fn requests(conf: &mut Conf, server: &Server) {
    let options = &server.options;
    conf.line("WSGICallableObject", [&options.python.callable_object]);
    conf.line("WSGIPassAuthorization", ["On"]);
    conf.line("WSGIMapHEADToGET", [&options.buffers.map_head_to_get]);
    if !server.reloads() {
        conf.line("WSGIScriptReloading", ["Off"]);
    }
    if server.mode != Mode::Daemon && !server.python_path.is_empty() {
        conf.line("WSGIPythonPath", [&server.python_path]);
    }
    if server.mode == Mode::Debug {
        conf.line("WSGIRestrictStdin", ["Off"]);
    }
    if options.buffers.chunked_request {
        conf.line("WSGIChunkedRequest", ["On"]);
    }
    if !options.proxy.trust_proxy_header.is_empty() {
        conf.line("WSGITrustedProxyHeaders", &options.proxy.trust_proxy_header);
    }
    if !options.proxy.trust_proxy.is_empty() {
        conf.line("WSGITrustedProxies", &options.proxy.trust_proxy);
    }
}

/// Figures about the server.
pub(super) fn metrics(conf: &mut Conf, server: &Server) {
    let (telemetry, workers) = (&server.options.telemetry, &server.options.workers);
    if server.has_metrics() {
        conf.line("ExtendedStatus", ["On"]);
    }
    conf.line("WSGIServerMetrics", [if server.has_metrics() { "On" } else { "Off" }]);
    if let Some(target) = server.telemetry_target() {
        conf.line(
            "WSGITelemetryService",
            [target, format!("interval={}", telemetry.telemetry_interval)],
        );
    }
    if let Some(seconds) = telemetry.slow_requests {
        conf.line("WSGISlowRequests", [seconds.to_string()]);
    }
    for words in &telemetry.telemetry_options {
        conf.line("WSGITelemetryOptions", words.split_ascii_whitespace());
    }
    if let Some(interval) = workers.switch_interval {
        conf.line("WSGISwitchInterval", [interval.to_string()]);
    }
    if workers.free_threading {
        conf.line("WSGIFreeThreading", ["On"]);
    }
    if telemetry.server_status {
        conf.section("Location", "/server-status", |conf| {
            conf.line("SetHandler", ["server-status"]);
            conf.line("Require", ["local"]);
        });
    }
}

/// The script that requests which are no files go to.
pub(super) fn handler(conf: &mut Conf, server: &Server) {
    if !server.dispatches() {
        return;
    }
    conf.title("The application");
    let options = process_and_application_group(server);
    let script = always_quoted(&path(&server.path(&server.script())));
    let handler = format!("wsgi-handler{}", server.suffix);
    conf.written("WSGIHandlerScript", &format!("{handler} {script} {options}"));
    if is_preloaded(server) {
        conf.written("WSGIImportScript", &format!("{script} {options}"));
    }
}

/// Where scripts run, as an option of their directives.
pub(super) fn process_group(server: &Server) -> String {
    match server.mode {
        Mode::Daemon => format!("process-group={}", always_quoted(&server.group_name)),
        _ => "process-group=%{GLOBAL}".to_owned(),
    }
}

fn process_and_application_group(server: &Server) -> String {
    let application = match server.options.python.application_group.as_deref() {
        None | Some("%{GLOBAL}") => "%{GLOBAL}".to_owned(),
        Some(name) => always_quoted(name),
    };
    format!("{} application-group={application}", process_group(server))
}

/// Whether the application loads when a process starts: an application group that
/// depends on the request is not known then.
pub(super) fn is_preloaded(server: &Server) -> bool {
    let group = server.options.python.application_group.as_deref().unwrap_or("%{GLOBAL}");
    server.dispatches() && (group == "%{GLOBAL}" || !group.contains("%{"))
}

pub(super) fn ignored_activity(conf: &mut Conf, server: &Server) {
    for url in &server.options.limits.ignore_activity {
        conf.section("Location", url, |conf| conf.line("WSGIIgnoreActivity", ["On"]));
    }
}

/// Variables for the WSGI environ.
pub(super) fn environment(conf: &mut Conf, server: &Server) {
    for (name, value) in pairs(&server.options.python.setenv) {
        conf.written("SetEnv", &format!("{} {}", always_quoted(name), always_quoted(value)));
    }
    for name in &server.options.python.passenv {
        conf.line("PassEnv", [name]);
    }
}
