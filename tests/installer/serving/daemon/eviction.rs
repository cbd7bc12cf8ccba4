//! Processes that are asked to go when they have nothing left to do: by whom, how
//! long they may wait, and what they do meanwhile.

use rustix::process::Signal;

use super::{
    begin, begin_sleep, gone, note_reason, pid, reason, serving, signal, sleep, successor,
};

#[test]
fn an_idle_process_is_replaced_at_once() {
    for options in ["", "eviction-timeout=30", "eviction-timeout=30 graceful-timeout=0"] {
        let instance = serving(options);
        let old = pid(&instance);
        note_reason(&instance);
        signal(old, Signal::USR1);
        assert!(gone(&instance, old) < 3.0, "{options}");
        successor(&instance, old);
        let expected = if options.is_empty() { "graceful_signal" } else { "eviction_signal" };
        assert_eq!(reason(&instance), expected, "{options}");
    }
}

#[test]
fn a_process_serves_on_until_its_time_is_up() {
    for (options, expected) in [
        ("eviction-timeout=2 graceful-timeout=30", "eviction_signal"),
        ("eviction-timeout=2 graceful-timeout=0", "eviction_signal"),
        // Unset, the other one counts.
        ("graceful-timeout=2", "graceful_signal"),
        ("eviction-timeout=0 graceful-timeout=2", "graceful_signal"),
    ] {
        let instance = serving(&format!("{options} shutdown-timeout=1"));
        let old = pid(&instance);
        note_reason(&instance);
        let mut long = begin_sleep(&instance, "long", 12.0);
        signal(old, Signal::USR1);
        let clock = std::time::Instant::now();
        while clock.elapsed().as_secs_f64() < 1.5 {
            assert_eq!(pid(&instance), old, "{options}: somebody else answers");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        gone(&instance, old);
        let took = clock.elapsed().as_secs_f64();
        assert!((1.9..7.0).contains(&took), "{options}: {took}");
        long.reply("POST").expect(502);
        assert_eq!(reason(&instance), expected, "{options}");
        successor(&instance, old);
        let log = instance.log().to_lowercase();
        assert_eq!(log.contains("eviction requested"), expected == "eviction_signal", "{log}");
    }
}

#[test]
fn a_process_goes_as_soon_as_its_requests_are_done() {
    for options in [
        "eviction-timeout=30",
        "graceful-timeout=30",
        "eviction-timeout=30 request-timeout=0 deadlock-timeout=300",
        // No limit at all: it waits as long as it takes.
        "eviction-timeout=0 graceful-timeout=0 shutdown-timeout=1",
    ] {
        let instance = serving(options);
        let old = pid(&instance);
        let mut short = begin_sleep(&instance, "short", 2.5);
        signal(old, Signal::USR1);
        assert_eq!(short.reply("POST").expect(200).text(), "'slept'", "{options}");
        assert!(gone(&instance, old) < 4.0, "{options}");
        successor(&instance, old);
    }
}

#[test]
fn other_reasons_to_go_know_the_graceful_timeout_alone() {
    let burn = "import time\nwhile time.process_time() < 1.4:\n    pass\nanswer = 1\n";
    for (option, code, expected) in [
        ("maximum-requests=4", "6 * 7", "maximum_requests"),
        ("cpu-time-limit=1", burn, "cpu_time_limit"),
    ] {
        for (timeouts, forced) in [
            ("eviction-timeout=30 graceful-timeout=1", true),
            ("eviction-timeout=1 graceful-timeout=30", false),
        ] {
            let instance = serving(&format!("{option} {timeouts} shutdown-timeout=1"));
            let old = pid(&instance);
            note_reason(&instance);
            let mut long = begin_sleep(&instance, "long", if forced { 10.0 } else { 5.0 });
            while instance.site.read("error_log").to_lowercase().matches("requests reached").count()
                + instance.log().to_lowercase().matches("cpu time limit").count()
                == 0
            {
                instance.ask(code);
            }
            long.reply("POST").expect(if forced { 502 } else { 200 });
            gone(&instance, old);
            assert_eq!(reason(&instance), expected, "{timeouts}");
            successor(&instance, old);
        }
    }
}

#[test]
fn a_second_request_to_go_changes_nothing() {
    let instance = serving("eviction-timeout=30");
    let old = pid(&instance);
    let mut short = begin_sleep(&instance, "short", 2.0);
    for _time in 0..3 {
        signal(old, Signal::USR1);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let mut other = begin(&instance, "/", &sleep(0.5));
    other.reply("POST").expect(200);
    short.reply("POST").expect(200);
    successor(&instance, old);
}

#[test]
fn one_of_several_goes_while_the_others_serve() {
    let instance = serving("processes=2 eviction-timeout=10");
    let all = super::all_of(&instance, "g", 2);
    let old = pid(&instance);
    signal(old, Signal::USR1);
    super::wait("two again", &instance, || {
        pid(&instance);
        let now = super::members(&instance, "g");
        now.len() == 2 && !now.contains(&old)
    });
    assert_eq!(super::members(&instance, "g").intersection(&all).count(), 1);
}
