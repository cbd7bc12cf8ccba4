//! What httpd does for the Python side of one request.

use std::ffi::{c_int, c_void};
use std::os::fd::BorrowedFd;

use door::{
    Exchange, GONE, Host, Line, List, LogLevel, Pair, Process, Scoreboard, ShowProcess, Sink, Text,
    VERSION, Worker,
};
use httpd::scoreboard::{field_text, letter_of};
use httpd::{Level, Reading, Request, Source, Then, enter, sys, tls};

use crate::config::DirectoryConfig;

/// The functions that the Python side is given.
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

/// The request as the Python side hands it back.
pub(crate) fn exchange_of(request: Request<'_>) -> Exchange {
    request.raw().cast()
}

/// The request behind an exchange.
fn request_of<'r>(exchange: Exchange) -> Option<Request<'r>> {
    // SAFETY: S1: made by `exchange_of` for the handler's call that runs now.
    unsafe { Request::from_raw(exchange.cast()) }
}

unsafe extern "C" fn read(exchange: Exchange, into: *mut u8, length: usize) -> isize {
    let mut count = isize::try_from(GONE).unwrap_or(-1);
    enter("a read", || {
        // SAFETY: the guest's own buffer, lent for the call.
        let into = unsafe { std::slice::from_raw_parts_mut(into, length) };
        let Some(request) = request_of(exchange) else { return };
        if let Ok(read) = request.read_body(into) {
            count = isize::try_from(read).unwrap_or(isize::MAX);
        }
    });
    count
}

unsafe extern "C" fn start(
    exchange: Exchange,
    code: u16,
    status: Text<'_>,
    headers: List<'_, Pair<'_>>,
) -> c_int {
    let mut result = GONE;
    enter("a head", || {
        let Some(request) = request_of(exchange) else { return };
        request.set_status(code, status.bytes());
        for pair in headers.items() {
            add_header(request, pair.name.bytes(), pair.value.bytes());
        }
        result = 0;
    });
    result
}

/// Sets a header, those that httpd has a mind of its own about in its way.
pub(crate) fn add_header(request: Request<'_>, name: &[u8], value: &[u8]) {
    if name.eq_ignore_ascii_case(b"content-type") {
        request.set_content_type(value);
    } else if name.eq_ignore_ascii_case(b"content-length") {
        let length = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse().ok());
        request.set_content_length(length.unwrap_or(0));
    } else if name.eq_ignore_ascii_case(b"www-authenticate") {
        // An error page keeps it.
        request.error_headers_out().add(name, value);
    } else {
        request.headers_out().add(name, value);
    }
}

unsafe extern "C" fn send(exchange: Exchange, data: Text<'_>, is_last: bool) -> c_int {
    let mut result = GONE;
    enter("a block", || {
        let Some(request) = request_of(exchange) else { return };
        // A filter that sees the end at once may do without its work.
        let is_last = is_last && !request.has_content_filter();
        let then = if is_last { Then::End } else { Then::Flush };
        if request.pass_bytes(data.bytes(), then).is_ok() {
            result = 0;
        }
    });
    result
}

unsafe extern "C" fn send_file(
    exchange: Exchange,
    descriptor: c_int,
    start: i64,
    length: i64,
) -> c_int {
    let mut result = GONE;
    enter("a file", || {
        let Some(request) = request_of(exchange) else { return };
        let default = DirectoryConfig::default();
        let config = request.directory_config(crate::index()).unwrap_or(&default);
        // SAFETY: open until the guest has its answer.
        let file = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let reading = file_reading(config, file, length);
        // Flushed while the descriptor is open.
        if request.pass_descriptor(descriptor, start, length, reading, Then::Flush).is_ok() {
            result = 0;
        }
    });
    result
}

/// How a file of an application is read: as `WSGIEnableSendfile` says, or by the kernel
/// where that is known to work.
pub(crate) fn file_reading(config: &DirectoryConfig, file: BorrowedFd<'_>, length: i64) -> Reading {
    let is_by_kernel =
        config.enable_sendfile.unwrap_or_else(|| length >= LARGE && lies_on_this_machine(file));
    if is_by_kernel { Reading::ByKernel } else { Reading::Mapped }
}

/// Bytes of a file from which on `sendfile` costs less than the calls around it.
const LARGE: i64 = 64 * 1024;

/// Magic numbers of file systems that `sendfile` reads as `read` does, from
/// `linux/magic.h`: btrfs, ext2 to ext4, overlay, tmpfs, XFS. Those of networks and of
/// virtual machines' hosts are known not to.
#[cfg(target_os = "linux")]
const LOCAL: [u32; 5] = [0x9123_683e, 0xef53, 0x794c_7630, 0x0102_1994, 0x5846_5342];

/// Whether a file may be left to `sendfile` without being asked to.
#[cfg(target_os = "linux")]
fn lies_on_this_machine(file: BorrowedFd<'_>) -> bool {
    let number = rustix::fs::fstatfs(file).map(|system| u32::try_from(system.f_type));
    number.is_ok_and(|number| number.is_ok_and(|number| LOCAL.contains(&number)))
}

#[cfg(not(target_os = "linux"))]
fn lies_on_this_machine(_file: BorrowedFd<'_>) -> bool {
    false
}

unsafe extern "C" fn log(exchange: Exchange, line: &Line<'_>) {
    enter("a log line", || {
        let (index, level) = (crate::index(), level_of(line.level));
        let text = String::from_utf8_lossy(line.text.bytes());
        let file = String::from_utf8_lossy(line.source.file.bytes());
        let source = Source::of(&file, line.source.line);
        match request_of(exchange) {
            Some(request) => request.log_from(index, level, &text, source),
            None => httpd::log_to_main_from(index, level, &text, source),
        }
    });
}

unsafe extern "C" fn log_level(exchange: Exchange) -> LogLevel {
    let mut level = LogLevel::MAX;
    enter("the level of the log", || {
        let index = crate::index();
        level = match request_of(exchange) {
            Some(request) => request.log_level(index),
            None => httpd::log_level_of_main(index),
        };
    });
    level
}

/// A level by its number.
pub(crate) fn level_of(number: LogLevel) -> Level {
    match number {
        ..=sys::APLOG_CRIT => Level::Critical,
        sys::APLOG_ERR => Level::Error,
        sys::APLOG_WARNING => Level::Warning,
        sys::APLOG_NOTICE => Level::Notice,
        sys::APLOG_INFO => Level::Info,
        _ => Level::Debug,
    }
}

unsafe extern "C" fn is_https(exchange: Exchange) -> bool {
    let mut answer = false;
    enter("a question to mod_ssl", || {
        answer = request_of(exchange).is_some_and(tls::is_https);
    });
    answer
}

unsafe extern "C" fn ssl_variable(exchange: Exchange, name: Text<'_>, mut sink: Sink<'_>) {
    enter("a question to mod_ssl", || {
        let value = request_of(exchange).and_then(|request| tls::variable(request, name.bytes()));
        if let Some(value) = value {
            sink.put(0, value);
        }
    });
}

unsafe extern "C" fn scoreboard(
    into: &mut Scoreboard,
    context: *mut c_void,
    show: ShowProcess,
) -> bool {
    let mut found = false;
    enter("the scoreboard", || {
        let Some(board) = httpd::scoreboard::Scoreboard::find() else { return };
        let server = board.of_server();
        *into = Scoreboard {
            server_limit: server.server_limit,
            thread_limit: server.thread_limit,
            running_generation: server.running_generation,
            restart_time: server.restart_time,
        };
        for (number, process) in board.processes() {
            let workers: Vec<(c_int, sys::worker_score)> = board.workers(number).collect();
            let texts: Vec<[Vec<u8>; 3]> = workers
                .iter()
                .map(|(_, worker)| {
                    [
                        field_text(&worker.client64),
                        field_text(&worker.request),
                        field_text(&worker.vhost),
                    ]
                })
                .collect();
            let workers: Vec<Worker<'_>> = workers
                .iter()
                .zip(&texts)
                .map(|(worker, texts)| worker_of(worker, texts))
                .collect();
            let process = Process {
                number,
                pid: process.pid,
                generation: process.generation,
                quiescing: process.quiescing != 0,
                workers: List::new(&workers),
            };
            // SAFETY: the guest's own function and context.
            unsafe { show(context, &process) };
        }
        found = true;
    });
    found
}

fn worker_of<'a>(
    (number, worker): &(c_int, sys::worker_score),
    [client, request, vhost]: &'a [Vec<u8>; 3],
) -> Worker<'a> {
    Worker {
        number: *number,
        generation: worker.generation,
        status: letter_of(worker.status),
        access_count: worker.access_count.cast_signed(),
        bytes_served: worker.bytes_served,
        start_time: worker.start_time,
        stop_time: worker.stop_time,
        last_used: worker.last_used,
        client: Text::new(client),
        request: Text::new(request),
        vhost: Text::new(vhost),
    }
}
