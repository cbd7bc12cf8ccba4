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
    for (directives, words) in cases {
        let outcome = site.check(directives);
        assert_ne!(outcome.status, 0, "{directives}");
        let said = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(said.contains(words), "{directives}\n`{words}` is not in {said}");
    }
}
