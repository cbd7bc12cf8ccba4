//! Where each directive may stand, and the words for what it may not say.

use super::Site;

/// Allowed in every part of the configuration.
const EVERYWHERE: [&str; 23] = [
    "WSGIHandlerScript name /x",
    "WSGIHandlerScript name /x process-group=%{GLOBAL} application-group=g pass-authorization=On",
    "WSGIDispatchScript /x",
    "WSGIDispatchScript /x application-group=g",
    "WSGICallableObject name",
    "WSGIProcessGroup name",
    "WSGIApplicationGroup name",
    "WSGIRestrictProcess one two",
    "WSGIRestrictProcess",
    "WSGIPassAuthorization On",
    "WSGIScriptReloading Off",
    "WSGIErrorOverride oN",
    "WSGIChunkedRequest on",
    "WSGIMapHEADToGET On",
    "WSGIMapHEADToGET auto",
    "WSGIMapHEADToGET OFF",
    "WSGIIgnoreActivity On",
    "WSGIEnableSendfile On",
    "WSGIPassApacheRequest On",
    "WSGITrustedProxyHeaders X-Forwarded-For X-Unknown",
    "WSGITrustedProxyHeaders",
    "WSGITrustedProxies 10.0.0.1 192.168.0.0/16 ::1",
    "WSGITrustedProxies",
];

/// For the main server and for virtual hosts.
const HOSTS: [&str; 8] = [
    "WSGIScriptAlias /x /y",
    "WSGIScriptAlias /x /y process-group=%{GLOBAL} application-group=g callable-object=c pass-authorization=Off",
    "WSGIScriptAlias /x /y process-group=none",
    "WSGIScriptAliasMatch ^/(x) /$1",
    "WSGIScriptAliasMatch ^/(x) /$1 process-group=none application-group=g",
    "WSGIImportScript /x process-group=%{GLOBAL} application-group=g",
    "WSGIDaemonProcess name",
    "WSGIDaemonProcess name processes=2 threads=3",
];

/// For the main server only.
const SERVER: [&str; 36] = [
    "WSGIRestrictEmbedded On",
    "WSGISocketPrefix wsgi",
    "WSGISocketPrefix /run/wsgi",
    "WSGISocketRotation Off",
    "WSGIAcceptMutex default",
    "WSGIAcceptMutex FLOCK",
    "WSGIPythonHome /nowhere",
    "WSGIPythonPath /a:/b",
    "WSGIPythonEggs /a",
    "WSGIPythonOptimize 1",
    "WSGIPythonWarnings default",
    "WSGIDontWriteBytecode On",
    "WSGIPythonHashSeed random",
    "WSGIPythonHashSeed 0",
    "WSGIPythonHashSeed 4294967295",
    "WSGISwitchInterval 0.01",
    "WSGIPerInterpreterGIL Off",
    "WSGIFreeThreading Off",
    "WSGIDestroyInterpreter Off",
    "WSGIRestrictStdin On",
    "WSGIRestrictStdout On",
    "WSGIRestrictSignal Off",
    "WSGICaseSensitivity On",
    "WSGIVerboseDebugging On",
    "WSGIServerMetrics On",
    "WSGITelemetryService unix:/x",
    "WSGITelemetryService unix:/x interval=2.5",
    "WSGISlowRequests 1.5",
    "WSGISlowRequests 0",
    "WSGITelemetryOptions +CaptureUserAgent",
    "WSGITelemetryOptions -captureuseragent +CaptureUserAgent",
    "WSGITelemetryOptions None",
    "WSGITelemetryOptions CaptureUserAgent",
    "WSGITelemetryOptions all",
    "<WSGIInterpreterOptions>\nWSGIPythonPath /x\n</WSGIInterpreterOptions>",
    "<WSGIInterpreterOptions \"application-group=two words\" process-group=%{GLOBAL}>\n\
     WSGISwitchInterval 0.1\n</WSGIInterpreterOptions>",
];

/// For sections about folders and places.
const FOLDERS: [&str; 5] = [
    "WSGIAccessScript /x",
    "WSGIAccessScript /x application-group=g",
    "WSGIAuthUserScript /x application-group=%{SERVER}",
    "WSGIAuthGroupScript /x application-group=%{GLOBAL}",
    "WSGIGroupAuthoritative Off",
];

fn inside(section: &str, directives: &str) -> String {
    let name = section.split(' ').next().unwrap();
    format!("<{section}>\n{directives}\n</{name}>")
}

#[test]
fn every_directive_is_accepted_where_it_belongs() {
    let site = Site::new();
    let accepted = |directives: &str| {
        let outcome = site.check(directives);
        assert_eq!(outcome.status, 0, "{directives}\n{}", outcome.stderr);
        assert!(outcome.stderr.contains("Syntax OK"), "{directives}\n{}", outcome.stderr);
    };
    let everywhere = EVERYWHERE.join("\n");
    accepted(&everywhere);
    accepted(&SERVER.join("\n"));
    for section in ["VirtualHost *", "Location /x", "Directory /x", "Files x"] {
        accepted(&inside(section, &everywhere));
    }
    for section in ["Location /x", "Directory /x", "Files x"] {
        accepted(&inside(section, &FOLDERS.join("\n")));
    }
    // Apart, since the names of process groups are unique.
    for directive in HOSTS {
        accepted(directive);
        accepted(&inside("VirtualHost *", directive));
    }
}

#[test]
fn directives_are_refused_where_they_do_not_belong() {
    let site = Site::new();
    let refused = |directives: &str, directive: &str| {
        let outcome = site.check(directives);
        assert_eq!(outcome.status, 1, "{directives}\n{}", outcome.stderr);
        let name = directive.split([' ', '>']).next().unwrap();
        let texts = [
            " not allowed in ",
            " not allowed here",
            " cannot occur within ",
            "> cannot occur within ",
        ];
        let told = texts.iter().any(|text| outcome.stderr.contains(&format!("{name}{text}")));
        assert!(told, "{directives}\n{}", outcome.stderr);
    };
    let mut seen = Vec::new();
    for directive in SERVER {
        // One of each is enough.
        let name = directive.split([' ', '>']).next().unwrap();
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        refused(&inside("VirtualHost *", directive), directive);
        refused(&inside("Location /x", directive), directive);
    }
    for directive in HOSTS {
        refused(&inside("Directory /x", directive), directive);
    }
    for directive in FOLDERS {
        refused(directive, directive);
        refused(&inside("VirtualHost *", directive), directive);
    }
}

#[test]
fn flags_are_on_or_off() {
    let site = Site::new();
    for name in [
        "WSGIRestrictEmbedded",
        "WSGISocketRotation",
        "WSGIPerInterpreterGIL",
        "WSGIFreeThreading",
        "WSGIDestroyInterpreter",
        "WSGIRestrictStdin",
        "WSGIRestrictStdout",
        "WSGIRestrictSignal",
        "WSGICaseSensitivity",
        "WSGIVerboseDebugging",
        "WSGIDontWriteBytecode",
        "WSGIPassAuthorization",
        "WSGIScriptReloading",
        "WSGIErrorOverride",
        "WSGIChunkedRequest",
        "WSGIIgnoreActivity",
        "WSGIEnableSendfile",
        "WSGIPassApacheRequest",
        "WSGIServerMetrics",
        "WSGIGroupAuthoritative",
    ] {
        let flag = |value: &str| site.check(&placed(name, &format!("{name} {value}")));
        let outcome = flag("maybe");
        assert_eq!(outcome.status, 1, "{name}");
        let text = format!("{name} must be one of: Off | On");
        assert!(outcome.stderr.contains(&text), "{name}: {}", outcome.stderr);
        assert_eq!((flag("oFF").status, flag("oN").status), (0, 0), "{name}");
    }
}

fn placed(name: &str, directive: &str) -> String {
    let needed = FOLDERS.iter().any(|known| known.starts_with(name));
    if needed { inside("Location /x", directive) } else { directive.to_owned() }
}

#[test]
fn mistakes_in_scripts_and_groups_are_told() {
    let site = Site::new();
    site.refuses([
        ("WSGIScriptAliasMatch /x", "WSGIScriptAliasMatch requires at least two arguments"),
        ("WSGIScriptAlias /x /y unknown=1", "Invalid option to WSGI script alias definition."),
        ("WSGIScriptAlias /x /y process-group=", "Invalid name for WSGI process group."),
        (
            "WSGIScriptAlias /x /y process-group=none application-group=g",
            "WSGI process group not yet configured.",
        ),
        ("WSGIHandlerScript", "Name for handler script not supplied."),
        (
            "WSGIHandlerScript x /y callable-object=c",
            "Invalid option to WSGI handler script definition.",
        ),
        ("WSGIImportScript", "Location of import script not supplied."),
        ("WSGIImportScript /x process-group=%{GLOBAL}", "Name of WSGI application group required."),
        ("WSGIImportScript /x application-group=g", "Name of WSGI process group required."),
        (
            "WSGIImportScript /x process-group=none application-group=g",
            "WSGI process group not yet configured.",
        ),
        (
            "WSGIImportScript /x process-group=%{GLOBAL} application-group=g callable-object=c",
            "Invalid option to WSGI import script definition.",
        ),
        ("WSGIDispatchScript", "Location of dispatch script not supplied."),
        (
            "WSGIDispatchScript /x process-group=g",
            "Invalid option to WSGI dispatch script definition.",
        ),
        ("WSGIDispatchScript /x application-group=", "Invalid name for WSGI application group."),
        (
            "WSGIDaemonProcess x\nWSGIDaemonProcess x",
            "Name duplicates previous WSGI daemon definition.",
        ),
        (
            "WSGIDaemonProcess x\n<VirtualHost *>\nWSGIDaemonProcess x\n</VirtualHost>",
            "Name duplicates previous WSGI daemon definition.",
        ),
        ("WSGIPythonHashSeed 4294967296", "\"random\" or an integer in range [0; 4294967295]"),
        ("WSGIPythonHashSeed x", "\"random\" or an integer in range [0; 4294967295]"),
        ("WSGISocketPrefix", "WSGISocketPrefix takes one argument"),
        ("WSGICallableObject a b", "WSGICallableObject takes one argument"),
        ("WSGIProcessGroup", "WSGIProcessGroup takes one argument"),
        ("WSGIUnknownDirective On", "Invalid command 'WSGIUnknownDirective'"),
    ]);
}
