//! One request through a daemon process: sent, its body given as it is asked for,
//! its answer passed on.

use std::cell::RefCell;
use std::ffi::c_int;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use door::DONE;
use httpd::{BodyError, Level, Request, Source, sys};
use wsgi::wire::{self, Kind, LAST, LogLine, Why};

use super::Group;
use super::answer::Answer;
use super::board::State;
use super::body::Body;
use super::client::{self, Link, Refusal};
use super::reader::{Lost, Reader, wait};
use crate::config::DirectoryConfig;
use crate::environ::Environ;
use crate::question::log;

/// What is called, where.
pub(crate) struct Target<'a> {
    pub(crate) script: &'a [u8],
    pub(crate) script_time: i64,
    pub(crate) application_group: &'a [u8],
    pub(crate) callable: &'a [u8],
}

thread_local! {
    /// Bytes on their way out and in: kept, so that requests need not ask for memory.
    static BUFFERS: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Has a request answered by a process of the group: the handler's status.
pub(crate) fn serve(
    request: Request<'_>,
    config: &DirectoryConfig,
    group: &Group,
    target: &Target<'_>,
    environ: &Environ<'_>,
) -> c_int {
    // An internal redirect serves another request on this thread.
    let (mut out, mut into) = BUFFERS.take();
    let status = Relay { request, config, group }.serve(target, environ, &mut out, &mut into);
    out.clear();
    if out.capacity().max(into.len()) <= LARGEST_KEPT {
        BUFFERS.replace((out, into));
    }
    match status {
        Ok(end) => end.status(request),
        Err(status) => {
            if client::is_ending() {
                // Cut off by us: whoever hears nothing may ask again, and be answered.
                request.abandon();
            }
            status
        }
    }
}

/// How an answer ended.
pub(crate) enum End {
    /// With this handler's status.
    Status(c_int),
    /// The page at that path is the answer.
    Redirect(Vec<u8>),
}

impl End {
    fn status(self, request: Request<'_>) -> c_int {
        match self {
            Self::Status(status) => status,
            Self::Redirect(path) => {
                request.redirect_internally(&path);
                sys::OK
            }
        }
    }
}

/// What became of one try.
enum Try {
    /// The process has said all that it had to.
    Ended(End),
    /// The connection is not to be used again.
    BrokenOff(End),
    /// The process has not begun it.
    Again(Why),
    /// The connection was of no use any more.
    Stale,
}

struct Relay<'r> {
    request: Request<'r>,
    config: &'r DirectoryConfig,
    group: &'r Group,
}

impl Relay<'_> {
    fn serve(
        &self,
        target: &Target<'_>,
        environ: &Environ<'_>,
        out: &mut Vec<u8>,
        into: &mut Vec<u8>,
    ) -> Result<End, c_int> {
        let group = self.group;
        let queued = now();
        let mut body = Body::of(self.request, group).map_err(|error| self.body_failed(error))?;
        let (mut connects, mut restarts) = (0, 0);
        let mut since = 0;
        let patience = if group.options.connect_timeout.is_zero() {
            group.socket_timeout
        } else {
            group.options.connect_timeout
        };
        let mut deadline = Instant::now() + patience;
        loop {
            let refused = |refusal| self.refused(refusal);
            let place = client::choose(group, since, deadline).map_err(refused)?;
            let (link, ticket, is_new) = client::link(group, place, deadline).map_err(refused)?;
            connects += u16::from(is_new);
            let frame = wire::Request {
                begun: self.request.begun(),
                queued,
                body_length: body.length,
                script_time: target.script_time,
                script: target.script,
                application_group: target.application_group,
                callable: target.callable,
                https: environ.https,
                reloading: self.config.script_reloading.unwrap_or(true),
                ignores_activity: self.config.ignore_activity.unwrap_or(false),
                wants_start: !group.options.queue_timeout.is_zero(),
                body: body.way(),
                connects,
                restarts,
                log_level: u8::try_from(self.request.log_level(crate::index())).unwrap_or(0),
            };
            out.clear();
            frame.put(out, environ.wire(), body.inline.len());
            let outcome = match link.send(out, &body.inline, body.file.as_ref()) {
                Ok(()) => self.answer(place, &link, &mut body, into)?,
                Err(_) if is_new && Instant::now() >= deadline => {
                    return Err(self.not_sent(place));
                }
                Err(_) => Try::Stale,
            };
            drop(ticket);
            match outcome {
                Try::Ended(end) => {
                    group.idle.give_back(place, link);
                    return Ok(end);
                }
                Try::BrokenOff(end) => return Ok(end),
                Try::Stale => continue,
                Try::Again(why) => {
                    restarts += 1;
                    // A process that ends closes the connection: another request must not
                    // follow on it.
                    if why == Why::Reload {
                        since = group.board.group().note_change(link.started);
                        group.idle.give_back(place, link);
                        self.request.log(crate::index(), Level::Info, &format!(
                            "Reconnecting after WSGI daemon process '{}' restart, attempt #{restarts}.",
                            group.options.name
                        ));
                        deadline = Instant::now() + patience.max(RELOAD);
                    }
                }
            }
            let most = 2 * u64::from(group.options.processes) + 1;
            if u64::from(restarts) > most {
                return Err(self.failed(sys::HTTP_SERVICE_UNAVAILABLE, &format!(
                    "WSGI0124: Maximum number of WSGI daemon process '{}' restart attempts reached: {most}.",
                    group.options.name
                )));
            }
        }
    }

    /// Reads the answer. A connection that may be used again is given back.
    fn answer(
        &self,
        place: usize,
        link: &Link,
        body: &mut Body<'_>,
        into: &mut Vec<u8>,
    ) -> Result<Try, c_int> {
        let mut reader = Reader::new(&link.socket, into);
        let mut answer = Answer::new(self.request, self.config, self.group);
        let dead_before = self.group.board.slots()[place].dead_pid.load(Ordering::Acquire);
        self.await_start(place, link)?;
        let mut has_heard = false;
        loop {
            match self.frame(&mut reader, &mut answer, body, link) {
                Ok(None) => has_heard = true,
                Ok(Some(outcome)) => return Ok(outcome),
                // Killed before it has read the request: it was not begun.
                Err(Stop::Lost(Lost::Unread)) if !has_heard => return Ok(Try::Stale),
                Err(Stop::Lost(lost)) => {
                    return self.lost(&answer, place, (link.pid, dead_before), lost);
                }
                Err(Stop::Status(status)) => return Err(status),
                // The connection goes, which tells the process.
                Err(Stop::ClientGone) => return Ok(Try::BrokenOff(End::Status(sys::OK))),
            }
        }
    }

    /// Waits for a first sign where one must come soon, or may never come.
    fn await_start(&self, place: usize, link: &Link) -> Result<(), c_int> {
        let options = &self.group.options;
        let slot = &self.group.board.slots()[place];
        let is_ready = || slot.state() == State::Ready;
        let limit = (!options.queue_timeout.is_zero()).then(|| {
            let age = (now() - self.request.begun()).max(0).unsigned_abs();
            // The process decides by the same clock, and in case of doubt.
            options.queue_timeout.saturating_sub(Duration::from_micros(age)) + MARGIN
        });
        let begin = Instant::now();
        while limit.is_some() || !is_ready() {
            if wait(&link.socket, None, 100).0 {
                return Ok(());
            }
            if limit.is_some_and(|limit| begin.elapsed() >= limit) {
                return Err(self.queue_expired());
            }
            if matches!(slot.state(), State::Failing | State::Broken) {
                return Err(self.refused(Refusal::Failing));
            }
            if begin.elapsed() >= self.group.socket_timeout {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One frame: how the request has ended, if it has.
    fn frame(
        &self,
        reader: &mut Reader<'_>,
        answer: &mut Answer<'_>,
        body: &mut Body<'_>,
        link: &Link,
    ) -> Result<Option<Try>, Stop> {
        settle(reader, answer)?;
        let header = reader.header()?;
        match header.kind {
            Kind::Started => {
                reader.payload(header.length)?;
            }
            Kind::Log => {
                let line = LogLine::of_payload(reader.payload(header.length)?)?;
                let file = String::from_utf8_lossy(line.file);
                self.request.log_from(
                    crate::index(),
                    crate::exchange::level_of(c_int::from(line.level)),
                    &String::from_utf8_lossy(line.text),
                    Source::of(&file, line.line),
                );
            }
            Kind::Head => answer.begin(reader.payload(header.length)?)?,
            Kind::Data => {
                let is_last = header.flags & LAST != 0;
                let mut left = header.length;
                loop {
                    let bytes = reader.some(left)?;
                    left -= bytes.len();
                    answer.give(bytes, is_last && left == 0)?;
                    if left == 0 {
                        break;
                    }
                    settle(reader, answer)?;
                }
                if is_last {
                    return Ok(Some(Try::Ended(answer.end(DONE)?)));
                }
            }
            Kind::File => {
                let part = wire::read_file(reader.payload(header.length)?)?;
                let file = reader.take_file().ok_or(wire::Malformed)?;
                answer.give_file(file, part)?;
            }
            Kind::End => {
                let number = wire::read_number(reader.payload(header.length)?)?;
                return Ok(Some(Try::Ended(answer.end(number.cast_signed())?)));
            }
            Kind::Pull => {
                let most = wire::read_number(reader.payload(header.length)?)?;
                self.give_body(link, body, most)?;
            }
            Kind::Retry => {
                let why = reader.payload(header.length)?.first().copied().and_then(Why::of_number);
                return Ok(Some(Try::Again(why.ok_or(wire::Malformed)?)));
            }
            Kind::Expired => {
                reader.payload(header.length)?;
                return Err(Stop::Status(self.queue_expired()));
            }
            Kind::Request | Kind::Body | Kind::BodyBroken => {
                return Err(wire::Malformed.into());
            }
        }
        Ok(None)
    }

    /// Gives the process some of the body.
    fn give_body(&self, link: &Link, body: &mut Body<'_>, most: u32) -> Result<(), Stop> {
        let most = usize::try_from(most).unwrap_or(PULL).clamp(1, PULL);
        let mut frame = vec![0; wire::HEADER];
        let header = match body.pull(self.request, most, &mut frame) {
            Ok(is_all) => wire::Header {
                kind: Kind::Body,
                flags: if is_all { LAST } else { 0 },
                length: frame.len() - wire::HEADER,
            },
            Err(_) => {
                frame.truncate(wire::HEADER);
                wire::Header { kind: Kind::BodyBroken, flags: 0, length: 0 }
            }
        };
        frame[..wire::HEADER].copy_from_slice(&header.to_bytes());
        // One that takes no more of it may still answer.
        let _not_taken = link.send(&frame, &[], None);
        Ok(())
    }

    // ---- failures ----

    fn failed(&self, status: c_int, text: &str) -> c_int {
        log(self.request, text);
        status
    }

    fn refused(&self, refusal: Refusal) -> c_int {
        let name = &self.group.options.name;
        let socket = self.group.sockets.first().map(|path| path.display().to_string());
        let socket = socket.unwrap_or_default();
        let (status, text) = match refusal {
            Refusal::Broken => (
                sys::HTTP_INTERNAL_SERVER_ERROR,
                format!(
                    "WSGI daemon process '{name}' cannot be started; the error log of its start says why."
                ),
            ),
            Refusal::Failing => (
                sys::HTTP_SERVICE_UNAVAILABLE,
                format!(
                    "WSGI0116: Unable to connect to WSGI daemon process '{name}' on '{socket}' as it fails to start; the error log says why."
                ),
            ),
            Refusal::Full => (
                sys::HTTP_SERVICE_UNAVAILABLE,
                format!(
                    "WSGI0116: Unable to connect to WSGI daemon process '{name}' on '{socket}' after multiple attempts as listener backlog limit was exceeded or the socket does not exist."
                ),
            ),
            Refusal::Unreachable(error) => (
                sys::HTTP_SERVICE_UNAVAILABLE,
                format!(
                    "WSGI0117: Unable to connect to WSGI daemon process '{name}' on '{socket}' as user with uid={} ({error}).",
                    rustix::process::geteuid().as_raw()
                ),
            ),
        };
        self.failed(status, &text)
    }

    fn not_sent(&self, place: usize) -> c_int {
        self.failed(
            sys::HTTP_INTERNAL_SERVER_ERROR,
            &format!(
                "WSGI0121: Unable to send request details to WSGI daemon process '{}' on '{}'.",
                self.group.options.name,
                self.group.sockets[place].display()
            ),
        )
    }

    fn body_failed(&self, error: BodyError) -> c_int {
        let (status, why) = match error {
            BodyError::Timeout => (sys::HTTP_REQUEST_TIME_OUT, "the client was too slow"),
            BodyError::Broken => (sys::HTTP_BAD_REQUEST, "the client's connection broke"),
        };
        self.failed(status, &format!("WSGI0126: Unable to read the request's body: {why}."))
    }

    fn queue_expired(&self) -> c_int {
        self.failed(
            sys::HTTP_GATEWAY_TIME_OUT,
            &format!(
                "WSGI0084: Queue timeout expired for WSGI daemon process '{}'.",
                self.group.options.name
            ),
        )
    }

    /// The connection ended before the answer did.
    fn lost(
        &self,
        answer: &Answer<'_>,
        place: usize,
        pids: (i32, i32),
        lost: Lost,
    ) -> Result<Try, c_int> {
        let name = &self.group.options.name;
        let uri = String::from_utf8_lossy(self.request.uri());
        let cause = match lost {
            Lost::Timeout => format!("no answer for {} s", self.group.socket_timeout.as_secs()),
            Lost::Malformed => "it does not keep to the protocol".to_owned(),
            Lost::Ended | Lost::Unread => self.cause_of_end(place, pids),
        };
        if answer.has_begun() {
            log(
                self.request,
                &format!(
                    "WSGI0119: Unable to proxy response from daemon to client: daemon process '{name}' broke off while it answered '{uri}': {cause}."
                ),
            );
            self.request.break_off();
            return Ok(Try::BrokenOff(End::Status(sys::OK)));
        }
        let (status, text) = match lost {
            Lost::Timeout => (
                sys::HTTP_GATEWAY_TIME_OUT,
                format!(
                    "WSGI0145: Timeout when reading response headers from daemon process '{name}' for '{uri}': {cause}."
                ),
            ),
            Lost::Ended | Lost::Unread => (
                sys::HTTP_BAD_GATEWAY,
                format!(
                    "WSGI0146: Daemon process '{name}' closed connection before sending complete response headers for '{uri}': {cause}."
                ),
            ),
            Lost::Malformed => (
                sys::HTTP_BAD_GATEWAY,
                format!(
                    "WSGI0147: Error reading response headers from daemon process '{name}' ({cause})."
                ),
            ),
        };
        Err(self.failed(status, &text))
    }

    /// Why the process at a place has ended, once the supervisor knows: the process that
    /// had the place when httpd connected, or else the next one that died in it.
    fn cause_of_end(&self, place: usize, (pid, dead_before): (i32, i32)) -> String {
        let slot = &self.group.board.slots()[place];
        let begin = Instant::now();
        while begin.elapsed() < DEATH {
            let dead = slot.dead_pid.load(Ordering::Acquire);
            if dead != dead_before || dead != 0 && dead == pid {
                let status = ExitStatus::from_raw(slot.dead_status.load(Ordering::Acquire));
                return format!("process {dead} has ended ({status})");
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        "it has closed the connection".to_owned()
    }
}

/// Why a request goes no further.
pub(crate) enum Stop {
    Lost(Lost),
    /// With this handler's status.
    Status(c_int),
    ClientGone,
}

impl From<Lost> for Stop {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

impl From<wire::Malformed> for Stop {
    fn from(_: wire::Malformed) -> Self {
        Self::Lost(Lost::Malformed)
    }
}

impl From<httpd::ClientGone> for Stop {
    fn from(_: httpd::ClientGone) -> Self {
        Self::ClientGone
    }
}

/// Before the process is waited for: what it sent has to go on to the client.
fn settle(reader: &mut Reader<'_>, answer: &mut Answer<'_>) -> Result<(), Stop> {
    if !reader.is_empty() || answer.is_settled() {
        return Ok(());
    }
    let has_more = answer.may_hold_more() && reader.receive_now()?;
    if has_more { Ok(()) } else { answer.settle(reader.socket()) }
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Most bytes of a body that are given at a time.
const PULL: usize = 256 * 1024;
/// Larger buffers are not kept.
const LARGEST_KEPT: usize = 1024 * 1024;
/// How long httpd waits for the supervisor's word about a death.
const DEATH: Duration = Duration::from_millis(200);
/// By how much httpd outlasts `queue-timeout`.
const MARGIN: Duration = Duration::from_millis(200);
/// How long a changed script may take to load in a new process.
const RELOAD: Duration = Duration::from_secs(60);
