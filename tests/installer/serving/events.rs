//! What applications are told about requests, and may write to the log at levels
//! of their own.

use super::Instance;

#[test]
fn records_of_the_log_handler_have_levels_of_their_own() {
    let instance = Instance::serving("ask", "LogLevel wsgi:info");
    let code = "import logging\nlogger = logging.getLogger('test')\nlogger.setLevel(1)\nlogger.addHandler(mod_wsgi.LogHandler())\n\
                logger.propagate = False\n\
                for level in (50, 40, 30, 20, 10):\n    logger.log(level, 'record %d', level)\n\
                logger.warning('one\\ntwo')\nanswer = 1\n";
    assert_eq!(instance.ask(code), "1");
    let log = instance.logs("two");
    for (text, level) in [
        ("record 50", "crit"),
        ("record 40", "error"),
        ("record 30", "warn"),
        ("record 20", "info"),
        ("one", "warn"),
        ("two", "warn"),
    ] {
        let line = log
            .lines()
            .find(|line| line.ends_with(text))
            .unwrap_or_else(|| panic!("{text}\n{log}"));
        assert!(line.contains(&format!("[wsgi:{level}]")), "{line}");
    }
    assert!(!log.contains("record 10"), "{log}");
}

#[test]
fn records_name_the_line_that_logs_them() {
    let format = "ErrorLogFormat \"%F [%l] %M\"";
    let instance = Instance::serving("ask", &format!("{format}\nLogLevel wsgi:warn"));
    let code = "import logging, threading\nlogger = logging.getLogger('test')\nlogger.setLevel(1)\n\
                logger.addHandler(mod_wsgi.LogHandler())\nlogger.propagate = False\n\
                source = 'import sys\\n\\ndef record(logger, text): logger.warning(text)\\n'\n\
                space = {}\nexec(compile(source, '/some/where/records.py', 'exec'), space)\n\
                space['record'](logger, 'in a request')\n\
                other = threading.Thread(target=space['record'], args=(logger, 'beside it'))\n\
                other.start()\nother.join()\n\
                class Never:\n    def __str__(self): sys.formatted = True\n\
                logger.info(Never())\nanswer = hasattr(sys, 'formatted')\n";
    assert_eq!(instance.ask(code), "False", "a record that is filtered is not formatted");
    for text in ["in a request", "beside it"] {
        let log = instance.logs(text);
        let is_it = |line: &str| line.starts_with("records.py(3) [warn] ") && line.ends_with(text);
        assert!(log.lines().any(is_it), "{log}");
    }
    assert!(!instance.log().contains("Traceback"), "{}", instance.log());
}

#[test]
fn an_event_may_replace_the_application() {
    let instance = Instance::serving("ask", "");
    let code = "def other(environ, start_response):\n    start_response('200 OK', [])\n    return [b'replaced']\n\
                def replace(name, **payload):\n    return {'application_object': other} if name == 'request_started' else None\n\
                answer = mod_wsgi.subscribe_events(replace) is replace\n";
    assert_eq!(instance.ask(code), "True");
    assert_eq!(instance.ask("1"), "replaced");
}

#[test]
fn an_event_tells_about_an_uncaught_exception() {
    let instance = Instance::new(
        "WSGIScriptAlias /ask \"SITE/apps/ask.wsgi\"\nWSGIScriptAlias /log \"SITE/apps/log.wsgi\"\nWSGIApplicationGroup one",
    );
    let code = "def note(name, **payload):\n    if name == 'request_exception':\n        \
                kind, value, traceback = payload['exception_info']\n        \
                sys.seen = (kind.__name__, str(value), 'request_id' in payload)\n\
                answer = mod_wsgi.subscribe_events(note) is note\n";
    assert_eq!(instance.ask_at("/ask", code), "True");
    instance.get("/log/fails").expect(500);
    assert_eq!(instance.ask_at("/ask", "sys.seen"), "('ValueError', 'this one fails', True)");
}

#[test]
fn events_tell_about_each_request() {
    let instance = Instance::serving("ask", "");
    let subscribe = "seen = sys.__dict__.setdefault('seen', [])\n\
                     def note(name, **payload):\n    seen.append((name, sorted(payload)))\n\
                     answer = mod_wsgi.subscribe_events(note) is note\n";
    assert_eq!(instance.ask(subscribe), "True");
    // The subscription comes after this request has started.
    instance.ask("1");
    let code = "[name for name, keys in sys.seen]";
    assert_eq!(
        instance.ask(code),
        "['response_started', 'request_finished', 'request_started', 'response_started', 'request_finished', 'request_started']"
    );
    for (name, keys) in [
        (
            "request_started",
            vec![
                "application_object",
                "callable_object",
                "request_data",
                "request_environ",
                "request_id",
                "request_start",
                "server_pid",
                "thread_id",
            ],
        ),
        (
            "response_started",
            vec![
                "exception_info",
                "request_data",
                "request_id",
                "response_headers",
                "response_status",
            ],
        ),
        (
            "request_finished",
            vec![
                "application_finish",
                "application_time",
                "cpu_time",
                "input_length",
                "input_reads",
                "output_length",
                "output_writes",
                "request_id",
                "status",
                "thread_id",
            ],
        ),
    ] {
        let found =
            instance.ask(&format!("[keys for name, keys in sys.seen if name == '{name}'][-1]"));
        for key in keys {
            assert!(found.contains(&format!("'{key}'")), "{name}: {key} is not in {found}");
        }
    }
    let failing = "def fails(name, **payload):\n    raise RuntimeError('callback fails')\n\
                   answer = mod_wsgi.subscribe_events(fails) is fails\n";
    instance.ask(failing);
    assert_eq!(instance.ask("1"), "1", "an exception of a callback is ignored");
    instance.logs("callback fails");
}
