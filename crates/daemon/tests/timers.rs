//! Decisions of a daemon process, moment by moment. The file is taken as it is: with
//! the rest of the crate a test would want a Python to link with.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "../src/timers.rs"]
mod timers;

use std::time::Duration;

use timers::{Event, Run, Seen, Step, Timers};
use wsgi::launch::Reason;
use wsgi::options::daemon::DaemonOptions;

/// A process with these options, threads=2 unless they say otherwise.
fn process(options: &str) -> Timers {
    let pairs: Vec<(String, String)> = format!("threads=2 {options}")
        .split_whitespace()
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Timers::new(DaemonOptions::parse("app", &pairs).unwrap())
}

/// That many seconds after the start, with nothing running.
fn idle(now: u64) -> Seen {
    Seen { now: Duration::from_secs(now), runs: vec![None; 2], has_loaded: true, ..Seen::default() }
}

/// The same with a request that has run since then.
fn busy(now: u64, since: u64) -> Seen {
    let run = Run { serial: since, since: Duration::from_secs(since) };
    let first = Some(Duration::from_secs(since));
    Seen { runs: vec![Some(run), None], first, ..idle(now) }
}

/// Steps without their texts.
fn steps(timers: &mut Timers, event: Event, seen: &Seen) -> Vec<Step> {
    let mut steps = timers.step(event, seen);
    steps.retain(|step| !matches!(step, Step::Log(_)));
    steps
}

#[track_caller]
fn nothing(timers: &mut Timers, seen: &Seen) {
    assert_eq!(timers.step(Event::Look, seen), []);
}

#[track_caller]
fn pauses(timers: &Timers, seen: &Seen, seconds: Option<u64>) {
    assert_eq!(timers.pause(seen), seconds.map(Duration::from_secs));
}

#[test]
fn without_limits_nothing_is_waited_for() {
    let mut timers = process("");
    nothing(&mut timers, &busy(1_000_000, 0));
    pauses(&timers, &busy(1_000_000, 0), None);
}

#[test]
fn enough_requests_ask_for_another_process_once_and_have_time_after_that() {
    let mut timers = process("maximum-requests=3 graceful-timeout=10");
    let full = |seen: Seen| Seen { completed: 3, ..seen };
    nothing(&mut timers, &Seen { completed: 2, ..idle(1) });
    let asked = [Step::Replace(Reason::MaximumRequests)];
    assert_eq!(steps(&mut timers, Event::Look, &full(busy(2, 1))), asked);
    nothing(&mut timers, &full(idle(3)));
    let refused = [Step::Refuse(Reason::MaximumRequests)];
    assert_eq!(steps(&mut timers, Event::Retire, &full(busy(4, 1))), refused);
    pauses(&timers, &full(busy(4, 1)), Some(10));
    nothing(&mut timers, &full(busy(13, 1)));
    let ended = [Step::End(Reason::MaximumRequests)];
    assert_eq!(steps(&mut timers, Event::Look, &full(busy(14, 1))), ended);
    nothing(&mut timers, &full(busy(15, 1)));
}

#[test]
fn who_is_idle_ends_as_soon_as_told_to() {
    let mut timers = process("restart-interval=60");
    pauses(&timers, &idle(0), Some(60));
    assert_eq!(
        steps(&mut timers, Event::Look, &idle(60)),
        [Step::Replace(Reason::RestartInterval)]
    );
    assert_eq!(
        steps(&mut timers, Event::Retire, &idle(61)),
        [Step::Refuse(Reason::RestartInterval), Step::End(Reason::RestartInterval)]
    );
}

#[test]
fn without_a_graceful_time_nobody_is_waited_for() {
    let mut timers = process("cpu-time-limit=1 graceful-timeout=0");
    let logged = timers.step(Event::CpuLimit, &busy(5, 1));
    let text = "Exceeded CPU time limit; triggering immediate shutdown of daemon process 'app'.";
    assert_eq!(logged, [Step::Log(text.into()), Step::Replace(Reason::CpuTimeLimit)]);
    assert_eq!(
        steps(&mut timers, Event::Retire, &busy(6, 1)),
        [Step::Refuse(Reason::CpuTimeLimit), Step::End(Reason::CpuTimeLimit)]
    );
}

#[test]
fn an_evicted_process_serves_until_it_is_idle() {
    let mut timers = process("eviction-timeout=30");
    let logged = timers.step(Event::Evict, &busy(5, 1));
    let text = "Process eviction requested; waiting for in-flight requests to complete in daemon process 'app'.";
    assert_eq!(logged, [Step::Log(text.into())]);
    assert!(timers.awaits_ends());
    pauses(&timers, &busy(6, 1), Some(29));
    assert_eq!(steps(&mut timers, Event::Look, &idle(7)), [Step::Replace(Reason::EvictionSignal)]);
    // What came meanwhile has what is left of the time.
    let refused = [Step::Refuse(Reason::EvictionSignal)];
    assert_eq!(steps(&mut timers, Event::Retire, &busy(8, 8)), refused);
    nothing(&mut timers, &busy(34, 8));
    let ended = [Step::End(Reason::EvictionSignal)];
    assert_eq!(steps(&mut timers, Event::Look, &busy(35, 8)), ended);
}

#[test]
fn the_wait_of_an_eviction_ends_with_its_time_unless_there_is_none() {
    let mut timers = process("graceful-timeout=10");
    assert_eq!(steps(&mut timers, Event::Evict, &busy(5, 1)), []);
    assert_eq!(
        steps(&mut timers, Event::Look, &busy(15, 1)),
        [Step::Replace(Reason::GracefulSignal)]
    );
    assert_eq!(
        steps(&mut timers, Event::Retire, &busy(16, 1)),
        [Step::Refuse(Reason::GracefulSignal), Step::End(Reason::GracefulSignal)]
    );
    let mut timers = process("graceful-timeout=0");
    assert_eq!(steps(&mut timers, Event::Evict, &busy(5, 1)), []);
    nothing(&mut timers, &busy(1_000_000, 1));
}

#[test]
fn an_old_request_is_over_later_the_more_threads_there_are() {
    // 10 x (1 + ln 2) = 16.9
    let mut timers = process("request-timeout=10 graceful-timeout=5");
    nothing(&mut timers, &busy(17, 1));
    let asked = [Step::Replace(Reason::RequestTimeout)];
    assert_eq!(steps(&mut timers, Event::Look, &busy(18, 1)), asked);
    // It is stale by then: nobody waits for it.
    assert_eq!(
        steps(&mut timers, Event::Retire, &busy(19, 1)),
        [Step::Refuse(Reason::RequestTimeout), Step::End(Reason::RequestTimeout)]
    );
}

#[test]
fn a_request_may_be_interrupted_first() {
    let mut timers = process("threads=1 request-timeout=10 interrupt-timeout=4");
    pauses(&timers, &idle(0), Some(10));
    pauses(&timers, &busy(3, 1), Some(8));
    let interrupted = [Step::Interrupt { thread: 0, serial: 1 }];
    assert_eq!(steps(&mut timers, Event::Look, &busy(11, 1)), interrupted);
    pauses(&timers, &busy(11, 1), Some(4));
    nothing(&mut timers, &busy(14, 1));
    // The next request has nothing to do with it.
    nothing(&mut timers, &busy(16, 15));
    let asked = [Step::Replace(Reason::RequestTimeout)];
    let mut timers = process("threads=1 request-timeout=10 interrupt-timeout=4");
    assert_eq!(steps(&mut timers, Event::Look, &busy(11, 1)), interrupted);
    assert_eq!(steps(&mut timers, Event::Look, &busy(15, 1)), asked);
}

#[test]
fn a_process_without_work_is_replaced() {
    let mut timers = process("inactivity-timeout=10");
    nothing(&mut timers, &idle(1000));
    let quiet = |now| Seen {
        first: Some(Duration::from_secs(1)),
        activity: Duration::from_secs(20),
        ..idle(now)
    };
    pauses(&timers, &quiet(22), Some(8));
    nothing(&mut timers, &quiet(29));
    nothing(&mut timers, &Seen { activity: Duration::from_secs(20), ..busy(60, 20) });
    assert_eq!(
        steps(&mut timers, Event::Look, &quiet(30)),
        [Step::Replace(Reason::InactivityTimeout)]
    );
}

#[test]
fn a_script_that_never_loads_ends_the_process() {
    let mut timers = process("startup-timeout=10");
    let loading = |now, has_loaded| Seen { has_loaded, ..busy(now, 5) };
    nothing(&mut timers, &Seen { has_loaded: false, ..idle(100) });
    pauses(&timers, &loading(7, false), Some(8));
    nothing(&mut timers, &loading(14, false));
    nothing(&mut timers, &loading(15, true));
    assert_eq!(
        steps(&mut timers, Event::Look, &loading(15, false)),
        [Step::End(Reason::StartupTimeout)]
    );
}

#[test]
fn a_changed_script_and_orders_from_outside_have_their_own_reasons() {
    let mut timers = process("");
    let changed = Seen { is_changed: true, ..busy(5, 1) };
    assert_eq!(steps(&mut timers, Event::Look, &changed), [Step::Replace(Reason::ScriptReload)]);
    nothing(&mut timers, &changed);
    assert_eq!(steps(&mut timers, Event::Terminate, &changed), [Step::End(Reason::ShutdownSignal)]);
    assert_eq!(timers.step(Event::Terminate, &changed), []);
    let mut timers = process("");
    assert_eq!(steps(&mut timers, Event::Deadlock, &idle(5)), [Step::End(Reason::DeadlockTimeout)]);
    let mut timers = process("");
    assert_eq!(
        steps(&mut timers, Event::Retire, &idle(5)),
        [Step::Refuse(Reason::GracefulSignal), Step::End(Reason::GracefulSignal)]
    );
}
