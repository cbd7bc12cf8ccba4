//! A request that runs for too long in a daemon process: `RequestTimeout` raised in
//! its thread, what becomes of its answer, and what threads are doing meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

use cpython::{Attached, Interpreter, Object, Raised, ffi};
use door::{BROKEN_OFF, DONE, INTERRUPTED, List, OVER, Outcome, Text};

use crate::current::{self, level};
use crate::exception;
use crate::response::Response;
use crate::types::bytes_of;
use crate::world::{World, world_of};

/// Raises `RequestTimeout` in the thread with that Python number, while the request
/// is still the one that `interruption` had the value `open` for: whether it was.
/// Waits for the lock of the interpreter.
pub fn interrupt(group: &[u8], thread: u64, interruption: &AtomicU64, open: u64) -> bool {
    let Some(world) = world_of(group) else { return false };
    world.interpreter.attach(|py| {
        let Ok(exception) = world.own.request_timeout.get(py) else { return false };
        // The thread takes its flag back with the lock in hand: until we let go of it,
        // the request goes on.
        let marked = interruption.compare_exchange(
            open,
            open | INTERRUPTED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        // SAFETY: S3: attached to the interpreter that the thread runs in.
        marked.is_ok()
            && unsafe { ffi::PyThreadState_SetAsyncExc(thread.cast_signed(), exception.raw()) } == 1
    })
}

/// The request is over: an exception that is still on its way must not reach the
/// next one.
pub(crate) fn forget(py: Attached<'_>, interruption: &AtomicU64) {
    let _attached = py;
    if interruption.fetch_or(OVER, Ordering::AcqRel) & INTERRUPTED != 0 {
        // SAFETY: S3: takes back what was meant for this thread.
        unsafe {
            let thread = ffi::PyThread_get_thread_ident();
            ffi::PyThreadState_SetAsyncExc(thread.cast_signed(), std::ptr::null_mut());
        }
    }
}

/// Whether the exception that is set is a `RequestTimeout`.
pub(crate) fn is_set(world: &World) -> bool {
    // SAFETY: S3: attached, with an exception set, and a class that is kept.
    unsafe { ffi::PyErr_ExceptionMatches(world.own.request_timeout.raw()) != 0 }
}

/// Answers 504, if it is not too late for that.
pub(crate) fn answer(response: &Response) -> Outcome {
    if response.begun {
        current::log(
            level::INFO,
            b"Request interrupted by RequestTimeout after headers sent; response truncated.",
        );
        return BROKEN_OFF;
    }
    current::log(level::INFO, b"Request interrupted by RequestTimeout; thread recovered.");
    if let Some(host) = current::host() {
        // SAFETY: the host's own function; whether the client is there is nobody's
        // business any more.
        unsafe {
            (host.start)(response.exchange, 504, Text::new(b"504 Gateway Timeout"), List::new(&[]))
        };
    }
    DONE
}

/// Logs what threads of that interpreter are doing: the one with that Python
/// number, or, for 0, all.
pub fn log_stacks(group: &[u8], thread: u64) {
    let Some(world) = world_of(group) else { return };
    if thread == 0 {
        let (shown, process) = (world.shown(), &world.process);
        let text =
            format!("Dumping stack trace for active Python threads of {shown} in {process}.");
        current::log(level::INFO, text.as_bytes());
    }
    world.interpreter.attach(|py| {
        let log = || -> cpython::Result<()> {
            let only = Object::integer(py, thread.cast_signed())?;
            let lines = world.own.stacks.get(py)?.call(&[&only])?.iterator()?;
            while let Some(line) = lines.next()? {
                current::log(level::INFO, bytes_of(&line).unwrap_or_default());
            }
            Ok(())
        };
        log().unwrap_or_else(|Raised| exception::print(py));
    });
}

/// Takes the main interpreter's lock, and gives it back.
pub fn take_lock() {
    Interpreter::main().attach(|_| ());
}
