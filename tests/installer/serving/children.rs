//! What applications in the processes of httpd have that those in daemon processes
//! have not: whatever belongs to such a process or to its Python alone.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::Instance;
use super::environ::{Environ, at};
use super::metrics::{check, take};
use super::wire::latin1;
use crate::serving::children_of;

mod gates;

#[test]
fn embedded_mode_may_be_forbidden() {
    let instance = Instance::serving("names", "WSGIRestrictEmbedded On");
    instance.get("/").expect(500);
    instance.logs("WSGI0143");
}

#[test]
fn threads_and_processes_are_those_of_the_mpm() {
    for (mpm, directives, threads, processes) in [
        ("event", "", true, false),
        ("event", "ServerLimit 2\nMaxRequestWorkers 16", true, true),
        ("event", "ThreadsPerChild 1\nMaxRequestWorkers 1", false, false),
        ("worker", "", true, false),
        ("prefork", "", false, true),
        ("prefork", "MaxRequestWorkers 1\nServerLimit 1", false, false),
    ] {
        let instance = Instance::with_mpm(mpm, &format!("{}\n{directives}", at("/app")));
        let environ = Environ::of(instance.get("/app"));
        let told = (environ.get("wsgi.multithread"), environ.get("wsgi.multiprocess"));
        let expected = (json!(["bool", threads]), json!(["bool", processes]));
        assert_eq!(told, expected, "{mpm} {directives}");
        assert_eq!(environ.get("wsgi.run_once"), json!(["bool", false]));
    }
}

/// Daemon processes have an option of their own for it.
#[test]
fn the_folder_of_eggs_is_a_variable() {
    let instance = Instance::serving("ask", "WSGIPythonEggs /nowhere/eggs");
    let code = "__import__('os').environ.get('PYTHON_EGG_CACHE')";
    assert_eq!(instance.ask(code), "'/nowhere/eggs'");
}

/// Its child ends in a signal handler, on the thread that serves. In the original
/// that ends Python below the application, and so in an abort or in a deadlock.
#[test]
fn prefork_ends_well_while_a_request_runs() {
    let mut instance = Instance::with_mpm(
        "prefork",
        "WSGIScriptAlias /end \"SITE/apps/ending.wsgi\" application-group=sub\n\
         WSGIScriptAlias / \"SITE/apps/reply.wsgi\" application-group=sub\n\
         SetEnv KEPT \"SITE/kept\"\nServerLimit 1\nMaxRequestWorkers 1",
    );
    instance.get("/end").expect(200);
    let mut wire =
        instance.raw(b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    wire.until("first");
    instance.signal(Signal::TERM);
    // The signal is on its way to the child before the application goes on.
    let deadline = Instant::now() + Duration::from_millis(200);
    while Instant::now() < deadline && !children_of(instance.child.id()).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    instance.site.write("kept/go", "");
    let rest = latin1(&wire.rest());
    let log = instance.stop();
    for text in ["exit signal", "did not exit", "Fatal Python error"] {
        assert!(!log.contains(text), "{log}");
    }
    assert_eq!(rest, "\r\n6\r\nsecond\r\n0\r\n\r\n", "the answer is cut off\n{log}");
    let notes = instance.site.read("kept/notes");
    assert_eq!(notes, "process_stopping in sub ''\natexit in sub\n", "{log}");
}

/// Daemon processes have an option of their own for it, tried in `daemon/options.rs`.
#[test]
fn the_server_is_told_about_only_where_that_is_allowed() {
    let directives = "WSGIServerMetrics On\nExtendedStatus On\nWSGIApplicationGroup %{GLOBAL}";
    let instance = Instance::serving("ask", directives);
    instance.ask("1 + 1");
    take(&instance, "server_metrics");
    let worker =
        "[worker for worker in m['processes'][0]['workers'] if worker['status'] == 'W'][0]";
    check(
        &instance,
        &[
            (
                "sorted((type(m[key]).__name__, key) for key in m)",
                "[('float', 'current_time'), ('float', 'restart_time'), ('int', 'running_generation'), \
                 ('int', 'running_time'), ('int', 'server_limit'), ('int', 'thread_limit'), ('list', 'processes')]",
            ),
            ("m['server_limit'], m['thread_limit'], m['running_generation']", "(1, 8, 0)"),
            ("len(m['processes']), len(m['processes'][0]['workers'])", "(1, 8)"),
            ("str(m['processes'][0].pop('pid')) == environ['mod_wsgi.server_pid']", "True"),
            (
                "{key: m['processes'][0][key] for key in sorted(m['processes'][0]) if key != 'workers'}",
                "{'generation': 0, 'process_num': 0, 'quiescing': False}",
            ),
            (
                &format!("m['processes'][0]['workers'].index({worker}) == {worker}['thread_num']"),
                "True",
            ),
            ("sum(worker['access_count'] for worker in m['processes'][0]['workers'])", "1"),
            ("sum(worker['bytes_served'] for worker in m['processes'][0]['workers']) > 0", "True"),
            (
                &format!("sorted((type(value).__name__, key) for key, value in {worker}.items())"),
                "[('float', 'last_used'), ('float', 'start_time'), ('float', 'stop_time'), ('int', 'access_count'), \
                 ('int', 'bytes_served'), ('int', 'generation'), ('int', 'thread_num'), ('str', 'client'), \
                 ('str', 'request'), ('str', 'status'), ('str', 'vhost')]",
            ),
            (
                &format!("{worker}['request'], {worker}['client']"),
                "('POST / HTTP/1.1', '127.0.0.1')",
            ),
            (&format!("{worker}['vhost'].split(':')[0]"), "'localhost'"),
            (&format!("0 < {worker}['start_time'] <= __import__('time').time()"), "True"),
        ],
    );
    drop(instance);
    for directives in ["", "WSGIServerMetrics Off"] {
        let instance = Instance::serving("ask", directives);
        assert_eq!(instance.ask("mod_wsgi.server_metrics()"), "None", "{directives}");
    }
}
