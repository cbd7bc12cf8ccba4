//! The handler of scripts: may it run, where, and what the application is told.

use std::borrow::Cow;
use std::ffi::c_int;

use door::{BROKEN_OFF, Call, DONE, List, NO_CALLABLE, Pair, Text};
use httpd::{Level, Request, sys};
use wsgi::group::{self, Facts};
use wsgi::options::MapHead;
use wsgi::proxy;

use crate::config::{Alias, DirectoryConfig, ServerConfig};
use crate::exchange::exchange_of;
use crate::{python, translate};

/// Answers a request for a script.
pub(crate) fn handle(request: Request<'_>) -> c_int {
    let Some(name) = request.handler() else { return sys::DECLINED };
    let default = DirectoryConfig::default();
    let config = request.directory_config(crate::index()).unwrap_or(&default);
    let is_script = name == translate::HANDLER.to_bytes() || name == b"application/x-httpd-wsgi";
    let script = std::str::from_utf8(name).ok().and_then(|name| config.handler_scripts.get(name));
    if !is_script && script.is_none() {
        return sys::DECLINED;
    }
    match serve(request, config, script) {
        Ok(status) | Err(status) => status,
    }
}

fn serve(
    request: Request<'_>,
    config: &DirectoryConfig,
    handler: Option<&Alias>,
) -> Result<c_int, c_int> {
    let alias = handler.or_else(|| translate::alias_of(request));
    // What a handler script answers for need not exist.
    if handler.is_none() {
        check_target(request, alias)?;
    }
    let chunked = config.chunked_request.unwrap_or(false);
    request.prepare_body(chunked).inspect_err(|status| {
        if *status == sys::HTTP_LENGTH_REQUIRED {
            log(request, "WSGI0139: chunked request bodies are not enabled here");
        }
    })?;
    let names = Names::of(request);
    let process_group =
        alias.and_then(|alias| alias.process_group.as_deref()).or(config.process_group.as_deref());
    let process_group = group::process_group(process_group, &names);
    check_group(request, config, &process_group)?;
    if !process_group.is_empty() {
        let text = format!(
            "WSGI0150: process group '{process_group}' cannot serve: daemon processes are not there yet"
        );
        log(request, &text);
        return Err(sys::HTTP_INTERNAL_SERVER_ERROR);
    }
    let Some(guest) = python::guest() else {
        log(request, "WSGI0210: Python does not run in this process");
        return Err(sys::HTTP_INTERNAL_SERVER_ERROR);
    };
    let application_group = alias
        .and_then(|alias| alias.application_group.as_deref())
        .or(config.application_group.as_deref());
    let application_group = group::application_group(application_group, &names);
    let callable = alias.and_then(|alias| alias.callable.as_deref()).or(config.callable.as_deref());
    let callable = group::callable(callable, &names);
    let environ = Environ::of(request, alias, handler, config, &names);
    let pairs = environ.pairs();
    let (script, time) = match handler {
        Some(handler) => (handler.path.as_bytes(), time_of(&handler.path)),
        None => (request.filename(), request.file().1),
    };
    let call = Call {
        exchange: exchange_of(request),
        environ: List::new(&pairs),
        script: Text::new(script),
        script_time: time,
        application_group: Text::new(application_group.as_bytes()),
        callable: Text::new(callable.as_bytes()),
        reloading: config.script_reloading.unwrap_or(true),
        https: environ.https,
        begun: request.begun(),
        has_body: true,
    };
    // SAFETY: the guest's own function; all texts outlive the call.
    let outcome = unsafe { (guest.handle)(&call) };
    match outcome {
        DONE => Ok(sys::OK),
        BROKEN_OFF => {
            request.break_off();
            Ok(sys::OK)
        }
        NO_CALLABLE => Err(sys::HTTP_NOT_FOUND),
        _ => Err(sys::HTTP_INTERNAL_SERVER_ERROR),
    }
}

/// Time of a file's last change, in microseconds since 1970; -1 if it cannot be
/// read.
pub(crate) fn time_of(path: &str) -> i64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path)
        .map_or(-1, |metadata| metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1000)
}

/// Whether the process group may be used here.
fn check_group(
    request: Request<'_>,
    config: &DirectoryConfig,
    process_group: &str,
) -> Result<(), c_int> {
    let is_it = |name: &String| {
        let name = if name == "%{GLOBAL}" { "" } else { name };
        name.eq_ignore_ascii_case(process_group)
    };
    if config.restrict_process.as_ref().is_some_and(|names| !names.iter().any(is_it)) {
        let text = format!("WSGI0149: daemon process '{process_group}' cannot be selected here");
        log(request, &text);
        return Err(sys::HTTP_INTERNAL_SERVER_ERROR);
    }
    let server: Option<&ServerConfig> = request.server_config(crate::index());
    let restricted = server.and_then(|server| server.restrict_embedded).unwrap_or(false);
    if restricted && process_group.is_empty() {
        log(request, "WSGI0143: embedded mode of mod_wsgi is disabled");
        return Err(sys::HTTP_INTERNAL_SERVER_ERROR);
    }
    Ok(())
}

/// Whether the script may be run at all.
fn check_target(request: Request<'_>, alias: Option<&Alias>) -> Result<(), c_int> {
    let file = String::from_utf8_lossy(request.filename());
    let refuse = |status: c_int, text: &str| {
        log(request, &format!("{text}: {file}"));
        Err(status)
    };
    if alias.is_none() && !request.may_execute() {
        return refuse(sys::HTTP_FORBIDDEN, "WSGI0134: Options ExecCGI is off in this directory");
    }
    match request.file() {
        (sys::APR_NOFILE, _) => {
            return refuse(
                sys::HTTP_NOT_FOUND,
                "WSGI0135: target WSGI script not found or unable to stat",
            );
        }
        (sys::APR_DIR, _) => {
            return refuse(
                sys::HTTP_FORBIDDEN,
                "WSGI0136: attempt to invoke directory as WSGI application",
            );
        }
        _ => {}
    }
    if request.rejects_path_info() && !request.path_info().is_empty() {
        return refuse(sys::HTTP_NOT_FOUND, "WSGI0137: AcceptPathInfo off disallows user's path");
    }
    Ok(())
}

fn log(request: Request<'_>, text: &str) {
    request.log(crate::index(), Level::Error, text);
}

/// What names of groups are made of, for one request.
struct Names<'r> {
    request: Request<'r>,
    script_name: Cow<'r, [u8]>,
}

impl<'r> Names<'r> {
    fn of(request: Request<'r>) -> Self {
        let script_name = wsgi::environ::script_name(request.uri(), request.path_info());
        Self { request, script_name }
    }
}

impl Facts for Names<'_> {
    fn server(&self) -> String {
        let (_, port) = self.request.server_name();
        group::with_port(&String::from_utf8_lossy(self.request.configured_name()), port)
    }

    fn host(&self) -> String {
        let (_, port) = self.request.server_name();
        let host = self.request.host().unwrap_or(self.request.configured_name());
        group::with_port(&String::from_utf8_lossy(host), port)
    }

    fn resource(&self) -> String {
        format!("{}|{}", self.server(), String::from_utf8_lossy(&self.script_name))
    }

    fn env(&self, name: &str) -> Option<String> {
        let key = std::ffi::CString::new(name).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let request = self.request;
        request
            .notes()
            .get(&key)
            .or_else(|| request.environment().get(&key))
            .map(text)
            .or_else(|| process_variable(name))
    }
}

#[expect(clippy::disallowed_methods, reason = "the process's own environment is asked for")]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A name and its value.
type Variable<'r> = (Cow<'r, [u8]>, Cow<'r, [u8]>);

/// The variables of a request, as CGI has them (RFC 3875), and ours.
struct Environ<'r> {
    variables: Vec<Variable<'r>>,
    https: bool,
}

impl<'r> Environ<'r> {
    fn of(
        request: Request<'r>,
        alias: Option<&Alias>,
        handler: Option<&'r Alias>,
        config: &DirectoryConfig,
        names: &Names<'r>,
    ) -> Self {
        request.add_cgi_variables();
        let mut environ = Self { variables: Vec::with_capacity(64), https: false };
        for (name, value) in request.environment().iter() {
            match name {
                b"HTTPS" => {
                    environ.https = matches!(value, b"1") || value.eq_ignore_ascii_case(b"on")
                }
                b"SCRIPT_NAME" | b"PATH_INFO" | b"REQUEST_METHOD" => {}
                name if HIDDEN.contains(&name) || wsgi::environ::is_internal(name) => {}
                name => environ.add(name, value),
            }
        }
        let pass = alias
            .and_then(|alias| alias.pass_authorization)
            .or(config.pass_authorization)
            .unwrap_or(false);
        if pass && let Some(value) = request.headers_in().get(c"Authorization") {
            environ.set(b"HTTP_AUTHORIZATION", value);
        }
        environ.add_request(request, config, names);
        let script = handler.map_or("", |handler| handler.path.as_str());
        environ.add(b"mod_wsgi.handler_script", script.as_bytes());
        environ.trust(config);
        environ
    }

    /// Lets the headers of trusted front ends rewrite what is known.
    fn trust(&mut self, config: &DirectoryConfig) {
        let Some(headers) = &config.trusted_headers else { return };
        let proxies = config.trusted_proxies.as_deref().unwrap_or_default();
        let variables = std::mem::take(&mut self.variables);
        let mut environ: proxy::Environ = variables
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        proxy::rewrite(&mut environ, headers, proxies);
        if let Some(scheme) = environ.remove(&b"wsgi.url_scheme"[..]) {
            self.https = scheme == b"https";
        }
        self.variables =
            environ.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    }

    fn add_request(&mut self, request: Request<'r>, config: &DirectoryConfig, names: &Names<'r>) {
        let as_get = request.is_head()
            && match config.map_head.unwrap_or(MapHead::Auto) {
                MapHead::On => true,
                MapHead::Off => false,
                MapHead::Auto => request.has_content_filter(),
            };
        self.add(b"REQUEST_METHOD", if as_get { b"GET" } else { request.method() });
        let path_info = wsgi::environ::collapse_slashes(request.path_info());
        let script_name = names.script_name.clone();
        for (name, value) in [
            (&b"SCRIPT_NAME"[..], script_name.clone()),
            (b"PATH_INFO", path_info.clone()),
            (b"mod_wsgi.script_name", script_name),
            (b"mod_wsgi.path_info", path_info),
        ] {
            self.variables.push((name.into(), value));
        }
        let (host, port) = request.local_address();
        self.add(b"mod_wsgi.request_handler", request.handler().unwrap_or_default());
        self.add(b"mod_wsgi.listener_host", host);
        self.own(b"mod_wsgi.listener_port", port.to_string());
        self.own(b"mod_wsgi.server_pid", std::process::id().to_string());
        if let Some(id) = request.make_log_id() {
            self.add(b"mod_wsgi.request_id", id);
        }
        if let Some(id) = request.connection_log_id() {
            self.add(b"mod_wsgi.connection_id", id);
        }
    }

    fn add(&mut self, name: &'r [u8], value: &'r [u8]) {
        self.variables.push((name.into(), value.into()));
    }

    fn own(&mut self, name: &'r [u8], value: String) {
        self.variables.push((name.into(), value.into_bytes().into()));
    }

    fn set(&mut self, name: &'r [u8], value: &'r [u8]) {
        self.variables.retain(|(known, _)| &**known != name);
        self.add(name, value);
    }

    fn pairs(&self) -> Vec<Pair<'_>> {
        self.variables
            .iter()
            .map(|(name, value)| Pair { name: Text::new(name), value: Text::new(value) })
            .collect()
    }
}

/// What httpd adds and WSGI applications are not told.
const HIDDEN: [&[u8]; 8] = [
    b"GATEWAY_INTERFACE",
    b"PATH_TRANSLATED",
    b"SERVER_SIGNATURE",
    b"REMOTE_HOST",
    b"REMOTE_IDENT",
    b"PATH",
    b"LD_LIBRARY_PATH",
    b"DYLD_LIBRARY_PATH",
];
