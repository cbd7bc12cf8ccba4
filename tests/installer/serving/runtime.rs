//! The Python that applications find: its modules, streams, settings.

use super::{DAEMON, GROUP, Instance, Site};
use crate::real::command;

/// Each case: an expression, and its `repr`.
#[track_caller]
fn check(instance: &Instance, cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|(code, answer)| {
            let found = instance.ask(code);
            (found != *answer).then(|| format!("{code}\n  is {found}\n  not {answer}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn python_is_set_up_as_for_a_program() {
    let instance = Instance::serving("ask", "");
    check(
        &instance,
        &[
            ("sys.argv", "['mod_wsgi']"),
            ("sys.flags.optimize, sys.flags.isolated, sys.flags.ignore_environment", "(0, 0, 0)"),
            ("sys.dont_write_bytecode", "False"),
            ("sys.flags.hash_randomization", "1"),
            ("__import__('json').loads('[1]')", "[1]"),
            ("'site' in sys.modules", "True"),
            ("type(sys.stdin).__name__, sys.stdin.read()", "('TextIOWrapper', '')"),
            ("sys.stdout.name, sys.stdout.isatty()", "('<stdout>', False)"),
            ("sys.stderr.name, sys.stderr.encoding", "('<stderr>', 'utf-8')"),
            ("__import__('os').environ.get('PYTHON_EGG_CACHE')", "None"),
            ("__import__('threading').current_thread() is not None", "True"),
        ],
    );
}

#[test]
fn the_module_apache_tells_about_httpd() {
    for (mpm, processes, threads) in [("event", 1, 8), ("prefork", 2, 1)] {
        let instance = Instance::with_mpm(mpm, "WSGIScriptAlias / \"SITE/apps/ask.wsgi\"");
        let answer = instance.ask(
            "import apache\nanswer = (apache.version == environ['apache.version'], apache.mpm_name, \
             apache.maximum_processes, apache.threads_per_process, apache.description.split('/')[0], type(apache.build_date).__name__)\n",
        );
        assert_eq!(answer, format!("(True, '{mpm}', {processes}, {threads}, 'Apache', 'str')"));
    }
}

#[test]
fn streams_are_restricted_when_told() {
    let instance = Instance::serving("ask", "WSGIRestrictStdin On\nWSGIRestrictStdout On");
    check(
        &instance,
        &[
            ("sys.stdin.read()", "OSError: sys.stdin access restricted by mod_wsgi"),
            ("sys.stdin.encoding", "OSError: sys.stdin access restricted by mod_wsgi"),
            ("sys.stdout.write('x')", "OSError: sys.stdout access restricted by mod_wsgi"),
            ("print('x')", "OSError: sys.stdout access restricted by mod_wsgi"),
            ("sys.stderr.write('12\\n')", "3"),
        ],
    );
}

#[test]
fn signal_handlers_are_not_set_unless_allowed() {
    let code = "import signal\nbefore = signal.getsignal(signal.SIGTERM)\ngiven = lambda number, frame: None\n\
                answer = (signal.signal(signal.SIGTERM, given) is given, signal.getsignal(signal.SIGTERM) is before)\n";
    let instance = Instance::serving("ask", "WSGIApplicationGroup %{GLOBAL}");
    assert_eq!(instance.ask(code), "(True, True)");
    let log = instance.logs("signal 15");
    let lines: Vec<&str> =
        log.lines().skip_while(|line| !line.contains("signal 15")).take(2).collect();
    assert!(lines[0].contains("[wsgi:info]"), "{lines:?}");
    assert!(lines[1].contains("[wsgi:info]") && lines[1].contains("ask.wsgi"), "{lines:?}");
    drop(instance);
    let allowed =
        Instance::serving("ask", "WSGIApplicationGroup %{GLOBAL}\nWSGIRestrictSignal Off");
    // A request is not in the main thread, and Python itself says no.
    assert_eq!(
        allowed.ask(code),
        "ValueError: signal only works in main thread of the main interpreter"
    );
}

#[test]
fn a_virtual_environment_may_be_the_home() {
    let site = super::Site::new();
    let instance = Instance::serving("ask", "");
    let python = instance.ask("sys.base_prefix + '/bin/python%d.%d' % sys.version_info[:2]");
    drop(instance);
    let mut venv = command(python.trim_matches('\''));
    let home = site.path("venv");
    let made = venv.args(["-m", "venv", "--without-pip"]).arg(&home).status().unwrap();
    assert!(made.success(), "{python} makes no virtual environment");
    let home = home.to_str().unwrap().to_owned();
    let directives = format!("WSGIScriptAlias / \"SITE/apps/ask.wsgi\"\nWSGIPythonHome \"{home}\"");
    let instance = Instance::of(site, "event", &directives);
    assert_eq!(instance.ask("sys.prefix"), format!("'{home}'"));
    let code =
        "sys.base_prefix != sys.prefix, any(path.startswith(sys.prefix) for path in sys.path)";
    assert_eq!(instance.ask(code), "(True, True)");
}

#[test]
fn one_hash_seed_gives_the_same_hashes_in_every_process() {
    let hash = |directive: &str| Instance::serving("ask", directive).ask("hash('some text')");
    let (first, second) = (hash("WSGIPythonHashSeed 7"), hash("WSGIPythonHashSeed 7"));
    assert_eq!(first, second);
    assert_ne!(first, hash("WSGIPythonHashSeed 8"));
}

/// In the original the word turns randomisation off.
#[test]
fn a_random_hash_seed_is_random() {
    let instance = Instance::serving("ask", "WSGIPythonHashSeed random");
    assert_eq!(instance.ask("sys.flags.hash_randomization"), "1");
    let hash = instance.ask("hash('some text')");
    drop(instance);
    assert_ne!(
        Instance::serving("ask", "WSGIPythonHashSeed random").ask("hash('some text')"),
        hash
    );
}

#[test]
fn folders_of_the_python_path_come_first_and_their_path_files_count() {
    let instance = {
        let site = super::Site::new();
        site.write("first/found.py", "where = 'first'\n");
        site.write("first/more.pth", "../third\n");
        site.write("second/found.py", "where = 'second'\n");
        site.write("third/deep.py", "where = 'third'\n");
        site.write("second/json.py", "where = 'second'\n");
        Instance::with_options(
            site,
            "python-path=SITE/first:SITE/second",
            "WSGIScriptAlias / \"SITE/apps/ask.wsgi\"\nWSGIPythonPath \"SITE/first:SITE/second\"",
        )
    };
    for (code, answer) in [
        ("__import__('found').where", "'first'"),
        ("__import__('deep').where", "'third'"),
        (
            "[path.rsplit('/', 1)[1] for path in sys.path[:3] if 'serving-' in path].count('first')",
            "1",
        ),
        ("__import__('json').where", "'second'"),
    ] {
        assert_eq!(instance.ask(code), answer, "{code}");
    }
}

#[test]
fn the_module_mod_wsgi_tells_where_code_runs() {
    let instance = Instance::serving("ask", "WSGIApplicationGroup named");
    check(
        &instance,
        &[
            ("mod_wsgi.version == environ['mod_wsgi.version']", "True"),
            (
                "mod_wsgi.process_group, mod_wsgi.application_group",
                &format!("('{GROUP}', 'named')"),
            ),
            ("mod_wsgi.maximum_processes, mod_wsgi.threads_per_process", "(1, 8)"),
            ("mod_wsgi.FileWrapper is environ['wsgi.file_wrapper']", "True"),
            ("mod_wsgi.RequestTimeout.__mro__[1]", "<class 'BaseException'>"),
            ("issubclass(mod_wsgi.LogHandler, __import__('logging').Handler)", "True"),
            (
                "mod_wsgi.event_callbacks, mod_wsgi.shutdown_callbacks, mod_wsgi.signal_callbacks",
                "([], [], [])",
            ),
            ("mod_wsgi.server_metrics()", "None"),
            ("mod_wsgi.process_metrics(), mod_wsgi.request_metrics()", "(None, None)"),
            ("type(mod_wsgi.request_data()).__name__", "'dict'"),
            ("list(mod_wsgi.active_requests) == [environ['mod_wsgi.request_id']]", "True"),
            (
                "mod_wsgi.request_data().update(mine=1), mod_wsgi.request_data()['mine']",
                "(None, 1)",
            ),
            ("'mine' in mod_wsgi.request_data()", "False"),
            (
                "mod_wsgi.subscribe_shutdown(len) is len, mod_wsgi.shutdown_callbacks",
                "(True, [<built-in function len>])",
            ),
            // Signals to a child of httpd's are httpd's.
            (
                "mod_wsgi.subscribe_signals(len) is len, len(mod_wsgi.signal_callbacks)",
                if DAEMON { "(True, 1)" } else { "(True, 0)" },
            ),
            ("mod_wsgi.shutdown_callbacks.clear()", "None"),
        ],
    );
    let code = "def run():\n    try:\n        mod_wsgi.request_data()\n    except RuntimeError as error:\n        said.append(str(error))\n\
                import threading\nsaid = []\nthread = threading.Thread(target=run)\nthread.start()\nthread.join()\nanswer = said\n";
    assert_eq!(instance.ask(code), "['no active request for thread']");
}

/// Before any request, one line that names both sides.
#[test]
fn a_home_of_another_python_is_told_of_at_the_start() {
    for (file, text, words) in [
        ("none", "", "WSGI0100: Unable to stat Python home"),
        ("home", "", "is not a directory"),
        ("home/empty", "", "it is of another Python"),
        ("home/pyvenv.cfg", "home = /opt/other/bin\nversion = 2.7.18\n", "of Python 2.7.18"),
        (
            "home/pyvenv.cfg",
            "home = /opt/other/bin\nversion_info = 3.99.1.final.0\n",
            "of Python 3.99.1",
        ),
    ] {
        let site = Site::new();
        if file != "none" {
            site.write(file, text);
        }
        let instance =
            Instance::of(site, "event", "WSGIPythonHome \"SITE/home\"\nWSGIRestrictEmbedded On");
        let log = instance.logs("resuming normal operations");
        let line = log
            .lines()
            .find(|line| line.contains("Python home"))
            .unwrap_or_else(|| panic!("{log}"));
        assert!(line.contains(words) && line.contains("[wsgi:warn]"), "{line}");
        assert!(line.contains("built for Python 3."), "{line}");
    }
}
