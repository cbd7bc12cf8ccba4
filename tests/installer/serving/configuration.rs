//! What the configuration may say, and the words for what it may not.

use super::Site;

#[test]
fn mistakes_are_told_in_these_words() {
    let site = Site::new();
    let cases = [
        ("WSGIScriptAlias /x", "WSGIScriptAlias requires at least two arguments"),
        ("WSGIScriptAlias /x /y bare", "Invalid option to WSGI script alias definition."),
        ("WSGIScriptAlias /x /y application-group=", "Invalid name for WSGI application group."),
        ("WSGIScriptAlias /x /y callable-object=", "Invalid name for WSGI callable object."),
        ("WSGIScriptAlias /x /y pass-authorization=maybe", "Invalid value for authorization flag."),
        ("WSGIScriptAliasMatch ( /y", "Regular expression could not be compiled."),
        ("WSGIHandlerScript mine", "Location of handler script not supplied."),
        (
            "WSGIHandlerScript mine /y colour=red",
            "Invalid option to WSGI handler script definition.",
        ),
        ("WSGIDaemonProcess", "Name of WSGI daemon process not supplied."),
        ("WSGIDaemonProcess x bare", "Invalid option to WSGI daemon process definition."),
        ("WSGIDaemonProcess x proxy-buffer-size=65536", "response-buffer-size"),
        (
            "WSGIDaemonProcess x response-buffer-size=100",
            "Response buffer size must be >= 65536 bytes, or 0 for default.",
        ),
        ("WSGIScriptReloading maybe", "WSGIScriptReloading must be one of: Off | On"),
        ("WSGIMapHEADToGET maybe", "WSGIMapHEADToGET must be one of: Off | On | Auto"),
        (
            "WSGIPythonHashSeed -1",
            "WSGIPythonHashSeed must be \"random\" or an integer in range [0; 4294967295]",
        ),
        ("WSGIPythonOptimize two", "WSGIPythonOptimize must be a whole number, but is \"two\"."),
        (
            "WSGITrustedProxies nowhere",
            "Unable to parse trusted proxy IP address/subnet of \"nowhere\".",
        ),
        (
            "<VirtualHost *>\nWSGIPythonHome /x\n</VirtualHost>",
            "WSGIPythonHome cannot occur within <VirtualHost> section",
        ),
    ];
    site.refuses(cases);
}

/// The original takes what is no number for 0.
#[test]
fn numbers_that_are_none_are_refused() {
    let site = Site::new();
    for (option, value) in [("threads", "abc"), ("processes", "x"), ("threads", "5x")] {
        let outcome = site.check(&format!("WSGIDaemonProcess name {option}={value}"));
        assert_eq!(outcome.status, 1, "{option}={value}\n{}", outcome.stderr);
        for word in [option, value] {
            assert!(outcome.stderr.contains(word), "{word}\n{}", outcome.stderr);
        }
    }
}

#[test]
fn values_may_be_quoted() {
    let site = Site::new();
    for directives in [
        "WSGIScriptAlias /x /y application-group=\"two words\"",
        "WSGIScriptAlias \"/a b\" \"/y z\" callable-object='app'",
        "WSGIDaemonProcess \"two words\" display-name=\"%{GROUP} of mine\" threads=5",
    ] {
        let outcome = site.check(directives);
        assert_eq!(outcome.status, 0, "{directives}\n{}", outcome.stderr);
    }
}

#[test]
fn mistakes_in_options_are_told() {
    let site = Site::new();
    let selectors = |selectors: &str| {
        format!("<WSGIInterpreterOptions {selectors}>\n</WSGIInterpreterOptions>\n")
    };
    site.refuses::<String>([
        ("WSGISwitchInterval 0".into(), "WSGISwitchInterval must be a positive number of seconds"),
        ("WSGISwitchInterval -1".into(), "WSGISwitchInterval must be a positive number of seconds"),
        ("WSGISwitchInterval 1x".into(), "WSGISwitchInterval must be a positive number of seconds"),
        ("WSGISwitchInterval".into(), "WSGISwitchInterval takes one argument"),
        (
            "WSGIAcceptMutex none".into(),
            "Accept mutex lock mechanism 'none' is invalid. Valid accept mutex mechanisms for this platform are: default, ",
        ),
        ("WSGITelemetryService /x".into(), "WSGITelemetryService target must be 'unix:/path'"),
        ("WSGITelemetryService udp:x:1".into(), "WSGITelemetryService target must be 'unix:/path'"),
        (
            "WSGITelemetryService unix:/x interval=0.1".into(),
            "WSGITelemetryService interval must be at least 0.5 seconds",
        ),
        (
            "WSGITelemetryService unix:/x interval=abc".into(),
            "WSGITelemetryService interval must be at least 0.5 seconds",
        ),
        (
            "WSGITelemetryService unix:/x other=1".into(),
            "WSGITelemetryService second argument must be 'interval=N'",
        ),
        ("WSGISlowRequests -1".into(), "WSGISlowRequests threshold must be non-negative"),
        ("WSGITelemetryOptions".into(), "WSGITelemetryOptions: at least one flag required"),
        ("WSGITelemetryOptions Odd".into(), "WSGITelemetryOptions: unknown flag 'Odd'"),
        ("WSGITelemetryOptions +Odd".into(), "WSGITelemetryOptions: unknown flag 'Odd'"),
        ("WSGITelemetryOptions +CaptureUserAgent None".into(), "WSGITelemetryOptions: cannot mix"),
        (
            "WSGITelemetryOptions +None".into(),
            "WSGITelemetryOptions: 'None' may not have a +/- prefix",
        ),
        (
            "WSGITelemetryOptions -All".into(),
            "WSGITelemetryOptions: 'All' may not have a +/- prefix",
        ),
        ("WSGITelemetryOptions +".into(), "WSGITelemetryOptions: bare '+' / '-' is not a flag"),
        (
            "<WSGIInterpreterOptions application-group=x\n</WSGIInterpreterOptions>".into(),
            "<WSGIInterpreterOptions> directive missing closing '>'",
        ),
        (
            selectors("bare"),
            "<WSGIInterpreterOptions>: argument 'bare' is not of the form key=value",
        ),
        (selectors("other=x"), "<WSGIInterpreterOptions>: unknown selector 'other'"),
        (
            selectors("application-group=x application-group=y"),
            "<WSGIInterpreterOptions>: application-group given more than once",
        ),
        (
            selectors("process-group=x process-group=y"),
            "<WSGIInterpreterOptions>: process-group given more than once",
        ),
        (
            format!("<VirtualHost *>\n{}</VirtualHost>", selectors("application-group=x")),
            "<WSGIInterpreterOptions> cannot occur within <VirtualHost> section",
        ),
    ]);
}

/// The original takes most of these for 0, or for their first digits.
#[test]
fn numbers_of_options_that_are_none_are_refused() {
    let site = Site::new();
    for (directives, words) in [
        ("WSGISlowRequests abc", ["WSGISlowRequests", "abc"]),
        ("WSGISlowRequests 1x", ["WSGISlowRequests", "1x"]),
        ("WSGISlowRequests nan", ["WSGISlowRequests", "nan"]),
        ("WSGITelemetryService unix:/x interval=2x", ["WSGITelemetryService", "2x"]),
        (
            "WSGISwitchInterval nan",
            ["WSGISwitchInterval must be a positive number of seconds", "nan"],
        ),
        (
            "WSGISwitchInterval inf",
            ["WSGISwitchInterval must be a positive number of seconds", "inf"],
        ),
        (
            "WSGISwitchInterval abc",
            ["WSGISwitchInterval must be a positive number of seconds", "abc"],
        ),
    ] {
        let outcome = site.check(directives);
        assert_eq!(outcome.status, 1, "{directives}\n{}", outcome.stderr);
        for word in words {
            assert!(outcome.stderr.contains(word), "{directives}: {word}\n{}", outcome.stderr);
        }
    }
}

#[test]
fn directives_of_gates_are_checked() {
    let site = Site::new();
    for (directive, name) in [
        ("WSGIAccessScript", "access script"),
        ("WSGIAuthUserScript", "auth user script"),
        ("WSGIAuthGroupScript", "auth group script"),
    ] {
        for (arguments, text) in [
            ("", format!("Location of {name} not supplied.")),
            (" ''", format!("Location of {name} not supplied.")),
            (" /x bare", format!("Invalid option to WSGI {name} definition.")),
            (" /x process-group=y", format!("Invalid option to WSGI {name} definition.")),
            (" /x application-group=", "Invalid name for WSGI application group.".into()),
        ] {
            let outcome =
                site.check(&format!("<Location /x>\n{directive}{arguments}\n</Location>"));
            assert_eq!(outcome.status, 1, "{directive}{arguments}");
            assert!(outcome.stderr.contains(&text), "{directive}{arguments}\n{}", outcome.stderr);
        }
    }
}
