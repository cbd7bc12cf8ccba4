//! The configuration of httpd, made from a decided server. The blocks come in the
//! order of the original's, so that whoever knows that file finds his way.

mod content;
mod hosts;
mod proxies;
mod services;
mod status;
mod text;
mod wsgi;

use self::text::escaped;
pub(crate) use self::text::{Conf, always_quoted, path};

use crate::capacity::Mode;
use crate::error::{Error, Result};
use crate::json_log;
use crate::server::Server;

/// Modules of httpd that every server has.
pub const BASE: [&str; 13] = [
    "access_compat",
    "unixd",
    "authn_core",
    "authz_core",
    "authz_host",
    "mime",
    "rewrite",
    "alias",
    "dir",
    "env",
    "headers",
    "filter",
    "reqtimeout",
];

/// Writes it.
///
/// # Errors
/// When an option cannot be written, or needs a module that httpd lacks.
pub(crate) fn write(server: &Server) -> Result<String> {
    let mut conf = Conf::default();
    conf.written("# Written by mod_wsgi-express, anew at each start: changes are lost.", "");
    defines(&mut conf, server);
    identity(&mut conf, server);
    modules(&mut conf, server)?;
    limits(&mut conf, server);
    wsgi::globals(&mut conf, server);
    wsgi::daemons(&mut conf, server);
    wsgi::requests(&mut conf, server);
    wsgi::metrics(&mut conf, server);
    connections(&mut conf, server);
    logs(&mut conf, server);
    capacity(&mut conf, server);
    hosts::session_cache(&mut conf, server);
    hosts::write(&mut conf, server);
    content::folders(&mut conf, server);
    for one in server.applications() {
        content::dispatch(&mut conf, one);
    }
    content::access(&mut conf, server);
    for one in server.applications() {
        wsgi::handler(&mut conf, one);
    }
    wsgi::ignored_activity(&mut conf, server);
    proxies::write(&mut conf, server);
    content::aliases(&mut conf, server);
    content::error_documents(&mut conf, server);
    hosts::verified_clients(&mut conf, server);
    wsgi::environment(&mut conf, server);
    content::handlers(&mut conf, server);
    status::health(&mut conf, server);
    status::host(&mut conf, server);
    services::write(&mut conf, server);
    content::includes(&mut conf, server);
    conf.finish()
}

/// Names that included files test, or use as `${NAME}`.
fn defines(conf: &mut Conf, server: &Server) {
    conf.title("Names for included files");
    conf.line("Define", ["MOD_WSGI_DOLLAR", "$"]);
    for name in names(server) {
        conf.line("Define", [name]);
    }
    let values = [
        ("MOD_WSGI_SERVER_ROOT", path(&server.root)),
        ("MOD_WSGI_MODULES_DIRECTORY", path(&server.programs.modules)),
    ];
    for (name, value) in values {
        conf.line("Define", [name, &value]);
    }
    // The control script may define others, by the option -C of httpd.
    for (name, value) in [("USER", &server.account.user), ("GROUP", &server.account.group)] {
        conf.section("IfDefine", &format!("!MOD_WSGI_{name}"), |conf| {
            conf.line("Define", [format!("MOD_WSGI_{name}"), value.clone()]);
        });
    }
}

/// Names of what is on (reference 4.3).
#[must_use]
pub(crate) fn names(server: &Server) -> Vec<String> {
    let options = &server.options;
    let (listening, telemetry) = (&options.listening, &options.telemetry);
    let tls = server.tls.is_some();
    let name = listening.server_name.as_deref();
    let any_proxy = proxies::is_used(server);
    let on = [
        ("ONE_PROCESS", server.mode == Mode::Debug),
        ("EMBEDDED_MODE", server.mode == Mode::Embedded),
        ("ORPHAN_INTERPRETER", options.workers.orphan_interpreter),
        ("MOD_WSGI_VIRTUAL_HOST", name.is_some()),
        ("MOD_WSGI_REDIRECT_WWW", hosts::parent_domain(name).is_some()),
        ("MOD_WSGI_SERVER_ALIAS", name.is_some() && !listening.server_alias.is_empty()),
        ("MOD_WSGI_ALLOW_LOCALHOST", listening.allow_localhost),
        ("MOD_WSGI_WITH_LISTENER_HOST", listening.host.is_some()),
        ("MOD_WSGI_WITH_HTTPS", tls),
        ("MOD_WSGI_VERIFY_CLIENT", listening.ssl_ca_certificate_file.is_some()),
        ("MOD_WSGI_CERTIFICATE_CHAIN", listening.ssl_certificate_chain_file.is_some()),
        ("MOD_WSGI_SSL_ENVIRONMENT", listening.ssl_environment),
        ("MOD_WSGI_HTTPS_ONLY", listening.https_only && tls),
        ("MOD_WSGI_HSTS_POLICY", listening.hsts_policy.is_some()),
        ("MOD_WSGI_WITH_HTTP2", listening.http2),
        ("MOD_WSGI_STATIC_ONLY", !server.dispatches()),
        ("MOD_WSGI_DIRECTORY_INDEX", options.content.directory_index.is_some()),
        ("MOD_WSGI_DIRECTORY_LISTING", options.content.directory_listing),
        ("MOD_WSGI_ERROR_OVERRIDE", options.content.error_override),
        ("MOD_WSGI_ENABLE_SENDFILE", options.buffers.enable_sendfile),
        ("MOD_WSGI_COMPRESS_RESPONSES", options.buffers.compress_responses),
        ("MOD_WSGI_CHUNKED_REQUEST", options.buffers.chunked_request),
        ("MOD_WSGI_KEEP_ALIVE", options.limits.keep_alive_timeout != 0),
        ("MOD_WSGI_MULTIPROCESS", options.workers.processes.is_some()),
        ("MOD_WSGI_SERVER_METRICS", server.has_metrics()),
        ("MOD_WSGI_SERVER_STATUS", telemetry.server_status),
        ("MOD_WSGI_TELEMETRY_SERVICE", telemetry.telemetry_service.is_some()),
        ("MOD_WSGI_TELEMETRY_OPTIONS", !telemetry.telemetry_options.is_empty()),
        ("MOD_WSGI_SLOW_REQUESTS", telemetry.slow_requests.is_some()),
        ("MOD_WSGI_SWITCH_INTERVAL", options.workers.switch_interval.is_some()),
        ("MOD_WSGI_FREE_THREADING", options.workers.free_threading),
        ("MOD_WSGI_ACCESS_LOG", server.has_access_log()),
        ("MOD_WSGI_ROTATE_LOGS", options.logs.rotate_logs && !server.logs_to_terminal()),
        ("MOD_WSGI_ERROR_LOG_FORMAT", options.logs.error_log_format.is_some()),
        ("MOD_WSGI_HOST_ACCESS", options.access.host_access_script.is_some()),
        ("MOD_WSGI_AUTH_USER", options.access.auth_user_script.is_some()),
        ("MOD_WSGI_AUTH_GROUP", options.access.auth_group_script.is_some()),
        ("MOD_WSGI_WITH_PROXY", any_proxy),
        ("MOD_WSGI_WITH_PROXY_HEADERS", !options.proxy.trust_proxy_header.is_empty()),
        ("MOD_WSGI_WITH_TRUSTED_PROXIES", !options.proxy.trust_proxy.is_empty()),
        ("MOD_WSGI_WITH_PYTHON_PATH", !server.python_path.is_empty()),
        ("MOD_WSGI_WITH_SOCKET_PREFIX", options.files.socket_prefix.is_some()),
        ("MOD_WSGI_DISABLE_RELOADING", !server.reloads()),
        ("MOD_WSGI_IMPORT_HANDLER_SCRIPT", wsgi::is_preloaded(server)),
        ("MOD_WSGI_CGID_SCRIPT", options.content.with_cgi && server.programs.has("cgid")),
        ("MOD_WSGI_CGI_SCRIPT", options.content.with_cgi && !server.programs.has("cgid")),
        ("MOD_WSGI_WITH_PHP5", options.content.with_php5),
    ];
    let mut names: Vec<String> =
        on.into_iter().filter(|(_, on)| *on).map(|(name, _)| name.to_owned()).collect();
    for mpm in &server.mpms {
        names.push(format!("MOD_WSGI_MPM_EXISTS_{}_MODULE", mpm.to_uppercase()));
    }
    if let Some(mpm) = server.mpm {
        names.push(format!("MOD_WSGI_MPM_ENABLE_{}_MODULE", mpm.to_uppercase()));
    }
    names
}

fn identity(conf: &mut Conf, server: &Server) {
    conf.title("Who and where");
    // httpd takes no IPv6 address for a name.
    let is_name = !server.host.starts_with('[');
    conf.line("ServerName", [if is_name { &server.host } else { "localhost" }]);
    conf.line("ServerRoot", [path(&server.root)]);
    conf.line("PidFile", [path(&server.pid_file())]);
    conf.line("DefaultRuntimeDir", [path(&server.root)]);
    conf.line("ServerTokens", ["ProductOnly"]);
    conf.line("ServerSignature", ["Off"]);
    conf.written("User", "\"${MOD_WSGI_USER}\"");
    conf.written("Group", "\"${MOD_WSGI_GROUP}\"");
    for port in std::iter::once(server.port).chain(server.tls.as_ref().map(|tls| tls.port)) {
        match server.options.listening.host {
            Some(_) => conf.line("Listen", [format!("{}:{port}", server.host)]),
            None => conf.line("Listen", [port.to_string()]),
        }
    }
}

fn modules(conf: &mut Conf, server: &Server) -> Result<()> {
    conf.title("Modules");
    let load = |conf: &mut Conf, name: &str, file: &std::path::Path| {
        conf.section("IfModule", &format!("!{name}_module"), |conf| {
            conf.line("LoadModule", [format!("{name}_module"), path(file)]);
        });
    };
    if let Some(mpm) = server.mpm {
        let name = format!("mpm_{mpm}");
        conf.line("LoadModule", [format!("{name}_module"), path(&server.programs.file(&name))]);
    }
    for name in BASE {
        load(conf, name, &server.programs.file(name));
    }
    for (option, name) in optional_modules(server) {
        let file = server.programs.file(name);
        if !file.is_file() {
            return Err(Error::usage(format!(
                "option {option}: httpd has no mod_{name} in `{}`",
                server.programs.modules.display()
            )));
        }
        load(conf, name, &file);
    }
    if server.options.content.with_php5 {
        let file = server.programs.modules.join("libphp5.so");
        if !file.is_file() {
            return Err(Error::usage(format!(
                "option --with-php5: there is no `{}`",
                file.display()
            ))
            .hint("PHP of today is asked by --proxy-mount-point, or runs as --with-cgi"));
        }
        conf.line("LoadModule", ["php5_module", &path(&file)]);
        conf.line("AddHandler", ["application/x-httpd-php", ".php"]);
    }
    conf.line("LoadModule", ["wsgi_module".to_owned(), path(&server.programs.module)]);
    Ok(())
}

/// Modules that only some options need, with the option.
fn optional_modules(server: &Server) -> Vec<(&'static str, &'static str)> {
    let options = &server.options;
    let cgi =
        if server.mpm == Some("prefork") || !server.programs.has("cgid") { "cgi" } else { "cgid" };
    let proxied = proxies::is_used(server);
    let auth = options.access.auth_user_script.is_some();
    let digest = options.access.auth_type.eq_ignore_ascii_case("digest");
    [
        (options.listening.http2, "--http2", "http2"),
        (options.content.directory_listing, "--directory-listing", "autoindex"),
        (options.buffers.compress_responses, "--compress-responses", "deflate"),
        (auth && !digest, "--auth-user-script", "auth_basic"),
        (auth && digest, "--auth-type", "auth_digest"),
        (auth, "--auth-user-script", "authz_user"),
        (proxied, "--proxy-mount-point", "proxy"),
        (proxied, "--proxy-mount-point", "proxy_http"),
        (server.has_metrics(), "--server-status", "status"),
        (options.content.with_cgi, "--with-cgi", cgi),
        (server.has_access_log(), "--access-log", "log_config"),
        (server.tls.is_some(), "--https-port", "socache_shmcb"),
        (server.tls.is_some() || proxies::reaches_tls(server), "--https-port", "ssl"),
    ]
    .into_iter()
    .filter(|(on, ..)| *on)
    .map(|(_, option, name)| (option, name))
    .collect()
}

fn limits(conf: &mut Conf, server: &Server) {
    let (limits, buffers) = (&server.options.limits, &server.options.buffers);
    conf.title("Connections and requests");
    conf.line("TypesConfig", [&server.programs.mime_types]);
    conf.line("HostnameLookups", ["Off"]);
    conf.line("MaxMemFree", ["64"]);
    conf.line("Timeout", [limits.socket_timeout.to_string()]);
    conf.line("ListenBacklog", [buffers.server_backlog.to_string()]);
    if server.options.listening.http2 {
        conf.line("Protocols", ["h2", "h2c", "http/1.1"]);
    }
    let parts = [
        ("header", limits.header_timeout, limits.header_max_timeout, limits.header_min_rate),
        ("body", limits.body_timeout, limits.body_max_timeout, limits.body_min_rate),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, timeout, ..)| *timeout != 0)
        .map(|(name, timeout, most, rate)| {
            // A range is for clients that keep to a rate.
            let most = if most == 0 || rate == 0 { String::new() } else { format!("-{most}") };
            let rate = if rate == 0 { String::new() } else { format!(",MinRate={rate}") };
            format!("{name}={timeout}{most}{rate}")
        })
        .collect();
    match parts.is_empty() {
        true => conf.line("RequestReadTimeout", ["header=0", "body=0"]),
        false => conf.line("RequestReadTimeout", parts),
    }
    conf.line("LimitRequestBody", [limits.limit_request_body.to_string()]);
    conf.section("Directory", "/", |conf| {
        conf.line("AllowOverride", ["None"]);
        conf.line("Require", ["all", "denied"]);
    });
}

fn connections(conf: &mut Conf, server: &Server) {
    let (limits, buffers) = (&server.options.limits, &server.options.buffers);
    match limits.keep_alive_timeout {
        0 => conf.line("KeepAlive", ["Off"]),
        timeout => {
            conf.line("KeepAlive", ["On"]);
            conf.line("KeepAliveTimeout", [timeout.to_string()]);
        }
    }
    if buffers.enable_sendfile {
        conf.line("EnableSendfile", ["On"]);
        conf.line("WSGIEnableSendfile", ["On"]);
    }
    if buffers.compress_responses {
        for kind in [
            "text/plain",
            "text/html",
            "text/xml",
            "text/css",
            "text/javascript",
            "application/xhtml+xml",
            "application/javascript",
            "application/json",
        ] {
            conf.line("AddOutputFilterByType", ["DEFLATE", kind]);
        }
    }
}

fn logs(conf: &mut Conf, server: &Server) {
    let logs = &server.options.logs;
    conf.title("Logs");
    conf.line("ErrorLog", [server.log_target(&logs.error_log_name, crate::logs::Stream::Error)]);
    conf.line("LogLevel", logs.log_level.split_ascii_whitespace());
    if logs.json_logs {
        conf.written("ErrorLogFormat", &always_quoted(json_log::ERROR_FORMAT));
    } else if let Some(format) = &logs.error_log_format {
        conf.written("ErrorLogFormat", &always_quoted(format));
    }
    if server.has_access_log() {
        conf.line("LogFormat", ["%h %l %u %t \"%r\" %>s %b", "common"]);
        conf.line(
            "LogFormat",
            ["%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-agent}i\"", "combined"],
        );
        let format = match logs.json_logs {
            true => Some(json_log::ACCESS_FORMAT),
            false => logs.access_log_format.as_deref(),
        };
        let nickname = match format {
            None => "common",
            Some(name @ ("common" | "combined")) => name,
            Some(format) => {
                conf.line("LogFormat", [format, "custom"]);
                "custom"
            }
        };
        let target = server.log_target(&logs.access_log_name, crate::logs::Stream::Access);
        conf.line("CustomLog", [target.as_str(), nickname]);
    }
}

fn capacity(conf: &mut Conf, server: &Server) {
    conf.title("Workers");
    let requests = if server.mode == Mode::Embedded { 100 } else { 500 };
    let figures: Vec<(&str, u32)> = match server.mpm {
        Some("prefork") => {
            let prefork = &server.capacity.prefork;
            vec![
                ("MaxKeepAliveRequests", requests),
                ("ServerLimit", prefork.server_limit),
                ("MaxRequestWorkers", prefork.server_limit),
                ("StartServers", prefork.start_servers),
                ("MinSpareServers", prefork.min_spare_servers),
                ("MaxSpareServers", prefork.max_spare_servers),
            ]
        }
        Some(mpm) => {
            let threaded = &server.capacity.threaded;
            vec![
                ("MaxKeepAliveRequests", if mpm == "event" { 0 } else { requests }),
                ("ServerLimit", threaded.server_limit),
                ("ThreadLimit", threaded.threads_per_child),
                ("ThreadsPerChild", threaded.threads_per_child),
                ("MaxRequestWorkers", threaded.max_clients),
                ("StartServers", threaded.start_servers),
                ("MinSpareThreads", threaded.min_spare_threads),
                ("MaxSpareThreads", threaded.max_spare_threads),
                ("ThreadStackSize", 262_144),
            ]
        }
        None => Vec::new(),
    };
    for (directive, figure) in figures {
        conf.line(directive, [figure.to_string()]);
    }
    if server.mpm.is_some() {
        let most = match server.mode {
            Mode::Embedded => server.options.limits.maximum_requests,
            _ => 0,
        };
        conf.line("MaxConnectionsPerChild", [most.to_string()]);
    }
}
