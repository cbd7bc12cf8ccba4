//! What a process counts and measures, once it is asked to.

use super::{DAEMON, Instance};

const RECORD: &str = "mod_wsgi.start_recording_metrics()";

const APPS: &str = "WSGIScriptAlias /reply \"SITE/apps/reply.wsgi\"\n\
                    WSGIScriptAlias / \"SITE/apps/ask.wsgi\"\nSetEnv KEPT \"SITE/kept\"\n\
                    WSGIApplicationGroup %{GLOBAL}";

/// A server that has just begun to record.
fn recording() -> Instance {
    let instance = Instance::new(APPS);
    assert_eq!(instance.ask(RECORD), "None");
    instance
}

/// What a call gives now, kept as `m`.
#[track_caller]
pub(super) fn take(instance: &Instance, call: &str) {
    assert_eq!(instance.ask(&format!("setattr(sys, 'm', mod_wsgi.{call}())")), "None");
}

/// Expressions over what was taken.
#[track_caller]
pub(super) fn check(instance: &Instance, cases: &[(&str, &str)]) {
    for (code, answer) in cases {
        assert_eq!(instance.ask(&format!("(lambda m: ({code}))(sys.m)")), *answer, "{code}");
    }
}

/// The keys of what was taken whose values have this type.
fn keys(instance: &Instance, kind: &str) -> Vec<String> {
    let code = format!(
        "' '.join(sorted(key for key, value in sys.m.items() if type(value).__name__ == '{kind}'))"
    );
    let names = instance.ask(&code);
    names.trim_matches('\'').split_whitespace().map(str::to_owned).collect()
}

#[test]
fn nothing_is_recorded_until_somebody_asks() {
    let instance = Instance::new(
        "WSGIScriptAlias /one \"SITE/apps/ask.wsgi\"\nWSGIScriptAlias /two \"SITE/apps/ask.wsgi\"",
    );
    let both = "mod_wsgi.process_metrics() is None, mod_wsgi.request_metrics() is None";
    assert_eq!(instance.ask_at("/one", both), "(True, True)");
    assert_eq!(instance.ask_at("/one", RECORD), "None");
    for target in ["/one", "/two"] {
        assert_eq!(instance.ask_at(target, both), "(False, False)", "it is for the process");
    }
    assert_eq!(instance.ask_at("/one", "mod_wsgi.server_metrics()"), "None");
    assert_eq!(
        instance.ask_at("/one", "mod_wsgi.request_metrics(1)").split(':').next(),
        Some("TypeError")
    );
}

/// Reports that are pushed elsewhere take the place of those that are asked for.
#[test]
fn nothing_is_recorded_while_telemetry_is_on() {
    let instance = Instance::serving("ask", "WSGITelemetryService unix:SITE/kept/nobody");
    let code = "mod_wsgi.start_recording_metrics(), mod_wsgi.process_metrics(), mod_wsgi.request_metrics()";
    assert_eq!(instance.ask(code), "(None, None, None)");
}

#[test]
fn what_is_told_about_the_process() {
    let instance = recording();
    take(&instance, "process_metrics");
    for (kind, expected) in [
        (
            "int",
            "active_requests memory_max_rss memory_rss pid request_count request_threads running_time",
        ),
        (
            "float",
            "cpu_system_time cpu_time cpu_user_time current_time request_busy_time restart_time",
        ),
        ("list", "threads"),
    ] {
        assert_eq!(keys(&instance, kind).join(" "), expected, "{kind}");
    }
    check(
        &instance,
        &[
            ("len(m)", "14"),
            ("m['pid'] == __import__('os').getpid()", "True"),
            ("abs(m['cpu_time'] - m['cpu_user_time'] - m['cpu_system_time']) < 0.001", "True"),
            ("abs(m['running_time'] - (m['current_time'] - m['restart_time'])) <= 1.5", "True"),
            ("0 <= __import__('time').time() - m['current_time'] < 60", "True"),
            ("m['memory_rss'] > 1000000 and m['memory_max_rss'] > 1000000", "True"),
            ("0 < m['request_busy_time'] < m['current_time'] - m['restart_time']", "True"),
        ],
    );
}

#[test]
fn what_is_told_about_an_interval() {
    let instance = recording();
    take(&instance, "request_metrics");
    let times = |names: &[&str], endings: &[&str]| -> String {
        let each =
            |ending: &&str| names.iter().map(|name| format!("{name}_time{ending} ")).collect();
        endings.iter().map(each).collect::<Vec<String>>().concat()
    };
    let phases = [
        "server",
        "application",
        "request",
        "gil_wait",
        "input_read",
        "output_write",
        "queue",
        "daemon",
    ];
    // An embedded process has neither a queue nor a daemon.
    let (phases, others) = phases.split_at(if DAEMON { 8 } else { 6 });
    for (kind, expected) in [
        (
            "int",
            "gil_wait_count input_bytes input_reads memory_max_rss memory_rss output_bytes output_writes pid \
             request_count request_threads_active request_threads_maximum request_threads_started \
             status_1xx status_2xx status_3xx status_4xx status_5xx "
                .to_owned()
                + &times(phases, &["_min_us", "_max_us"]),
        ),
        (
            "float",
            "capacity_utilization cpu_system_time cpu_system_utilization cpu_time cpu_user_time \
             cpu_user_utilization cpu_utilization request_throughput sample_period start_time stop_time "
                .to_owned()
                + &times(phases, &[""]),
        ),
        (
            "list",
            "request_threads_buckets request_threads_busy_time request_threads_completed \
             request_threads_cpu_time request_threads_current_elapsed request_threads_max_duration "
                .to_owned()
                + &times(phases, &["_buckets"])
                + &times(others, &["_buckets"]),
        ),
        ("NoneType", times(others, &["", "_min_us", "_max_us"])),
    ] {
        let mut expected: Vec<&str> = expected.split_whitespace().collect();
        expected.sort_unstable();
        assert_eq!(keys(&instance, kind), expected, "{kind}");
    }
    check(&instance, &[("m['pid'] == __import__('os').getpid()", "True")]);
}

#[test]
fn requests_of_an_interval_add_up() {
    let instance = recording();
    for (target, status, bytes, blocks) in [
        ("/reply/plain", "2xx", 5, 1),
        ("/reply/several", "2xx", 13, 3),
        ("/reply/written", "2xx", 22, 3),
        ("/reply/late_start", "2xx", 4, 1),
        ("/reply/empty_blocks", "2xx", 0, 0),
        ("/reply/status?302+Found", "3xx", 4, 1),
        ("/reply/status?404+Not+Found", "4xx", 4, 1),
        ("/reply/raises", "5xx", 0, 0),
        ("/reply/no_start", "5xx", 0, 0),
        ("/reply/no_start_no_body", "5xx", 0, 0),
        ("/reply/raises_after_output", "2xx", 5, 1),
    ] {
        take(&instance, "request_metrics");
        for _request in 0..3 {
            instance.get(target);
        }
        take(&instance, "request_metrics");
        // The request that began the interval ended in it.
        let own = if status == "2xx" { 4 } else { 3 };
        check(
            &instance,
            &[
                ("m['request_count']", "4"),
                (&format!("m['status_{status}']"), &format!("{own}")),
                ("sum(m[f'status_{number}xx'] for number in range(1, 6))", "4"),
                ("m['output_bytes'] - len('None')", &format!("{}", 3 * bytes)),
                ("m['output_writes'] - 1", &format!("{}", 3 * blocks)),
            ],
        );
    }
}

#[test]
fn an_interval_ends_when_it_is_told() {
    let instance = recording();
    for _request in 0..4 {
        instance.ask("12345");
    }
    take(&instance, "request_metrics");
    check(
        &instance,
        &[
            ("m['request_count'], m['status_2xx'], m['input_reads']", "(5, 5, 5)"),
            // The one that began to record is the first of them.
            ("m['input_bytes']", &format!("{}", RECORD.len() + 4 * 5)),
            ("sum(m['request_threads_completed']), m['request_threads_maximum']", "(5, 8)"),
            ("m['request_threads_buckets'] == m['request_threads_completed']", "True"),
            (
                "{len(m[key]) for key in m if key.startswith('request_threads') and type(m[key]) is list}",
                "{8}",
            ),
            (
                "{sum(m[key]) for key in m if key.endswith('time_buckets')}",
                if DAEMON { "{5}" } else { "{0, 5}" },
            ),
            ("{len(m[key]) for key in m if key.endswith('time_buckets')}", "{65}"),
            (
                "[key for key in ('server', 'application', 'request', 'input_read', 'output_write') if not \
                 m[f'{key}_time_min_us'] - 1 <= m[f'{key}_time'] * 1e6 <= m[f'{key}_time_max_us'] + 1]",
                "[]",
            ),
            ("m['request_time'] >= m['application_time'] > 0 < m['sample_period']", "True"),
            ("m['start_time'] <= m['stop_time'] <= __import__('time').time()", "True"),
            ("abs(m['request_throughput'] * m['sample_period'] - 5) < 0.01", "True"),
            ("0 < m['capacity_utilization'] <= 1", "True"),
            ("sum(m['request_threads_busy_time']) > 0", "True"),
        ],
    );
    let twice =
        "mod_wsgi.request_metrics() and None or setattr(sys, 'm', mod_wsgi.request_metrics())";
    assert_eq!(instance.ask(twice), "None");
    check(
        &instance,
        &[
            (
                "m['request_count'], m['status_2xx'], m['input_bytes'], m['output_writes']",
                "(0, 0, 0, 0)",
            ),
            ("m['request_throughput'], m['application_time']", "(0.0, 0.0)"),
            ("m['request_time_min_us'], m['request_time_max_us']", "(None, None)"),
            ("{sum(m[key]) for key in m if key.endswith('time_buckets')}", "{0}"),
            // It is still at work.
            ("sum(time > 0 for time in m['request_threads_current_elapsed'])", "1"),
        ],
    );
}

#[test]
fn requests_of_a_process_add_up() {
    let instance = Instance::new(APPS);
    for _request in 0..5 {
        instance.get("/reply/plain");
    }
    instance.ask(RECORD);
    let request = b"GET /reply/stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut waiting = instance.raw(request);
    waiting.until("first");
    take(&instance, "process_metrics");
    instance.site.write("kept/go", "");
    waiting.rest();
    check(
        &instance,
        &[
            // Those before the recording count.
            ("m['request_count'], m['active_requests']", "(6, 2)"),
            // Threads count what they have begun.
            ("sum(thread['request_count'] for thread in m['threads'])", "8"),
            ("len(m['threads']) == m['request_threads'] <= 8", "True"),
            ("[sorted(thread) for thread in m['threads']][0]", "['request_count', 'thread_id']"),
            ("min(thread['thread_id'] for thread in m['threads'])", "1"),
        ],
    );
}
