//! Times that a process, a request, a start or an end may take.

use std::time::Duration;

use rustix::process::Signal;

use super::{
    all_of, begin, begin_sleep, gone, members, note_reason, pid, reason, serving, signal, sleep,
    successor, timed,
};
use crate::serving::Instance;

#[test]
fn a_process_that_nobody_needs_is_replaced() {
    let instance = serving("inactivity-timeout=1");
    let fresh = all_of(&instance, "g", 1);
    // Counts from the first request on.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(members(&instance, "g"), fresh);
    let old = pid(&instance);
    // Whoever works is needed.
    instance.ask(&sleep(2.5));
    assert_eq!(pid(&instance), old);
    note_reason(&instance);
    let took = gone(&instance, old);
    assert!((0.5..5.0).contains(&took), "{took}");
    assert_eq!(reason(&instance), "inactivity_timeout");
    successor(&instance, old);
}

#[test]
fn a_request_that_takes_too_long_ends_its_process() {
    let instance = serving("threads=1 request-timeout=1 shutdown-timeout=1");
    let old = pid(&instance);
    note_reason(&instance);
    let mut wire = begin_sleep(&instance, "long", 20.0);
    let took = gone(&instance, old);
    assert!((1.0..7.0).contains(&took), "{took}");
    wire.reply("POST").expect(502);
    assert_eq!(reason(&instance), "request_timeout");
    successor(&instance, old);
    // Where it was.
    let log = instance.log();
    let stack = log.to_lowercase().find("stack").map(|from| &log[from..]).unwrap_or_default();
    assert!(stack.contains("ask.wsgi") && stack.contains("application"), "{log}");
}

/// The more threads, the longer a request may keep one of them.
#[test]
fn requests_of_many_threads_may_take_longer() {
    let instance = serving("threads=4 request-timeout=1 shutdown-timeout=1 graceful-timeout=1");
    let old = pid(&instance);
    assert_eq!(instance.ask(&sleep(1.8)), "None");
    assert_eq!(pid(&instance), old);
    let mut wire = begin_sleep(&instance, "long", 20.0);
    let took = gone(&instance, old);
    assert!((2.3..9.0).contains(&took), "{took}");
    wire.reply("POST").expect(502);
}

/// Sleeps in small steps, where an exception can reach it.
const STEPS: &str = "import time\nfor step in range(200):\n    time.sleep(0.05)\nanswer = 1\n";

#[test]
fn a_request_that_takes_too_long_is_interrupted() {
    let instance = serving("threads=1 request-timeout=1 interrupt-timeout=10");
    let old = pid(&instance);
    let caught = format!(
        "try:\n    {}except mod_wsgi.RequestTimeout as error:\n    answer = type(error).__name__\n",
        STEPS.replace('\n', "\n    ").trim_end_matches(' ')
    );
    let (answer, took) = timed(|| instance.ask(&caught));
    assert_eq!(answer, "'RequestTimeout'");
    assert!((0.9..4.0).contains(&took), "{took}");
    assert_eq!(pid(&instance), old, "the process has obeyed");
    // It is no `Exception`, such as this application catches.
    instance.post("/", STEPS.as_bytes()).expect(504);
    instance.logs("RequestTimeout");
    assert_eq!(pid(&instance), old);
}

#[test]
fn a_request_that_no_exception_reaches_ends_its_process() {
    let instance = serving("threads=1 request-timeout=1 interrupt-timeout=1 shutdown-timeout=1");
    let old = pid(&instance);
    note_reason(&instance);
    let mut wire = begin_sleep(&instance, "long", 20.0);
    let took = gone(&instance, old);
    assert!((1.9..9.0).contains(&took), "{took}");
    wire.reply("POST").expect(502);
    assert_eq!(reason(&instance), "request_timeout");
}

#[test]
fn a_process_that_is_stuck_is_replaced() {
    let instance = serving("deadlock-timeout=1 shutdown-timeout=1");
    let old = pid(&instance);
    // Keeps the lock of Python.
    let mut wire = begin(&instance, "/", "__import__('ctypes').PyDLL(None).sleep(20)");
    let took = gone(&instance, old);
    assert!((1.0..9.0).contains(&took), "{took}");
    wire.reply("POST").expect(502);
    successor(&instance, old);
}

#[test]
fn a_process_whose_script_does_not_load_is_replaced() {
    let site = super::Site::new();
    site.write("apps/broken.wsgi", "import nowhere\n");
    let directives =
        super::group("startup-timeout=1", "WSGIScriptAlias /broken \"SITE/apps/broken.wsgi\"");
    let instance = Instance::of(site, "event", &directives);
    let fresh = all_of(&instance, "g", 1);
    instance.get("/broken").expect(500);
    let old = *fresh.first().unwrap();
    assert!(gone(&instance, old) < 5.0);
    // One that loads is enough.
    let new = pid(&instance);
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(pid(&instance), new);
}

#[test]
fn a_process_is_replaced_at_its_age() {
    let instance = serving("restart-interval=2");
    let old = pid(&instance);
    note_reason(&instance);
    let took = gone(&instance, old);
    assert!((0.5..6.0).contains(&took), "{took}");
    assert_eq!(reason(&instance), "restart_interval");
    let old = successor(&instance, old);
    // A request that is under way is waited for.
    let mut wire = begin_sleep(&instance, "short", 3.0);
    wire.reply("POST").expect(200);
    successor(&instance, old);
}

#[test]
fn an_end_takes_no_longer_than_told() {
    for (options, seconds, status) in
        [("shutdown-timeout=1", 8.0, 502), ("", 2.0, 200), ("shutdown-timeout=0", 2.0, 200)]
    {
        let instance = serving(options);
        let old = pid(&instance);
        let mut wire = begin_sleep(&instance, "long", seconds);
        signal(old, Signal::TERM);
        let (reply, took) = timed(|| wire.reply("POST"));
        assert_eq!(reply.status, status, "{options}");
        assert!(took < 5.0, "{options}: {took}");
        successor(&instance, old);
    }
}

/// The original watches no clock at all without these two.
#[test]
fn each_timer_works_alone() {
    let none = "deadlock-timeout=0 inactivity-timeout=0 shutdown-timeout=1 threads=1";
    for options in ["request-timeout=2", "restart-interval=2 graceful-timeout=1"] {
        let instance = serving(&format!("{none} {options}"));
        let old = pid(&instance);
        let mut wire = begin_sleep(&instance, "long", 8.0);
        let took = gone(&instance, old);
        assert!((0.5..7.0).contains(&took), "{options}: {took}");
        wire.reply("POST").expect(502);
        successor(&instance, old);
    }
    for options in ["eviction-timeout=1", "graceful-timeout=1"] {
        let instance = serving(&format!("{none} {options}"));
        let old = pid(&instance);
        let mut wire = begin_sleep(&instance, "long", 8.0);
        signal(old, Signal::USR1);
        let took = gone(&instance, old);
        assert!((0.9..7.0).contains(&took), "{options}: {took}");
        wire.reply("POST").expect(502);
    }
    let site = super::Site::new();
    site.write("apps/broken.wsgi", "import nowhere\n");
    let directives = super::group(
        &format!("{none} startup-timeout=1"),
        "WSGIScriptAlias /broken \"SITE/apps/broken.wsgi\"",
    );
    let instance = Instance::of(site, "event", &directives);
    let fresh = all_of(&instance, "g", 1);
    instance.get("/broken").expect(500);
    assert!(gone(&instance, *fresh.first().unwrap()) < 5.0);
}
