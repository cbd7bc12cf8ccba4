//! What the application answers with: its call, the blocks that it yields, a file.

use std::ffi::c_int;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd as _;

use cpython::{Attached, Object, Result, ffi};

use crate::adapter::start_response_of;
use crate::exception::{Held, clear};
use crate::response::Response;
use crate::types::{Behind, Handle, Kind, bytes_of, raise};
use crate::world::World;

/// Calls the application and sends what it yields.
pub(crate) fn call_application(
    py: Attached<'_>,
    world: &World,
    application: &Object<'_>,
    environ: &Object<'_>,
    adapter: &Object<'_>,
) -> Result<()> {
    let start_response = start_response_of(adapter)?;
    let iterable = application.call(&[environ, &start_response])?;
    if let Some(block) = only_item(py, &iterable)? {
        // No code of the application's runs after it: these have no `close`.
        check(&block)?;
        return behind(adapter)?.send_last(py, &block);
    }
    let sent = send_all(py, world, &iterable, adapter);
    let held = Held::take();
    // Always, also after errors (PEP 3333).
    let closed = close(py, world, &iterable);
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

/// The one item of a list or tuple of Python's own.
fn only_item<'py>(py: Attached<'py>, iterable: &Object<'py>) -> Result<Option<Object<'py>>> {
    let object = iterable.raw();
    // SAFETY: S3: borrowed items of what is checked to be such.
    let item = unsafe {
        if ffi::PyList_CheckExact(object) != 0 && ffi::PyList_GET_SIZE(object) == 1 {
            ffi::PyList_GET_ITEM(object, 0)
        } else if ffi::PyTuple_CheckExact(object) != 0 && ffi::PyTuple_GET_SIZE(object) == 1 {
            ffi::PyTuple_GET_ITEM(object, 0)
        } else {
            return Ok(None);
        }
    };
    // SAFETY: as above.
    unsafe { Object::from_borrowed(py, item) }.map(Some)
}

fn close(py: Attached<'_>, world: &World, iterable: &Object<'_>) -> Result<()> {
    match iterable.attribute_if_any(&world.own.close.get(py)?)? {
        Some(close) => close.call(&[]).map(drop),
        None => Ok(()),
    }
}

/// The response behind an adapter.
fn behind<'a>(adapter: &Object<'_>) -> Result<Behind<'a, Response>> {
    // SAFETY: an adapter of ours whose request runs.
    unsafe { Handle::behind(adapter.raw(), "write() called after request completed") }
}

/// Blocks are bytes (PEP 3333).
fn check(block: &Object<'_>) -> Result<()> {
    match bytes_of(block) {
        Some(_) => Ok(()),
        None => {
            let text = format!("response iterable must yield bytes, not {}", block.type_name());
            Err(raise(Kind::Type, &text))
        }
    }
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
        check(&item)?;
        let mut response = behind(adapter)?;
        response.send(py, bytes_of(&item).unwrap_or_default())?;
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
    if !iterable.is_instance(&world.own.file_wrapper.get(py)?)? || behind(adapter)?.begun {
        return Ok(false);
    }
    let Some((descriptor, start)) = position(&iterable.attribute(c"filelike")?) else {
        // What it lacks only closes the fast path.
        clear(py);
        return Ok(false);
    };
    // SAFETY: open as long as the file object, whose it stays.
    let mut file = ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
    let Some(metadata) = file.metadata().ok().filter(std::fs::Metadata::is_file) else {
        return Ok(false);
    };
    let rest = i64::try_from(metadata.len()).unwrap_or(i64::MAX).saturating_sub(start).max(0);
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
