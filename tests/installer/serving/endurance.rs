//! Long work and rough handling: load, clients that leave, reloads, restarts,
//! applications that misbehave. Nothing may be lost, left open or left behind.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::wire::{Wire, latin1};
use super::{DAEMON, Instance, PATIENCE, under_load};

mod hostile;
mod reload;
mod restart;

const LOAD: &str = "WSGIScriptAlias /sub \"SITE/apps/load.wsgi\" application-group=sub\n\
                    WSGIScriptAlias / \"SITE/apps/load.wsgi\" application-group=%{GLOBAL}\n\
                    MaxKeepAliveRequests 0";

/// Requests of the long run. With `MOD_WSGI_REQUESTS=200000` it is the full one.
const REQUESTS: usize = if DAEMON { 10_000 } else { 40_000 };

/// What a child may grow by: its allocator keeps some.
const ALLOWED_KIB: usize = 3 * 1024;

#[test]
fn many_requests_of_every_kind_need_no_more_memory_or_descriptors() {
    let instance = Instance::new(LOAD);
    let requests =
        std::env::var("MOD_WSGI_REQUESTS").map_or(REQUESTS, |text| text.parse().unwrap());
    let pids = processes(&instance);
    // Fills every thread's caches and the allocator's arenas.
    served_well(&instance, 5000);
    let before = pids.map(Figures::of);
    served_well(&instance, requests);
    for (before, pid) in before.iter().zip(pids) {
        Figures::after(before, pid, &format!("{requests} requests"));
    }
    assert_eq!(processes(&instance), pids, "one was replaced\n{}", instance.log());
    // Start, begin of the answer and end of each, in this interpreter alone.
    assert!(told(&instance, "events") > requests, "nobody told the subscriber");
}

#[test]
fn clients_that_leave_leave_nothing_behind() {
    let instance = Instance::new(LOAD);
    let pids = processes(&instance);
    let mut left = 0;
    let mut leave = |count: usize| {
        in_parallel(count, || leaves_an_upload(instance.port));
        in_parallel(count, || leaves_a_download(instance.port));
        left += count;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let [begun, ended, opened, closed] =
                ["begun", "ended", "opened", "closed"].map(|name| told(&instance, name));
            // Not every upload reaches a daemon process before its client has left.
            let uploads = begun == ended && (begun == left || DAEMON && begun <= left);
            if uploads && (opened, closed) == (left, left) {
                break;
            }
            let counts = format!("{begun} {ended} {opened} {closed}");
            assert!(Instant::now() < deadline, "{left} of each have left: {counts}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    leave(100);
    let before = pids.map(Figures::of);
    leave(1000);
    for (before, pid) in before.iter().zip(pids) {
        Figures::after(before, pid, "1000 clients left each way");
    }
    assert_eq!(processes(&instance), pids, "one was replaced\n{}", instance.log());
}

/// Sends a part of a body, once the application reads it.
fn leaves_an_upload(port: u16) {
    let mut wire = Wire::connect(port);
    wire.write(
        b"POST /take HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 10000000\r\n\r\n",
    );
    wire.until("100 Continue\r\n\r\n");
    wire.write(&[b'x'; 100_000]);
}

fn leaves_a_download(port: u16) {
    let mut wire = Wire::connect(port);
    wire.write(b"GET /give HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wire.until("xxxx");
}

/// Calls that often, by eight threads.
fn in_parallel(count: usize, call: impl Fn() + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _thread in 0..8 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < count {
                    call();
                }
            });
        }
    });
}

/// Sends so many requests of every kind over connections that are kept, and
/// looks at each answer.
#[track_caller]
fn served_well(instance: &Instance, requests: usize) {
    let file = instance.site.read("apps/load.wsgi");
    let stream: String = (0..20).map(|number| format!("{number:05}\n")).collect();
    let body = "y".repeat(2000);
    let kinds = [
        ("GET", "/hello", 200, "hello"),
        ("POST", "/echo", 200, body.as_str()),
        ("GET", "/sub/hello", 200, "hello"),
        ("GET", "/file", 200, &file),
        ("GET", "/hello", 200, "hello"),
        ("GET", "/stream", 200, &stream),
        ("POST", "/sub/echo", 200, &body),
        ("GET", "/fail", 500, ""),
        ("GET", "/sub/stream", 200, &stream),
        ("GET", "/sub/file", 200, &file),
    ];
    let kinds: Vec<(Vec<u8>, u16, &str)> = kinds
        .into_iter()
        .map(|(method, target, status, answer)| {
            let sent = if method == "POST" { body.as_str() } else { "" };
            let length = sent.len();
            let text = format!(
                "{method} {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{sent}"
            );
            (text.into_bytes(), status, answer)
        })
        .collect();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _client in 0..4 {
            scope.spawn(|| {
                let mut client = Kept { port: instance.port, wire: None };
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= requests {
                        break;
                    }
                    let (request, status, answer) = &kinds[number % kinds.len()];
                    let (found, body) = client.ask(request);
                    assert_eq!(found, *status, "request {number}: {body}");
                    assert!(*status == 500 || body == *answer, "request {number}: {body}");
                }
            });
        }
    });
}

/// A client that keeps its connection.
struct Kept {
    port: u16,
    wire: Option<Wire>,
}

impl Kept {
    /// Status and body of the answer.
    #[track_caller]
    fn ask(&mut self, request: &[u8]) -> (u16, String) {
        let wire = self.wire.get_or_insert_with(|| Wire::connect(self.port));
        wire.write(request);
        let head = wire.until("\r\n\r\n");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = Vec::new();
        if let Some((_, length)) = head.split_once("Content-Length: ") {
            body = wire.exactly(length.split("\r\n").next().unwrap().parse().unwrap());
        } else {
            loop {
                let size = wire.until("\r\n");
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                body.extend(wire.exactly(size));
                wire.until("\r\n");
                if size == 0 {
                    break;
                }
            }
        }
        if head.contains("Connection: close\r\n") {
            self.wire = None;
        }
        (status, latin1(&body))
    }
}

/// Status and body of an answer over a connection of its own; none if it did not
/// come whole.
fn attempt(port: u16, target: &str) -> Option<(u16, String)> {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let head = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = ask().ok()?;
    let end = answer.windows(4).position(|end| end == b"\r\n\r\n")?;
    let (head, body) = (latin1(&answer[..end]), &answer[end + 4..]);
    let length: usize = head.split_once("Content-Length: ")?.1.lines().next()?.parse().ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    (body.len() == length).then(|| (status, latin1(body)))
}

/// Waits until that many more have been counted.
#[track_caller]
fn more(count: &AtomicUsize, wanted: usize) {
    let deadline = Instant::now() + PATIENCE;
    let before = count.load(Ordering::Acquire);
    while count.load(Ordering::Acquire) < before + wanted {
        assert!(Instant::now() < deadline, "no {wanted} more after {before}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A number that `load.wsgi` tells of itself.
#[track_caller]
fn told(instance: &Instance, name: &str) -> usize {
    let found = instance.get("/tell").expect(200).json();
    usize::try_from(found[name].as_u64().unwrap()).unwrap()
}

/// The process of the application, and that of httpd, which may be the same.
#[track_caller]
fn processes(instance: &Instance) -> [usize; 2] {
    ["pid", "server_pid"].map(|name| told(instance, name))
}

/// What a process needs.
#[derive(Debug)]
struct Figures {
    /// Its share of memory that is no file's: what it shares of files changes with
    /// every server that another test starts.
    memory_kib: usize,
    descriptors: usize,
    threads: usize,
}

impl Figures {
    fn of(pid: usize) -> Self {
        let folder = Path::new("/proc").join(pid.to_string());
        let rollup = std::fs::read_to_string(folder.join("smaps_rollup")).unwrap();
        let line = rollup.lines().find(|line| line.starts_with("Pss_Anon:")).unwrap();
        let count = |below: &str| std::fs::read_dir(folder.join(below)).unwrap().count();
        Self {
            memory_kib: line.split_whitespace().nth(1).unwrap().parse().unwrap(),
            descriptors: count("fd"),
            threads: count("task"),
        }
    }

    /// Those of a process that should need no more than it did.
    #[track_caller]
    fn after(before: &Self, pid: usize, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        // Connections that clients have closed take a moment to go.
        while Self::of(pid).descriptors > before.descriptors && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        let after = Self::of(pid);
        eprintln!("{what}: {before:?}, then {after:?}");
        assert!(
            after.memory_kib <= before.memory_kib + ALLOWED_KIB,
            "{what}: {before:?}, then {after:?}"
        );
        assert!(after.descriptors <= before.descriptors, "{what}: {before:?}, then {after:?}");
        assert_eq!(after.threads, before.threads, "{what}: {before:?}, then {after:?}");
    }
}
