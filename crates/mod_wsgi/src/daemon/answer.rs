//! The answer of a daemon process on its way to the client. What the client takes
//! slowly is collected in a file, so that the process's thread is free as soon as
//! its application has done its part.

use std::ffi::c_int;
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use door::{DONE, NO_CALLABLE};
use httpd::{Reading, Request, Then, sys};
use wsgi::wire;

use super::Group;
use super::reader::{is_gone, wait, wait_to_write};
use super::relay::{End, Stop};
use crate::config::DirectoryConfig;
use crate::exchange::{add_header, file_reading};
use crate::question::log;

/// The answer to one request.
pub(crate) struct Answer<'r> {
    request: Request<'r>,
    config: &'r DirectoryConfig,
    group: &'r Group,
    has_begun: bool,
    /// Its body is not for the client: another page takes its place.
    instead: Option<Instead>,
    /// Whether nothing but httpd's own filters is between here and the socket, so that
    /// what is written never waits for the client unless it is told to.
    is_plain: bool,
    /// Bytes passed on since they were last sent away.
    unsent: usize,
    /// Bytes that httpd has in hand, at most.
    in_hand: usize,
    /// What the client has yet to take.
    held: Option<Held>,
    /// How long the client is still waited for before anything is held back.
    patience: Duration,
}

enum Instead {
    /// The page at that path.
    Page(Vec<u8>),
    /// httpd's page for that status.
    Status(c_int),
}

/// Bytes that wait in a file.
struct Held {
    file: File,
    /// Start of those that were not passed on yet.
    start: u64,
    end: u64,
}

impl<'r> Answer<'r> {
    pub(crate) fn new(request: Request<'r>, config: &'r DirectoryConfig, group: &'r Group) -> Self {
        Self {
            request,
            config,
            group,
            has_begun: false,
            instead: None,
            is_plain: false,
            unsent: 0,
            in_hand: 0,
            held: None,
            patience: PATIENCE,
        }
    }

    /// Whether the client has been told anything.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Status and headers.
    pub(crate) fn begin(&mut self, payload: &[u8]) -> Result<(), Stop> {
        let longest = usize::try_from(self.group.options.header_buffer_size).unwrap_or(usize::MAX);
        let mut headers = Vec::new();
        let (code, status) = wire::head::read(payload, |name, value| headers.push((name, value)))?;
        let name = &self.group.options.name;
        if headers.iter().any(|(name, value)| name.len() + value.len() + 4 > longest) {
            log(
                self.request,
                &format!("WSGI0144: Response header line too long from daemon process '{name}'."),
            );
            return Err(Stop::Status(sys::HTTP_INTERNAL_SERVER_ERROR));
        }
        if self.config.error_override.unwrap_or(false) && code >= 400 {
            for (name, value) in headers {
                if name.eq_ignore_ascii_case(b"www-authenticate") {
                    add_header(self.request, name, value);
                }
            }
            self.instead = Some(Instead::Status(code.into()));
            return Ok(());
        }
        let location = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"location"));
        if let Some((_, path)) = location
            && code == 200
            && path.starts_with(b"/")
        {
            self.instead = Some(Instead::Page(path.to_vec()));
            return Ok(());
        }
        self.request.set_status(code, status);
        for (name, value) in headers {
            add_header(self.request, name, value);
        }
        self.is_plain = self.request.writes_without_waiting();
        self.has_begun = true;
        Ok(())
    }

    /// Some of the body.
    pub(crate) fn give(&mut self, bytes: &[u8], is_last: bool) -> Result<(), Stop> {
        if self.instead.is_some() {
            return Ok(());
        }
        if !self.has_begun {
            return Err(wire::Malformed.into());
        }
        if let Some(held) = &mut self.held {
            // A process that never pauses never has it noticed elsewhere.
            if self.request.client_socket().is_some_and(is_gone) {
                return Err(Stop::ClientGone);
            }
            held.add(bytes).map_err(|error| self.not_held(&error))?;
            return if is_last { self.pass_held(Then::End) } else { Ok(()) };
        }
        let mut bytes = bytes;
        loop {
            let room = self.room();
            if bytes.len() <= room {
                break;
            }
            if room == 0 {
                if !self.client_takes_it()? {
                    self.hold()?;
                    return self.give(bytes, is_last);
                }
                continue;
            }
            let (piece, rest) = bytes.split_at(room);
            self.pass(piece, Then::More)?;
            bytes = rest;
        }
        let then = match is_last {
            false => Then::More,
            // A filter that sees the end at once may do without its work.
            true if self.request.has_content_filter() => Then::Flush,
            true => Then::End,
        };
        self.pass(bytes, then)?;
        if is_last {
            return Ok(());
        }
        if !self.is_plain && self.unsent > MUCH {
            self.hold()?;
        } else if self.unsent as u64 >= self.group.options.response_buffer_size {
            self.flush()?;
        }
        Ok(())
    }

    fn pass(&mut self, bytes: &[u8], then: Then) -> Result<(), Stop> {
        self.request.pass_bytes(bytes, then)?;
        if self.is_plain && !self.request.is_clogged() {
            // The kernel has all of it.
            (self.unsent, self.in_hand) = (0, 0);
            return Ok(());
        }
        self.unsent += bytes.len();
        self.in_hand += bytes.len();
        Ok(())
    }

    /// Bytes that can be passed on now and not make httpd wait for the client.
    fn room(&mut self) -> usize {
        if !self.is_plain {
            return usize::MAX;
        }
        if !self.is_clogged() {
            self.in_hand = 0;
        }
        MOST_IN_HAND.saturating_sub(self.in_hand)
    }

    /// A part of a file.
    pub(crate) fn give_file(
        &mut self,
        file: OwnedFd,
        (start, length): (u64, u64),
    ) -> Result<(), Stop> {
        if self.instead.is_some() {
            return Ok(());
        }
        let file = File::from(file);
        let is_there = file.metadata().is_ok_and(|metadata| {
            metadata.is_file() && start.checked_add(length).is_some_and(|end| end <= metadata.len())
        });
        if !self.has_begun || !is_there {
            return Err(wire::Malformed.into());
        }
        self.pass_held(Then::More)?;
        let part = |number: u64| i64::try_from(number).map_err(|_| wire::Malformed);
        let (start, length) = (part(start)?, part(length)?);
        let reading = file_reading(self.config, file.as_fd(), length);
        self.request.pass_file(file, start, length, reading, Then::More)?;
        Ok(())
    }

    /// The end, by the application's outcome.
    pub(crate) fn end(&mut self, outcome: c_int) -> Result<End, Stop> {
        match self.instead.take() {
            Some(Instead::Page(path)) if outcome == DONE => return Ok(End::Redirect(path)),
            Some(Instead::Status(status)) => return Ok(End::Status(status)),
            _ => {}
        }
        if !self.has_begun {
            let status = match outcome {
                NO_CALLABLE => sys::HTTP_NOT_FOUND,
                _ => sys::HTTP_INTERNAL_SERVER_ERROR,
            };
            return Ok(End::Status(status));
        }
        self.pass_held(Then::More)?;
        if outcome != DONE {
            self.request.break_off();
        }
        Ok(End::Status(sys::OK))
    }

    /// Whether everything has gone on to the client.
    pub(crate) fn is_settled(&self) -> bool {
        !self.has_begun || self.unsent == 0 && self.held.is_none() && !self.is_clogged()
    }

    /// Before the process is waited for: what it sent has to reach the client, but not
    /// at the cost of the process having to wait for the client.
    pub(crate) fn settle(&mut self, socket: &OwnedFd) -> Result<(), Stop> {
        let delay = self.group.options.response_flush_delay;
        if wait(socket, None, milliseconds(delay)).0 && self.may_hold_more() {
            return Ok(());
        }
        self.flush()?;
        // The client takes the rest while the process goes on.
        while self.is_clogged() || self.held.as_ref().is_some_and(|held| held.start < held.end) {
            let client = self.request.client_socket();
            let limit = milliseconds(self.group.response_socket_timeout);
            if !self.may_hold_more() {
                // The client takes all of it before anything else happens.
                return self.pass_held(Then::Flush);
            }
            match wait(socket, client, limit) {
                (true, _) => return Ok(()),
                (false, true) => self.flush()?,
                (false, false) => return Err(self.too_slow()),
            }
        }
        Ok(())
    }

    /// Gives the client a moment to take what it was given: whether it has. Most take it
    /// sooner than it could be held back.
    fn client_takes_it(&mut self) -> Result<bool, Stop> {
        while self.is_clogged() {
            let begin = Instant::now();
            let client = self.request.client_socket();
            let can =
                client.is_some_and(|client| wait_to_write(client, milliseconds(self.patience)));
            self.patience = self.patience.saturating_sub(begin.elapsed());
            if !can {
                return Ok(false);
            }
            self.request.push();
            if self.request.is_aborted() {
                return Err(Stop::ClientGone);
            }
        }
        Ok(true)
    }

    /// Holds back what follows.
    fn hold(&mut self) -> Result<(), Stop> {
        self.held = Some(Held::new().map_err(|error| self.not_held(&error))?);
        Ok(())
    }

    /// Whether what the client does not take may be held back.
    pub(crate) fn may_hold_more(&self) -> bool {
        self.held.as_ref().is_none_or(|held| held.end - held.start < MOST_HELD)
    }

    fn is_clogged(&self) -> bool {
        self.is_plain && self.request.is_clogged()
    }

    /// Sends away what was passed on, without waiting for the client if possible.
    fn flush(&mut self) -> Result<(), Stop> {
        self.unsent = 0;
        if !self.is_plain {
            return if self.held.is_some() {
                self.pass_held(Then::Flush)
            } else {
                Ok(self.request.pass_bytes(&[], Then::Flush)?)
            };
        }
        self.request.push();
        if !self.request.is_clogged() {
            self.pass_held(Then::More)?;
            self.request.push();
        }
        if self.request.is_aborted() { Err(Stop::ClientGone) } else { Ok(()) }
    }

    /// Passes on what is held.
    fn pass_held(&mut self, then: Then) -> Result<(), Stop> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let length = held.end - held.start;
        let (start, length) = (held.start.cast_signed(), length.cast_signed());
        let file = held.file.try_clone();
        held.start = held.end;
        if length > 0 {
            let file = file.map_err(|error| self.not_held(&error))?;
            self.request.pass_file(file, start, length, Reading::InPieces, then)?;
        } else if then != Then::More {
            self.request.pass_bytes(&[], then)?;
        }
        if !self.is_clogged() && then != Then::End {
            self.held = None;
        }
        Ok(())
    }

    fn not_held(&self, error: &std::io::Error) -> Stop {
        log(
            self.request,
            &format!(
                "WSGI0119: Unable to proxy response from daemon to client: no temporary file: {error}."
            ),
        );
        Stop::ClientGone
    }

    fn too_slow(&self) -> Stop {
        log(
            self.request,
            &format!(
                "WSGI0120: Unable to proxy response to client (write timeout): nothing taken for {} s.",
                self.group.response_socket_timeout.as_secs()
            ),
        );
        Stop::ClientGone
    }
}

impl Held {
    fn new() -> std::io::Result<Self> {
        Ok(Self { file: tempfile::tempfile()?, start: 0, end: 0 })
    }

    fn add(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        // The file's own position is moved by whoever sends it.
        self.file.write_all_at(bytes, self.end)?;
        self.end += bytes.len() as u64;
        Ok(())
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// Bytes that a connection with other filters is given before its client is waited
/// for.
const MUCH: usize = 256 * 1024;
/// Bytes of a body that httpd has in hand at most: with more it waits for the client.
const MOST_IN_HAND: usize = 64 * 1024;
/// How long an answer waits for its client, all in all, before it is held back: a thread
/// of the process waits with it.
const PATIENCE: Duration = Duration::from_millis(20);
/// Bytes that wait for one client at most.
const MOST_HELD: u64 = 1024 * 1024 * 1024;
