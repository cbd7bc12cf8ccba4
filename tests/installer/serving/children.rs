//! What applications in the processes of httpd have that those in daemon processes
//! have not: whatever belongs to such a process or to its Python alone.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::Instance;
use super::environ::{Environ, at};
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
