//! The same faults for both sides, in turns, while clients ask for `hello`: how many
//! requests got no answer or a wrong one, and how long the longest took.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::place::Place;
use crate::server::{Mode, Role, Server, Setup, Side};
use crate::{HELLO, Row};

/// What goes wrong.
struct Fault {
    name: &'static str,
    /// Options of the group.
    options: &'static str,
    /// Directives besides the usual ones.
    directives: &'static str,
    /// Done while the clients ask.
    happens: fn(&Server<'_>),
}

const FAULTS: [Fault; 8] = [
    Fault { happens: kill, ..fault("a daemon process is killed, 3 times") },
    Fault { happens: restart, ..fault("graceful restart, twice") },
    Fault { options: "maximum-requests=200", ..fault("maximum-requests=200") },
    Fault { happens: touch, ..fault("the script is touched, 3 times") },
    Fault { happens: upload_slowly, ..fault("8 clients upload a byte a second") },
    Fault { happens: read_slowly, ..fault("8 clients do not read 1 MiB") },
    Fault {
        directives: "WSGIDaemonProcess bad python-home=/nonexistent\n\
                     WSGIScriptAlias /bad \"SITE/hello.wsgi\" process-group=bad application-group=%{GLOBAL}\n",
        happens: |server| ask_for(server, "bad"),
        ..fault("another group has a bad python-home, 4 ask for it")
    },
    Fault {
        directives: "WSGIDaemonProcess hung threads=5\n\
                     WSGIScriptAlias /hang \"SITE/hang.wsgi\" process-group=hung application-group=%{GLOBAL}\n",
        happens: |server| ask_for(server, "hang"),
        ..fault("an import of another group hangs, 4 ask for it")
    },
];

const fn fault(name: &'static str) -> Fault {
    Fault { name, options: "", directives: "", happens: |_| std::thread::sleep(LONG) }
}

/// How long clients ask, for each fault.
const TIME: Duration = Duration::from_secs(8);
/// How long a fault that lasts does so.
const LONG: Duration = Duration::from_secs(5);
const CLIENTS: usize = 4;
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many requests `soak` sends.
const SOAK: &str = "MOD_WSGI_SOAK";

/// What clients saw.
#[derive(Default)]
struct Seen {
    requests: u64,
    /// Connections that ended, or stayed silent, without an answer.
    lost: u64,
    /// Answers that are not the page.
    wrong: u64,
    longest: Duration,
}

/// Runs all of them.
pub(crate) fn print(place: &Place) {
    println!(
        "\n| Fault | Requests | Lost | Wrong | Longest ms | ours: requests | Lost | Wrong | Longest ms |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for fault in &FAULTS {
        let [theirs, ours] = [Side::Original, Side::Ours].map(|side| {
            let seen = run(place, fault, side);
            let longest = seen.longest.as_millis();
            format!("{} | {} | {} | {longest}", seen.requests, seen.lost, seen.wrong)
        });
        println!("| {} | {theirs} | {ours} |", fault.name);
    }
}

fn run(place: &Place, fault: &Fault, side: Side) -> Seen {
    let directives = format!(
        "{}\nServerLimit 4\nThreadLimit 32\nThreadsPerChild 32\nMaxRequestWorkers 64\n\
         MaxSpareThreads 64\n",
        fault.directives
    );
    let options = format!("processes=2 {}", fault.options);
    let setup = Setup { mode: Mode::Daemon, options: &options, directives: &directives };
    let server = Server::start(place, setup, side, None);
    // Each process has loaded the script then.
    server.load(&Row { mode: Mode::Daemon, ..HELLO }, side, 500, 8);
    let (seen, is_over) = (Mutex::new(Seen::default()), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    ask(&server, &seen);
                }
            });
        }
        let begin = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        (fault.happens)(&server);
        std::thread::sleep(TIME.saturating_sub(begin.elapsed()));
        is_over.store(true, Ordering::Relaxed);
    });
    seen.into_inner().unwrap()
}

/// One request on a connection of its own.
fn ask(server: &Server<'_>, seen: &Mutex<Seen>) {
    let begin = Instant::now();
    let reply = reply(server, "hello");
    let mut seen = seen.lock().unwrap();
    seen.requests += 1;
    seen.longest = seen.longest.max(begin.elapsed());
    match reply {
        Some(reply)
            if reply.starts_with("HTTP/1.1 200 ") && reply.ends_with("\r\n\r\nHello, world\n") => {}
        Some(reply) if reply.contains("\r\n\r\n") => seen.wrong += 1,
        _ => seen.lost += 1,
    }
}

fn reply(server: &Server<'_>, app: &str) -> Option<String> {
    let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).ok()?;
    wire.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(wire, "GET /{app}/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut reply = String::new();
    wire.read_to_string(&mut reply).ok()?;
    Some(reply)
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
        let _ended = kill_process(pid, signal);
    }
}

fn kill(server: &Server<'_>) {
    for _ in 0..3 {
        let all = server.processes();
        if let Some((pid, _)) = all.iter().find(|(_, role)| *role == Role::Daemon) {
            signal(*pid, Signal::KILL);
        }
        std::thread::sleep(Duration::from_secs(2));
    }
}

fn restart(server: &Server<'_>) {
    for _ in 0..2 {
        signal(server.id(), Signal::USR1);
        std::thread::sleep(Duration::from_secs(3));
    }
}

fn touch(server: &Server<'_>) {
    for _ in 0..3 {
        let file = server.place.path("hello.wsgi");
        let text = std::fs::read(&file).unwrap();
        write_anew(&file, &text);
        std::thread::sleep(Duration::from_secs(2));
    }
}

/// So that nobody reads half of it.
fn write_anew(file: &Path, text: &[u8]) {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, file).unwrap();
}

fn upload_slowly(server: &Server<'_>) {
    let head = "POST /post64k/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65536\r\n\r\n";
    let mut wires = wires(server, head);
    for _ in 0..LONG.as_secs() {
        for wire in &mut wires {
            let _gone = wire.write(b"x");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn read_slowly(server: &Server<'_>) {
    let _wires = wires(server, "GET /chunks1m/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
    std::thread::sleep(LONG);
}

fn wires(server: &Server<'_>, head: &str) -> Vec<TcpStream> {
    let wire = |_| {
        let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
        wire.write_all(head.as_bytes()).unwrap();
        wire
    };
    (0..8).map(wire).collect()
}

/// Four clients ask for what cannot be answered, and leave after a while.
fn ask_for(server: &Server<'_>, app: &str) {
    let wires: Vec<TcpStream> = (0..4)
        .map(|_| {
            let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
            write!(wire, "GET /{app}/ HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
            wire
        })
        .collect();
    std::thread::sleep(LONG);
    drop(wires);
}

/// Many requests for ours alone, with a process after every 1,000.
pub(crate) fn soak(place: &Place) {
    let requests = std::env::var(SOAK).ok().and_then(|text| text.parse().ok()).unwrap_or(500_000);
    let options = "processes=2 maximum-requests=1000";
    let setup = Setup { mode: Mode::Daemon, options, directives: "" };
    let server = Server::start(place, setup, Side::Ours, None);
    let row = Row { mode: Mode::Daemon, ..HELLO };
    server.load(&row, Side::Ours, requests / 10, 4);
    let before = server.memory().total();
    let load = server.load(&row, Side::Ours, requests - requests / 10, 4);
    let after = server.memory().total();
    println!(
        "\nSoak: {requests} requests, {} failed, {:.0} a second; memory {before:.1} MiB after a tenth, {after:.1} at the end.",
        load.failed, load.rate
    );
}
