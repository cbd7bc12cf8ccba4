//! What httpd does for one request, by way of the connection that it came on: the
//! functions that the engine is given.

use std::ffi::{c_int, c_void};
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use door::{
    Exchange as Raw, GONE, Host, Line, List, LogLevel, Pair, Scoreboard, ShowProcess, Sink, Text,
    VERSION,
};
use wsgi::scoreboard::bytes_of;
use wsgi::wire::{self, HEADER, Header, Kind, LAST, LogLine, put_frame, put_frame_with};

use crate::connection::Connection;
use crate::control;
use crate::scoreboard;
use crate::state::Activity;

/// The functions that the engine is given.
pub(crate) static HOST: Host = Host {
    version: VERSION,
    read,
    start,
    send,
    send_file,
    log,
    log_level,
    is_https,
    ssl_variable,
    scoreboard,
};

/// A request while it runs. Other threads of the application may use it, too.
#[derive(Debug)]
pub(crate) struct Exchange<'a> {
    connection: &'a Connection,
    /// Where it is noted that something happens, unless nobody cares.
    activity: Option<&'a Activity>,
    output: Mutex<Output>,
    input: Mutex<Input<'a>>,
    /// The highest level of lines that the request's log takes.
    log_level: u8,
}

/// What goes to httpd.
#[derive(Debug, Default)]
struct Output {
    /// Frames that have not left yet.
    waiting: Vec<u8>,
    /// The last of the answer has been sent.
    has_ended: bool,
    /// httpd does not listen any more.
    is_gone: bool,
}

/// What is left of the body.
#[derive(Debug)]
pub(crate) struct Input<'a> {
    /// Bytes that came with the request.
    inline: &'a [u8],
    /// All of it, and how far that is read.
    file: Option<(File, u64)>,
    has_ended: bool,
    is_broken: bool,
}

impl<'a> Input<'a> {
    /// The body of a request.
    pub(crate) fn new(inline: &'a [u8], file: Option<File>, length: i64) -> Self {
        let is_whole = i64::try_from(inline.len()).is_ok_and(|there| there == length);
        Self { inline, file: file.map(|file| (file, 0)), has_ended: is_whole, is_broken: false }
    }
}

impl<'a> Exchange<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        activity: Option<&'a Activity>,
        input: Input<'a>,
        waiting: Vec<u8>,
        log_level: u8,
    ) -> Self {
        Self {
            connection,
            activity,
            output: Mutex::new(Output { waiting, ..Output::default() }),
            input: Mutex::new(input),
            log_level,
        }
    }

    /// As the engine hands it back.
    pub(crate) fn raw(&self) -> Raw {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    fn output(&self) -> MutexGuard<'_, Output> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self) {
        if let Some(activity) = self.activity {
            activity.note();
        }
    }

    /// Ends the answer with that frame, unless it has ended: whether the connection
    /// can be kept, and the buffer, to be used again.
    pub(crate) fn finish(self, kind: Kind, payload: &[u8]) -> (bool, Vec<u8>) {
        self.note();
        let mut output = self.output.into_inner().unwrap_or_else(PoisonError::into_inner);
        if !output.has_ended {
            put_frame(&mut output.waiting, kind, 0, payload);
        }
        output.flush(self.connection, &[], None);
        output.waiting.clear();
        (!output.is_gone, output.waiting)
    }

    fn send(&self, block: &[u8], is_last: bool) -> c_int {
        self.note();
        let mut output = self.output();
        let mut blocks = block.chunks(LONGEST_BLOCK).peekable();
        loop {
            let block = blocks.next().unwrap_or_default();
            let is_end = blocks.peek().is_none();
            let flags = if is_last && is_end { LAST } else { 0 };
            let header = Header { kind: Kind::Data, flags, length: block.len() };
            output.waiting.extend_from_slice(&header.to_bytes());
            output.has_ended |= is_last && is_end;
            output.flush(self.connection, block, None);
            if is_end || output.is_gone {
                return output.status();
            }
        }
    }

    fn read(&self, into: &mut [u8]) -> isize {
        self.note();
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let count = input.read(into, |input, into| self.pull(input, into));
        count
            .and_then(|count| isize::try_from(count).ok())
            .unwrap_or(isize::try_from(GONE).unwrap_or(-1))
    }

    /// Has httpd send more of the body.
    fn pull(&self, input: &mut Input<'_>, into: &mut [u8]) -> Option<usize> {
        let wanted = into.len().min(LONGEST_PULL);
        {
            let mut output = self.output();
            let number = u32::try_from(wanted).unwrap_or(u32::MAX);
            put_frame(&mut output.waiting, Kind::Pull, 0, &number.to_le_bytes());
            output.flush(self.connection, &[], None);
            if output.is_gone {
                return None;
            }
        }
        let mut answer = || -> Option<(usize, bool)> {
            let mut header = [0; HEADER];
            self.connection.read_exact(&mut header).ok()?;
            let header = Header::of_bytes(header).ok()?;
            if header.kind == Kind::BodyBroken {
                return Some((0, false));
            }
            let is_last = header.flags & LAST != 0;
            let is_right = header.kind == Kind::Body && header.length <= wanted;
            if !is_right || (header.length == 0 && !is_last) {
                return None;
            }
            self.connection.read_exact(&mut into[..header.length]).ok()?;
            input.has_ended = is_last;
            Some((header.length, true))
        };
        match answer() {
            Some((count, true)) => Some(count),
            Some((_, false)) => None,
            None => {
                self.output().is_gone = true;
                None
            }
        }
    }

    fn log(&self, line: &Line<'_>) {
        let mut output = self.output();
        let level = u8::try_from(line.level).unwrap_or(u8::MAX);
        let (file, text) = (line.source.file.bytes(), line.text.bytes());
        LogLine { level, file, line: line.source.line, text }.put(&mut output.waiting);
        // It appears at once, though nothing else may follow for long. Python's lock
        // may be held: nobody waits here for httpd.
        output.flush_now(self.connection);
    }
}

impl Input<'_> {
    /// Reads some; none when it is broken.
    fn read(
        &mut self,
        into: &mut [u8],
        pull: impl FnOnce(&mut Self, &mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        if self.is_broken {
            return None;
        }
        if !self.inline.is_empty() {
            let (now, later) = self.inline.split_at(into.len().min(self.inline.len()));
            into[..now.len()].copy_from_slice(now);
            self.inline = later;
            return Some(now.len());
        }
        let read = if let Some((file, at)) = &mut self.file {
            let read = file.read_at(into, *at).ok();
            *at += read.unwrap_or(0) as u64;
            read
        } else if self.has_ended || into.is_empty() {
            Some(0)
        } else {
            pull(self, into)
        };
        self.is_broken = read.is_none();
        read
    }
}

impl Output {
    fn status(&self) -> c_int {
        if self.is_gone { GONE } else { 0 }
    }

    /// Sends what waits, then that block.
    fn flush(&mut self, connection: &Connection, block: &[u8], file: Option<BorrowedFd<'_>>) {
        if !self.is_gone {
            self.is_gone = connection.send(&self.waiting, block, file).is_err();
        }
        self.waiting.clear();
    }

    /// Sends as much of what waits as can be sent at once.
    fn flush_now(&mut self, connection: &Connection) {
        if self.is_gone {
            return self.waiting.clear();
        }
        match connection.send_now(&self.waiting) {
            Ok(sent) => drop(self.waiting.drain(..sent)),
            Err(_) => self.is_gone = true,
        }
    }
}

/// The exchange that the engine hands back.
fn exchange_of<'a>(raw: Raw) -> Option<&'a Exchange<'a>> {
    // SAFETY: made by `raw` for the call of the engine that runs now, or null.
    unsafe { raw.cast::<Exchange<'a>>().as_ref() }
}

unsafe extern "C" fn read(raw: Raw, into: *mut u8, length: usize) -> isize {
    // SAFETY: the engine's own buffer, lent for the call.
    let into = unsafe { std::slice::from_raw_parts_mut(into, length) };
    exchange_of(raw).map_or(-1, |exchange| exchange.read(into))
}

unsafe extern "C" fn start(
    raw: Raw,
    code: u16,
    status: Text<'_>,
    headers: List<'_, Pair<'_>>,
) -> c_int {
    let Some(exchange) = exchange_of(raw) else { return GONE };
    let headers = headers.items().iter().map(|pair| (pair.name.bytes(), pair.value.bytes()));
    let mut output = exchange.output();
    wire::head::put(&mut output.waiting, code, status.bytes(), headers);
    output.status()
}

unsafe extern "C" fn send(raw: Raw, data: Text<'_>, is_last: bool) -> c_int {
    exchange_of(raw).map_or(GONE, |exchange| exchange.send(data.bytes(), is_last))
}

unsafe extern "C" fn send_file(raw: Raw, descriptor: c_int, start: i64, length: i64) -> c_int {
    let Some(exchange) = exchange_of(raw) else { return GONE };
    exchange.note();
    let mut output = exchange.output();
    put_frame_with(&mut output.waiting, Kind::File, |into| {
        for number in [start, length] {
            into.extend_from_slice(&u64::try_from(number).unwrap_or(0).to_le_bytes());
        }
    });
    // SAFETY: open for the call.
    let file = unsafe { BorrowedFd::borrow_raw(descriptor) };
    output.flush(exchange.connection, &[], Some(file));
    output.status()
}

unsafe extern "C" fn log(raw: Raw, line: &Line<'_>) {
    match exchange_of(raw) {
        Some(exchange) => exchange.log(line),
        None => control::log_line(line),
    }
}

unsafe extern "C" fn log_level(raw: Raw) -> LogLevel {
    exchange_of(raw).map_or_else(control::log_level, |exchange| exchange.log_level.into())
}

/// Whether mod_ssl serves the connection is known in httpd alone.
unsafe extern "C" fn is_https(_raw: Raw) -> bool {
    false
}

/// As above.
unsafe extern "C" fn ssl_variable(_raw: Raw, _name: Text<'_>, _sink: Sink<'_>) {}

/// The scoreboard lies in httpd's memory: the supervisor tells of it.
unsafe extern "C" fn scoreboard(
    into: &mut Scoreboard,
    context: *mut c_void,
    show: ShowProcess,
) -> bool {
    let Some(board) = scoreboard::ask() else { return false };
    *into = Scoreboard {
        server_limit: board.server_limit,
        thread_limit: board.thread_limit,
        running_generation: board.running_generation,
        restart_time: board.restart_time,
    };
    for process in &board.processes {
        let texts: Vec<[Vec<u8>; 3]> = process
            .workers
            .iter()
            .map(|worker| worker.texts.each_ref().map(|text| bytes_of(text)))
            .collect();
        let workers = process.workers.iter().zip(&texts);
        let workers: Vec<door::Worker<'_>> =
            workers.map(|(worker, texts)| worker_of(worker, texts)).collect();
        let process = door::Process {
            number: process.number,
            pid: process.pid,
            generation: process.generation,
            quiescing: process.quiescing,
            workers: List::new(&workers),
        };
        // SAFETY: the engine's own function and context.
        unsafe { show(context, &process) };
    }
    true
}

fn worker_of<'a>(
    worker: &wsgi::scoreboard::Worker,
    [client, request, vhost]: &'a [Vec<u8>; 3],
) -> door::Worker<'a> {
    door::Worker {
        number: worker.number,
        generation: worker.generation,
        status: worker.status,
        access_count: worker.access_count,
        bytes_served: worker.bytes_served,
        start_time: worker.start_time,
        stop_time: worker.stop_time,
        last_used: worker.last_used,
        client: Text::new(client),
        request: Text::new(request),
        vhost: Text::new(vhost),
    }
}

/// Bytes of one frame: what its length can say, and more than ever needed.
const LONGEST_BLOCK: usize = 1 << 30;
/// Bytes of the body that are asked for at once.
const LONGEST_PULL: usize = 1024 * 1024;
