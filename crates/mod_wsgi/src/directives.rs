//! The directives, each a record: name, where it may stand, help, what it does.

use httpd::{Command, Directive, Regex, Scope};
use wsgi::options;
use wsgi::proxy::{Header, Network};

use crate::config::{Alias, DirectoryConfig, PythonConfig, ServerConfig};

/// All of them.
pub(crate) const ALL: &[Command<DirectoryConfig>] = &[
    Command {
        name: c"WSGIScriptAlias",
        scope: Scope::Server,
        help: c"Map a URL prefix to a script file, or to a folder of scripts.",
        apply: script_alias,
    },
    Command {
        name: c"WSGIScriptAliasMatch",
        scope: Scope::Server,
        help: c"Map URLs that match a regular expression to scripts.",
        apply: script_alias,
    },
    Command {
        name: c"WSGIImportScript",
        scope: Scope::Server,
        help: c"Load a script when a process starts.",
        apply: import_script,
    },
    Command {
        name: c"WSGIHandlerScript",
        scope: Scope::Directory,
        help: c"Define a handler that is a Python file.",
        apply: handler_script,
    },
    Command {
        name: c"WSGITrustedProxyHeaders",
        scope: Scope::FileInfo,
        help: c"Headers of front ends that may rewrite the environ.",
        apply: |directive, section| {
            // Unknown names are no error: they trust nothing.
            let headers = directive.words.iter().filter_map(|word| Header::parse(word));
            section.trusted_headers.get_or_insert_default().extend(headers);
            Ok(())
        },
    },
    Command {
        name: c"WSGITrustedProxies",
        scope: Scope::FileInfo,
        help: c"Addresses and networks of front ends.",
        apply: |directive, section| {
            for word in &directive.words {
                let network = Network::parse(word)?;
                section.trusted_proxies.get_or_insert_default().push(network);
            }
            Ok(())
        },
    },
    Command {
        name: c"WSGIDaemonProcess",
        scope: Scope::Server,
        help: c"Define a group of daemon processes; they are checked, not served yet.",
        apply: daemon_process,
    },
    Command {
        name: c"WSGIProcessGroup",
        scope: Scope::Directory,
        help: c"Name of the daemon process group that runs the application.",
        apply: |directive, section| set_text(directive, &mut section.process_group),
    },
    Command {
        name: c"WSGIApplicationGroup",
        scope: Scope::Directory,
        help: c"Name of the interpreter that the application runs in.",
        apply: |directive, section| set_text(directive, &mut section.application_group),
    },
    Command {
        name: c"WSGICallableObject",
        scope: Scope::FileInfo,
        help: c"Name of what is called in the script.",
        apply: |directive, section| set_text(directive, &mut section.callable),
    },
    Command {
        name: c"WSGIPassAuthorization",
        scope: Scope::FileInfo,
        help: c"Whether applications see the Authorization header.",
        apply: |directive, section| set_flag(directive, &mut section.pass_authorization),
    },
    Command {
        name: c"WSGIScriptReloading",
        scope: Scope::FileInfo,
        help: c"Whether a changed script is loaded again.",
        apply: |directive, section| set_flag(directive, &mut section.script_reloading),
    },
    Command {
        name: c"WSGIChunkedRequest",
        scope: Scope::FileInfo,
        help: c"Whether chunked request bodies are accepted.",
        apply: |directive, section| set_flag(directive, &mut section.chunked_request),
    },
    Command {
        name: c"WSGIMapHEADToGET",
        scope: Scope::FileInfo,
        help: c"Whether applications see HEAD requests as GET.",
        apply: |directive, section| {
            let [text] = one(directive)?;
            section.map_head = Some(options::MapHead::parse(text)?);
            Ok(())
        },
    },
    Command {
        name: c"WSGIPythonHome",
        scope: Scope::Global,
        help: c"Python installation or virtual environment.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            let path = directive.path(text).unwrap_or_else(|| text.clone());
            python(directive)?.home = Some(path);
            Ok(())
        },
    },
    Command {
        name: c"WSGIPythonPath",
        scope: Scope::Global,
        help: c"Folders for modules, separated by colons.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            let text = text.clone();
            python(directive)?.path = Some(text);
            Ok(())
        },
    },
    Command {
        name: c"WSGIPythonWarnings",
        scope: Scope::Global,
        help: c"A warning filter, as after Python's -W.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            let text = text.clone();
            python(directive)?.warnings.push(text);
            Ok(())
        },
    },
    Command {
        name: c"WSGIPythonOptimize",
        scope: Scope::Global,
        help: c"Level of optimisation: 0, 1 or 2.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            let level = text.parse::<i32>().map_err(|_| {
                format!("WSGIPythonOptimize must be a whole number, but is \"{text}\".")
            })?;
            python(directive)?.optimize = Some(level);
            Ok(())
        },
    },
    Command {
        name: c"WSGIPythonHashSeed",
        scope: Scope::Global,
        help: c"Seed of hashes: random, or a number.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            // `random` is Python's own default: no seed at all.
            let seed = match text.as_str() {
                "random" => None,
                number => Some(number.parse().map_err(|_| SEED.to_owned())?),
            };
            python(directive)?.hash_seed = seed;
            Ok(())
        },
    },
    Command {
        name: c"WSGIDontWriteBytecode",
        scope: Scope::Global,
        help: c"Whether .pyc files are left unwritten.",
        apply: |directive, _| set_python_flag(directive, |python| &mut python.dont_write_bytecode),
    },
    Command {
        name: c"WSGIDestroyInterpreter",
        scope: Scope::Global,
        help: c"Whether interpreters are taken down when a process ends.",
        apply: |directive, _| set_python_flag(directive, |python| &mut python.destroy_interpreter),
    },
    Command {
        name: c"WSGIRestrictStdin",
        scope: Scope::Global,
        help: c"Whether sys.stdin is closed to applications.",
        apply: |directive, _| set_python_flag(directive, |python| &mut python.restrict_stdin),
    },
    Command {
        name: c"WSGIRestrictStdout",
        scope: Scope::Global,
        help: c"Whether sys.stdout is closed to applications.",
        apply: |directive, _| set_python_flag(directive, |python| &mut python.restrict_stdout),
    },
    Command {
        name: c"WSGIRestrictSignal",
        scope: Scope::Global,
        help: c"Whether signal.signal() is without effect.",
        apply: |directive, _| set_python_flag(directive, |python| &mut python.restrict_signal),
    },
    accepted_flag(c"WSGIErrorOverride", Scope::FileInfo),
    accepted_flag(c"WSGIEnableSendfile", Scope::FileInfo),
    accepted_flag(c"WSGIIgnoreActivity", Scope::FileInfo),
    accepted_flag(c"WSGIVerboseDebugging", Scope::Global),
    Command {
        name: c"WSGIRestrictEmbedded",
        scope: Scope::Global,
        help: c"Whether nothing may run in httpd's own processes.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            let flag = options::flag(directive.name, text)?;
            server(directive)?.restrict_embedded = Some(flag);
            Ok(())
        },
    },
    Command {
        name: c"WSGIRestrictProcess",
        scope: Scope::Directory,
        help: c"Process groups that may be used here.",
        apply: |directive, section| {
            section.restrict_process = Some(directive.words.clone());
            Ok(())
        },
    },
];

/// A flag that is read and checked, and of which embedded mode has no use.
const fn accepted_flag(name: &'static std::ffi::CStr, scope: Scope) -> Command<DirectoryConfig> {
    Command {
        name,
        scope,
        help: c"Of use in daemon processes alone.",
        apply: |directive, _| {
            let [text] = one(directive)?;
            options::flag(directive.name, text).map(drop)
        },
    }
}

const SEED: &str = "WSGIPythonHashSeed must be \"random\" or an integer in range [0; 4294967295]";

/// `WSGIScriptAlias url path [option=value ...]`, and the same with a regular
/// expression.
fn script_alias(
    directive: &mut Directive<'_>,
    _section: &mut DirectoryConfig,
) -> Result<(), String> {
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
    let mut alias = Alias {
        url: url.clone(),
        regex,
        path: directive.path(path).unwrap_or_else(|| path.clone()),
        ..Alias::default()
    };
    let invalid = "Invalid option to WSGI script alias definition.";
    read_options(&mut alias, &directive.rests[1], invalid)?;
    server(directive)?.aliases.push(alias);
    Ok(())
}

/// `WSGIHandlerScript name path [option=value ...]`.
fn handler_script(
    directive: &mut Directive<'_>,
    section: &mut DirectoryConfig,
) -> Result<(), String> {
    let Some(name) = directive.words.first() else {
        return Err("Name for handler script not supplied.".to_owned());
    };
    let Some(path) = directive.words.get(1) else {
        return Err("Location of handler script not supplied.".to_owned());
    };
    let mut script = Alias {
        url: name.clone(),
        path: directive.path(path).unwrap_or_else(|| path.clone()),
        ..Alias::default()
    };
    let invalid = "Invalid option to WSGI handler script definition.";
    read_options(&mut script, &directive.rests[1], invalid)?;
    if script.callable.is_some() {
        return Err(invalid.to_owned());
    }
    script.callable = Some("handle_request".to_owned());
    section.handler_scripts.insert(name.clone(), script);
    Ok(())
}

/// `WSGIImportScript path process-group=name application-group=name`.
fn import_script(
    directive: &mut Directive<'_>,
    _section: &mut DirectoryConfig,
) -> Result<(), String> {
    let Some(path) = directive.words.first() else {
        return Err("Location of import script not supplied.".to_owned());
    };
    let mut script =
        Alias { path: directive.path(path).unwrap_or_else(|| path.clone()), ..Alias::default() };
    let invalid = "Invalid option to WSGI import script definition.";
    read_options(&mut script, &directive.rests[0], invalid)?;
    let Some(group) = &script.process_group else {
        return Err("Name of WSGI process group required.".to_owned());
    };
    if script.application_group.is_none() {
        return Err("Name of WSGI application group required.".to_owned());
    }
    if group != "%{GLOBAL}" {
        return Err("WSGI process group not yet configured.".to_owned());
    }
    server(directive)?.import_scripts.push(script);
    Ok(())
}

/// `WSGIDaemonProcess name [option=value ...]`: read and checked. Requests for a
/// group are told that it cannot serve yet.
fn daemon_process(
    directive: &mut Directive<'_>,
    _section: &mut DirectoryConfig,
) -> Result<(), String> {
    let name = directive.words.first().map_or("", String::as_str);
    let rest = directive.rests.first().map_or("", String::as_str);
    let invalid = "Invalid option to WSGI daemon process definition.";
    let pairs = options::pairs(rest).ok_or_else(|| invalid.to_owned())?;
    options::daemon::DaemonOptions::parse(name, &pairs).map(drop)
}

/// The options after a script's path.
fn read_options(alias: &mut Alias, text: &str, invalid: &str) -> Result<(), String> {
    // httpd's own reader would part `name="two words"` at the blank.
    for (name, value) in options::pairs(text).ok_or_else(|| invalid.to_owned())? {
        let named = |what: &str| {
            if value.is_empty() {
                return Err(format!("Invalid name for WSGI {what}."));
            }
            Ok(Some(value.clone()))
        };
        match name.as_str() {
            "application-group" => alias.application_group = named("application group")?,
            "process-group" => alias.process_group = named("process group")?,
            "callable-object" => alias.callable = named("callable object")?,
            "pass-authorization" => {
                let flag = options::flag("", &value)
                    .map_err(|_| "Invalid value for authorization flag.".to_owned())?;
                alias.pass_authorization = Some(flag);
            }
            _ => return Err(invalid.to_owned()),
        }
    }
    Ok(())
}

/// The one argument of a directive.
fn one<'d>(directive: &'d Directive<'_>) -> Result<[&'d String; 1], String> {
    match directive.words.as_slice() {
        [word] => Ok([word]),
        _ => Err(format!("{} takes one argument", directive.name)),
    }
}

fn set_text(directive: &Directive<'_>, place: &mut Option<String>) -> Result<(), String> {
    let [text] = one(directive)?;
    *place = Some(text.clone());
    Ok(())
}

fn set_flag(directive: &Directive<'_>, place: &mut Option<bool>) -> Result<(), String> {
    let [text] = one(directive)?;
    *place = Some(options::flag(directive.name, text)?);
    Ok(())
}

fn set_python_flag(
    directive: &Directive<'_>,
    place: fn(&mut PythonConfig) -> &mut Option<bool>,
) -> Result<(), String> {
    let [text] = one(directive)?;
    let flag = options::flag(directive.name, text)?;
    *place(python(directive)?) = Some(flag);
    Ok(())
}

fn server<'c>(directive: &Directive<'_>) -> Result<&'c mut ServerConfig, String> {
    directive
        .server
        .config(crate::index())
        .ok_or_else(|| "mod_wsgi has no configuration for this server".to_owned())
}

fn python<'c>(directive: &Directive<'_>) -> Result<&'c mut PythonConfig, String> {
    server(directive).map(|server| &mut server.python)
}
