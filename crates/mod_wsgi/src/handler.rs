//! The handler of scripts: may it run, where, and what the application is told.

use std::ffi::{c_int, c_void};

use door::{BROKEN_OFF, Call, DONE, NO_CALLABLE, Text};
use httpd::{Request, sys};
use wsgi::group;

use crate::config::{DirectoryConfig, Script, ServerConfig};
use crate::daemon::{self, Group, Target};
use crate::dispatch::Choice;
use crate::environ::Environ;
use crate::exchange::exchange_of;
use crate::names::Names;
use crate::question::{Asked, log};
use crate::signals::AtWork;
use crate::{python, status, translate};

/// Answers a request for a script.
pub(crate) fn handle(request: Request<'_>) -> c_int {
    let Some(name) = request.handler() else { return sys::DECLINED };
    let default = DirectoryConfig::default();
    let config = request.directory_config(crate::index()).unwrap_or(&default);
    let is_script = name == translate::HANDLER.to_bytes() || name == b"application/x-httpd-wsgi";
    let script = std::str::from_utf8(name).ok().and_then(|name| config.handler_scripts.get(name));
    if !is_script && script.is_none() {
        return status::handle(request, name);
    }
    match serve(request, config, script) {
        Ok(status) | Err(status) => status,
    }
}

fn serve(
    request: Request<'_>,
    config: &DirectoryConfig,
    handler: Option<&Script>,
) -> Result<c_int, c_int> {
    let alias = handler.or_else(|| translate::alias_of(request));
    // What a handler script answers for need not exist.
    if handler.is_none() {
        check_target(request, alias)?;
    }
    let chunked = config.chunked_request.unwrap_or(false);
    request.prepare_body(chunked).inspect_err(|status| {
        if *status == sys::HTTP_LENGTH_REQUIRED {
            log(request, "WSGI0139: Request requires chunked transfer encoding, but support for chunked transfer encoding has not been enabled.");
        }
    })?;
    let names = Names::of(request);
    let environ = || {
        let pass = alias.and_then(|alias| alias.pass_authorization).or(config.pass_authorization);
        let handler_script = handler.map_or("", |handler| handler.path.as_str());
        Environ::of_application(request, pass.unwrap_or(false), config, &names, handler_script)
    };
    let place = Place::of(request, config, alias, &names, environ)?;
    let (path, time) = match handler {
        Some(handler) => (handler.path.as_bytes(), time_of(&handler.path)),
        None => (request.filename(), request.file().1),
    };
    if let Some(group) = place.group {
        let target = Target {
            script: path,
            script_time: time,
            application_group: &place.application_group,
            callable: &place.callable,
        };
        return daemon::serve(request, config, group, target, environ());
    }
    let Some(guest) = python::guest_for_request() else {
        log(
            request,
            "WSGI0210: Embedded mode of mod_wsgi cannot be used as Python was not initialised in this process.",
        );
        return Err(sys::HTTP_INTERNAL_SERVER_ERROR);
    };
    let environ = environ();
    let call = Call {
        exchange: exchange_of(request),
        environ: environ.list(),
        script: door::Script {
            path: Text::new(path),
            time,
            application_group: Text::new(&place.application_group),
            reloading: config.script_reloading.unwrap_or(true),
        },
        callable: Text::new(&place.callable),
        https: environ.https,
        begun: request.begun(),
        body_length: request.body_length(),
        apache_request: if config.pass_apache_request.unwrap_or(false) {
            request.raw().cast::<c_void>()
        } else {
            std::ptr::null_mut()
        },
        way: None,
    };
    let at_work = AtWork::begin();
    // SAFETY: the guest's own function; all texts outlive the call.
    let outcome = unsafe { (guest.handle)(&call) };
    drop(at_work);
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

/// Where an application runs, and what is called there.
struct Place {
    /// The group of daemon processes; none for httpd's own.
    group: Option<&'static Group>,
    application_group: Vec<u8>,
    callable: Vec<u8>,
}

impl Place {
    fn of<'r>(
        request: Request<'r>,
        config: &'r DirectoryConfig,
        alias: Option<&Script>,
        names: &Names<'r>,
        environ: impl Fn() -> Environ<'r>,
    ) -> Result<Self, c_int> {
        let chosen = match &config.dispatch_script {
            Some(script) => {
                let asked = Asked::about_place(request, script, config, names, environ());
                Choice::of(&asked)?
            }
            None => Choice::default(),
        };
        let of_alias =
            |name: fn(&Script) -> &Option<String>| alias.and_then(|alias| name(alias).as_deref());
        let process_group = expanded(
            chosen.process_group,
            of_alias(|alias| &alias.process_group).or(config.process_group.as_deref()),
            |text| group::process_group(text, names),
        );
        let group = find_group(request, config, &String::from_utf8_lossy(&process_group))?;
        Ok(Self {
            group,
            application_group: expanded(
                chosen.application_group,
                of_alias(|alias| &alias.application_group).or(config.application_group.as_deref()),
                |text| group::application_group(text, names),
            ),
            callable: expanded(
                chosen.callable,
                of_alias(|alias| &alias.callable).or(config.callable.as_deref()),
                |text| group::callable(text, names),
            ),
        })
    }
}

/// The name that was chosen, else the configured one, expanded. One that is no
/// UTF-8 has nothing to expand.
fn expanded(
    chosen: Option<Vec<u8>>,
    configured: Option<&str>,
    expand: impl Fn(Option<&str>) -> String,
) -> Vec<u8> {
    match chosen.map(String::from_utf8) {
        Some(Err(bytes)) => bytes.into_bytes(),
        Some(Ok(name)) => expand(Some(&name)).into_bytes(),
        None => expand(configured).into_bytes(),
    }
}

/// Time of a file's last change, in microseconds since 1970; -1 if it cannot be
/// read.
pub(crate) fn time_of(path: &str) -> i64 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path)
        .map_or(-1, |metadata| metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1000)
}

/// The process group, if it may be used here; none for httpd's own processes.
fn find_group(
    request: Request<'_>,
    config: &DirectoryConfig,
    process_group: &str,
) -> Result<Option<&'static Group>, c_int> {
    let is_it = |name: &String| {
        let name = if name == "%{GLOBAL}" { "" } else { name };
        name.eq_ignore_ascii_case(process_group)
    };
    let refuse = |text: &str| {
        log(request, text);
        Err(sys::HTTP_INTERNAL_SERVER_ERROR)
    };
    if config.restrict_process.as_ref().is_some_and(|names| !names.iter().any(is_it)) {
        return refuse(&format!(
            "WSGI0149: Daemon process called '{process_group}' cannot be accessed by this WSGI application as not a member of allowed groups."
        ));
    }
    if !process_group.is_empty() {
        let Some(group) = daemon::find(process_group) else {
            let code = if daemon::is_any() { "WSGI0151" } else { "WSGI0150" };
            return refuse(&format!(
                "{code}: No WSGI daemon process called '{process_group}' has been configured."
            ));
        };
        let is_ours = group
            .host
            .as_deref()
            .is_none_or(|host| host.as_bytes().eq_ignore_ascii_case(request.configured_name()));
        if !is_ours {
            return refuse(&format!(
                "WSGI0152: Daemon process called '{process_group}' cannot be accessed by this WSGI application."
            ));
        }
        return Ok(Some(group));
    }
    let server: Option<&ServerConfig> = request.server_config(crate::index());
    if server.and_then(|server| server.global.restrict_embedded).unwrap_or(false) {
        return refuse("WSGI0143: Embedded mode of mod_wsgi disabled by runtime configuration.");
    }
    Ok(None)
}

/// Whether the script may be run at all.
fn check_target(request: Request<'_>, alias: Option<&Script>) -> Result<(), c_int> {
    let refuse = |status: c_int, text: &str| {
        log(request, text);
        Err(status)
    };
    if alias.is_none() && !request.may_execute() {
        return refuse(sys::HTTP_FORBIDDEN, "WSGI0134: Options ExecCGI is off in this directory.");
    }
    match request.file() {
        (sys::APR_NOFILE, _) => {
            return refuse(
                sys::HTTP_NOT_FOUND,
                "WSGI0135: Target WSGI script not found or unable to stat.",
            );
        }
        (sys::APR_DIR, _) => {
            return refuse(
                sys::HTTP_FORBIDDEN,
                "WSGI0136: Attempt to invoke directory as WSGI application.",
            );
        }
        _ => {}
    }
    if request.rejects_path_info() && !request.path_info().is_empty() {
        return refuse(sys::HTTP_NOT_FOUND, "WSGI0137: AcceptPathInfo off disallows user's path.");
    }
    Ok(())
}
