//! Signals: each one becomes a byte in a pipe that the main thread reads. Nothing is
//! blocked, because children of the application would inherit that.

use std::io;
use std::os::fd::{AsRawFd as _, IntoRawFd as _, OwnedFd};
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};

use crate::fork;

static WRITER: AtomicI32 = AtomicI32::new(-1);
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Signals that the process is told by.
const TOLD: [i32; 6] =
    [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGXCPU, libc::SIGHUP, libc::SIGUSR2];

/// Handles signals from now on: where their numbers can be read.
pub(crate) fn watch() -> io::Result<OwnedFd> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    fork::keep_from_children(&reader);
    fork::keep_from_children(&writer);
    PROCESS.store(own(), Ordering::Relaxed);
    WRITER.store(writer.as_raw_fd(), Ordering::Relaxed);
    // Handlers may write to it until the very end.
    let _for_good = writer.into_raw_fd();
    for signal in TOLD {
        set(signal, handle as *const () as libc::sighandler_t)?;
    }
    ignore_broken_pipes()?;
    Ok(reader)
}

/// A write to somebody who has gone fails instead.
pub(crate) fn ignore_broken_pipes() -> io::Result<()> {
    set(libc::SIGPIPE, libc::SIG_IGN)
}

/// Ignores what only subscribers want to know, when they are told no more.
pub(crate) fn ignore_subscribed() {
    for signal in [libc::SIGHUP, libc::SIGUSR2] {
        // It cannot fail for these.
        let _ignored = set(signal, libc::SIG_IGN);
    }
}

/// Numbers that have come.
pub(crate) fn read(reader: &OwnedFd) -> Vec<i32> {
    let mut bytes = [0; 64];
    let count = rustix::io::read(reader, &mut bytes).unwrap_or(0);
    bytes.iter().take(count).map(|byte| i32::from(*byte)).collect()
}

fn own() -> i32 {
    rustix::process::getpid().as_raw_pid()
}

fn set(signal: i32, handler: libc::sighandler_t) -> io::Result<()> {
    // SAFETY: a record of plain numbers.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: a complete record, with a handler that only calls what handlers may.
    match unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// In a process that the application has forked, signals act as in any other.
extern "C" fn handle(signal: i32) {
    // SAFETY: `errno` of this thread is left as it was; all else may be called by
    // handlers.
    unsafe {
        let error = *libc::__errno_location();
        if libc::getpid() == PROCESS.load(Ordering::Relaxed) {
            let byte = u8::try_from(signal).unwrap_or(0);
            libc::write(WRITER.load(Ordering::Relaxed), (&raw const byte).cast(), 1);
        } else {
            libc::signal(signal, libc::SIG_DFL);
            libc::raise(signal);
        }
        *libc::__errno_location() = error;
    }
}
