//! Applications that misbehave: each is survived, and the next request served.

use std::time::{Duration, Instant};

use super::super::{DAEMON, Instance, PATIENCE, Site};
use super::Figures;

const APP: &str = "WSGIScriptAlias /main \"SITE/apps/hostile.wsgi\" application-group=%{GLOBAL}\n\
                   WSGIScriptAlias / \"SITE/apps/hostile.wsgi\"\nSetEnv KEPT \"SITE/kept\"";

/// Asks for each in a sub-interpreter and in the main one.
fn everywhere(targets: &[&str], mut ask: impl FnMut(&str)) {
    for target in targets {
        for place in ["", "/main"] {
            ask(&format!("{place}/{target}"));
        }
    }
}

/// The process that serves, which the test knows to be the one of before.
#[track_caller]
fn lives(instance: &Instance, pid: &str) {
    for target in ["/plain", "/main/plain"] {
        assert_eq!(instance.get(target).expect(200).text(), pid, "{}", instance.log());
    }
}

#[test]
fn exceptions_of_every_kind_are_a_500_and_no_more() {
    let instance = Instance::new(APP);
    let pid = instance.get("/plain").text();
    let raised = ["KeyboardInterrupt", "GeneratorExit", "SystemExit", "Own", "Unshowable"];
    everywhere(
        &[&raised[..], &["StopIteration", "recursion", "recursion_in_body", "memory"]].concat(),
        |target| {
            let reply = instance.get(target).expect(500);
            assert!(reply.complete && reply.text().contains("Internal Server Error"), "{target}");
            lives(&instance, &pid);
        },
    );
    let within: Vec<String> = raised.iter().map(|kind| format!("within_{kind}")).collect();
    let mut within: Vec<&str> = within.iter().map(String::as_str).collect();
    within.push("memory_in_body");
    everywhere(&within, |target| {
        let reply = instance.get(target).expect(200);
        assert_eq!((reply.text().as_str(), reply.complete), ("first", false), "{target}");
        lives(&instance, &pid);
    });
    let log = instance.log();
    let kinds =
        ["KeyboardInterrupt", "GeneratorExit", "SystemExit", "Own", "Unshowable", "StopIteration"];
    for kind in [&kinds[..], &["RecursionError", "MemoryError"]].concat() {
        assert!(log.contains(kind), "{kind} is not in the log:\n{log}");
    }
}

#[test]
fn bodies_without_measure_arrive() {
    // One thread: each would keep memory of its own for such blocks.
    let directives = format!("{APP}\nThreadsPerChild 1\nMaxRequestWorkers 1");
    let instance = Instance::with_options(Site::new(), "threads=1", &directives);
    let pid = instance.get("/plain").text().parse().unwrap();
    let sizes = [("many_blocks", 200_000), ("large_blocks", 200_000_000)];
    let ask = |target: &str| {
        let (_, size) = sizes.iter().find(|(name, _)| target.ends_with(name)).unwrap();
        let reply = instance.get(target).expect(200);
        assert_eq!((reply.body.len(), reply.complete), (*size, true), "{target}");
    };
    let targets = sizes.map(|(name, _)| name);
    everywhere(&targets, ask);
    let before = Figures::of(pid);
    everywhere(&targets, ask);
    Figures::after(&before, pid, "bodies without measure");
}

#[test]
fn what_threads_do_harms_nobody() {
    let instance = Instance::new(APP);
    let pid = instance.get("/plain").text();
    everywhere(&["exit_in_thread", "error_in_thread"], |target| {
        assert_eq!(instance.get(target).expect(200).text(), "survived", "{target}");
    });
    instance.logs("ValueError: in a thread");
    everywhere(&["outlived"], |target| {
        assert_eq!(instance.get(target).expect(200).text(), "outlived", "{target}");
    });
    let after = "called on wsgi.input after request completed; write() called after request completed; \
                 write() called on wsgi.errors after request completed\n";
    let deadline = Instant::now() + PATIENCE;
    while instance.site.read("kept/notes").matches(after).count() < 2 {
        let (notes, log) = (instance.site.read("kept/notes"), instance.log());
        assert!(Instant::now() < deadline, "objects work on after their request: {notes}\n{log}");
        std::thread::sleep(Duration::from_millis(10));
    }
    lives(&instance, &pid);
}

/// The original crashes where they belong to a sub-interpreter.
#[test]
fn threads_that_still_run_do_not_disturb_the_end() {
    // A daemon process is the same under every MPM.
    for mpm in if DAEMON { &["event"][..] } else { &["event", "worker", "prefork"] } {
        for place in ["/main", ""] {
            let mut instance = Instance::with_mpm(mpm, APP);
            instance.get(&format!("{place}/daemons")).expect(200);
            instance.get(&format!("{place}/thread")).expect(200);
            instance.get(&format!("{place}/ending")).expect(200);
            instance.comes("kept/notes", "thread begins");
            let log = instance.stop();
            for text in ["exit signal", "did not exit", "Fatal Python error"] {
                assert!(!log.contains(text), "{mpm} {place}\n{log}");
            }
            let notes = instance.site.read("kept/notes");
            assert_eq!(notes, "thread begins\nthread ends\natexit\n", "{mpm} {place}\n{log}");
        }
    }
}

/// Only the request that does it dies with the process, and those beside it.
#[test]
fn an_application_that_ends_its_process_ends_no_more() {
    for mpm in ["event", "prefork"] {
        let instance = Instance::with_mpm(mpm, APP);
        for place in ["", "/main"] {
            let pid = instance.get(&format!("{place}/plain")).expect(200).text();
            let request = format!(
                "GET {place}/exit_process HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            );
            let rest = instance.raw(request.as_bytes()).rest();
            // Where httpd is left to tell of it, it does.
            let told: &[u8] = if DAEMON { b"HTTP/1.1 502 Bad Gateway\r\n" } else { b"" };
            assert!(rest.starts_with(told) && DAEMON != rest.is_empty(), "{mpm}: {rest:?}");
            let fresh = instance.get(&format!("{place}/plain")).expect(200).text();
            assert_ne!(fresh, pid, "{mpm}");
        }
    }
}

/// Where there are sub-interpreters Python itself cannot fork.
#[test]
fn an_application_may_fork() {
    for mpm in ["event", "prefork"] {
        let instance = Instance::with_mpm(
            mpm,
            "WSGIScriptAlias / \"SITE/apps/hostile.wsgi\" application-group=%{GLOBAL}",
        );
        let pid = instance.get("/plain").text();
        for _again in 0..3 {
            assert_eq!(instance.get("/fork").expect(200).text(), pid, "{mpm}");
            assert_eq!(instance.get("/plain").expect(200).text(), pid, "{mpm}");
        }
    }
}

/// Each spoils what all in the process, or in its interpreter, share.
#[test]
fn what_an_application_does_to_its_process_is_survived() {
    for target in ["/closes_descriptors", "/changes_process", "/main/changes_process"] {
        let mut instance = Instance::new(APP);
        let pid = instance.get("/plain").text();
        instance.get(target).expect(200);
        lives(&instance, &pid);
        instance.get("/Own").expect(500);
        instance.logs("Own: as asked for");
        instance.stop();
    }
}

/// Without its own module, and without streams to tell it to, an interpreter may
/// fail its requests, but no other's.
#[test]
fn an_application_may_lose_its_streams_and_our_module() {
    for misdeed in ["empties_module", "loses_streams"] {
        for (place, other) in [("", "/main"), ("/main", "")] {
            let mut instance = Instance::new(APP);
            let pid = instance.get(&format!("{other}/plain")).expect(200).text();
            for target in [misdeed, "plain", "Own", "Unshowable", "within_Own"] {
                let status = instance.get(&format!("{place}/{target}")).status;
                assert!([200, 500].contains(&status), "{place}/{target}: {status}");
                let reply = instance.get(&format!("{other}/plain")).expect(200);
                assert_eq!(reply.text(), pid, "after {place}/{target}\n{}", instance.log());
            }
            instance.stop();
        }
    }
}
