//! What `wsgi-status`, `wsgi-metrics` and `wsgi-health` tell of a server.

use rustix::process::Signal;
use serde_json::Value;

use super::super::{Instance, Site};
use super::{begin_sleep, gone, group, pid, signal, wait};

/// The handlers, at URLs before the application.
const HANDLERS: &str = "ExtendedStatus On\n\
    <Location /status.json>\nSetHandler wsgi-status\n</Location>\n\
    <Location /metrics>\nSetHandler wsgi-metrics\n</Location>\n\
    <Location /health>\nSetHandler wsgi-health\n</Location>";

fn serving(options: &str, directives: &str) -> Instance {
    Instance::new(&group(options, &format!("{HANDLERS}\n{directives}")))
}

#[track_caller]
fn facts(instance: &Instance) -> Value {
    let reply = instance.get("/status.json");
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

/// The only process of group `g`.
#[track_caller]
fn process(instance: &Instance) -> Value {
    let facts = facts(instance);
    assert_eq!(facts["groups"][0]["name"], "g");
    facts["groups"][0]["processes"][0].clone()
}

#[track_caller]
fn metric(instance: &Instance, sample: &str) -> String {
    let page = instance.get("/metrics").text();
    let value = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{sample} is not in\n{page}")).to_owned()
}

#[test]
fn a_process_and_its_requests_are_seen() {
    let instance = serving("threads=3", "");
    let own = pid(&instance);
    let before = process(&instance);
    assert_eq!(before["pid"], own);
    assert_eq!(before["state"], "ready");
    assert_eq!(before["live"], 0);
    assert_eq!((&before["restarts"], &before["last_end"]), (&0.into(), &Value::Null));
    assert!(before["memory"]["bytes"].as_u64().unwrap() > 1_000_000, "{before}");
    let begun = before["started"].as_f64().unwrap();
    let facts = facts(&instance);
    assert!((0.0..60.0).contains(&(facts["time"].as_f64().unwrap() - begun)), "{facts}");

    let sleep = begin_sleep(&instance, "one", 30.0);
    let during = process(&instance);
    assert_eq!(during["live"], 1);
    assert_eq!(during["requests"].as_u64().unwrap(), before["requests"].as_u64().unwrap() + 1);
    let sample = "mod_wsgi_requests_in_progress{group=\"g\",process=\"0\"}";
    assert_eq!(metric(&instance, sample), "1");
    assert_eq!(metric(&instance, "mod_wsgi_group_capacity{group=\"g\"}"), "3");
    drop(sleep);
}

#[test]
fn what_waits_for_a_thread_is_told_apart() {
    let instance = serving("threads=1", "");
    let first = begin_sleep(&instance, "one", 30.0);
    let second = super::begin(&instance, "/", "answer = 1\n");
    wait("a request that waits", &instance, || process(&instance)["live"] == 2);
    let labels = "{group=\"g\",process=\"0\"}";
    assert_eq!(metric(&instance, &format!("mod_wsgi_requests_in_progress{labels}")), "1");
    assert_eq!(metric(&instance, &format!("mod_wsgi_requests_waiting{labels}")), "1");
    drop((first, second));
}

#[test]
fn a_process_that_dies_is_one_restart_and_its_reason() {
    let instance = serving("threads=1", "");
    let old = pid(&instance);
    let requests = process(&instance)["requests"].as_u64().unwrap();
    signal(old, Signal::KILL);
    gone(&instance, old);
    let new = pid(&instance);
    let process = process(&instance);
    assert_eq!((&process["pid"], &process["restarts"]), (&new.into(), &1.into()));
    assert_eq!(process["last_end"], "signal: 9 (SIGKILL)");
    // The one before it may have been given the request, too.
    let own = process["own_requests"].as_u64().unwrap();
    assert!((1..=2).contains(&own), "{process}");
    assert!(process["requests"].as_u64().unwrap() >= requests + own, "{process}");
    let sample = "mod_wsgi_process_restarts_total{group=\"g\",process=\"0\"}";
    assert_eq!(metric(&instance, sample), "1");
}

#[test]
fn a_process_that_is_replaced_tells_why() {
    let instance = serving("threads=1 maximum-requests=2", "");
    let old = pid(&instance);
    pid(&instance);
    gone(&instance, old);
    let process = process(&instance);
    assert_eq!(process["restarts"], 1);
    assert_eq!(process["last_end"], "maximum_requests");
}

/// A service takes no requests: nobody waits for one.
#[test]
fn a_group_is_ready_once_a_process_of_it_is() {
    let site = Site::new();
    let go = site.path("kept/go");
    site.write(
        "slow.py",
        &format!("import os, time\nwhile not os.path.exists({go:?}):\n    time.sleep(0.02)\n"),
    );
    let directives = format!(
        "{HANDLERS}\nWSGIDaemonProcess service threads=0 python-home=/no/such\n\
         WSGIImportScript \"SITE/slow.py\" process-group=g application-group=%{{GLOBAL}}"
    );
    let instance = Instance::of(site, "event", &group("threads=1", &directives));
    assert_eq!(instance.get("/health").text(), "ok\n");
    let reply = instance.get("/health?ready");
    assert_eq!((reply.status, &*reply.text()), (503, "no process takes requests in group 'g'\n"));
    assert_eq!(process(&instance)["state"], "starting");
    instance.site.write("kept/go", "");
    wait("readiness", &instance, || instance.get("/health?ready").status == 200);
    assert_eq!(instance.get("/health/ready").text(), "ok\n");
    assert_eq!(facts(&instance)["groups"][1]["processes"][0]["state"], "broken");
}

#[test]
fn a_group_that_cannot_start_is_named() {
    let broken = "WSGIDaemonProcess lame threads=1 python-home=/no/such";
    let instance = serving("threads=1", broken);
    pid(&instance);
    assert_eq!(instance.get("/health").status, 200);
    for target in ["/health?ready", "/health/ready"] {
        let reply = instance.get(target);
        assert_eq!(reply.status, 503);
        assert_eq!(reply.text(), "no process takes requests in group 'lame'\n");
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
}

#[test]
fn answers_are_not_kept_and_others_than_get_are_refused() {
    let instance = serving("threads=1", "");
    for (target, kind) in [
        ("/status.json", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/health", "text/plain; charset=utf-8"),
    ] {
        let got = instance.get(target);
        let head = instance.send("HEAD", target, &[], b"");
        for reply in [&got, &head] {
            assert_eq!(reply.status, 200, "{target}");
            assert_eq!(reply.header("content-type"), Some(kind));
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        }
        assert!(head.body.is_empty() && !got.body.is_empty());
        let refused = instance.post(target, b"x");
        assert_eq!(refused.status, 405);
        let mut allowed: Vec<&str> = refused.header("allow").unwrap().split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "TRACE"]);
    }
}

/// Not to whom a proxy on this machine asks for, either.
#[test]
fn what_is_asked_for_now_is_told_to_this_machine_only_and_without_its_query() {
    let instance = serving("threads=3", "");
    pid(&instance);
    let note = instance.site.path("kept/live");
    let code = format!("import time\nopen({note:?}, 'w').write('begun')\ntime.sleep(30)\n");
    let sleep = super::begin(&instance, "/orders?token=secret", &code);
    instance.comes("kept/live", "begun");
    let live = facts(&instance)["live"].clone();
    assert_eq!(live.as_array().unwrap().len(), 1, "{live}");
    assert_eq!(live[0]["request"], "POST /orders");
    assert!((0.0..60.0).contains(&live[0]["seconds"].as_f64().unwrap()));
    for name in ["X-Forwarded-For", "Forwarded"] {
        let reply = instance.send("GET", "/status.json", &[(name, "192.0.2.1")], b"");
        assert!(!reply.text().contains("orders"), "{}", reply.text());
    }
    assert!(!instance.get("/metrics").text().contains("orders"));
    drop(sleep);
}

/// httpd has no Python, nor a group of daemon processes.
#[test]
fn a_server_without_daemon_processes_has_figures_of_httpd() {
    let instance = Instance::new(&format!("WSGIRestrictEmbedded On\n{HANDLERS}"));
    let facts = facts(&instance);
    assert_eq!(facts["groups"], Value::Array(Vec::new()));
    let server = &facts["server"];
    assert_eq!(server["mpm"], "event");
    assert_eq!(server["capacity"], 8);
    assert!(server["busy"].as_u64().unwrap() >= 1 && server["idle"].as_u64().unwrap() >= 1);
    assert_eq!(instance.get("/health?ready").text(), "ok\n");
    wait("counted requests", &instance, || {
        metric(&instance, "mod_wsgi_server_requests_total").parse::<u64>().unwrap() >= 3
    });
    let pid = server["processes"][0]["pid"].as_u64().unwrap();
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    assert!(!maps.contains("libpython"), "{maps}");
}
