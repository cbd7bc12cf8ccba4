//! Restarts and ends of the server while it serves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::{Instance, PATIENCE};
use super::{LOAD, attempt, more, told, under_load};

/// Room for those that still finish what they do.
const SLOTS: &str = "ServerLimit 8";

#[test]
fn graceful_restarts_under_load_lose_nothing() {
    let instance = Instance::new(&format!("{LOAD}\n{SLOTS}"));
    let answered = AtomicUsize::new(0);
    let ask = || {
        let (status, body) = attempt(instance.port, "/sub/hello").expect("an answer is lost");
        assert_eq!((status, body.as_str()), (200, "hello"));
        answered.fetch_add(1, Ordering::Release);
    };
    under_load(ask, || restarts(&instance, Signal::USR1, &answered));
}

/// Requests may be cut off, and connections be refused; what is answered is right.
#[test]
fn restarts_under_load_answer_well_or_not_at_all() {
    let instance = Instance::new(&format!("{LOAD}\n{SLOTS}"));
    let (answered, lost) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = || match attempt(instance.port, "/sub/hello") {
        Some((status, body)) => {
            assert_eq!((status, body.as_str()), (200, "hello"));
            answered.fetch_add(1, Ordering::Release);
        }
        None => {
            lost.fetch_add(1, Ordering::Release);
        }
    };
    under_load(ask, || restarts(&instance, Signal::HUP, &answered));
    let (answered, lost) = (answered.into_inner(), lost.into_inner());
    assert!(lost * 10 < answered, "{lost} lost, {answered} answered");
}

/// Restarts it a few times: each brings one fresh child, and the old one goes.
#[track_caller]
fn restarts(instance: &Instance, signal: Signal, answered: &AtomicUsize) {
    let parent = instance.child.id();
    for round in 2..=4 {
        let deadline = Instant::now() + PATIENCE;
        let wait = || {
            assert!(
                Instant::now() < deadline,
                "round {round}: children {:?}\n{}",
                children(parent),
                instance.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        let old = children(parent);
        more(answered, 100);
        instance.signal(signal);
        while instance.log().matches("resuming normal operations").count() < round {
            wait();
        }
        // While the old ones serve on, answers are theirs.
        while children(parent).len() != 1 || !children(parent).is_disjoint(&old) {
            wait();
        }
        let pid = u32::try_from(told(instance, "pid")).unwrap();
        assert_eq!(children(parent), BTreeSet::from([pid]));
    }
}

#[test]
fn an_end_under_load_runs_exit_functions_and_leaves_no_process() {
    for mpm in ["event", "worker"] {
        let mut instance = Instance::with_mpm(
            mpm,
            &format!(
                "WSGIScriptAlias /end \"SITE/apps/ending.wsgi\" application-group=sub\n\
                 WSGIScriptAlias /main-end \"SITE/apps/ending.wsgi\" application-group=%{{GLOBAL}}\n\
                 {LOAD}\nSetEnv KEPT \"SITE/kept\""
            ),
        );
        instance.get("/end").expect(200);
        instance.get("/main-end").expect(200);
        let children = children(instance.child.id());
        let (asked, answered, port) = (AtomicUsize::new(0), AtomicUsize::new(0), instance.port);
        let ask = || {
            if asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(8) {
                // Large ones too, so that some are under way.
                let _without_a_length = attempt(port, "/give");
            } else if let Some((status, body)) = attempt(port, "/sub/hello") {
                assert_eq!((status, body.as_str()), (200, "hello"), "{mpm}");
                answered.fetch_add(1, Ordering::Release);
            }
        };
        let log = under_load(ask, || {
            more(&answered, 100);
            instance.stop()
        });
        let notes = instance.site.read("kept/notes");
        let mut notes: Vec<&str> = notes.lines().collect();
        notes.sort_unstable();
        assert_eq!(
            notes,
            [
                "atexit in main",
                "atexit in sub",
                "process_stopping in main ''",
                "process_stopping in sub ''"
            ],
            "{mpm}\n{log}"
        );
        for text in ["did not exit", "Fatal Python error"] {
            assert!(!log.contains(text), "{mpm}\n{log}");
        }
        for pid in children {
            assert!(!std::path::Path::new("/proc").join(pid.to_string()).exists(), "{mpm}: {pid}");
        }
    }
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
    while Instant::now() < deadline && !children(instance.child.id()).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    instance.site.write("kept/go", "");
    let rest = crate::serving::wire::latin1(&wire.rest());
    let log = instance.stop();
    for text in ["exit signal", "did not exit", "Fatal Python error"] {
        assert!(!log.contains(text), "{log}");
    }
    assert_eq!(rest, "\r\n6\r\nsecond\r\n0\r\n\r\n", "the answer is cut off\n{log}");
    let notes = instance.site.read("kept/notes");
    assert_eq!(notes, "process_stopping in sub ''\natexit in sub\n", "{log}");
}

/// Processes whose parent is that one.
fn children(parent: u32) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for item in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = item.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // It may have ended in between.
        let stat = std::fs::read_to_string(item.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect::<Vec<_>>());
        if fields.is_some_and(|fields| fields.get(1) == Some(&parent.to_string().as_str())) {
            found.insert(pid);
        }
    }
    found
}
