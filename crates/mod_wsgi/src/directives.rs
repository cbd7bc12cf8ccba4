//! What each directive does. Name, place and help stand in `wsgi::directive`.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use httpd::{Command, Directive, Regex, Scope};
use wsgi::directive::{self, Context};
use wsgi::interpreter::Section;
use wsgi::options;
use wsgi::proxy::{Header, Network};

use crate::config::{DirectoryConfig, GlobalConfig, PythonConfig, Script, ServerConfig};
use crate::daemon;

/// All of them, for httpd's table.
pub(crate) fn all() -> Vec<Command<DirectoryConfig>> {
    let command = |record: &'static directive::Directive| Command {
        name: record.name,
        scope: scope_of(record.context),
        help: record.help,
        apply,
    };
    directive::ALL.iter().map(command).collect()
}

fn scope_of(context: Context) -> Scope {
    match context {
        Context::Global | Context::Interpreter => Scope::Global,
        Context::Server => Scope::Server,
        Context::Directory => Scope::Directory,
        Context::FileInfo => Scope::FileInfo,
        Context::AuthConfig => Scope::AuthConfig,
    }
}

type Apply = fn(&Directive<'_>, &mut DirectoryConfig) -> Result<(), String>;

/// What each record does, in the order of the records.
const ALL: &[(&str, Apply)] = &[
    ("WSGIScriptAlias", script_alias),
    ("WSGIScriptAliasMatch", script_alias),
    ("WSGIHandlerScript", handler_script),
    ("WSGIImportScript", import_script),
    ("WSGIDispatchScript", |directive, section| {
        set_script(directive, "dispatch", &mut section.dispatch_script)
    }),
    ("WSGICallableObject", |directive, section| set_text(directive, &mut section.callable)),
    ("WSGIDaemonProcess", daemon_process),
    ("WSGIProcessGroup", |directive, section| set_text(directive, &mut section.process_group)),
    ("WSGIApplicationGroup", |directive, section| {
        set_text(directive, &mut section.application_group)
    }),
    ("WSGIRestrictProcess", |directive, section| {
        section.restrict_process = Some(directive.words.clone());
        Ok(())
    }),
    ("WSGIRestrictEmbedded", |directive, _| {
        set_global(directive, |global| &mut global.restrict_embedded)
    }),
    ("WSGISocketPrefix", |directive, _| {
        let prefix = one(directive)?;
        let path = directive.path(prefix);
        let path = path.ok_or_else(|| format!("Invalid WSGISocketPrefix '{prefix}'."))?;
        global(directive)?.socket_prefix = Some(path);
        Ok(())
    }),
    ("WSGISocketRotation", |directive, _| {
        set_global(directive, |global| &mut global.socket_rotation)
    }),
    ("WSGIAcceptMutex", accept_mutex),
    ("<WSGIInterpreterOptions", interpreter_options),
    ("WSGIPythonHome", |directive, _| {
        let home = path_of(directive, one(directive)?);
        python(directive)?.home = Some(home);
        Ok(())
    }),
    ("WSGIPythonPath", |directive, _| {
        python(directive)?.options().path = Some(one(directive)?.to_owned());
        Ok(())
    }),
    ("WSGIPythonEggs", |directive, _| {
        python(directive)?.eggs = Some(path_of(directive, one(directive)?));
        Ok(())
    }),
    ("WSGIPythonOptimize", |directive, _| {
        let text = one(directive)?;
        let level = text.parse::<i32>().map_err(|_| {
            format!("WSGIPythonOptimize must be a whole number, but is \"{text}\".")
        })?;
        python(directive)?.optimize = Some(level);
        Ok(())
    }),
    ("WSGIPythonWarnings", |directive, _| {
        python(directive)?.warnings.push(one(directive)?.to_owned());
        Ok(())
    }),
    ("WSGIDontWriteBytecode", |directive, _| {
        set_global(directive, |global| &mut global.python.dont_write_bytecode)
    }),
    ("WSGIPythonHashSeed", |directive, _| {
        // `random` is Python's own default: no seed at all.
        python(directive)?.hash_seed = match one(directive)? {
            "random" => None,
            number => Some(number.parse().map_err(|_| SEED.to_owned())?),
        };
        Ok(())
    }),
    ("WSGISwitchInterval", |directive, _| {
        let text = one(directive)?;
        let seconds = options::decimal_seconds(text).filter(|seconds| *seconds > 0.0);
        python(directive)?.options().switch_interval = Some(seconds.ok_or_else(|| {
            format!("WSGISwitchInterval must be a positive number of seconds, but is \"{text}\".")
        })?);
        Ok(())
    }),
    ("WSGIPerInterpreterGIL", |directive, _| {
        set_global(directive, |global| &mut global.python.options().per_interpreter_gil)
    }),
    ("WSGIFreeThreading", |directive, _| {
        let python = python(directive)?;
        let is_narrow = python
            .open_section
            .is_some_and(|open| python.sections[open].application_group.is_some());
        // In such a section it is out of place, whatever it says.
        python.free_threading[usize::from(is_narrow)] |= flag(directive)? || is_narrow;
        Ok(())
    }),
    ("WSGIDestroyInterpreter", |directive, _| {
        set_global(directive, |global| &mut global.python.destroy_interpreter)
    }),
    ("WSGIRestrictStdin", |directive, _| {
        set_global(directive, |global| &mut global.python.options().restrict_stdin)
    }),
    ("WSGIRestrictStdout", |directive, _| {
        set_global(directive, |global| &mut global.python.options().restrict_stdout)
    }),
    ("WSGIRestrictSignal", |directive, _| {
        set_global(directive, |global| &mut global.python.options().restrict_signal)
    }),
    ("WSGICaseSensitivity", |directive, _| {
        set_global(directive, |global| &mut global.case_sensitivity)
    }),
    ("WSGIVerboseDebugging", check_flag),
    ("WSGILazyInitialization", |directive, section| {
        check_flag(directive, section)?;
        httpd::log_to_process(
            httpd::Level::Warning,
            "WSGILazyInitialization has no effect: Python starts in the child processes.",
        );
        Ok(())
    }),
    ("WSGIPassAuthorization", |directive, section| {
        set_flag(directive, &mut section.pass_authorization)
    }),
    ("WSGIScriptReloading", |directive, section| {
        set_flag(directive, &mut section.script_reloading)
    }),
    ("WSGIErrorOverride", |directive, section| set_flag(directive, &mut section.error_override)),
    ("WSGIChunkedRequest", |directive, section| set_flag(directive, &mut section.chunked_request)),
    ("WSGIMapHEADToGET", |directive, section| {
        section.map_head = Some(options::MapHead::parse(one(directive)?)?);
        Ok(())
    }),
    ("WSGIIgnoreActivity", |directive, section| set_flag(directive, &mut section.ignore_activity)),
    ("WSGIEnableSendfile", |directive, section| set_flag(directive, &mut section.enable_sendfile)),
    ("WSGIPassApacheRequest", |directive, section| {
        set_flag(directive, &mut section.pass_apache_request)
    }),
    ("WSGITrustedProxyHeaders", |directive, section| {
        // Unknown names are no error: they trust nothing.
        let headers = directive.words.iter().filter_map(|word| Header::parse(word));
        section.trusted_headers.get_or_insert_default().extend(headers);
        Ok(())
    }),
    ("WSGITrustedProxies", |directive, section| {
        for word in &directive.words {
            let network = Network::parse(word)?;
            section.trusted_proxies.get_or_insert_default().push(network);
        }
        Ok(())
    }),
    ("WSGIAccessScript", |directive, section| {
        set_script(directive, "access", &mut section.access_script)
    }),
    ("WSGIAuthUserScript", |directive, section| {
        set_script(directive, "auth user", &mut section.user_script)
    }),
    ("WSGIAuthGroupScript", |directive, section| {
        set_script(directive, "auth group", &mut section.group_script)
    }),
    ("WSGIGroupAuthoritative", check_flag),
    ("WSGIServerMetrics", |directive, _| {
        set_global(directive, |global| &mut global.server_metrics)
    }),
    ("WSGITelemetryService", telemetry_service),
    ("WSGISlowRequests", |directive, _| {
        let text = one(directive)?;
        match options::decimal_seconds(text) {
            Some(_) => Ok(()),
            None => {
                Err(format!("WSGISlowRequests threshold must be non-negative, but is \"{text}\"."))
            }
        }
    }),
    ("WSGITelemetryOptions", telemetry_options),
];

/// Each record has its line above, and each line its record.
const _: () = {
    assert!(ALL.len() == directive::ALL.len());
    let mut index = 0;
    while index < ALL.len() {
        let (ours, theirs) = (ALL[index].0.as_bytes(), directive::ALL[index].name.as_bytes());
        assert!(ours.len() == theirs.len());
        let mut letter = 0;
        while letter < ours.len() {
            assert!(ours[letter] == theirs[letter]);
            letter += 1;
        }
        index += 1;
    }
};

/// What httpd calls for each of them.
fn apply(directive: &mut Directive<'_>, section: &mut DirectoryConfig) -> Result<(), String> {
    let name = directive.name;
    let Some((record, (_, apply))) =
        directive::ALL.iter().zip(ALL).find(|(record, _)| record.name == name)
    else {
        return Err(format!("{name} is not known to mod_wsgi"));
    };
    // No section is open while requests are served, which is when `.htaccess` files
    // are read.
    let in_options = !directive.in_htaccess && global(directive)?.python.open_section.is_some();
    if in_options && record.context != Context::Interpreter {
        return Err(format!("{name} not allowed in <WSGIInterpreterOptions> context"));
    }
    apply(directive, section)?;
    if record.name.starts_with('<') {
        directive.walk().and(close_section(directive))?;
    }
    Ok(())
}

const SEED: &str = "WSGIPythonHashSeed must be \"random\" or an integer in range [0; 4294967295]";

/// `WSGIScriptAlias url path [option=value ...]`, and the same with a regular
/// expression.
fn script_alias(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    let [url, path, ..] = directive.words.as_slice() else {
        let name = directive.name;
        return Err(format!("{name} requires at least two arguments, a URL and a path."));
    };
    let mut regex = None;
    if directive.name == "WSGIScriptAliasMatch" {
        regex = Regex::new(directive.pool, url);
        if regex.is_none() {
            return Err("Regular expression could not be compiled.".to_owned());
        }
    }
    let path = path_of(directive, path);
    let mut alias = Script { name: url.clone(), regex, path, ..Script::default() };
    read_options(&mut alias, &directive.rests[1], "script alias", ALIAS_OPTIONS)?;
    // One without `$` is loaded when the processes of the group start.
    let is_fixed = alias.regex.is_none() || !alias.path.contains('$');
    if let (Some(group), Some(application)) = (&alias.process_group, &alias.application_group)
        && is_fixed
        && [group, application].iter().all(|name| !name.contains("%{"))
        && !is_daemon_group(group)
    {
        return Err("WSGI process group not yet configured.".to_owned());
    }
    server(directive)?.aliases.push(alias);
    Ok(())
}

/// `WSGIHandlerScript name path [option=value ...]`.
fn handler_script(directive: &Directive<'_>, section: &mut DirectoryConfig) -> Result<(), String> {
    let Some(name) = directive.words.first() else {
        return Err("Name for handler script not supplied.".to_owned());
    };
    let Some(path) = directive.words.get(1) else {
        return Err("Location of handler script not supplied.".to_owned());
    };
    let mut script = Script {
        name: name.clone(),
        path: path_of(directive, path),
        callable: Some("handle_request".to_owned()),
        ..Script::default()
    };
    let known = &["process-group", "application-group", "pass-authorization"];
    read_options(&mut script, &directive.rests[1], "handler script", known)?;
    section.handler_scripts.insert(name.clone(), script);
    Ok(())
}

/// `WSGIImportScript path process-group=name application-group=name`.
fn import_script(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    let script = script_of(directive, "import", &["process-group", "application-group"])?;
    let Some(group) = &script.process_group else {
        return Err("Name of WSGI process group required.".to_owned());
    };
    if script.application_group.is_none() {
        return Err("Name of WSGI application group required.".to_owned());
    }
    if group != "%{GLOBAL}" && !is_daemon_group(group) {
        return Err("WSGI process group not yet configured.".to_owned());
    }
    let is_embedded = group == "%{GLOBAL}";
    let server = server(directive)?;
    server.needs_python |= is_embedded;
    server.import_scripts.push(script);
    Ok(())
}

/// A script that decides about requests: path and `application-group=name`.
fn set_script(
    directive: &Directive<'_>,
    what: &str,
    place: &mut Option<Script>,
) -> Result<(), String> {
    *place = Some(script_of(directive, what, &["application-group"])?);
    if !directive.in_htaccess {
        server(directive)?.needs_python = true;
    }
    Ok(())
}

fn script_of(directive: &Directive<'_>, what: &str, known: &[&str]) -> Result<Script, String> {
    let Some(path) = directive.words.first().filter(|path| !path.is_empty()) else {
        return Err(format!("Location of {what} script not supplied."));
    };
    let mut script = Script { path: path_of(directive, path), ..Script::default() };
    read_options(&mut script, &directive.rests[0], &format!("{what} script"), known)?;
    Ok(script)
}

/// `WSGIDaemonProcess name [option=value ...]`.
fn daemon_process(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    let name = directive.words.first().map_or("", String::as_str);
    let rest = directive.rests.first().map_or("", String::as_str);
    let invalid = "Invalid option to WSGI daemon process definition.";
    let pairs = options::pairs(rest).ok_or_else(|| invalid.to_owned())?;
    let options = options::daemon::DaemonOptions::parse(name, &pairs)?;
    let mut declared = daemon::declare(options, directive.server)?;
    let mut groups = DAEMON_GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
    if !groups.insert(name.to_owned()) {
        return Err(options::daemon::NAME_TAKEN.to_owned());
    }
    declared.number = groups.len();
    drop(groups);
    server(directive)?.daemons.push(declared);
    Ok(())
}

/// Groups of daemon processes so far: their names are unique for all servers.
static DAEMON_GROUPS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn is_daemon_group(name: &str) -> bool {
    DAEMON_GROUPS.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
}

/// Forgets what was read: the configuration is read anew.
pub(crate) fn forget() {
    DAEMON_GROUPS.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

/// `WSGIAcceptMutex method`: there is no such lock here, but the name must be one.
fn accept_mutex(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    let known = ["default", "flock", "fcntl", "sysvsem", "posixsem", "pthread"];
    let name = one(directive)?;
    if known.iter().any(|method| method.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    Err(format!(
        "Accept mutex lock mechanism '{name}' is invalid. Valid accept mutex mechanisms for this platform are: {}.",
        known.join(", ")
    ))
}

/// `<WSGIInterpreterOptions [process-group=name] [application-group=name]>`.
fn interpreter_options(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    let wrong = |what: String| Err(format!("<WSGIInterpreterOptions>: {what}"));
    let line = directive.arguments.trim_end();
    let Some(line) = line.strip_suffix('>') else {
        return Err("<WSGIInterpreterOptions> directive missing closing '>'".to_owned());
    };
    let mut section = Section::default();
    for word in httpd::words(directive.pool, line.as_bytes()) {
        let Some((name, value)) = word.split_once('=') else {
            return wrong(format!("argument '{word}' is not of the form key=value"));
        };
        let place = match name {
            "process-group" => &mut section.process_group,
            "application-group" => &mut section.application_group,
            _ => {
                return wrong(format!(
                    "unknown selector '{name}'; known are process-group and application-group"
                ));
            }
        };
        let value = if value == "%{GLOBAL}" { "" } else { value };
        if place.replace(value.to_owned()).is_some() {
            return wrong(format!("{name} given more than once"));
        }
    }
    let python = python(directive)?;
    python.open_section = Some(python.sections.len());
    python.sections.push(section);
    Ok(())
}

fn close_section(directive: &Directive<'_>) -> Result<(), String> {
    python(directive)?.open_section = None;
    Ok(())
}

/// `WSGITelemetryService unix:/path [interval=n]`.
fn telemetry_service(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    let target = directive.words.first().map_or("", String::as_str);
    if !target.strip_prefix("unix:").is_some_and(|path| path.starts_with('/')) {
        return Err(format!(
            "WSGITelemetryService target must be 'unix:/path', but is '{target}'."
        ));
    }
    for option in directive.words.iter().skip(1) {
        let Some(interval) = option.strip_prefix("interval=") else {
            return Err(format!(
                "WSGITelemetryService second argument must be 'interval=N', but is '{option}'."
            ));
        };
        if !options::decimal_seconds(interval).is_some_and(|seconds| seconds >= 0.5) {
            return Err(format!(
                "WSGITelemetryService interval must be at least 0.5 seconds, but is '{interval}'."
            ));
        }
    }
    global(directive)?.has_telemetry = true;
    Ok(())
}

/// `WSGITelemetryOptions [+|-]flag ...`.
fn telemetry_options(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    if directive.words.is_empty() {
        return Err("WSGITelemetryOptions: at least one flag required.".to_owned());
    }
    let is_signed = |word: &&String| word.starts_with(['+', '-']);
    let signed = directive.words.iter().filter(is_signed).count();
    if signed != 0 && signed != directive.words.len() {
        return Err(
            "WSGITelemetryOptions: cannot mix flags with and without '+' or '-'.".to_owned()
        );
    }
    for word in &directive.words {
        let name = word.trim_start_matches(['+', '-']);
        if name.is_empty() {
            return Err("WSGITelemetryOptions: bare '+' / '-' is not a flag.".to_owned());
        }
        if name != word && ["None", "All"].iter().any(|whole| whole.eq_ignore_ascii_case(name)) {
            return Err(format!("WSGITelemetryOptions: '{name}' may not have a +/- prefix."));
        }
        let known = ["CaptureUserAgent", "None", "All"];
        if !known.iter().any(|option| option.eq_ignore_ascii_case(name)) {
            return Err(format!(
                "WSGITelemetryOptions: unknown flag '{name}'; known are {}.",
                known.join(", ")
            ));
        }
    }
    Ok(())
}

const ALIAS_OPTIONS: &[&str] =
    &["process-group", "application-group", "callable-object", "pass-authorization"];

/// The options after a script's path.
fn read_options(script: &mut Script, text: &str, what: &str, known: &[&str]) -> Result<(), String> {
    let invalid = || format!("Invalid option to WSGI {what} definition.");
    for (name, value) in options::pairs(text).ok_or_else(invalid)? {
        if !known.contains(&name.as_str()) {
            return Err(invalid());
        }
        let named = |what: &str| {
            if value.is_empty() {
                return Err(format!("Invalid name for WSGI {what}."));
            }
            Ok(Some(value.clone()))
        };
        match name.as_str() {
            "application-group" => script.application_group = named("application group")?,
            "process-group" => script.process_group = named("process group")?,
            "callable-object" => script.callable = named("callable object")?,
            _ => {
                let flag = options::flag("", &value)
                    .map_err(|_| "Invalid value for authorization flag.".to_owned())?;
                script.pass_authorization = Some(flag);
            }
        }
    }
    Ok(())
}

/// The one argument of a directive.
fn one<'d>(directive: &'d Directive<'_>) -> Result<&'d str, String> {
    match directive.words.as_slice() {
        [word] => Ok(word),
        _ => Err(format!("{} takes one argument", directive.name)),
    }
}

/// A path, made absolute against ServerRoot.
fn path_of(directive: &Directive<'_>, text: &str) -> String {
    directive.path(text).unwrap_or_else(|| text.to_owned())
}

fn flag(directive: &Directive<'_>) -> Result<bool, String> {
    options::flag(directive.name, one(directive)?)
}

/// A flag that is read and of no use here.
fn check_flag(directive: &Directive<'_>, _: &mut DirectoryConfig) -> Result<(), String> {
    flag(directive).map(drop)
}

fn set_text(directive: &Directive<'_>, place: &mut Option<String>) -> Result<(), String> {
    *place = Some(one(directive)?.to_owned());
    Ok(())
}

fn set_flag(directive: &Directive<'_>, place: &mut Option<bool>) -> Result<(), String> {
    *place = Some(flag(directive)?);
    Ok(())
}

fn set_global(
    directive: &Directive<'_>,
    place: fn(&mut GlobalConfig) -> &mut Option<bool>,
) -> Result<(), String> {
    *place(global(directive)?) = Some(flag(directive)?);
    Ok(())
}

fn server<'c>(directive: &Directive<'_>) -> Result<&'c mut ServerConfig, String> {
    directive
        .server
        .config(crate::index())
        .ok_or_else(|| "mod_wsgi has no configuration for this server".to_owned())
}

fn global<'c>(directive: &Directive<'_>) -> Result<&'c mut GlobalConfig, String> {
    server(directive).map(|server| &mut server.global)
}

fn python<'c>(directive: &Directive<'_>) -> Result<&'c mut PythonConfig, String> {
    global(directive).map(|global| &mut global.python)
}
