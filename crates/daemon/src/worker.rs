//! A thread that serves requests, whichever connection they come on.

use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use door::{CHANGED, Call, FAILED, List, Outcome, Script, Text, Variable, Way};
use rustix::event::epoll;
use rustix::net::{SocketFlags, accept_with, sockopt};
use wsgi::launch::Launch;
use wsgi::wire::{Body, Kind, Request, Why};

use crate::connection::{Buffer, Connection, Incoming};
use crate::control::{self, level};
use crate::exchange::{Exchange, Input};
use crate::state::{LISTENER, STOP, State};

/// One thread.
pub(crate) struct Worker {
    state: Arc<State>,
    index: usize,
    buffer: Buffer,
    /// Where frames are written to, reused.
    output: Vec<u8>,
}

/// What becomes of a connection.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Then {
    Keep,
    Close,
}

impl Worker {
    pub(crate) fn new(state: Arc<State>, index: usize) -> Self {
        Self { state, index, buffer: Buffer::new(), output: Vec::new() }
    }

    /// Serves until the end.
    pub(crate) fn run(&mut self) {
        // SAFETY: a question about this thread, whose answer is Python's number of it.
        let thread = unsafe { libc::pthread_self() } as u64;
        self.state.slots[self.index].thread.store(thread, Ordering::Release);
        let mut events = Vec::with_capacity(1);
        loop {
            events.clear();
            let waited =
                epoll::wait(&self.state.epoll, rustix::buffer::spare_capacity(&mut events), None);
            if waited.is_err_and(|error| error != rustix::io::Errno::INTR) {
                // In a process that was forked, nothing is there to wait for.
                return;
            }
            let Some(event) = events.first() else { continue };
            match event.data.u64() {
                STOP => return,
                LISTENER => self.accept(),
                number => self.answer(number),
            }
        }
    }

    fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC;
        let socket = match accept_with(&self.state.listener, flags) {
            Ok(socket) => socket,
            // Another thread had it.
            Err(rustix::io::Errno::AGAIN) => return,
            // There is no room for one more, and may be none for a while.
            Err(_) => return std::thread::sleep(PAUSE),
        };
        if let Err(why) = prepare(socket.as_fd(), &self.state.launch) {
            let name = &self.state.launch.options.name;
            let text = format!("connection to daemon process '{name}' refused: {why}");
            return control::log(level::ERROR, &text);
        }
        let connection = Arc::new(Connection::new(socket));
        self.state.keep(&connection);
        self.serve_on(&connection, true);
    }

    fn answer(&mut self, number: u64) {
        let connection =
            i32::try_from(number).ok().and_then(|number| self.state.connection(number));
        let Some(connection) = connection.filter(|connection| connection.take()) else { return };
        self.serve_on(&connection, false);
    }

    /// Serves a request, if one has come, and lets go of the connection.
    fn serve_on(&mut self, connection: &Arc<Connection>, is_new: bool) {
        let then = match connection.receive(&mut self.buffer) {
            Ok(Incoming::Request(file)) => self.serve(connection, file.map(Into::into)),
            Ok(Incoming::Nothing) => Then::Keep,
            Ok(Incoming::End) | Err(_) => Then::Close,
        };
        if then == Then::Close || !self.wait_for_more(connection, is_new) {
            self.state.forget(connection);
        }
    }

    /// Waits for the next request on it. Not if there shall be none.
    fn wait_for_more(&mut self, connection: &Arc<Connection>, is_new: bool) -> bool {
        let state = &self.state;
        connection.release();
        // Whoever refuses says so first, and closes what nobody uses then.
        if state.is_refusing() {
            return !connection.refuse(&mut self.buffer);
        }
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ONESHOT;
        let data = epoll::EventData::new_u64(u64::try_from(connection.number()).unwrap_or(STOP));
        let waits = if is_new {
            epoll::add(&state.epoll, connection, data, flags)
        } else {
            epoll::modify(&state.epoll, connection, data, flags)
        };
        waits.is_ok()
    }

    fn serve(&mut self, connection: &Connection, file: Option<std::fs::File>) -> Then {
        let state = &*self.state;
        let daemon_start = now();
        let mut variables = Vec::with_capacity(VARIABLES);
        let read = Request::of_payload(self.buffer.payload(), |(key, name, value)| {
            variables.push(Variable { key, name: Text::new(name), value: Text::new(value) });
        });
        let Ok((request, inline)) = read else { return Then::Close };
        if state.is_refusing() {
            let _gone = connection.send_plain(Kind::Retry, &[Why::Ending as u8]);
            return Then::Close;
        }
        if request.wants_start {
            let limit = state.launch.options.queue_timeout;
            let kind =
                if is_older(&request, limit, daemon_start) { Kind::Expired } else { Kind::Started };
            if connection.send_plain(kind, &[]).is_err() {
                return Then::Close;
            }
            if kind == Kind::Expired {
                return Then::Keep;
            }
        }
        let file = file.filter(|_| request.body == Body::File);
        if request.body == Body::File && file.is_none() {
            return Then::Close;
        }
        let slot = &state.slots[self.index];
        state.begin(slot, request.application_group, request.ignores_activity);
        let way = Way {
            queue_start: request.queued,
            daemon_start,
            connects: request.connects,
            restarts: request.restarts,
            interruption: &slot.interruption,
        };
        let exchange = Exchange::new(
            connection,
            (!request.ignores_activity).then_some(&state.activity),
            Input::new(inline, file, request.body_length),
            std::mem::take(&mut self.output),
            request.log_level,
        );
        let outcome = handle(&Call {
            exchange: exchange.raw(),
            environ: List::new(&variables),
            script: Script {
                path: Text::new(request.script),
                time: request.script_time,
                application_group: Text::new(request.application_group),
                reloading: request.reloading,
            },
            callable: Text::new(request.callable),
            https: request.https,
            begun: request.begun,
            body_length: request.body_length,
            apache_request: std::ptr::null_mut(),
            way: Some(&way),
        });
        let is_changed = outcome == CHANGED;
        let (is_whole, output) = if is_changed {
            state.note_change();
            exchange.finish(Kind::Retry, &[Why::Reload as u8])
        } else {
            exchange.finish(Kind::End, &outcome.to_le_bytes())
        };
        state.end(slot, !is_changed);
        self.output = output;
        if self.output.capacity() > MOST_OUTPUT {
            self.output = Vec::new();
        }
        if is_whole { Then::Keep } else { Then::Close }
    }
}

fn handle(call: &Call<'_>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| engine::handle(call))).unwrap_or(FAILED)
}

fn is_older(request: &Request<'_>, limit: Duration, now: i64) -> bool {
    let age = u64::try_from(now.saturating_sub(request.begun)).unwrap_or(0);
    !limit.is_zero() && Duration::from_micros(age) > limit
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Asks who is there, and sets limits. Why not, if it may not be.
fn prepare(socket: std::os::fd::BorrowedFd<'_>, launch: &Launch) -> Result<(), String> {
    let user = sockopt::socket_peercred(socket).map_err(|error| error.to_string())?.uid;
    let own = rustix::process::geteuid();
    let number = user.as_raw();
    if !(user.is_root() || user == own || launch.clients.contains(&number)) {
        return Err(format!("account {number} may not connect"));
    }
    let limit = Some(Duration::from_secs(launch.socket_timeout)).filter(|limit| !limit.is_zero());
    for which in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
        sockopt::set_socket_timeout(socket, which, limit).map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// How long a thread waits when it cannot accept.
const PAUSE: Duration = Duration::from_millis(20);
/// Variables that a request rarely has more of.
const VARIABLES: usize = 64;
/// What a thread keeps for its next answers.
const MOST_OUTPUT: usize = 256 * 1024;
