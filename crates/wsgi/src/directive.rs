//! The directives of the module, each a record: name, arguments, default, where
//! it may stand, what it means. httpd's table, its help and `docs/directives.md`
//! are made from them; what a directive does is the module's.

use std::fmt::Write as _;

use crate::options::daemon::DaemonOptions;

/// One directive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Directive {
    /// Its name. That of a section starts with `<`.
    pub name: &'static str,
    /// What follows the name.
    pub arguments: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// Where it may stand.
    pub context: Context,
    /// What it is for, in one line.
    pub help: &'static str,
    /// What else there is to know.
    pub text: &'static str,
}

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Context {
    /// The main server alone.
    Global,
    /// The main server, and sections for interpreters.
    Interpreter,
    /// Main server and virtual hosts.
    Server,
    /// Folders, locations and files as well.
    Directory,
    /// `.htaccess` as well, where `AllowOverride FileInfo` holds.
    FileInfo,
    /// Folders, and `.htaccess` where `AllowOverride AuthConfig` holds.
    AuthConfig,
}

impl Context {
    fn shown(self) -> &'static str {
        match self {
            Self::Global => "main server",
            Self::Interpreter => "main server, `<WSGIInterpreterOptions>`",
            Self::Server => "main server, virtual host",
            Self::Directory => "main server, virtual host, directory",
            Self::FileInfo => "main server, virtual host, directory, `.htaccess` (FileInfo)",
            Self::AuthConfig => "directory, `.htaccess` (AuthConfig)",
        }
    }
}

/// The record of that name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Directive> {
    ALL.iter().find(|directive| directive.name == name)
}

/// All of them as a Markdown page.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(PREFACE);
    for directive in ALL {
        let bracket = if directive.name.starts_with('<') { ">" } else { "" };
        // Writing to a text does not fail.
        let _written = write!(
            page,
            "\n## {}{bracket}\n\n{}\n\n| | |\n| --- | --- |\n| Syntax | `{} {}{bracket}` |\n| Default | {} |\n| Context | {} |\n",
            directive.name,
            directive.help,
            directive.name,
            directive.arguments.replace('|', "\\|"),
            directive.default,
            directive.context.shown(),
        );
        if !directive.text.is_empty() {
            let _written = write!(page, "\n{}\n", directive.text);
        }
    }
    let _written = write!(page, "\n## Options of WSGIDaemonProcess\n\n{}", DaemonOptions::table());
    page.push_str(PRELOAD);
    page.push_str(crate::status::HANDLERS);
    page
}

const PREFACE: &str = "# Directives\n\n\
Made from the records in `crates/wsgi/src/directive.rs` (`just docs`).\n\n\
An inner scope takes the place of an outer one. On and Off may be written in any\n\
case. Options are written `name=value`, without blanks round the `=`; a value with\n\
blanks stands in quotes. A number that is none is an error, which names the option,\n\
the value and what is allowed.\n\n\
Names of groups: `%{GLOBAL}` is httpd's own process, or the main interpreter;\n\
`%{SERVER}` the server's name, `%{HOST}` the one that the client asked for, both with\n\
the port unless that is 80 or 443; `%{RESOURCE}` the server and the script's URL;\n\
`%{ENV:x}` the variable x of the request's notes, its environment or the process.\n";

const PRELOAD: &str = "\n### preload=on\n\n\
A group with this option has one process more, the zygote. It loads what is known in\n\
advance: each `WSGIImportScript` of the group, and each `WSGIScriptAlias` that names\n\
both groups, if its `application-group` is `%{GLOBAL}`. Then it forks the processes\n\
that serve, which share its memory until they write to it. One that ends, or is\n\
replaced by a limit, is followed by another one at once, without any new import. A\n\
changed script, and a restart of httpd, replace the zygote first.\n\n\
What a script must keep to that is loaded so:\n\n\
- It starts no threads: a forked process has only the one that forked it. The log\n  \
warns of threads that are there when the scripts are loaded.\n\
- Connections, open files and locks that it makes at its import are shared by all\n  \
processes. What each must have of its own is made at the first request, or by\n  \
`os.register_at_fork(after_in_child=...)`.\n\
- `atexit` functions run in the processes that serve, not in the zygote.\n\
- Other interpreters than the main one cannot be forked: scripts for another\n  \
`application-group` are loaded by each process, after the fork.\n\
- A script that fails to load is tried again by each process that a request for it\n  \
comes to, as without the option.\n\n\
A zygote that has not loaded its scripts within `startup-timeout`, or ends before, is\n\
started again after longer and longer pauses; requests are answered 503 meanwhile, or\n\
by the processes that are there.\n";

const fn flag(
    name: &'static str,
    default: &'static str,
    context: Context,
    help: &'static str,
    text: &'static str,
) -> Directive {
    Directive { name, arguments: "On|Off", default, context, help, text }
}

/// All of them, in the order of the page.
pub const ALL: &[Directive] = &[
    Directive {
        name: "WSGIScriptAlias",
        arguments: "url-path file-or-folder [option=value ...]",
        default: "none",
        context: Context::Server,
        help: "Maps a URL prefix to a script file, or to a folder of scripts.",
        text: "`Options ExecCGI` is not needed. A slash in the prefix matches any run of slashes, and\n\
               the match ends where a part of the path does. Options: `process-group=`,\n\
               `application-group=`, `callable-object=`, `pass-authorization=On|Off`. With both\n\
               groups given and without `%{}` but `%{GLOBAL}`, the script is loaded when the process\n\
               starts.",
    },
    Directive {
        name: "WSGIScriptAliasMatch",
        arguments: "regex file-or-folder [option=value ...]",
        default: "none",
        context: Context::Server,
        help: "Maps URLs that match a regular expression to scripts.",
        text: "`$1` and so on stand for what was in brackets; what follows the match is appended. The\n\
               options are those of `WSGIScriptAlias`.",
    },
    Directive {
        name: "WSGIHandlerScript",
        arguments: "name file [option=value ...]",
        default: "none",
        context: Context::Directory,
        help: "Makes a Python file a handler of httpd's, for `SetHandler` and `AddHandler`.",
        text: "Its `handle_request(environ, start_response)` is called for resources of that handler,\n\
               which need not exist. Options: `process-group=`, `application-group=`,\n\
               `pass-authorization=`.",
    },
    Directive {
        name: "WSGIImportScript",
        arguments: "file process-group=name application-group=name",
        default: "none",
        context: Context::Server,
        help: "Loads a script when a process starts.",
        text: "",
    },
    Directive {
        name: "WSGIDispatchScript",
        arguments: "file [application-group=name]",
        default: "none",
        context: Context::Directory,
        help: "Lets a script choose where each request is handled.",
        text: "Its functions `process_group(environ)`, `application_group(environ)` and\n\
               `callable_object(environ)`, each optional, answer with a name or `None`. It runs in\n\
               httpd's own process. A script that fails or cannot be loaded is a 500.",
    },
    Directive {
        name: "WSGICallableObject",
        arguments: "name",
        default: "`application`",
        context: Context::FileInfo,
        help: "Names what is called in the script.",
        text: "`%{ENV:x}` is expanded.",
    },
    Directive {
        name: "WSGIDaemonProcess",
        arguments: "name [option=value ...]",
        default: "none",
        context: Context::Server,
        help: "Defines a group of daemon processes.",
        text: "Its options stand in a table at the end of this page. A group that is declared in a virtual\n\
               host serves hosts of the same `ServerName` alone.",
    },
    Directive {
        name: "WSGIProcessGroup",
        arguments: "name",
        default: "httpd's own processes",
        context: Context::Directory,
        help: "Names the process group that runs the application.",
        text: "",
    },
    Directive {
        name: "WSGIApplicationGroup",
        arguments: "name",
        default: "`%{RESOURCE}`",
        context: Context::Directory,
        help: "Names the interpreter that the application runs in.",
        text: "Extension modules that do not work in sub-interpreters, numpy among them, need\n\
               `%{GLOBAL}`.",
    },
    Directive {
        name: "WSGIRestrictProcess",
        arguments: "name ...",
        default: "all",
        context: Context::Directory,
        help: "Limits the process groups that may be chosen here.",
        text: "Compared without case; `%{GLOBAL}` allows httpd's own processes. Any other choice is a\n\
               500.",
    },
    flag(
        "WSGIRestrictEmbedded",
        "Off",
        Context::Global,
        "Forbids applications in httpd's own processes.",
        "Python is then started there only if an access, authentication, dispatch or import\n\
         script needs it.",
    ),
    Directive {
        name: "WSGISocketPrefix",
        arguments: "path",
        default: "`wsgi` in httpd's runtime folder",
        context: Context::Global,
        help: "Start of the names of sockets of daemon processes.",
        text: "Relative to ServerRoot. A path must not be longer than a socket's may be: 107 bytes.",
    },
    flag(
        "WSGISocketRotation",
        "On",
        Context::Global,
        "Whether names of sockets change with each restart.",
        "",
    ),
    Directive {
        name: "WSGIAcceptMutex",
        arguments: "method",
        default: "`default`",
        context: Context::Global,
        help: "Kind of lock between the processes of a group.",
        text: "default, flock, fcntl, sysvsem, posixsem or pthread. Read; there is no such lock here.",
    },
    Directive {
        name: "<WSGIInterpreterOptions",
        arguments: "[process-group=name] [application-group=name]",
        default: "none",
        context: Context::Global,
        help: "Narrows directives down to some interpreters.",
        text: "Of several sections that fit an interpreter, the one with more selectors has the word,\n\
               of equals the later one; `WSGIPythonPath` adds up, the most specific first.",
    },
    Directive {
        name: "WSGIPythonHome",
        arguments: "folder",
        default: "the Python that the module was built for",
        context: Context::Global,
        help: "A Python installation or virtual environment.",
        text: "It must be of the version that the module was built for; the log says so before the\n\
               first request if it is not.",
    },
    Directive {
        name: "WSGIPythonPath",
        arguments: "folder[:folder ...]",
        default: "none",
        context: Context::Interpreter,
        help: "Folders for modules, before those of Python itself.",
        text: "Their `.pth` files are read.",
    },
    Directive {
        name: "WSGIPythonEggs",
        arguments: "folder",
        default: "none",
        context: Context::Global,
        help: "Sets `PYTHON_EGG_CACHE` in `os.environ`, in embedded mode.",
        text: "",
    },
    Directive {
        name: "WSGIPythonOptimize",
        arguments: "level",
        default: "0",
        context: Context::Global,
        help: "Level of optimisation: 0, 1 or 2.",
        text: "",
    },
    Directive {
        name: "WSGIPythonWarnings",
        arguments: "filter",
        default: "none",
        context: Context::Global,
        help: "A warning filter, as after Python's -W. May be repeated.",
        text: "",
    },
    flag(
        "WSGIDontWriteBytecode",
        "Off",
        Context::Global,
        "Whether `.pyc` files are left unwritten.",
        "",
    ),
    Directive {
        name: "WSGIPythonHashSeed",
        arguments: "random|number",
        default: "random",
        context: Context::Global,
        help: "Seed of hashes: random, or a number up to 4294967295.",
        text: "",
    },
    Directive {
        name: "WSGISwitchInterval",
        arguments: "seconds",
        default: "Python's own",
        context: Context::Interpreter,
        help: "How long a thread keeps Python's lock while others wait.",
        text: "In a section for an application group it needs an interpreter with a lock of its own,\n\
               and is skipped with a warning otherwise.",
    },
    flag(
        "WSGIPerInterpreterGIL",
        "Off",
        Context::Interpreter,
        "Whether sub-interpreters have locks of their own.",
        "From Python 3.12 on; older ones are told of in the log. Many extension modules refuse\n\
         such an interpreter.",
    ),
    flag(
        "WSGIFreeThreading",
        "Off",
        Context::Interpreter,
        "Whether a free-threaded Python runs without its lock.",
        "It holds for a whole process. Free-threaded builds are not supported yet: the log says\n\
         so.",
    ),
    flag(
        "WSGIDestroyInterpreter",
        "On",
        Context::Global,
        "Whether interpreters are taken down when a process ends.",
        "Off: `atexit` does not run; functions that subscribed to the shutdown do.",
    ),
    flag(
        "WSGIRestrictStdin",
        "Off",
        Context::Interpreter,
        "Whether `sys.stdin` is closed to applications.",
        "",
    ),
    flag(
        "WSGIRestrictStdout",
        "Off",
        Context::Interpreter,
        "Whether `sys.stdout` is closed to applications.",
        "",
    ),
    flag(
        "WSGIRestrictSignal",
        "On",
        Context::Interpreter,
        "Whether `signal.signal()` is without effect.",
        "",
    ),
    flag(
        "WSGICaseSensitivity",
        "On; Off on macOS",
        Context::Global,
        "Whether names of scripts differ by case.",
        "",
    ),
    flag("WSGIVerboseDebugging", "Off", Context::Global, "Of old; without effect.", ""),
    flag(
        "WSGILazyInitialization",
        "On",
        Context::Global,
        "Of old: Python starts in the child processes, as if it were On.",
        "Accepted with a warning, so that a configuration for 4.4.7 starts.",
    ),
    flag(
        "WSGIPassAuthorization",
        "Off",
        Context::FileInfo,
        "Whether applications see the Authorization header.",
        "",
    ),
    flag(
        "WSGIScriptReloading",
        "On",
        Context::FileInfo,
        "Whether a changed script is loaded again.",
        "It has changed if the time of its file is another one, or if its function\n\
         `reload_required(path)` says so.",
    ),
    flag(
        "WSGIErrorOverride",
        "Off",
        Context::FileInfo,
        "Whether httpd's error pages take the place of the application's.",
        "In daemon processes alone.",
    ),
    flag(
        "WSGIChunkedRequest",
        "Off",
        Context::FileInfo,
        "Whether chunked request bodies are accepted.",
        "Off: they are answered 411.",
    ),
    Directive {
        name: "WSGIMapHEADToGET",
        arguments: "Off|On|Auto",
        default: "Auto",
        context: Context::FileInfo,
        help: "Whether applications see HEAD requests as GET.",
        text: "Auto: if an output filter needs the body. It is never sent.",
    },
    flag(
        "WSGIIgnoreActivity",
        "Off",
        Context::FileInfo,
        "Whether requests here leave the inactivity timer alone.",
        "In daemon processes alone.",
    ),
    flag(
        "WSGIEnableSendfile",
        "On for files from 64 KiB that lie on btrfs, ext, overlay, tmpfs or XFS, else Off",
        Context::FileInfo,
        "Whether the kernel may send files of `wsgi.file_wrapper` by itself.",
        "httpd's `EnableSendfile` is for files of its own.",
    ),
    flag(
        "WSGIPassApacheRequest",
        "Off",
        Context::Directory,
        "Puts the `request_rec` into the environ, as the capsule `apache.request_rec`.",
        "",
    ),
    Directive {
        name: "WSGITrustedProxyHeaders",
        arguments: "header ...",
        default: "none",
        context: Context::FileInfo,
        help: "Headers of front ends that may rewrite the environ.",
        text: "Known are X-Forwarded-For, X-Client-IP, X-Real-IP; X-Forwarded-Host, X-Host;\n\
               X-Forwarded-Server; X-Forwarded-Port; X-Script-Name, X-Forwarded-Script-Name;\n\
               X-Forwarded-Proto, X-Forwarded-Scheme, X-Scheme, X-Forwarded-HTTPS, X-Forwarded-SSL,\n\
               X-HTTPS. All others of a kind that is listed are taken out.",
    },
    Directive {
        name: "WSGITrustedProxies",
        arguments: "address-or-network ...",
        default: "everybody",
        context: Context::FileInfo,
        help: "Addresses and networks of front ends.",
        text: "",
    },
    Directive {
        name: "WSGIAccessScript",
        arguments: "file [application-group=name]",
        default: "none",
        context: Context::AuthConfig,
        help: "A script that decides which hosts have access.",
        text: "`allow_access(environ, host)` answers `True`, `False` or `None`, which is no opinion.",
    },
    Directive {
        name: "WSGIAuthUserScript",
        arguments: "file [application-group=name]",
        default: "none",
        context: Context::AuthConfig,
        help: "A script behind the authentication provider `wsgi`.",
        text: "For Basic, `check_password(environ, user, password)` answers `True`, `False`, `None` for an\n\
               unknown user, or a name that the user has from then on. For Digest,\n\
               `get_realm_hash(environ, user, realm)` answers with the hash or `None`.",
    },
    Directive {
        name: "WSGIAuthGroupScript",
        arguments: "file [application-group=name]",
        default: "none",
        context: Context::AuthConfig,
        help: "A script behind `Require wsgi-group`.",
        text: "`groups_for_user(environ, user)` answers with the names of the user's groups.",
    },
    flag("WSGIGroupAuthoritative", "On", Context::AuthConfig, "Of old; without effect.", ""),
    flag(
        "WSGIServerMetrics",
        "Off",
        Context::Global,
        "Whether `mod_wsgi.server_metrics()` tells of the scoreboard.",
        "In httpd's own processes; daemon processes have an option.",
    ),
    Directive {
        name: "WSGITelemetryService",
        arguments: "unix:/path [interval=seconds]",
        default: "none",
        context: Context::Global,
        help: "Where telemetry is sent.",
        text: "Read and checked; nothing is sent yet, which the log says.",
    },
    Directive {
        name: "WSGISlowRequests",
        arguments: "seconds",
        default: "none",
        context: Context::Global,
        help: "From when on a request is told of as slow.",
        text: "Read and checked; of use with telemetry.",
    },
    Directive {
        name: "WSGITelemetryOptions",
        arguments: "[+|-]CaptureUserAgent|None|All ...",
        default: "none",
        context: Context::Global,
        help: "What telemetry may hold.",
        text: "Read and checked; of use with telemetry.",
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_once_and_help_is_a_sentence() {
        let names: BTreeSet<&str> = ALL.iter().map(|directive| directive.name).collect();
        assert_eq!(names.len(), ALL.len());
        for directive in ALL {
            assert!(directive.help.ends_with('.'), "{}", directive.name);
            assert!(!directive.help.contains('\n'), "{}", directive.name);
        }
    }
}
