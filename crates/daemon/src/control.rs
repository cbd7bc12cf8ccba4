//! The connection with the supervisor: a packet each way for each message.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};
use wsgi::launch::{Notice, Order};

use door::{Line, Source, Text};

pub(crate) use door::level;

static CONTROL: OnceLock<OwnedFd> = OnceLock::new();
static LOG_LEVEL: AtomicI32 = AtomicI32::new(i32::MAX);

/// Remembers the connection; the first one stays.
pub(crate) fn set(control: OwnedFd) -> BorrowedFd<'static> {
    CONTROL.get_or_init(|| control).as_fd()
}

/// Remembers the highest level of lines that the log takes.
pub(crate) fn set_log_level(level: i32) {
    LOG_LEVEL.store(level, Ordering::Relaxed);
}

/// The highest level of lines that the log takes outside of requests.
pub(crate) fn log_level() -> i32 {
    LOG_LEVEL.load(Ordering::Relaxed)
}

/// Says something to the supervisor. It may be gone, or busy for too long; then
/// nobody waits for it.
pub(crate) fn tell(notice: &Notice) -> bool {
    let Some(control) = CONTROL.get() else { return false };
    let Ok(packet) = serde_json::to_vec(notice) else { return false };
    for _ in 0..TRIES {
        match send(control, &packet, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Ok(_) => return true,
            Err(rustix::io::Errno::AGAIN) => wait(control),
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    false
}

/// Says something to the supervisor, with a descriptor beside it. If that cannot be
/// sent at once, it is not.
pub(crate) fn tell_beside(notice: &Notice, descriptor: BorrowedFd<'_>) -> bool {
    let Some(control) = CONTROL.get() else { return false };
    let Ok(packet) = serde_json::to_vec(notice) else { return false };
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(control, &[IoSlice::new(&packet)], &mut beside, flags).is_ok()
}

fn wait(control: &OwnedFd) {
    let pause = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // However it goes, the next try says.
    let _tried_again = poll(&mut [PollFd::new(control, PollFlags::OUT)], Some(&pause));
}

/// Logs a line that belongs to no request. Without a supervisor it goes where
/// httpd's log is.
pub(crate) fn log(level: i32, text: &str) {
    log_line(&Line { level, text: Text::new(text.as_bytes()), source: Source::none() });
}

/// The same for code of the application's.
pub(crate) fn log_line(line: &Line<'_>) {
    let level = u8::try_from(line.level).unwrap_or(u8::MAX);
    let text = String::from_utf8_lossy(line.text.bytes()).into_owned();
    let file = String::from_utf8_lossy(line.source.file.bytes()).into_owned();
    if !tell(&Notice::Log(level, text.clone(), file, line.source.line)) {
        // SAFETY: the process's own stream of errors, which is open from the start.
        let errors = unsafe { BorrowedFd::borrow_raw(2) };
        let _nobody_listens = rustix::io::write(errors, format!("{text}\n").as_bytes());
    }
}

/// The next order; none when the supervisor has gone.
///
/// # Errors
/// Where what came is no order.
pub(crate) fn receive(control: BorrowedFd<'_>) -> io::Result<Option<Order>> {
    let mut packet = [0; 1024];
    let count = loop {
        match recv(control, &mut packet[..], RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?.1,
        }
    };
    if count == 0 {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(packet.get(..count).unwrap_or_default())?))
}

/// Waits for the next order; none when the supervisor has gone. With the descriptors
/// that came beside it.
///
/// # Errors
/// Where what came is no order.
pub(crate) fn wait_for_order(control: BorrowedFd<'_>) -> io::Result<Option<(Order, Vec<OwnedFd>)>> {
    let mut packet = [0; 1024];
    let (count, descriptors) = receive_beside(control, &mut packet, RecvFlags::CMSG_CLOEXEC)?;
    if count == 0 {
        return Ok(None);
    }
    let order = serde_json::from_slice(packet.get(..count).unwrap_or_default())?;
    Ok(Some((order, descriptors)))
}

/// Receives a packet, and up to two descriptors beside it.
///
/// # Errors
/// Of the system.
pub(crate) fn receive_beside(
    socket: BorrowedFd<'_>,
    packet: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let count = loop {
        let mut place = [IoSliceMut::new(packet)];
        match recvmsg(socket, &mut place, &mut beside, flags) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received?.bytes,
        }
    };
    let mut descriptors = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            descriptors.extend(files);
        }
    }
    Ok((count, descriptors))
}

/// Tries to send a message, each after a tenth of a second at most.
const TRIES: u32 = 10;
