//! The environ of one request (PEP 3333, RFC 3875): the interpreter's constants,
//! the host's variables, and what only this side can make.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cpython::{Attached, Object, Result, ffi};
use door::{Call, Variable};
use wsgi::key::Key;

use crate::template::{self, Values, Wanted};
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
    /// As in `door::Way`; 0 where no daemon process serves.
    pub(crate) queue_start: i64,
    /// See above.
    pub(crate) daemon_start: i64,
    pub(crate) connects: i64,
    pub(crate) restarts: i64,
}

/// Makes the environ.
pub(crate) fn make<'py>(
    py: Attached<'py>,
    world: &World,
    call: &Call<'_>,
) -> Result<(Object<'py>, Facts<'py>)> {
    let mut values = values_of(call.environ.items());
    values[Key::CallableObject as usize] = Some(call.callable.bytes());
    let wanted = Wanted { values: &values, variables: call.environ.items() };
    let environ = world.templates.environ(py, world, &wanted)?;
    let facts = Facts {
        request_id: environ.item(&world.known(py, Key::RequestId)?)?,
        thread_id: thread_id(),
        request_start: call.begun,
        application_start: now(),
        queue_start: call.way.map_or(0, |way| way.queue_start),
        daemon_start: call.way.map_or(0, |way| way.daemon_start),
        connects: call.way.map_or(0, |way| way.connects.into()),
        restarts: call.way.map_or(0, |way| way.restarts.into()),
    };
    let scheme = if call.https { &world.own.https } else { &world.own.http };
    let items = [
        (Key::WsgiUrlScheme, scheme.get(py)?),
        (Key::ThreadId, Object::integer(py, facts.thread_id)?),
        (Key::RequestStart, Object::float(py, seconds(facts.request_start))?),
        (Key::ApplicationStart, Object::float(py, seconds(facts.application_start))?),
    ];
    for (key, value) in &items {
        environ.set_item(&world.known(py, *key)?, value)?;
    }
    if call.way.is_some() {
        for (key, time) in
            [(Key::QueueStart, facts.queue_start), (Key::DaemonStart, facts.daemon_start)]
        {
            environ.set_item(&world.known(py, key)?, &Object::float(py, seconds(time))?)?;
        }
    }
    if !call.apache_request.is_null() {
        // SAFETY: S3: nothing is freed with the capsule, which outlives its request
        // only by the application's own fault.
        let capsule = unsafe {
            Object::from_new(py, ffi::PyCapsule_New(call.apache_request, std::ptr::null(), None))
        }?;
        environ.set_item(&world.known(py, Key::ApacheRequest)?, &capsule)?;
    }
    Ok((environ, facts))
}

/// An environ with these variables alone.
pub(crate) fn of_variables<'py>(
    py: Attached<'py>,
    world: &World,
    variables: &[Variable<'_>],
) -> Result<Object<'py>> {
    let environ = Object::dictionary(py)?;
    let wanted = Wanted { values: &values_of(variables), variables };
    template::add(py, world, &environ, &wanted)?;
    Ok(environ)
}

/// Values of numbered keys; of several the last one counts.
fn values_of<'a>(variables: &'a [Variable<'a>]) -> Values<'a> {
    let mut values = [None; Key::COUNT];
    for variable in variables {
        if let Some(value) = values.get_mut(usize::from(variable.key)) {
            *value = Some(variable.value.bytes());
        }
    }
    values
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
