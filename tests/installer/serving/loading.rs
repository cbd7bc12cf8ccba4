//! How scripts are loaded, loaded again, and left at the end.

use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use super::{DAEMON, Instance, NAMED, REASON};

const GOOD: &str = "def application(environ, start_response):\n    start_response('200 OK', [])\n    return [b'healed']\n";

#[test]
fn a_script_that_cannot_be_loaded_heals_by_an_edit() {
    for (text, error) in [
        ("def application(:\n", "SyntaxError"),
        (
            "import no_such_module_anywhere\n",
            "ModuleNotFoundError: No module named 'no_such_module_anywhere'",
        ),
        ("raise RuntimeError('while loading')\n", "RuntimeError: while loading"),
        ("raise SystemExit(1)\n", "SystemExit"),
        ("text = b'\\xff'.decode()\n", "UnicodeDecodeError"),
    ] {
        let instance = Instance::serving("mine", "");
        instance.site.write("apps/mine.wsgi", text);
        for _again in 0..2 {
            let reply = instance.get("/").expect(500);
            assert!(reply.text().contains("Internal Server Error"), "{reply:?}");
        }
        let log = instance.logs(error);
        let tries = log.matches("Loading WSGI script '").count()
            + log.matches("Reloading WSGI script '").count();
        assert_eq!(tries, 2, "the next request tries again\n{log}");
        instance.site.write("apps/mine.wsgi", GOOD);
        assert_eq!(instance.get("/").expect(200).text(), "healed");
    }
}

#[test]
fn a_load_that_failed_is_tried_again_without_an_edit() {
    let instance = Instance::serving("mine", "SetEnv KEPT \"SITE/kept\"");
    let flag = instance.site.path("kept/flag");
    let script = format!(
        "import os\nif not os.path.exists({:?}):\n    raise RuntimeError('not yet')\n{GOOD}",
        flag.to_str().unwrap()
    );
    instance.site.write("apps/mine.wsgi", &script);
    instance.get("/").expect(500);
    instance.site.write("kept/flag", "");
    assert_eq!(instance.get("/").expect(200).text(), "healed");
}

#[test]
fn loading_is_logged_once() {
    let instance = Instance::serving("module", "");
    for _request in 0..3 {
        assert_eq!(instance.get("/").text(), "execution 1");
    }
    let log = instance.logs("Loading WSGI script '");
    let script = instance.site.path("apps/module.wsgi");
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("oading WSGI script")).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let place = if DAEMON { " daemon process 'tests'." } else { " in embedded mode." };
    assert!(lines[0].contains("[wsgi:info]") && lines[0].ends_with(place), "{lines:?}");
    assert!(lines[0].contains(&format!("'{}'", script.display())), "{lines:?}");
}

#[test]
fn a_missing_callable_is_not_found() {
    for (directives, name) in [("WSGICallableObject absent", "absent"), ("", "application")] {
        let app = if directives.is_empty() { "empty" } else { "names" };
        let instance = Instance::serving(app, directives);
        instance.site.write("apps/empty.wsgi", "x = 1\n");
        instance.get("/").expect(404);
        let log = instance.logs("WSGI0089");
        assert!(log.contains(name), "{log}");
    }
}

#[test]
fn a_touched_script_is_executed_again_in_a_fresh_module() {
    let instance = Instance::serving("ask", "");
    let script = instance.site.path("apps/ask.wsgi");
    assert_eq!(instance.ask("kept.update(old=1), setattr(sys, 'mark', 1)"), "(None, None)");
    // Any other time will do, an earlier one too.
    for hours in [3, 100, 2] {
        assert_eq!(instance.ask("kept.setdefault('old', 1)"), "1");
        touch(&script, Duration::from_secs(hours * 3600));
        // There it is a fresh process.
        let fresh = if DAEMON { "({}, 0)" } else { "({}, 1)" };
        assert_eq!(instance.ask("kept, getattr(sys, 'mark', 0)"), fresh);
    }
    instance.logs(if DAEMON { "Forcing restart of" } else { "Reloading WSGI script '" });
}

#[test]
fn a_script_may_ask_to_be_loaded_again() {
    let instance = Instance::serving("module", "");
    // How often it has been loaded so far, in whatever process.
    let loads = || {
        instance.get("/").expect(200);
        instance.log().matches("oading WSGI script '").count()
    };
    assert_eq!((loads(), loads()), (1, 1));
    instance.site.write("kept/reload", "");
    assert_eq!((loads(), loads()), (2, 2));
    let text = instance.get("/").expect(200).text();
    assert_eq!(text, if DAEMON { "execution 1" } else { "execution 2" });
    instance.site.write("kept/fail", "");
    instance.site.write("kept/reload", "");
    assert_eq!(loads(), 2, "an exception means no");
    instance.logs("RuntimeError: cannot tell");
}

#[test]
fn a_touched_script_stays_where_reloading_is_off() {
    let instance = Instance::serving("ask", "WSGIScriptReloading Off");
    let script = instance.site.path("apps/ask.wsgi");
    assert_eq!(instance.ask("kept.update(old=1)"), "None");
    touch(&script, Duration::from_secs(3600));
    assert_eq!(instance.ask("kept"), "{'old': 1}");
}

#[test]
fn a_script_that_is_gone_is_not_found() {
    let instance = Instance::serving("module", "");
    instance.get("/").expect(200);
    std::fs::remove_file(instance.site.path("apps/module.wsgi")).unwrap();
    instance.get("/").expect(404);
    instance.logs("WSGI0135");
}

#[test]
fn a_module_knows_its_file() {
    let instance = Instance::serving("ask", "");
    let script = instance.site.path("apps/ask.wsgi");
    let path = script.to_str().unwrap();
    let changed = script.metadata().unwrap().modified().unwrap();
    let microseconds = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros();
    for (code, answer) in [
        ("module.__file__", format!("'{path}'")),
        (
            "module.__name__ == '_mod_wsgi_' + __import__('hashlib').md5(module.__file__.encode()).hexdigest()",
            "True".into(),
        ),
        ("sys.modules[module.__name__] is module", "True".into()),
        ("module.__mtime__", microseconds.to_string()),
        ("module.__doc__.split('.')[0][:7]", "'Answers'".into()),
        ("'__builtins__' in vars(module)", "True".into()),
    ] {
        assert_eq!(instance.ask(code), answer, "{code}");
    }
}

#[test]
fn exit_functions_run_in_every_interpreter_when_the_server_ends() {
    let mut instance = Instance::new(
        "WSGIScriptAlias /sub \"SITE/apps/ending.wsgi\"\nWSGIScriptAlias /main \"SITE/apps/ending.wsgi\"\n\
         SetEnv KEPT \"SITE/kept\"\n<Location /sub>\nWSGIApplicationGroup sub\n</Location>\n\
         <Location /main>\nWSGIApplicationGroup %{GLOBAL}\n</Location>",
    );
    instance.get("/main").expect(200);
    instance.get("/sub").expect(200);
    assert_eq!(instance.site.read("kept/notes"), "");
    instance.stop();
    let notes = instance.site.read("kept/notes");
    let mut lines: Vec<&str> = notes.lines().collect();
    let shutdown = lines.iter().rposition(|line| line.starts_with("process_stopping"));
    let exit = lines.iter().position(|line| line.starts_with("atexit"));
    assert!(shutdown < exit, "callbacks come first: {notes}");
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "atexit in main",
            "atexit in sub",
            &format!("process_stopping in main '{REASON}'"),
            &format!("process_stopping in sub '{REASON}'")
        ]
    );
}

/// Where others run in daemon processes, a thread that serves starts Python, and
/// another one ends it.
#[test]
fn an_embedded_application_ends_with_its_server() {
    let mut instance = Instance::serving(
        "ending",
        "SetEnv KEPT \"SITE/kept\"\nWSGIApplicationGroup sub\n\
         <Location />\nWSGIProcessGroup %{GLOBAL}\n</Location>",
    );
    instance.get("/").expect(200);
    let log = instance.stop();
    let notes = instance.site.read("kept/notes");
    assert_eq!(notes, "process_stopping in sub ''\natexit in sub\n", "{log}");
    assert!(log.contains("Python runtime has shut down in embedded mode."), "{log}");
}

/// The original makes every request of the process wait.
#[test]
fn a_script_that_loads_slowly_holds_up_no_other() {
    let instance = Instance::new(
        "WSGIScriptAlias /slow \"SITE/apps/slow.wsgi\"\nWSGIScriptAlias /names \"SITE/apps/names.wsgi\"",
    );
    instance.get("/names").expect(200);
    let mut slow =
        instance.raw(b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    instance.comes("kept/loading", "loading");
    instance.get("/names").expect(200);
    let loaded = instance.site.read("kept/loaded");
    instance.site.write("kept/go", "");
    assert_eq!(slow.reply("GET").text(), "slow");
    assert_eq!(loaded, "", "the other script has waited");
}

#[test]
fn a_restart_brings_fresh_interpreters() {
    for signal in [Signal::USR1, Signal::HUP] {
        let instance = Instance::serving("ask", "");
        let pid = instance.ask("(kept.update(old=1), __import__('os').getpid())[1]");
        instance.signal(signal);
        let deadline = std::time::Instant::now() + super::PATIENCE;
        while instance.log().matches("resuming normal operations").count() < 2 {
            assert!(std::time::Instant::now() < deadline, "{}", instance.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let answer = instance.ask("kept, __import__('os').getpid()");
        assert!(answer.starts_with("({}, ") && !answer.contains(&pid), "{answer}");
    }
}

#[test]
fn a_graceful_restart_lets_a_request_end() {
    let instance = Instance::serving("reply", "SetEnv KEPT \"SITE/kept\"\nServerLimit 3");
    let mut wire =
        instance.raw(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    wire.until("first");
    instance.signal(Signal::USR1);
    instance.logs("AH00493");
    assert_eq!(instance.get("/plain").text(), "plain");
    instance.site.write("kept/go", "");
    wire.until("second");
    assert_eq!(wire.rest(), b"\r\n0\r\n\r\n");
}

#[test]
fn a_server_that_served_nothing_ends_cleanly() {
    for mpm in ["event", "worker", "prefork"] {
        let mut instance = Instance::with_mpm(mpm, "");
        // Before that httpd has no handler of its own.
        instance.logs("resuming normal operations");
        let log = instance.stop();
        assert!(log.contains("caught SIGTERM, shutting down"), "{log}");
    }
}

/// Sets the time of the last change to so long ago.
fn touch(file: &std::path::Path, ago: Duration) {
    let file = std::fs::File::options().append(true).open(file).unwrap();
    file.set_modified(SystemTime::now() - ago).unwrap();
}

#[test]
fn an_import_script_that_fails_leaves_the_server_at_work() {
    let instance = Instance::new(&format!(
        "WSGIScriptAlias / \"SITE/apps/names.wsgi\"\n\
         WSGIImportScript \"SITE/apps/absent.wsgi\" process-group={NAMED} application-group=%{{GLOBAL}}\n\
         WSGIImportScript \"SITE/apps/users\" process-group={NAMED} application-group=%{{GLOBAL}}",
    ));
    instance.logs("apps/users");
    instance.logs("apps/absent.wsgi");
    assert_eq!(instance.get("/").text(), "default application");
}

#[test]
fn exit_functions_do_not_run_where_interpreters_are_left() {
    let mut instance = Instance::serving(
        "ending",
        "SetEnv KEPT \"SITE/kept\"\nWSGIDestroyInterpreter Off\nWSGIApplicationGroup sub",
    );
    instance.get("/").expect(200);
    instance.stop();
    let expected = format!("process_stopping in sub '{REASON}'\n");
    assert_eq!(instance.site.read("kept/notes"), expected);
}

#[test]
fn scripts_with_both_groups_fixed_are_loaded_before_any_request() {
    let instance = Instance::new(&format!(
        "WSGIScriptAlias /fixed \"SITE/apps/module.wsgi\" process-group={NAMED} application-group=%{{GLOBAL}}\n\
         WSGIScriptAlias /open \"SITE/apps/names.wsgi\" process-group={NAMED}\n\
         WSGIScriptAlias /server \"SITE/apps/log.wsgi\" process-group={NAMED} application-group=%{{SERVER}}\n\
         WSGIImportScript \"SITE/apps/ask.wsgi\" process-group={NAMED} application-group=named",
    ));
    instance.logs("apps/ask.wsgi'");
    let log = instance.logs("apps/module.wsgi'");
    assert!(!log.contains("names.wsgi") && !log.contains("log.wsgi"), "{log}");
    assert_eq!(instance.get("/fixed").text(), "execution 1");
    assert_eq!(instance.get("/open").text(), "default application");
}

/// Groups of daemon processes do not make them wait for their first request.
#[test]
fn scripts_are_loaded_before_any_request_beside_daemon_processes() {
    let instance = Instance::new(
        "WSGISocketPrefix \"SITE/wsgi\"\nWSGIDaemonProcess g threads=1\n\
         WSGIScriptAlias /fixed \"SITE/apps/module.wsgi\" process-group=%{GLOBAL} application-group=%{GLOBAL}",
    );
    instance.logs("apps/module.wsgi' into main interpreter in embedded mode.");
}
