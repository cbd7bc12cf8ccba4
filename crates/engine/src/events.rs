//! What subscribers of events are told about a request (reference 4.4), and the
//! lists of the requests that run.

use cpython::{Attached, Object, Result, ffi};

use crate::environ::Facts;
use crate::exception::{Held, clear};
use crate::input::{Input, Traffic};
use crate::metrics::Used;
use crate::response::Response;
use crate::world::World;

/// A request in the lists of those that run.
pub(crate) struct Running<'a, 'py> {
    world: &'a World,
    request_id: &'a Object<'py>,
    thread: Object<'py>,
}

impl<'a, 'py> Running<'a, 'py> {
    pub(crate) fn begin(
        py: Attached<'py>,
        world: &'a World,
        request_id: &'a Object<'py>,
    ) -> Result<Self> {
        let data = Object::dictionary(py)?;
        // SAFETY: the number that `threading.get_ident` gives this thread.
        let thread = unsafe { ffi::PyThread_get_thread_ident() };
        let thread = Object::integer(py, thread.cast_signed())?;
        world.own.active_requests.get(py)?.set_item(request_id, &data)?;
        world.own.by_thread.get(py)?.set_item(&thread, &data)?;
        Ok(Self { world, request_id, thread })
    }

    pub(crate) fn end(self) {
        let own = &self.world.own;
        let lists = [(&own.active_requests, self.request_id), (&own.by_thread, &self.thread)];
        for (list, key) in lists {
            // SAFETY: S3: a dictionary of the module's own; an application may have
            // emptied it.
            unsafe {
                if ffi::PyDict_DelItem(list.raw(), key.raw()) == -1 {
                    ffi::PyErr_Clear();
                }
            }
        }
    }
}

/// Tells of a request's begin. Answers what is to be called in the application's
/// place, if a subscriber wants that.
pub(crate) fn begins<'py>(
    py: Attached<'py>,
    world: &World,
    environ: &Object<'py>,
    application: &Object<'py>,
    facts: &Facts<'_>,
) -> Result<Option<Object<'py>>> {
    if !world.own.has_subscribers() {
        return Ok(None);
    }
    let tell = world.own.request_begins.get(py)?;
    let connects = Object::integer(py, facts.connects)?;
    let restarts = Object::integer(py, facts.restarts)?;
    tell.call(&[environ, application, &connects, &restarts]).map(Some)
}

/// Tells of the exception that is set, and leaves it so.
pub(crate) fn fails(py: Attached<'_>, world: &World, request_id: &Object<'_>) {
    if !world.own.has_subscribers() {
        return;
    }
    let mut held = Held::take();
    let mut told = || -> Result<()> {
        let [kind, value, trace] = held.parts(py)?;
        let tell = world.own.request_fails.get(py)?;
        tell.call(&[request_id, &kind, &value, &trace]).map(drop)
    };
    if told().is_err() {
        // The application's exception is the one to tell.
        clear(py);
    }
    held.put_back();
}

/// Tells of a request's end.
pub(crate) fn ends(
    py: Attached<'_>,
    world: &World,
    facts: &Facts<'_>,
    input: &Input,
    response: &Response,
    used: Option<&Used>,
) -> Result<()> {
    if !world.own.has_subscribers() {
        return Ok(());
    }
    let whole = |number| Object::integer(py, number);
    let seconds = |micros| Object::float(py, crate::environ::seconds(micros));
    let facts = Object::tuple(
        py,
        vec![
            facts.request_id.again(),
            whole(facts.thread_id)?,
            seconds(facts.request_start)?,
            seconds(facts.application_start)?,
            seconds(facts.queue_start)?,
            seconds(facts.daemon_start)?,
        ],
    )?;
    let traffic = |traffic: Traffic| {
        let time = Object::float(py, traffic.time.as_secs_f64())?;
        Object::tuple(py, vec![whole(traffic.count)?, whole(traffic.bytes)?, time])
    };
    // Who subscribes while the request runs is told of no use of it.
    let used = used.copied().unwrap_or_default();
    let [user, system, waited] =
        [used.cpu.user, used.cpu.system, used.waits.total].map(|time| time.as_secs_f64());
    let used = Object::tuple(
        py,
        vec![
            Object::float(py, user)?,
            Object::float(py, system)?,
            Object::float(py, waited)?,
            whole(used.waits.count.into())?,
        ],
    )?;
    let status = Object::latin1(py, response.status().unwrap_or_default())?;
    let (read, written) = (traffic(input.traffic)?, traffic(response.traffic)?);
    let tell = world.own.request_ends.get(py)?;
    tell.call(&[&facts, &status, &read, &written, &used]).map(drop)
}
