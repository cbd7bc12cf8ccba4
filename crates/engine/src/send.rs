//! What the application answers with: its call, the blocks that it yields, a file.

use std::ffi::c_int;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::fd::BorrowedFd;

use cpython::{Attached, Object, Raised, Result, ffi};

use crate::exception::{Held, clear};
use crate::response::Response;
use crate::types::{Handle, Kind, bytes_of, raise};
use crate::world::World;

/// Calls the application and sends what it yields.
pub(crate) fn call_application(
    py: Attached<'_>,
    world: &World,
    application: &Object<'_>,
    environ: &Object<'_>,
    adapter: &Object<'_>,
) -> Result<()> {
    let start_response = adapter.attribute(c"start_response")?;
    let iterable = application.call(&[environ, &start_response])?;
    let sent = send_all(py, world, &iterable, adapter);
    let held = Held::take();
    // Always, also after errors (PEP 3333).
    let closed = close(py, &iterable);
    if sent.is_ok() {
        return closed;
    }
    if closed.is_err() {
        // The first exception is the one to tell.
        clear(py);
    }
    held.put_back();
    sent
}

fn close(py: Attached<'_>, iterable: &Object<'_>) -> Result<()> {
    match iterable.attribute(c"close") {
        Ok(close) => close.call(&[]).map(drop),
        Err(Raised) => {
            clear(py);
            Ok(())
        }
    }
}

/// The response behind an adapter.
fn behind<'a>(adapter: &Object<'_>) -> Result<&'a mut Response> {
    // SAFETY: an adapter of ours whose request runs.
    unsafe { Handle::behind::<Response>(adapter.raw()) }
        .ok_or_else(|| raise(Kind::Runtime, "write() called after request completed"))
}

fn send_all(
    py: Attached<'_>,
    world: &World,
    iterable: &Object<'_>,
    adapter: &Object<'_>,
) -> Result<()> {
    if send_as_file(py, world, iterable, adapter)? {
        return Ok(());
    }
    let iterator = iterable.iterator()?;
    while let Some(item) = iterator.next()? {
        let Some(block) = bytes_of(&item) else {
            let text = format!("response iterable must yield bytes, not {}", item.type_name());
            return Err(raise(Kind::Type, &text));
        };
        let response = behind(adapter)?;
        response.send(py, block)?;
        if response.gone {
            // The client has gone: nobody wants the rest.
            return Ok(());
        }
    }
    behind(adapter)?.finish()
}

/// The fast path of a file wrapper: a regular file whose position is known,
/// when nothing was sent before.
fn send_as_file(
    py: Attached<'_>,
    world: &World,
    iterable: &Object<'_>,
    adapter: &Object<'_>,
) -> Result<bool> {
    let wrapper = world.own.file_wrapper.get(py)?;
    // SAFETY: S3.
    let is_wrapper = match unsafe { ffi::PyObject_IsInstance(iterable.raw(), wrapper.raw()) } {
        -1 => return Err(Raised),
        answer => answer == 1,
    };
    if !is_wrapper || behind(adapter)?.begun {
        return Ok(false);
    }
    let Some((descriptor, start)) = position(&iterable.attribute(c"filelike")?) else {
        // What it lacks only closes the fast path.
        clear(py);
        return Ok(false);
    };
    let Some(mut file) = regular_file(descriptor) else { return Ok(false) };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let rest = i64::try_from(length).unwrap_or(i64::MAX).saturating_sub(start).max(0);
    let before = file.stream_position();
    behind(adapter)?.send_file(py, descriptor, start, rest)?;
    // The descriptor stands where the application left it.
    if let Ok(before) = before {
        let _unseekable = file.seek(SeekFrom::Start(before));
    }
    Ok(true)
}

/// Descriptor and position of a file object.
fn position(file: &Object<'_>) -> Option<(c_int, i64)> {
    // SAFETY: S3; -1 with an exception where there is none.
    let descriptor = unsafe { ffi::PyObject_AsFileDescriptor(file.raw()) };
    if descriptor < 0 {
        return None;
    }
    let start = file.attribute(c"tell").ok()?.call(&[]).ok()?;
    // SAFETY: S3; -1 with an exception where it is no number.
    let start = unsafe { ffi::PyLong_AsLongLong(start.raw()) };
    (start >= 0).then_some((descriptor, start))
}

/// A regular file, by a descriptor of its own that shares the position.
fn regular_file(descriptor: c_int) -> Option<File> {
    // SAFETY: open as long as the file object, which the caller holds.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let file = File::from(descriptor.try_clone_to_owned().ok()?);
    let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    is_regular.then_some(file)
}
