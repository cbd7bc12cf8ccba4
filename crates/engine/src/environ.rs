//! The environ of one request (PEP 3333, RFC 3875): the template's constants,
//! the host's variables, and what only this side can make.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cpython::{Attached, Object, Result, ffi};
use door::{Call, Pair};

use crate::world::World;

static THREADS: AtomicI64 = AtomicI64::new(0);

thread_local! {
    static THREAD: Cell<i64> = const { Cell::new(0) };
}

/// What is known of a request from its start: what events tell at its end, when
/// the application may have changed the environ.
pub(crate) struct Facts<'py> {
    pub(crate) request_id: Object<'py>,
    pub(crate) thread_id: i64,
    /// Microseconds since 1970.
    pub(crate) request_start: i64,
    pub(crate) application_start: i64,
}

/// Makes the environ.
pub(crate) fn make<'py>(
    py: Attached<'py>,
    world: &World,
    call: &Call<'_>,
) -> Result<(Object<'py>, Facts<'py>)> {
    let environ = world.new_environ(py)?;
    for pair in call.environ.items() {
        let name = pair.name.bytes();
        let key = world.key(py, name)?;
        // What a configuration sets must not take the place of ours.
        // SAFETY: S3: a dictionary, and a key of text.
        if is_ours(name) && unsafe { ffi::PyDict_Contains(environ.raw(), key.raw()) } == 1 {
            continue;
        }
        environ.set_item(&key, &value_of(py, pair)?)?;
    }
    let key = world.key(py, b"mod_wsgi.request_id")?;
    let facts = Facts {
        request_id: environ.item(&key)?,
        thread_id: thread_id(),
        request_start: call.begun,
        application_start: now(),
    };
    let scheme: &[u8] = if call.https { b"https" } else { b"http" };
    let items = [
        ("wsgi.url_scheme", Object::latin1(py, scheme)?),
        ("mod_wsgi.callable_object", Object::latin1(py, call.callable.bytes())?),
        ("mod_wsgi.thread_id", Object::integer(py, facts.thread_id)?),
        ("mod_wsgi.request_start", Object::float(py, seconds(facts.request_start))?),
        ("mod_wsgi.application_start", Object::float(py, seconds(facts.application_start))?),
    ];
    for (name, value) in &items {
        environ.set_item(&world.key(py, name.as_bytes())?, value)?;
    }
    if !call.apache_request.is_null() {
        // SAFETY: S3: nothing is freed with the capsule, which outlives its request
        // only by the application's own fault.
        let capsule = unsafe {
            Object::from_new(py, ffi::PyCapsule_New(call.apache_request, std::ptr::null(), None))
        }?;
        environ.set_item(&world.key(py, b"apache.request_rec")?, &capsule)?;
    }
    Ok((environ, facts))
}

/// An environ with these variables alone.
pub(crate) fn of_pairs<'py>(
    py: Attached<'py>,
    world: &World,
    pairs: &[Pair<'_>],
) -> Result<Object<'py>> {
    let environ = Object::dictionary(py)?;
    for pair in pairs {
        environ.set_item(&world.key(py, pair.name.bytes())?, &value_of(py, pair)?)?;
    }
    Ok(environ)
}

fn value_of<'py>(py: Attached<'py>, pair: &Pair<'_>) -> Result<Object<'py>> {
    match pair.name.bytes() {
        b"DOCUMENT_ROOT" | b"SCRIPT_FILENAME" => Object::path(py, pair.value.bytes()),
        _ => Object::latin1(py, pair.value.bytes()),
    }
}

/// Whether a name belongs to the gateway.
fn is_ours(name: &[u8]) -> bool {
    [&b"wsgi."[..], b"mod_wsgi.", b"apache."].iter().any(|start| name.starts_with(start))
}

/// Microseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "exact until the year 2255")]
pub(crate) fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

/// Microseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Number of this thread, from 1.
pub(crate) fn thread_id() -> i64 {
    if THREAD.get() == 0 {
        THREAD.set(THREADS.fetch_add(1, Ordering::Relaxed) + 1);
    }
    THREAD.get()
}

/// Threads that have served so far.
pub(crate) fn threads_started() -> i64 {
    THREADS.load(Ordering::Relaxed)
}
