//! One request from the application's call to the end of its answer.

use std::ffi::c_int;
use std::fs::File;
use std::io::{Seek as _, SeekFrom};

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{BROKEN_OFF, Call, DONE, FAILED, NO_CALLABLE, Outcome};

use crate::current::{self, level};
use crate::input::{Input, Traffic};
use crate::response::Response;
use crate::types::{Handle, Kind, bytes_of, raise};
use crate::world::World;
use crate::{environ, script};

/// Loads a script before any request asks for it.
pub fn load(path: &[u8], time: i64, group: &[u8]) {
    let name = String::from_utf8_lossy(group);
    if let Some(world) = World::find(&name) {
        world.interpreter.attach(|py| drop(script::module(py, &world, path, time, false)));
    }
}

/// Answers a request.
pub fn handle(call: &Call<'_>) -> Outcome {
    let name = String::from_utf8_lossy(call.application_group.bytes());
    current::with_exchange(call.exchange, || match World::find(&name) {
        Some(world) => world.interpreter.attach(|py| serve(py, &world, call)),
        None => FAILED,
    })
}

fn serve(py: Attached<'_>, world: &World, call: &Call<'_>) -> Outcome {
    let path = call.script.bytes();
    let Some(module) = script::module(py, world, path, call.script_time, call.reloading) else {
        return FAILED;
    };
    let Some(application) = callable(py, &module, call) else { return NO_CALLABLE };
    let mut input = Input::new(call.exchange, call.has_body);
    let mut response = Response::new(call.exchange);
    let answered = current::with_script(path, || {
        answer(py, world, call, &application, &mut input, &mut response)
    });
    match answered {
        Ok(()) => DONE,
        Err(Raised) => {
            let begun = response.begun;
            let text = String::from_utf8_lossy(path).into_owned();
            log_uncaught(py, world, &text);
            if begun { BROKEN_OFF } else { FAILED }
        }
    }
}

/// The application in its module.
fn callable<'py>(py: Attached<'py>, module: &Object<'py>, call: &Call<'_>) -> Option<Object<'py>> {
    let name = call.callable.bytes();
    let key = Object::latin1(py, name).ok()?;
    // SAFETY: S3; a new reference.
    let found = unsafe { Object::from_new(py, ffi::PyObject_GetAttr(module.raw(), key.raw())) };
    if found.is_err() {
        // SAFETY: S3: attached; the exception is that there is none.
        unsafe { ffi::PyErr_Clear() };
        let text = format!(
            "WSGI0089: target WSGI script '{}' does not contain WSGI application '{}'",
            String::from_utf8_lossy(call.script.bytes()),
            String::from_utf8_lossy(name)
        );
        current::log(level::ERROR, text.as_bytes());
    }
    found.ok()
}

/// Calls the application and sends what it yields. Objects that outlive the
/// request find nothing behind them.
fn answer(
    py: Attached<'_>,
    world: &World,
    call: &Call<'_>,
    application: &Object<'_>,
    input: &mut Input,
    response: &mut Response,
) -> Result<()> {
    let environ = environ::make(py, world, call)?;
    let module = world.module(py)?;
    let errors = world.take_errors(py)?;
    environ.set_item(&world.key(py, b"wsgi.errors")?, &errors)?;
    let body = Handle::make(py, &world.types.input, std::ptr::from_mut(input))?;
    environ.set_item(&world.key(py, b"wsgi.input")?, &body)?;
    let request_id = item(py, world, &environ, b"mod_wsgi.request_id")?;
    let subscribed = world.own.has_subscribers();
    // Who subscribes while the request runs is told of its end.
    let facts = facts_of(py, world, &environ)?;
    response.tell(&module, &request_id);
    let adapter = Handle::make(py, &world.types.response, std::ptr::from_mut(response))?;
    let running = Running::begin(py, world, &request_id)?;
    let replaced = if subscribed {
        Some(module.attribute(c"_request_begins")?.call(&[&environ, application])?)
    } else {
        None
    };
    let application = replaced.as_ref().unwrap_or(application);
    let result = call_application(py, world, application, &environ, &adapter);
    if result.is_err() && world.own.has_subscribers() {
        tell_of_exception(py, &module, &request_id);
    }
    Handle::expire(&body);
    Handle::expire(&adapter);
    let held = Held::take();
    let ended = end(py, world, facts, input, response);
    running.end();
    drop(environ);
    let expired = ended.and_then(|()| world.give_errors_back(py, errors));
    if expired.is_err() {
        // SAFETY: S3: attached; a log that cannot be flushed is nobody's failure.
        unsafe { ffi::PyErr_Clear() };
    }
    held.put_back();
    result
}

/// An item of the environ.
fn item<'py>(
    py: Attached<'py>,
    world: &World,
    environ: &Object<'py>,
    name: &[u8],
) -> Result<Object<'py>> {
    let key = world.key(py, name)?;
    // SAFETY: S3; a new reference.
    unsafe { Object::from_new(py, ffi::PyObject_GetItem(environ.raw(), key.raw())) }
}

/// A request in the lists of those that run.
struct Running<'a, 'py> {
    world: &'a World,
    request_id: &'a Object<'py>,
    thread: Object<'py>,
}

impl<'a, 'py> Running<'a, 'py> {
    fn begin(py: Attached<'py>, world: &'a World, request_id: &'a Object<'py>) -> Result<Self> {
        // SAFETY: S3; a new reference.
        let data = unsafe { Object::from_new(py, ffi::PyDict_New()) }?;
        // SAFETY: the number that `threading.get_ident` gives this thread.
        let thread = unsafe { ffi::PyThread_get_thread_ident() };
        let thread = Object::integer(py, thread.cast_signed())?;
        world.own.active_requests.get(py)?.set_item(request_id, &data)?;
        world.own.by_thread.get(py)?.set_item(&thread, &data)?;
        Ok(Self { world, request_id, thread })
    }

    fn end(self) {
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

/// What events at the end of a request tell of it, as it was at its start: the
/// application may have changed the environ since.
fn facts_of<'py>(
    py: Attached<'py>,
    world: &World,
    environ: &Object<'py>,
) -> Result<Vec<Object<'py>>> {
    FACTS.iter().map(|name| item(py, world, environ, name)).collect()
}

const FACTS: [&[u8]; 5] = [
    b"mod_wsgi.request_id",
    b"mod_wsgi.thread_id",
    b"mod_wsgi.server_pid",
    b"mod_wsgi.request_start",
    b"mod_wsgi.application_start",
];

/// Tells subscribers of the exception that is set, and leaves it so.
fn tell_of_exception(py: Attached<'_>, module: &Object<'_>, request_id: &Object<'_>) {
    let mut held = Held::take();
    held.normalise();
    let told = || -> Result<()> {
        let none = crate::types::none(py)?;
        let part = |part: *mut ffi::PyObject| {
            let part = if part.is_null() { none.raw() } else { part };
            // SAFETY: S3: held until it is put back.
            unsafe { Object::from_borrowed(py, part) }
        };
        let [kind, value, trace] = held.0;
        let (kind, value, trace) = (part(kind)?, part(value)?, part(trace)?);
        let tell = module.attribute(c"_request_fails")?;
        tell.call(&[request_id, &kind, &value, &trace]).map(drop)
    };
    if told().is_err() {
        // SAFETY: S3: attached; the application's exception is the one to tell.
        unsafe { ffi::PyErr_Clear() };
    }
    held.put_back();
}

/// The request is over: subscribers are told.
fn end<'py>(
    py: Attached<'py>,
    world: &World,
    facts: Vec<Object<'py>>,
    input: &Input,
    response: &Response,
) -> Result<()> {
    if !world.own.has_subscribers() {
        return Ok(());
    }
    let facts = Object::tuple(py, facts)?;
    let traffic = |traffic: Traffic| {
        Object::tuple(
            py,
            vec![
                Object::integer(py, traffic.count)?,
                Object::integer(py, traffic.bytes)?,
                Object::float(py, traffic.time.as_secs_f64())?,
            ],
        )
    };
    let status = Object::latin1(py, response.status().unwrap_or_default())?;
    let (read, written) = (traffic(input.traffic)?, traffic(response.traffic)?);
    let tell = world.module(py)?.attribute(c"_request_ends")?;
    tell.call(&[&facts, &status, &read, &written]).map(drop)
}

/// An exception put aside while other code runs.
struct Held([*mut ffi::PyObject; 3]);

impl Held {
    fn take() -> Self {
        let mut parts = [std::ptr::null_mut(); 3];
        let [kind, value, trace] = &mut parts;
        // SAFETY: S3: attached; three places, each then ours.
        unsafe { ffi::PyErr_Fetch(&raw mut *kind, &raw mut *value, &raw mut *trace) };
        Self(parts)
    }

    /// Makes its value an instance of its kind.
    fn normalise(&mut self) {
        let [kind, value, trace] = &mut self.0;
        // SAFETY: S3: three places that we own.
        unsafe {
            ffi::PyErr_NormalizeException(&raw mut *kind, &raw mut *value, &raw mut *trace);
        }
    }

    fn put_back(self) {
        let [kind, value, trace] = self.0;
        // SAFETY: S3: gives back what `take` took.
        unsafe { ffi::PyErr_Restore(kind, value, trace) };
    }
}

fn call_application(
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
        // SAFETY: S3: attached; the first exception is the one to tell.
        unsafe { ffi::PyErr_Clear() };
    }
    held.put_back();
    sent
}

fn close(py: Attached<'_>, iterable: &Object<'_>) -> Result<()> {
    let _attached = py;
    match iterable.attribute(c"close") {
        Ok(close) => close.call(&[]).map(drop),
        Err(Raised) => {
            // SAFETY: S3: attached; the exception is that there is none.
            unsafe { ffi::PyErr_Clear() };
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
    // SAFETY: S3; a new reference.
    let iterator = unsafe { Object::from_new(py, ffi::PyObject_GetIter(iterable.raw())) }?;
    loop {
        // SAFETY: S3; a new reference, or null with or without an exception.
        let item = unsafe { ffi::PyIter_Next(iterator.raw()) };
        if item.is_null() {
            // SAFETY: S3.
            if !unsafe { ffi::PyErr_Occurred() }.is_null() {
                return Err(Raised);
            }
            break;
        }
        // SAFETY: the reference from above.
        let item = unsafe { Object::from_new(py, item) }?;
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
        // SAFETY: S3: attached; what it lacks only closes the fast path.
        unsafe { ffi::PyErr_Clear() };
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
    use std::os::fd::BorrowedFd;
    // SAFETY: open as long as the file object, which the caller holds.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let file = File::from(descriptor.try_clone_to_owned().ok()?);
    let is_regular = file.metadata().is_ok_and(|metadata| metadata.is_file());
    is_regular.then_some(file)
}

/// Logs an exception that the application did not catch, and clears it.
fn log_uncaught(py: Attached<'_>, world: &World, script: &str) {
    // SAFETY: S3: attached, with an exception set.
    let exits = unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_SystemExit) } != 0;
    let header = if exits {
        format!("WSGI0175: SystemExit exception raised by WSGI script '{script}' ignored.")
    } else {
        let place = world.shown();
        format!("WSGI0174: Exception occurred processing WSGI script '{script}' in {place}.")
    };
    log_exception(py, world, &header);
}

/// Logs the exception that is set under a header line, and clears it.
pub(crate) fn log_exception(py: Attached<'_>, world: &World, header: &str) {
    // SAFETY: S3: attached, with an exception set; its parts are then ours.
    let parts = unsafe {
        let mut parts = [std::ptr::null_mut(); 3];
        let [kind, value, trace] = &mut parts;
        ffi::PyErr_Fetch(&raw mut *kind, &raw mut *value, &raw mut *trace);
        ffi::PyErr_NormalizeException(&raw mut *kind, &raw mut *value, &raw mut *trace);
        parts
    };
    let log = || -> Result<()> {
        let none = crate::types::none(py)?;
        let parts: Vec<Object<'_>> = parts
            .into_iter()
            .map(|part| {
                let part = if part.is_null() { none.raw() } else { part };
                // SAFETY: S3: parts of the exception; the fetched references are
                // given back below.
                unsafe { Object::from_borrowed(py, part) }
            })
            .collect::<Result<_>>()?;
        let [kind, value, trace] = parts.as_slice() else { return Ok(()) };
        let header = Object::latin1(py, header.as_bytes())?;
        let function = world.module(py)?.attribute(c"_log_exception")?;
        function.call(&[&header, kind, value, trace]).map(drop)
    };
    if log().is_err() {
        crate::world::print_exception();
    }
    for part in parts {
        // SAFETY: S3: the references that were fetched; null is allowed.
        unsafe { ffi::Py_XDECREF(part) };
    }
}
