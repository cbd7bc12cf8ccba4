//! Words: how they are read, and what is said about those that do not fit
//! (reference 1.2).

use super::Folder;

#[test]
fn what_does_not_fit_is_said_as_people_know_it() {
    let folder = Folder::new();
    for (words, text) in [
        (&["--nothing"][..], "no such option: --nothing"),
        (&["--port", "abc"], "option --port: invalid integer value: 'abc'"),
        (&["--port=1.5"], "option --port: invalid integer value: '1.5'"),
        (
            &["--switch-interval", "x"],
            "option --switch-interval: invalid floating-point value: 'x'",
        ),
        (&["--port"], "--port option requires 1 argument"),
        (&["--service-script", "a"], "--service-script option requires 2 arguments"),
        (&["--setenv=A"], "--setenv option requires 2 arguments"),
        (&["--http2=yes"], "--http2 option does not take a value"),
        (
            &["--initial-workers", "1.5"],
            "--initial-workers option value needs to be within the range 0 to 1.",
        ),
        (&["--log"], "ambiguous option: --log (--log-directory, --log-level, --log-to-terminal?)"),
        (&["--maximum-requests", "-1"], "option --maximum-requests: invalid value: '-1'"),
        (&["--eviction-timeout", "-1"], "option --eviction-timeout: invalid value: '-1'"),
        (
            &["--eviction-timeout", "soon"],
            "option --eviction-timeout: invalid integer value: 'soon'",
        ),
        (&["--response-buffer-size", "65535"], "65536 or more, or 0"),
        (&["--port", "0"], "option --port: invalid value: '0'"),
        (&["--port", "65536"], "option --port: invalid value: '65536'"),
        (&["--application-type", "asgi"], "option --application-type: invalid choice: 'asgi'"),
        (&["--map-head-to-get", "maybe"], "option --map-head-to-get: invalid choice: 'maybe'"),
        (&["--auth-type", "Bearer"], "option --auth-type: invalid choice: 'Bearer'"),
        (&["--server-mpm", "winnt"], "option --server-mpm: invalid choice: 'winnt'"),
        (&["--ssl-certificate", "c"], "--ssl-certificate can only be used with --https-port."),
        (&["--debugger-startup"], "--debugger-startup can only be used with --enable-debugger."),
        (&["--telemetry-service", "http://x"], "must start with `unix:`"),
        (&["--slow-requests", "1"], "--slow-requests can only be used with --telemetry-service"),
        (&["--switch-interval", "0"], "option --switch-interval: invalid value: '0'"),
        (&["missing.wsgi"], "there is no application"),
        (&["project.wsgi"], "a module is served by: --application-type module project.wsgi"),
        (&["--application-type", "module", "app:create"], "say it as app --callable-object create"),
        (&["--application-type", "static", "app.wsgi"], "is not a folder"),
        (&["--working-directory", "missing"], "option --working-directory: there is no"),
        (&["--include-file", "missing"], "option --include-file: there is no"),
        (&["--service-script", "a", "missing.py"], "option --service-script: there is no"),
        (&["--service-user", "a", "nobody"], "--service-user: there is no service `a`"),
        (
            &["--service-script", "a", "app.wsgi", "--service-script", "a", "app.wsgi"],
            "duplicates previous",
        ),
        (&["--user", "no-such-user"], "option --user: bad user name `no-such-user`"),
        (&["--group", "no-such-group"], "option --group: bad group name `no-such-group`"),
        (
            &["--service-script", "a", "app.wsgi", "--service-user", "a", "no-such-user"],
            "option --service-user: bad user name `no-such-user`",
        ),
    ] {
        let outcome = folder.set_up(words).expect(2);
        assert!(outcome.stderr.contains(text), "{words:?}\n`{text}` is not in {}", outcome.stderr);
        assert_eq!(outcome.stdout, "", "{words:?}");
    }
    assert!(!folder.path("root").exists());
}

#[test]
fn a_usage_error_begins_with_the_usage() {
    let outcome = Folder::new().run(&["start-server", "--nothing"]).expect(2);
    let lines: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(lines[0], "Usage: mod_wsgi-express start-server script [options]");
    assert_eq!(lines[1], "");
    assert_eq!(lines[2], "mod_wsgi-express: error: no such option: --nothing");
}

#[test]
fn options_of_old_name_their_successors() {
    for (words, successor) in [
        (["--proxy-buffer-size", "65536"], "--response-buffer-size"),
        (["--profiler-output-file", "x"], "--profiler-directory"),
        (["--with-wdb", "x"], "--enable-debugger"),
        (["--prot", "8000"], "--port"),
    ] {
        let outcome = Folder::new().set_up(&words).expect(2);
        assert!(outcome.stderr.contains(&format!("no such option: {}", words[0])));
        assert!(outcome.stderr.contains(successor), "{}", outcome.stderr);
    }
}

#[test]
fn commands_are_named_and_explained() {
    let folder = Folder::new();
    for (words, code, text) in [
        (&[][..], 2, "mod_wsgi-express: error: No command was specified."),
        (&["serve"], 2, "mod_wsgi-express: error: Invalid command was specified.\n"),
        (
            &["strat-server"],
            2,
            "Invalid command was specified.\n  hint: did you mean start-server?",
        ),
        (&["module-location", "x"], 2, "Incorrect number of arguments."),
        (&["install-module", "x"], 2, "Incorrect number of arguments."),
    ] {
        let outcome = folder.run(words).expect(code);
        assert!(outcome.stderr.contains(text), "{words:?} {}", outcome.stderr);
    }
    let help = folder.run(&["--help"]).expect(0).stdout;
    for command in ["start-server", "setup-server", "module-config", "install-module"] {
        assert!(help.contains(command), "{help}");
    }
    assert!(folder.run(&["--version"]).expect(0).stdout.starts_with("mod_wsgi-express "));
    let options = folder.run(&["start-server", "--help"]).expect(0).stdout;
    for text in ["Limits and timeouts:", "--eviction-timeout <SECONDS>", "[default: 8000]"] {
        assert!(options.contains(text), "{options}");
    }
    assert!(!options.contains("--ssl-port"), "{options}");
    assert!(options.starts_with("Start a server for an application"), "{options}");
    assert!(options.trim_end().ends_with("--server-name www.example.org"), "{options}");
    for shell in ["bash", "zsh", "fish"] {
        let text = folder.run(&["completions", shell]).expect(0).stdout;
        assert!(text.contains("--eviction-timeout") || text.contains("eviction-timeout"));
    }
    assert!(folder.run(&["man"]).expect(0).stdout.contains("eviction"));
}

#[test]
fn numbers_and_names_are_read_as_before() {
    let folder = Folder::new();
    folder.write("a b.wsgi", "");
    for (words, text) in [
        (&["--port", "0x1f90"][..], "Listen 8080\n"),
        (&["--port", "017500"], "Listen 8000\n"),
        (&["--port", "8001", "--port", "8002"], "Listen 8002\n"),
        (&["--por", "8003"], "Listen 8003\n"),
        (&["--setenv=A", "b"], "SetEnv \"A\" \"b\"\n"),
        (&["--setenv", "A", "--port"], "SetEnv \"A\" \"--port\"\n"),
        (&["--setenv", "A", "$VIRTUAL_ENV"], "SetEnv \"A\" \"/"),
        (
            &["--setenv", "A", "$UNKNOWN-${UNKNOWN}"],
            "SetEnv \"A\" \"$UNKNOWN-${MOD_WSGI_DOLLAR}{UNKNOWN}\"\n",
        ),
        (&["--port", "8004", "--", "a b.wsgi"], "Listen 8004\n"),
        (&["a b.wsgi", "--port", "8005", "ignored"], "Listen 8005\n"),
        (&["--ssl-port", "8443", "--ssl-certificate", "c"], "<VirtualHost *:8443>\n"),
    ] {
        if words.contains(&"--ssl-port") {
            super::hosts::certificate(&folder);
        }
        let conf = folder.configuration(words);
        assert!(conf.contains(text), "{words:?}\n`{text}` is not in {conf}");
    }
}

#[test]
fn what_has_no_effect_is_said() {
    let folder = Folder::new();
    for (words, text) in [
        (&["--server-alias", "a.test"][..], "--server-alias has no effect without --server-name"),
        (&["--https-only"], "--https-only has no effect without TLS"),
        (&["--https-port", "8443"], "there is no TLS"),
        (&["app.wsgi", "other.wsgi"], "`other.wsgi` is ignored"),
        (&["--threads", "3", "--threads=4"], "--threads is given twice; the last one counts"),
        (&["--hsts-policy", "max-age=1"], "--hsts-policy has no effect without --https-only"),
    ] {
        let outcome = folder.set_up(words).expect(0);
        assert!(outcome.stderr.contains(text), "{words:?} {}", outcome.stderr);
    }
    let often = ["--url-alias", "/a", "app.wsgi", "--url-alias", "/b", "app.wsgi"];
    let said = folder.set_up(&often).expect(0).stderr;
    assert!(!said.contains("twice"), "{said}");
}

#[test]
fn the_module_is_located_configured_and_copied() {
    let folder = Folder::new();
    let ask = |words: &[&str]| {
        let mut launcher = folder.launcher(words);
        launcher.env("HTTPD", super::base().join("bin/httpd"));
        super::Outcome::of(launcher.output().unwrap())
    };
    let location = ask(&["module-location"]).expect(0).stdout;
    assert!(location.ends_with("/modules/mod_wsgi.so\n"), "{location}");
    assert!(std::path::Path::new(location.trim()).is_file());
    let home = super::python().home.display();
    let lines =
        |module: &str| format!("LoadModule wsgi_module \"{module}\"\nWSGIPythonHome \"{home}\"\n");
    assert_eq!(ask(&["module-config"]).expect(0).stdout, lines(location.trim()));
    std::fs::create_dir(folder.path("mods")).unwrap();
    let said = ask(&["install-module", "--modules-directory", "mods"]).expect(0).stdout;
    assert_eq!(said, lines(folder.path("mods/mod_wsgi.so").to_str().unwrap()));
    assert!(folder.path("mods/mod_wsgi_python.so").is_file());
    let missing = ask(&["install-module", "--modules-directory", "missing"]).expect(1);
    assert!(missing.stderr.contains("missing/mod_wsgi.so"), "{}", missing.stderr);
}
