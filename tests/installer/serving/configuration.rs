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
