//! The module beside the original mod_wsgi 6.1.1, in turns in the same httpd in one
//! run, in embedded and in daemon mode: processor time, throughput, latency,
//! memory, instructions, system calls; and what both lose when things go wrong. No
//! argument measures every row, names of rows or of a mode measure these; README.md
//! in the folder above says what is needed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

mod counts;
mod faults;
mod place;
mod results;
mod server;

use std::process::ExitCode;

use self::counts::COUNTS;
use self::place::Place;
use self::results::Measured;
use self::server::{Mode, Sample, Server, Side};

/// What is asked of an application, `<app>.wsgi` in this folder.
struct Row {
    mode: Mode,
    app: &'static str,
    /// Requests of one measurement.
    requests: u32,
    /// Headers of the request besides the four that `ab` sends.
    headers: usize,
    /// Whether a body of 64 KiB is sent.
    posts: bool,
    /// Length of the right answer.
    length: usize,
    /// What our processor time is held against, and the highest share of it.
    most: (Side, f64),
}

impl Row {
    fn name(&self) -> String {
        format!("{}{}", self.mode.prefix(), self.app)
    }
}

const ROWS: [Row; 13] = [
    Row { requests: 20_000, most: (Side::Original, 0.50), ..HELLO },
    Row { app: "body64k", length: 65_536, most: (Side::Original, 0.45), ..HELLO },
    Row { app: "post64k", posts: true, length: 5, most: (Side::Original, 0.60), ..HELLO },
    Row { app: "headers30", headers: 26, most: (Side::Original, 0.50), ..HELLO },
    Row { app: "flask", requests: 6_000, most: (Side::Original, 0.70), ..HELLO },
    Row { app: "file1m", requests: 3_000, length: MEBI, most: (Side::Static, 1.10), ..HELLO },
    Row { requests: 20_000, most: FAST, ..HELLO_BY_DAEMON },
    Row { app: "headers30", headers: 26, ..HELLO_BY_DAEMON },
    Row { app: "chunks1m", requests: 2_000, length: MEBI, most: FAST, ..HELLO_BY_DAEMON },
    Row { app: "body1m", requests: 2_000, length: MEBI, ..HELLO_BY_DAEMON },
    Row { app: "post64k", posts: true, length: 5, most: FAST, ..HELLO_BY_DAEMON },
    Row { app: "flask", requests: 6_000, most: (Side::Original, 0.55), ..HELLO_BY_DAEMON },
    Row { app: "sleep", requests: 3_000, ..HELLO_BY_DAEMON },
];

const HELLO: Row = Row {
    mode: Mode::Embedded,
    app: "hello",
    requests: 12_000,
    headers: 0,
    posts: false,
    length: 13,
    most: (Side::Original, 1.0),
};

const HELLO_BY_DAEMON: Row = Row { mode: Mode::Daemon, ..HELLO };

const FAST: (Side, f64) = (Side::Original, 0.35);

/// What is run only if it is asked for: no comparison of speed.
const FAULTS: &str = "faults";
const SOAK: &str = "soak";
const MEBI: usize = 1024 * 1024;
/// Measurements of each side; even, so that each is as often the first.
const ROUNDS: usize = 6;
/// Connections that are kept alive. With as many as the server has threads the
/// event MPM would close idle ones, under the requests on their way.
const CONNECTIONS: u32 = 4;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run by `cargo bench`, not by `cargo test`");
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    check(&names);
    let is_chosen = |mode: Mode, name: &str| {
        names.is_empty() || names.contains(&mode.name()) || names.contains(&name)
    };
    let rows: Vec<&Row> = ROWS.iter().filter(|row| is_chosen(row.mode, &row.name())).collect();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let place = Place::new(rows.iter().any(|row| row.app == "flask"));
    print_machine(&place, &load);
    let results: Vec<Measured> = rows.into_iter().map(|row| measure(&place, row)).collect();
    results::print(&results);
    for count in COUNTS.iter().filter(|count| is_chosen(count.mode, &count.name())) {
        if names.contains(&&*count.name()) || count.has_tool() {
            count.print(&place);
        }
    }
    if names.contains(&FAULTS) {
        faults::print(&place);
    }
    if names.contains(&SOAK) {
        faults::soak(&place);
    }
    if results.iter().all(Measured::is_sound) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Stops at a name that names nothing.
fn check(names: &[&str]) {
    let mut known: Vec<String> = Mode::ALL.iter().map(|mode| mode.name().to_owned()).collect();
    known.extend(ROWS.iter().map(Row::name));
    known.extend(COUNTS.iter().map(counts::Count::name));
    known.extend([FAULTS, SOAK].map(str::to_owned));
    if let Some(name) = names.iter().find(|name| !known.iter().any(|known| known == *name)) {
        panic!("there is no row `{name}`; known: {}", known.join(", "));
    }
}

/// Measures a row, all sides in turns, every second time the other way round.
fn measure(place: &Place, row: &'static Row) -> Measured {
    let mut sides = vec![Side::Original, Side::Ours];
    if row.most.0 == Side::Static {
        sides.push(Side::Static);
    }
    let mut samples = Vec::new();
    for _round in 0..ROUNDS {
        for &side in &sides {
            samples.push((side, sample(place, row, side)));
        }
        sides.reverse();
    }
    eprintln!("{}: done", row.name());
    Measured { row, samples }
}

/// One measurement, by a server that has just been started and warmed up.
fn sample(place: &Place, row: &Row, side: Side) -> Sample {
    let server = Server::start(place, row.mode, side, None);
    let warming_up = server.load(row, side, row.requests / 4, CONNECTIONS);
    let cpu = server.cpu();
    let mut load = server.load(row, side, row.requests, CONNECTIONS);
    let cpu = (server.cpu() - cpu) * 1e6 / f64::from(row.requests);
    load.failed += warming_up.failed;
    Sample { cpu, memory: server.memory(), load }
}

/// Says what is compared where; stops if the sides run different Pythons.
fn print_machine(place: &Place, load: &str) {
    let [theirs, ours] = [Side::Original, Side::Ours]
        .map(|side| Server::start(place, Mode::Embedded, side, None).get("python"));
    assert_eq!(theirs, ours, "the original and our module run different Pythons");
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = load.split(' ').next().unwrap_or_default();
    println!("{processors} processors, load {load} at the start\n{}\n{ours}\n", place.httpd());
    println!("{ROUNDS} rounds, by `ab -k` with {CONNECTIONS} connections\n");
}
