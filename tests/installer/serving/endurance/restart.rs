//! Restarts and ends of the server while it serves.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::{DAEMON, Instance, PATIENCE, REASON};
use super::{LOAD, attempt, more, told, under_load};
use crate::serving::children_of;

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

/// Restarts it a few times: each brings fresh processes, and the old ones go.
#[track_caller]
fn restarts(instance: &Instance, signal: Signal, answered: &AtomicUsize) {
    let parent = instance.child.id();
    for round in 2..=4 {
        let deadline = Instant::now() + PATIENCE;
        let wait = || {
            assert!(
                Instant::now() < deadline,
                "round {round}: processes {:?}\n{}",
                processes(parent),
                instance.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        let old = processes(parent);
        more(answered, 100);
        instance.signal(signal);
        while instance.log().matches("resuming normal operations").count() < round {
            wait();
        }
        // While the old ones serve on, answers are theirs.
        while processes(parent).len() != PROCESSES || !processes(parent).is_disjoint(&old) {
            wait();
        }
        let pid = u32::try_from(told(instance, "pid")).unwrap();
        assert!(processes(parent).contains(&pid));
    }
}

#[test]
fn an_end_under_load_runs_exit_functions_and_leaves_no_process() {
    // A daemon process ends the same way under every MPM.
    for mpm in if DAEMON { &["event"][..] } else { &["event", "worker"] } {
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
        let processes = processes(instance.child.id());
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
                &format!("process_stopping in main '{REASON}'"),
                &format!("process_stopping in sub '{REASON}'")
            ],
            "{mpm}\n{log}"
        );
        for text in ["did not exit", "Fatal Python error"] {
            assert!(!log.contains(text), "{mpm}\n{log}");
        }
        for pid in processes {
            assert!(!std::path::Path::new("/proc").join(pid.to_string()).exists(), "{mpm}: {pid}");
        }
    }
}

/// Its child alone, or that and a daemon process with the one that looks after it.
const PROCESSES: usize = if DAEMON { 3 } else { 1 };

/// Processes whose parent is that one, and theirs.
fn processes(parent: u32) -> BTreeSet<u32> {
    let below = children_of(parent);
    below.iter().flat_map(|child| children_of(*child)).chain(below.clone()).collect()
}
