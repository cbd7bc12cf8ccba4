//! The facts: httpd's scoreboard, that of the groups of daemon processes, and what the
//! kernel tells of processes.

use std::ffi::c_int;
use std::time::{SystemTime, UNIX_EPOCH};

use httpd::scoreboard::{Scoreboard, counts_requests, field_text, letter_of};
use httpd::sys;
use wsgi::scoreboard::text_of;
use wsgi::status::{Child, Group, Live, Memory, Process, Server, State, Status, without_query};

use crate::daemon;
use crate::python::{asked_of_mpm, words_about_httpd};

/// All of them; what httpd's workers do at the moment only for those who may know.
pub(super) fn all(with_live: bool) -> Status {
    let board = Scoreboard::find();
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    Status {
        time,
        server: board.map_or_else(Server::default, of_server),
        groups: groups(true),
        live: with_live.then(|| board.map_or_else(Vec::new, |board| live(board, time))),
    }
}

/// The groups of daemon processes.
pub(super) fn groups(with_memory: bool) -> Vec<Group> {
    daemon::all()
        .iter()
        .map(|group| Group {
            name: group.options.name.clone(),
            threads: group.options.threads,
            processes: group.board.slots().iter().map(|slot| of_slot(slot, with_memory)).collect(),
        })
        .collect()
}

fn of_slot(slot: &daemon::Slot, with_memory: bool) -> Process {
    use std::sync::atomic::Ordering::Relaxed;
    let (requests, own_requests) = slot.requests();
    let pid = slot.pid.load(Relaxed);
    let state = match slot.state() {
        daemon::State::Starting => State::Starting,
        daemon::State::Ready => State::Ready,
        daemon::State::Failing => State::Failing,
        daemon::State::Broken => State::Broken,
    };
    Process {
        pid,
        state,
        started: seconds(slot.born.load(Relaxed)),
        live: slot.load(),
        requests,
        own_requests,
        restarts: slot.restarts(),
        last_end: slot.last_end().map(wsgi::status::Ended::text),
        memory: if with_memory { memory_of(pid) } else { None },
    }
}

fn of_server(board: Scoreboard) -> Server {
    let (mut requests, mut bytes) = (0_u64, 0_u64);
    let mut processes = Vec::new();
    for (number, process) in board.processes() {
        let mut child = Child {
            pid: process.pid,
            generation: process.generation,
            ending: process.quiescing != 0,
            ..Child::default()
        };
        for (_, worker) in board.workers(number) {
            match worker.status {
                sys::SERVER_READY => child.idle += 1,
                sys::SERVER_BUSY_READ..=sys::SERVER_GRACEFUL => child.busy += 1,
                _ => {}
            }
            requests += worker.access_count;
            bytes += u64::try_from(worker.bytes_served).unwrap_or(0);
        }
        if process.pid != 0 {
            child.memory = memory_of(process.pid);
            processes.push(child);
        }
    }
    let [version, mpm, _] = words_about_httpd();
    let settled = board.of_server();
    let figure = |question| u32::try_from(asked_of_mpm(question)).unwrap_or(0).max(1);
    let of_those = |count: fn(&Child) -> u32| processes.iter().map(count).sum();
    Server {
        version,
        mpm,
        started: seconds(settled.restart_time),
        generation: settled.running_generation,
        load: load(),
        busy: of_those(|child| child.busy),
        // Those of a process that ends take no more.
        idle: of_those(|child| if child.ending { 0 } else { child.idle }),
        capacity: figure(sys::AP_MPMQ_MAX_DAEMONS) * figure(sys::AP_MPMQ_MAX_THREADS),
        requests: counts_requests().then_some(requests),
        bytes: counts_requests().then_some(bytes),
        processes,
    }
}

/// What the workers do, save the one that asks.
fn live(board: Scoreboard, time: f64) -> Vec<Live> {
    let own_pid = c_int::try_from(std::process::id()).unwrap_or(0);
    // SAFETY: a number of this thread's own.
    let own_thread = unsafe { libc::pthread_self() };
    let mut live = Vec::new();
    for (number, process) in board.processes().filter(|(_, process)| process.pid != 0) {
        for (_, worker) in board.workers(number) {
            let is_own = process.pid == own_pid && worker.tid == own_thread;
            let line = text_of(&field_text(&worker.request));
            // Others only wait for a request, or have ended theirs.
            if is_own || letter_of(worker.status) != b'W' || line.is_empty() {
                continue;
            }
            live.push(Live {
                pid: process.pid,
                state: char::from(letter_of(worker.status)),
                request: without_query(&line),
                seconds: (time - seconds(worker.start_time)).max(0.0),
            });
        }
    }
    live
}

/// What a process holds; unknown of one that has gone, or that says nothing to us.
fn memory_of(pid: i32) -> Option<Memory> {
    let read = |name| std::fs::read_to_string(format!("/proc/{pid}/{name}")).ok();
    let smaps = || Memory::of_smaps(&read("smaps_rollup")?);
    let status = || Memory::of_status(&read("status")?);
    smaps().or_else(status)
}

fn load() -> Option<[f64; 3]> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    let mut words = text.split_ascii_whitespace().map_while(|word| word.parse().ok());
    Some([words.next()?, words.next()?, words.next()?])
}

#[expect(clippy::cast_precision_loss, reason = "exact to a microsecond until the year 2255")]
fn seconds(microseconds: i64) -> f64 {
    microseconds as f64 / 1e6
}
