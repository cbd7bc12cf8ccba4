//! Runs that are killed or told to end, in every phase, and the run after.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::sandbox::{Outcome, Release, Sandbox, names_in, tiny_httpd, tiny_httpd_with};
use crate::upstream::{Part, Upstream, whole_or_range};

/// A sandbox whose tiny httpd stops for a while at one place of its build, the
/// first time only, and notes the process that does.
fn sandbox_that_stops_in(phase: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let note = sandbox.path("stopped");
    let stop = format!("test -e {0} || {{ echo $$ > {0}; exec sleep 20; }}", note.display());
    let configure = |body: &str| format!("#!/bin/sh\n{body}\ncp makefile.in Makefile\n");
    let archive = match phase {
        "configure" => tiny_httpd_with("1.0", &configure(&stop), ""),
        "make" => {
            let in_make = stop.replace('$', "$$");
            tiny_httpd_with("1.0", &configure(""), &format!("\t{in_make}\n"))
        }
        "check" => {
            let rewrite = format!("echo '{stop}' >> httpd.in");
            let order = "sed -i -e '2{h;d}' -e '$G' httpd.in";
            tiny_httpd_with("1.0", &configure(&format!("{rewrite}\n{order}")), "")
        }
        other => panic!("no phase {other}"),
    };
    sandbox.recipe(&[sandbox.publish("1.0", &archive)], "");
    sandbox
}

/// Waits for the note and returns the process that wrote it.
pub(crate) fn wait_for(note: &Path) -> Pid {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let text = std::fs::read_to_string(note).unwrap_or_default();
        if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
            return pid;
        }
        assert!(Instant::now() < deadline, "the build never came so far");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub(crate) fn pid_of(run: &Child) -> Pid {
    Pid::from_child(run)
}

#[test]
fn a_run_killed_in_any_phase_is_made_good_by_the_next() {
    for phase in ["configure", "make", "check"] {
        let sandbox = sandbox_that_stops_in(phase);
        let run = sandbox.start_install(&[]);
        let stopped = wait_for(&sandbox.path("stopped"));
        kill_process(pid_of(&run), Signal::KILL).unwrap();
        Outcome::of(run.wait_with_output().unwrap()).expect(-9);
        // Ours too: the killed run could not end it.
        kill_process(stopped, Signal::KILL).unwrap();
        assert!(!sandbox.prefix().join("current").exists(), "{phase}");

        sandbox.install(&[]).expect(0);
        assert_eq!(sandbox.installed_version(), "Apache/1.0", "{phase}");
        assert_eq!(names_in(&sandbox.prefix().join("store")).len(), 1, "{phase}: leftovers");
        assert_eq!(names_in(&sandbox.path("tmp")), Vec::<String>::new(), "{phase}: leftovers");
        sandbox.at_prefix("verify", &[]).expect(0);
    }
}

#[test]
fn a_run_killed_while_it_fetches_goes_on_from_there() {
    let archive = tiny_httpd("1.0");
    let bytes = archive.clone();
    let upstream = Upstream::start(move |request| {
        let mut parts = whole_or_range(request, &bytes, "\"one\"");
        if request.before == 0
            && let Some(Part::Bytes(body)) = parts.last_mut()
        {
            let rest = body.split_off(100);
            parts.push(Part::Pause(Duration::from_secs(15)));
            parts.push(Part::Bytes(rest));
        }
        parts
    });
    let sandbox = Sandbox::empty();
    sandbox.recipe(&[Release::of("1.0", &archive).at(&[&upstream.url("/x")])], "");
    let run = sandbox.start_install(&[]);
    let partial = sandbox.cache().join("sources/partial").join(crate::sandbox::sha256(&archive));
    let deadline = Instant::now() + Duration::from_secs(15);
    while partial.metadata().map_or(0, |metadata| metadata.len()) < 100 {
        assert!(Instant::now() < deadline, "nothing arrives");
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(pid_of(&run), Signal::KILL).unwrap();
    run.wait_with_output().unwrap();
    sandbox.install(&[]).expect(0);
    let ranges: Vec<_> = upstream.requests().iter().map(|request| request.range()).collect();
    assert_eq!(ranges, [None, Some(100)]);
}

/// Kills at moments spread over a whole run: between the phases as well.
#[test]
fn a_run_killed_at_any_moment_leaves_nothing_that_looks_whole() {
    let calm = Sandbox::new();
    let begin = Instant::now();
    calm.install(&[]).expect(0);
    let whole = begin.elapsed();
    let sandbox = Sandbox::new();
    let steps = 24;
    for step in 1..steps {
        let run = sandbox.start_install(&[]);
        std::thread::sleep(whole * step / steps);
        // It may have ended by itself already.
        let _ended = kill_process(pid_of(&run), Signal::KILL);
        run.wait_with_output().unwrap();
        if sandbox.prefix().join("current").exists() {
            sandbox.at_prefix("verify", &[]).expect(0);
            std::fs::remove_dir_all(sandbox.prefix()).unwrap();
        }
    }
    sandbox.install(&[]).expect(0);
    sandbox.at_prefix("verify", &[]).expect(0);
    let manifest = |sandbox: &Sandbox| {
        let text = std::fs::read_to_string(sandbox.prefix().join("current/manifest.json")).unwrap();
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        // These say where the archive lay.
        for name in ["build.json", "mod_wsgi-httpd.lock"] {
            value.as_object_mut().unwrap().remove(name);
        }
        value
    };
    assert_eq!(manifest(&sandbox), manifest(&calm), "not the bytes of an untroubled run");
    // Children of a killed run may write for a moment longer. A folder that was
    // just made and not yet locked cannot be told from one that another run is
    // about to lock: it stays, empty.
    let left = || -> Vec<String> {
        let mut names = names_in(&sandbox.path("tmp"));
        names.retain(|name| !names_in(&sandbox.path("tmp").join(name)).is_empty());
        names
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while !left().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
        sandbox.at_prefix("clean", &[]).expect(0);
    }
    assert_eq!(left(), Vec::<String>::new());
}

#[test]
fn a_signal_ends_the_children_and_leaves_nothing() {
    let signals = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];
    for (phase, (signal, status)) in ["configure", "make", "check"].into_iter().zip(signals) {
        let sandbox = sandbox_that_stops_in(phase);
        let run = sandbox.start_install(&[]);
        let stopped = wait_for(&sandbox.path("stopped"));
        kill_process(pid_of(&run), signal).unwrap();
        let outcome = Outcome::of(run.wait_with_output().unwrap()).expect(status);
        outcome.says("interrupted by signal");
        assert!(test_kill_process(stopped).is_err(), "{phase}: its child lives on");
        sandbox.assert_nothing_installed();
        sandbox.install(&[]).expect(0);
    }
}

#[test]
fn a_run_that_waits_for_another_can_be_ended() {
    let sandbox = sandbox_that_stops_in("make");
    let first = sandbox.start_install(&[]);
    wait_for(&sandbox.path("stopped"));
    let mut second = sandbox.start_install(&[]);
    let mut said = BufReader::new(second.stderr.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("Waiting")), "it did not wait");
    kill_process(pid_of(&second), Signal::INT).unwrap();
    assert_eq!(second.wait().unwrap().code(), Some(130));
    kill_process(pid_of(&first), Signal::TERM).unwrap();
    Outcome::of(first.wait_with_output().unwrap()).expect(143);
}
