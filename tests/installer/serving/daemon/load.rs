//! Many at once: requests, slow clients, and limits that must hold meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{
    Instance, Site, all_of, group, meanwhile, members, pid, roomy, stop, timed, under_load, wait,
};

#[test]
fn requests_of_every_kind_are_answered_by_every_process() {
    let instance = roomy("processes=2 threads=4", "WSGIScriptAlias /load \"SITE/apps/load.wsgi\"");
    let all = all_of(&instance, "g", 2);
    let body = vec![b'y'; 70_000];
    let (next, seen) =
        (AtomicUsize::new(0), std::sync::Mutex::new(std::collections::BTreeSet::new()));
    std::thread::scope(|scope| {
        for _client in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < 600 {
                    assert_eq!(instance.get("/load/hello").expect(200).text(), "hello");
                    assert_eq!(instance.post("/load/echo", &body).expect(200).body, body);
                    let reply = instance.get("/load/stream").expect(200);
                    assert_eq!((reply.body.len(), reply.complete), (120, true));
                    seen.lock().unwrap().insert(pid(&instance));
                }
            });
        }
    });
    assert_eq!(*seen.lock().unwrap(), all);
    assert_eq!(members(&instance, "g"), all);
    stop(instance, &["g"]);
}

/// Each request that ends restarts the wait of the original.
#[test]
fn the_end_after_so_many_requests_comes_under_load() {
    let instance = roomy("maximum-requests=10 graceful-timeout=2 shutdown-timeout=3", "");
    let old = pid(&instance);
    let ask = || {
        instance
            .post("/", b"__import__('time').sleep(__import__('random').uniform(0.4, 0.9))")
            .expect(200);
    };
    under_load(ask, || {
        let took = wait("the end of the first", &instance, || super::is_gone(old));
        assert!(took < 9.0, "{took}");
    });
    assert_ne!(pid(&instance), old);
}

/// How many clients are slow.
const SLOW: usize = 60;

/// Sixty connections that `step` keeps busy, until `work` is done.
fn with_slow_ones(
    port: u16,
    head: &str,
    step: impl Fn(&mut TcpStream) + Sync,
    work: impl FnOnce(),
) {
    let mut streams: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    let again = || {
        for stream in &mut streams {
            step(stream);
        }
        std::thread::sleep(Duration::from_millis(250));
    };
    meanwhile(vec![again], work);
}

/// Each holds a thread of the original from its first byte to its last.
#[test]
fn slow_uploads_stop_nobody() {
    let instance = roomy("threads=8", "WSGIScriptAlias /load \"SITE/apps/load.wsgi\"");
    instance.get("/load/hello").expect(200);
    let head = "POST /load/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n";
    let few = |stream: &mut TcpStream| {
        let _closed = stream.write(b"few");
    };
    with_slow_ones(instance.port, head, few, || {
        std::thread::sleep(Duration::from_secs(1));
        for _time in 0..20 {
            let (reply, took) = timed(|| instance.get("/load/hello"));
            assert_eq!(reply.expect(200).text(), "hello");
            assert!(took < 2.0, "{took}");
        }
    });
}

/// Each holds a thread of the original until it has read nearly all.
#[test]
fn slow_readers_stop_nobody() {
    let site = super::Site::new();
    // More than the buffers of sockets hold.
    site.write(
        "apps/large.wsgi",
        "BLOCK = b'x' * 65536\n\ndef application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Length', str(64 * 65536))])\n    \
         return [BLOCK] * 64\n",
    );
    let directives = "WSGIScriptAlias /large \"SITE/apps/large.wsgi\"\n\
                      ThreadLimit 200\nThreadsPerChild 200\nMaxRequestWorkers 200\n\
                      SendBufferSize 16384";
    let instance = super::Instance::of(site, "event", &super::group("threads=8", directives));
    assert_eq!(instance.ask("6 * 7"), "42");
    let head = "GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let few = |stream: &mut TcpStream| {
        let _closed = stream.read(&mut [0; 16]);
    };
    with_slow_ones(instance.port, head, few, || {
        std::thread::sleep(Duration::from_secs(1));
        for _time in 0..20 {
            let (answer, took) = timed(|| instance.ask("6 * 7"));
            assert_eq!(answer, "42");
            assert!(took < 2.0, "{took}");
        }
    });
}

/// The client's turn comes with each pause, and must not keep the application from
/// going on.
#[test]
fn an_application_that_pauses_does_not_wait_for_its_client() {
    let site = Site::new();
    site.write(
        "apps/pauses.wsgi",
        "import time\n\
         ended = 0\n\
         def application(environ, start_response):\n    \
             start_response('200 OK', [])\n    \
             return [b'%d' % ended] if environ['PATH_INFO'] == '/ended' else parts()\n\
         def parts():\n    \
             global ended\n    \
             for _ in range(20):\n        \
                 yield b'x' * 1000000\n        \
                 time.sleep(0.05)\n    \
             ended += 1\n",
    );
    let alias = "WSGIScriptAlias /pauses \"SITE/apps/pauses.wsgi\"";
    let instance = Instance::of(site, "event", &group("threads=4", alias));
    let stuck = instance.raw(b"GET /pauses HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let ended = || instance.get("/pauses/ended").expect(200).text() == "1";
    let took = wait("its end", &instance, ended);
    assert!(took < 10.0, "{took}");
    drop(stuck);
}
