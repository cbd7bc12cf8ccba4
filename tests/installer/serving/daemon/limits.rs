//! Limits that real processes run into: requests, processor time, memory, queues.

use std::time::Duration;

use super::{
    begin, begin_sleep, gone, group, note_reason, pid, reason, roomy, serving, sleep, successor,
    timed, wait,
};
use crate::serving::Instance;

#[test]
fn a_process_goes_after_its_requests() {
    for options in ["maximum-requests=4", "maximum-requests=4 graceful-timeout=0"] {
        let instance = serving(options);
        let old = pid(&instance);
        note_reason(&instance);
        assert_eq!(pid(&instance), old);
        pid(&instance);
        assert!(gone(&instance, old) < 4.0, "{options}");
        assert_eq!(reason(&instance), "maximum_requests", "{options}");
        successor(&instance, old);
    }
}

#[test]
fn a_process_goes_after_its_processor_time() {
    let instance = serving("cpu-time-limit=1");
    let old = pid(&instance);
    note_reason(&instance);
    instance.ask("import time\nwhile time.process_time() < 1.3:\n    pass\nanswer = 1\n");
    assert!(gone(&instance, old) < 4.0);
    assert_eq!(reason(&instance), "cpu_time_limit");
    successor(&instance, old);
}

/// The process of the original stops accepting, and stays for ever.
#[test]
fn a_process_goes_after_its_processor_time_without_grace() {
    let instance = serving("cpu-time-limit=1 graceful-timeout=0");
    let old = pid(&instance);
    let _cut = begin(
        &instance,
        "/",
        "import time\nwhile time.process_time() < 1.3:\n    pass\nanswer = 1\n",
    );
    assert!(gone(&instance, old) < 10.0);
    successor(&instance, old);
}

#[test]
fn memory_is_limited() {
    for (options, size) in [
        ("memory-limit=1500000000", 2_000_000_000_u64),
        ("virtual-memory-limit=4000000000", 5_000_000_000),
    ] {
        let instance = serving(options);
        let old = pid(&instance);
        let answer = instance.ask(&format!("len(bytearray({size}))"));
        assert!(answer.starts_with("MemoryError"), "{options}: {answer}");
        assert_eq!(pid(&instance), old, "{options}");
    }
}

#[test]
fn who_has_waited_too_long_is_told_so() {
    let instance = serving("threads=1 queue-timeout=1");
    let mut long = begin_sleep(&instance, "long", 2.5);
    let mut late = begin(&instance, "/", "kept.update(ran=True)");
    late.reply("POST").expect(504);
    instance.logs("WSGI0084");
    long.reply("POST").expect(200);
    assert_eq!(instance.ask("kept"), "{}", "the application has run");
}

#[test]
fn a_full_queue_is_tried_for_as_long_as_told() {
    let instance = roomy("threads=1 listen-backlog=1 connect-timeout=1", "");
    let mut long = begin_sleep(&instance, "long", 4.0);
    let mut others: Vec<_> = (0..8).map(|_| begin(&instance, "/", "6 * 7")).collect();
    instance.logs("WSGI0116");
    let mut found: Vec<u16> = others.iter_mut().map(|wire| wire.reply("POST").status).collect();
    found.sort_unstable();
    assert_eq!((found[0], found[7]), (200, 503), "{found:?}");
    long.reply("POST").expect(200);
    assert_eq!(instance.ask("6 * 7"), "42");
    drop(instance);
    // With time and room enough everybody has a turn.
    for options in ["threads=1 listen-backlog=1 connect-timeout=20", "threads=1 connect-timeout=1"]
    {
        let instance = roomy(options, "");
        let mut long = begin_sleep(&instance, "long", 2.5);
        let mut others: Vec<_> = (0..8).map(|_| begin(&instance, "/", "6 * 7")).collect();
        for wire in &mut others {
            wire.reply("POST").expect(200);
        }
        long.reply("POST").expect(200);
    }
}

#[test]
fn a_silent_application_is_given_up() {
    let instance = serving("socket-timeout=1");
    let (reply, took) = timed(|| instance.post("/", sleep(4.0).as_bytes()));
    assert_eq!(reply.status, 504);
    assert!((0.9..3.5).contains(&took), "{took}");
    instance.logs("WSGI0145");
    assert_eq!(instance.ask("6 * 7"), "42");
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let instance = Instance::new(&group(
        "response-socket-timeout=1 socket-timeout=25",
        "WSGIScriptAlias /load \"SITE/apps/load.wsgi\"",
    ));
    let stuck = instance.raw(b"GET /load/give HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let closed = || instance.get("/load/tell").expect(200).json()["closed"].as_u64() == Some(1);
    let took = wait("the end of the response", &instance, closed);
    // It may be done earlier where the rest waits elsewhere than in the process.
    assert!(took < 10.0, "{took}");
    drop(stuck);
}

#[test]
fn a_header_must_fit() {
    for (options, length, status) in [
        ("", 30_000, 200),
        ("", 40_000, 500),
        ("header-buffer-size=8192", 8000, 200),
        ("header-buffer-size=8192", 9000, 500),
        ("header-buffer-size=65536", 40_000, 200),
    ] {
        let directives = "LimitRequestFieldSize 65536\n\
                          WSGIScriptAlias /long \"SITE/apps/long.wsgi\"";
        let site = super::Site::new();
        site.write(
            "apps/long.wsgi",
            "def application(environ, start_response):\n    \
             start_response('200 OK', [('X-Long', 'x' * int(environ['QUERY_STRING']))])\n    \
             return [b'long']\n",
        );
        let instance = Instance::of(site, "event", &group(options, directives));
        let reply = instance.get(&format!("/long?{length}"));
        assert_eq!(reply.status, status, "{options} {length}");
        if status == 200 {
            assert_eq!(reply.header("x-long").map(str::len), Some(length), "{options}");
        } else {
            instance.logs("WSGI0144");
        }
    }
}

#[test]
fn large_bodies_pass_through_small_buffers() {
    for options in [
        "",
        "send-buffer-size=512 receive-buffer-size=512 response-buffer-size=65536 \
         response-flush-delay=0",
    ] {
        let instance = roomy(options, "WSGIScriptAlias /load \"SITE/apps/load.wsgi\"");
        let body = vec![b'y'; 3_000_000];
        assert_eq!(instance.post("/load/echo", &body).expect(200).body, body, "{options}");
        let reply = instance.get("/load/give").expect(200);
        assert_eq!((reply.body.len(), reply.complete), (65_536_000, true), "{options}");
    }
}

#[test]
fn what_the_application_has_sent_arrives_while_it_waits() {
    for options in ["", "response-flush-delay=0", "response-flush-delay=100"] {
        let site = super::Site::new();
        site.write(
            "apps/pause.wsgi",
            "import time\n\ndef application(environ, start_response):\n    \
             start_response('200 OK', [])\n    yield b'first'\n    time.sleep(2)\n    \
             yield b'second'\n",
        );
        let directives = "WSGIScriptAlias /pause \"SITE/apps/pause.wsgi\"";
        let instance = Instance::of(site, "event", &group(options, directives));
        instance.ask("1");
        let request = b"GET /pause HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        let mut wire = instance.raw(request);
        let (_, took) = timed(|| wire.until("first"));
        assert!(took < 1.5, "{options}: {took}");
        wire.until("second");
        std::thread::sleep(Duration::from_millis(1));
    }
}
