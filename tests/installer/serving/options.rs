//! Directives about the interpreters: for all of them, and for some.

use super::{DAEMON, Instance, NAMED, Site};

/// Applications in the main interpreter and in two others.
const THREE: &str = "WSGIScriptAlias /main \"SITE/apps/ask.wsgi\" application-group=%{GLOBAL}\n\
                     WSGIScriptAlias /named \"SITE/apps/ask.wsgi\" application-group=named\n\
                     WSGIScriptAlias /other \"SITE/apps/ask.wsgi\" application-group=other\n";

/// A section for what the selectors select.
fn section(selectors: &str, directives: &str) -> String {
    let blank = if selectors.is_empty() { "" } else { " " };
    format!("<WSGIInterpreterOptions{blank}{selectors}>\n{directives}\n</WSGIInterpreterOptions>\n")
}

/// Selectors of the process group, and of `named` in it.
fn selectors() -> (String, String) {
    let own = format!("process-group={NAMED}");
    let two = format!("{own} application-group=named");
    (own, two)
}

/// What each of the three says.
fn ask_three(instance: &Instance, code: &str) -> [String; 3] {
    ["/main", "/named", "/other"].map(|target| instance.ask_at(target, code))
}

#[test]
fn settings_hold_for_every_interpreter() {
    for (directives, code, answer) in [
        ("WSGIPythonOptimize 2", "sys.flags.optimize", "2"),
        ("WSGIDontWriteBytecode On", "sys.dont_write_bytecode", "True"),
        (
            "WSGIPythonWarnings error::UserWarning\nWSGIPythonWarnings ignore::ImportWarning",
            "sys.warnoptions",
            "['error::UserWarning', 'ignore::ImportWarning']",
        ),
        ("WSGIPythonHashSeed 0", "sys.flags.hash_randomization", "0"),
        ("WSGISwitchInterval 0.25", "sys.getswitchinterval()", "0.25"),
        ("WSGISwitchInterval 1e-3", "sys.getswitchinterval()", "0.001"),
        ("", "sys.getswitchinterval()", "0.005"),
        (
            "WSGIRestrictStdin On",
            "sys.stdin.encoding",
            "OSError: sys.stdin access restricted by mod_wsgi",
        ),
        ("WSGISlowRequests 0.5", "6 * 7", "42"),
        ("WSGITelemetryService unix:SITE/kept/nobody interval=0.5", "6 * 7", "42"),
        (
            "WSGISocketPrefix \"SITE/kept/wsgi\"\nWSGISocketRotation Off\nWSGIAcceptMutex default",
            "6 * 7",
            "42",
        ),
    ] {
        let instance = Instance::new(&format!("{THREE}{directives}"));
        assert_eq!(ask_three(&instance, code), [answer; 3], "{directives}");
    }
}

#[test]
fn the_section_that_says_most_decides() {
    let (on, off) = ("WSGIRestrictStdout On", "WSGIRestrictStdout Off");
    let (own, two) = selectors();
    let (own, two) = (own.as_str(), two.as_str());
    let (main, named) = ("application-group=%{GLOBAL}", "application-group=named");
    for (directives, restricted) in [
        (section("", on), [true, true, true]),
        (section(named, on), [false, true, false]),
        (section(main, on), [true, false, false]),
        (section(own, on), [true, true, true]),
        (section(two, on), [false, true, false]),
        (section("process-group=elsewhere", on), [false; 3]),
        (section("process-group=elsewhere application-group=named", on), [false; 3]),
        (section("application-group=Named", on), [false; 3]),
        (section("application-group=", on), [true, false, false]),
        // Two selectors beat one, wherever they stand.
        (section(two, on) + &section(named, off) + &section(own, off), [false, true, false]),
        (section(named, on) + &section(two, off), [false; 3]),
        // Of two that say as much the later one wins.
        (section(named, on) + &section(named, off), [false; 3]),
        (section(named, off) + &section(own, on), [true, true, true]),
        (section(own, on) + &section(named, off), [true, false, true]),
        // One beats none, and any section the directive outside.
        (section(named, off) + &section("", on), [true, false, true]),
        (section(named, off) + on, [true, false, true]),
        (section("", off) + on, [false; 3]),
        (format!("{on}\n{}", section(named, off)), [true, false, true]),
        // Each directive for itself.
        (section(two, "WSGIRestrictStdin On") + &section(named, on), [false, true, false]),
    ] {
        let instance = Instance::new(&format!("{THREE}{directives}"));
        let found =
            ask_three(&instance, "sys.stdout.name").map(|answer| answer.contains("restricted"));
        assert_eq!(found, restricted, "{directives}");
    }
}

#[test]
fn python_paths_of_sections_add_up() {
    let [a, b, c] =
        ["SITE/a", "SITE/b", "SITE/c:SITE/d"].map(|path| format!("WSGIPythonPath \"{path}\""));
    let (a, b, c) = (a.as_str(), b.as_str(), c.as_str());
    let (own, two) = selectors();
    let (own, two) = (own.as_str(), two.as_str());
    let named = "application-group=named";
    // The path outside of sections is an option of the process, where that is a daemon.
    for (option, directives, [main, with]) in [
        ("python-path=SITE/a", format!("{a}\n{}", section(named, b)), ["a", "ba"]),
        ("python-path=SITE/a", section(named, b) + a, ["a", "ba"]),
        ("python-path=SITE/c:SITE/d", section(two, b) + &section(named, a) + c, ["cde", "bacde"]),
        ("", section(named, a) + &section(two, b) + &section("", c), ["cde", "bacde"]),
        ("python-path=SITE/a", section(named, b) + &section(own, c) + a, ["cdea", "cdeba"]),
        ("", section(named, b) + &section(named, a), ["", "ab"]),
        ("", section("process-group=elsewhere", a), ["", ""]),
        ("python-path=SITE/b", format!("{a}\n{b}"), ["b", "b"]),
    ] {
        let site = Site::new();
        site.write("d/more.pth", "../e\n");
        for below in ["a", "b", "c", "e"] {
            std::fs::create_dir(site.path(below)).unwrap();
        }
        let instance = Instance::with_options(site, option, &format!("{THREE}{directives}"));
        let code =
            "''.join(path[-1] for path in sys.path if path[-2] == '/' and 'serving-' in path)";
        let expected = [main, with, main].map(|letters| format!("'{letters}'"));
        assert_eq!(ask_three(&instance, code), expected, "{directives}");
    }
}

#[test]
fn the_switch_interval_of_a_section_must_be_its_own() {
    let named = "application-group=named";
    let (own, _) = selectors();
    let own = own.as_str();
    let interval = "WSGISwitchInterval 0.25";
    let outer = "WSGISwitchInterval 0.125\n";
    for (directives, answer, skipped) in [
        (section("", interval), "0.25", false),
        (section(own, interval), "0.25", false),
        (format!("{outer}{}", section(own, interval)), "0.25", false),
        (section("application-group=%{GLOBAL}", interval), "0.25", false),
        (section("process-group=elsewhere", interval), "0.005", false),
        // With the lock it would be that of the others.
        (section(named, interval), "0.005", true),
        (format!("{outer}{}", section(named, interval)), "0.125", true),
    ] {
        let instance = Instance::new(&format!("{THREE}{directives}"));
        assert_eq!(ask_three(&instance, "sys.getswitchinterval()"), [answer; 3], "{directives}");
        assert_eq!(
            instance.log().contains("WSGI0199"),
            skipped,
            "{directives}\n{}",
            instance.log()
        );
    }
}

#[test]
fn what_this_python_cannot_do_is_warned_of() {
    let instance = Instance::new(THREE);
    let version = instance.ask_at("/main", "sys.version_info >= (3, 12)");
    let free =
        instance.ask_at("/main", "bool(__import__('sysconfig').get_config_var('Py_GIL_DISABLED'))");
    drop(instance);
    let own = ["WSGI0198: ", "WSGIPerInterpreterGIL"];
    let threads = ["WSGI0200: ", "WSGIFreeThreading"];
    let scoped = ["WSGI0201: ", "WSGIFreeThreading"];
    let named = "application-group=named";
    for (directives, warning, warned) in [
        ("WSGIPerInterpreterGIL On".into(), own, version == "False"),
        (section(named, "WSGIPerInterpreterGIL On"), own, version == "False"),
        ("WSGIPerInterpreterGIL Off".into(), own, false),
        ("WSGIFreeThreading On".into(), threads, free == "False"),
        (section(&selectors().0, "WSGIFreeThreading On"), threads, free == "False"),
        ("WSGIFreeThreading Off".into(), threads, false),
        (section(named, "WSGIFreeThreading On"), scoped, true),
        (section(named, "WSGIFreeThreading Off"), scoped, true),
        ("WSGIFreeThreading On".into(), scoped, false),
    ] {
        let instance = Instance::new(&format!("{THREE}{directives}"));
        assert_eq!(ask_three(&instance, "6 * 7"), ["42"; 3], "{directives}");
        let log = instance.log();
        let line = log.lines().find(|line| line.contains(warning[0]));
        assert_eq!(line.is_some(), warned, "{directives}\n{log}");
        if let Some(line) = line {
            assert!(line.contains("[wsgi:warn]") && line.contains(warning[1]), "{line}");
        }
    }
}

#[test]
fn the_request_of_httpd_is_passed_only_where_that_is_told() {
    let instance =
        Instance::serving("ask", "<Location /on>\nWSGIPassApacheRequest On\n</Location>");
    let code = "type(environ.get('apache.request_rec')).__name__";
    assert_eq!(instance.ask(code), "'NoneType'");
    // It stays in its own process.
    let passed = if DAEMON { "'NoneType'" } else { "'PyCapsule'" };
    assert_eq!(instance.ask_at("/on", code), passed);
}

#[test]
fn names_follow_the_case_of_paths_unless_told() {
    let module = "'_mod_wsgi_' + __import__('hashlib').md5(module.__file__.encode()).hexdigest()";
    let lower = module.replace(".encode", ".lower().encode");
    for (directive, group, name) in
        [("WSGICaseSensitivity On", "/App", module), ("WSGICaseSensitivity Off", "/app", &lower)]
    {
        let directives = format!("WSGIScriptAlias /App \"SITE/apps/Mine.wsgi\"\n{directive}");
        let site = Site::new();
        site.write("apps/Mine.wsgi", &site.read("apps/ask.wsgi"));
        let instance = Instance::of(site, "event", &directives);
        let expected = format!("'localhost:{}|{group}'", instance.port);
        let code = "environ['mod_wsgi.application_group']";
        assert_eq!(instance.ask_at("/App", code), expected, "{directive}");
        let code = format!("module.__name__ == {name}");
        assert_eq!(instance.ask_at("/App", &code), "True", "{directive}");
    }
}

#[test]
fn start_response_tells_about_tls() {
    let instance = Instance::serving("ask", "");
    assert_eq!(instance.ask("kept.update(adapter=start_response.__self__)"), "None");
    for (code, answer) in [
        ("start_response.__self__.ssl_is_https()", "0"),
        ("start_response.__self__.ssl_var_lookup('SSL_PROTOCOL')", "None"),
        ("start_response.__self__.ssl_var_lookup(b'SSL_PROTOCOL')", "None"),
        (
            "start_response.__self__.ssl_var_lookup(5)",
            "TypeError: ssl_var_lookup() argument must be bytes, not int",
        ),
        (
            "start_response.__self__.ssl_var_lookup('\\u20ac')",
            "TypeError: ssl_var_lookup() argument must be bytes or a latin-1 str",
        ),
        (
            "kept['adapter'].ssl_is_https()",
            "RuntimeError: ssl_is_https() called after request completed",
        ),
        (
            "kept['adapter'].ssl_var_lookup('SSL_PROTOCOL')",
            "RuntimeError: ssl_var_lookup() called after request completed",
        ),
    ] {
        assert_eq!(instance.ask(code), answer, "{code}");
    }
}

/// Configurations for releases up to 4 have it; what it once asked for is now the
/// rule. The original refuses it.
#[test]
fn lazy_initialization_is_accepted_with_a_warning() {
    let site = Site::new();
    let outcome = site.check("WSGILazyInitialization On");
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("WSGILazyInitialization"), "{}", outcome.stderr);
    let instance = Instance::serving("ask", "WSGILazyInitialization On");
    assert_eq!(instance.ask("6 * 7"), "42");
    instance.logs("WSGILazyInitialization");
}
