//! The environ of one request (PEP 3333, RFC 3875): the template's constants,
//! the host's variables, and what only this side can make.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cpython::{Attached, Object, Result, ffi};
use door::Call;

use crate::world::World;

static THREADS: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static THREAD: Cell<i64> = const { Cell::new(0) };
}

/// Makes the environ.
pub(crate) fn make<'py>(py: Attached<'py>, world: &World, call: &Call<'_>) -> Result<Object<'py>> {
    let environ = world.new_environ(py)?;
    for pair in call.environ.items() {
        let name = pair.name.bytes();
        let key = world.key(py, name)?;
        // What a configuration sets must not take the place of ours.
        // SAFETY: S3: a dictionary, and a key of text.
        if is_ours(name) && unsafe { ffi::PyDict_Contains(environ.raw(), key.raw()) } == 1 {
            continue;
        }
        let value = match name {
            b"DOCUMENT_ROOT" | b"SCRIPT_FILENAME" => Object::path(py, pair.value.bytes())?,
            _ => Object::latin1(py, pair.value.bytes())?,
        };
        environ.set_item(&key, &value)?;
    }
    let scheme: &[u8] = if call.https { b"https" } else { b"http" };
    let items = [
        ("wsgi.url_scheme", Object::latin1(py, scheme)?),
        ("mod_wsgi.callable_object", Object::latin1(py, call.callable.bytes())?),
        ("mod_wsgi.thread_id", Object::integer(py, thread_id())?),
        ("mod_wsgi.request_start", Object::float(py, seconds(call.begun))?),
        ("mod_wsgi.application_start", Object::float(py, seconds(now()))?),
    ];
    for (name, value) in &items {
        environ.set_item(&world.key(py, name.as_bytes())?, value)?;
    }
    Ok(environ)
}

/// Whether a name belongs to the gateway.
fn is_ours(name: &[u8]) -> bool {
    [&b"wsgi."[..], b"mod_wsgi.", b"apache."].iter().any(|start| name.starts_with(start))
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact until the year 2255")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Microseconds since 1970.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Number of this thread, from 1.
fn thread_id() -> i64 {
    if THREAD.get() == 0 {
        THREAD.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
    }
    THREAD.get()
}
