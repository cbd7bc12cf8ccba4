//! Exceptions that nobody caught: put aside while other code runs, and logged.

use cpython::{Attached, Object, Raised, Result, ffi};

use crate::current::{self, level};
use crate::types::{none, utf8_of};
use crate::world::World;

/// An exception put aside. It is dropped unless it is put back.
pub(crate) struct Held([*mut ffi::PyObject; 3]);

impl Held {
    /// Takes the exception that is set, if there is one.
    pub(crate) fn take() -> Self {
        let mut parts = [std::ptr::null_mut(); 3];
        let [kind, value, trace] = &mut parts;
        // SAFETY: S3: attached; three places, each then ours.
        unsafe { ffi::PyErr_Fetch(&raw mut *kind, &raw mut *value, &raw mut *trace) };
        Self(parts)
    }

    /// Kind, value as an instance of it, and traceback; `None` for what is not
    /// there.
    pub(crate) fn parts<'py>(&mut self, py: Attached<'py>) -> Result<[Object<'py>; 3]> {
        let [kind, value, trace] = &mut self.0;
        // SAFETY: S3: three places that we own.
        unsafe {
            ffi::PyErr_NormalizeException(&raw mut *kind, &raw mut *value, &raw mut *trace);
        }
        let part = |part: *mut ffi::PyObject| match part.is_null() {
            true => none(py),
            // SAFETY: S3: ours.
            false => unsafe { Object::from_borrowed(py, part) },
        };
        let [kind, value, trace] = self.0;
        Ok([part(kind)?, part(value)?, part(trace)?])
    }

    /// Sets it again.
    pub(crate) fn put_back(mut self) {
        let [kind, value, trace] = std::mem::replace(&mut self.0, [std::ptr::null_mut(); 3]);
        // SAFETY: S3: gives back what `take` took.
        unsafe { ffi::PyErr_Restore(kind, value, trace) };
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        for part in self.0 {
            // SAFETY: S3: the references that were taken; null is allowed.
            unsafe { ffi::Py_XDECREF(part) };
        }
    }
}

/// Clears the exception that is set: what failed was nobody's business.
pub(crate) fn clear(py: Attached<'_>) {
    let _attached = py;
    // SAFETY: S3: attached.
    unsafe { ffi::PyErr_Clear() };
}

/// Logs the exception that a script did not catch, and clears it.
pub(crate) fn log(py: Attached<'_>, world: &World, script: &[u8]) {
    let mut held = Held::take();
    let Ok([kind, value, trace]) = held.parts(py) else { return clear(py) };
    let script = String::from_utf8_lossy(script);
    let (shown, place, name) = (current::shown(), world.place(), name_of(py, &kind));
    // SAFETY: S3: both are live.
    let exits = unsafe { ffi::PyErr_GivenExceptionMatches(kind.raw(), ffi::PyExc_SystemExit) };
    let header = if exits == 1 {
        format!(
            "WSGI0175: {shown}{name} exception raised by WSGI script '{script}' for {place}; ignored."
        )
    } else {
        format!(
            "WSGI0174: {shown}{name} exception raised processing WSGI script '{script}' for {place}."
        )
    };
    current::log(level::ERROR, header.as_bytes());
    log_parts(py, &kind, &value, &trace);
}

/// Logs the exception that is set, and clears it.
pub(crate) fn print(py: Attached<'_>) {
    match Held::take().parts(py) {
        Ok([kind, value, trace]) => log_parts(py, &kind, &value, &trace),
        Err(Raised) => clear(py),
    }
}

/// Logs an exception with its traceback, a record a line. That uses nothing which an
/// application can take away from us, no stream least of all: where there is none,
/// Python dumps objects by means that wait for the main interpreter's lock for ever
/// in a thread that holds that of a sub-interpreter.
pub(crate) fn log_parts(
    py: Attached<'_>,
    kind: &Object<'_>,
    value: &Object<'_>,
    trace: &Object<'_>,
) {
    let lines = || -> Result<()> {
        // SAFETY: S3; a new reference.
        let traceback =
            unsafe { Object::from_new(py, ffi::PyImport_ImportModule(c"traceback".as_ptr())) }?;
        let parts = traceback.attribute(c"format_exception")?.call(&[kind, value, trace])?;
        let parts = parts.iterator()?;
        while let Some(part) = parts.next()? {
            for line in utf8_of(&part)?.trim_end_matches('\n').split('\n') {
                current::log(level::ERROR, line.as_bytes());
            }
        }
        Ok(())
    };
    if lines().is_err() {
        clear(py);
        let text = format!("{} exception that cannot be shown", name_of(py, kind));
        current::log(level::ERROR, text.as_bytes());
    }
}

/// Name of an exception's class.
fn name_of(py: Attached<'_>, kind: &Object<'_>) -> String {
    let name = kind.attribute(c"__name__").and_then(|name| utf8_of(&name).map(str::to_owned));
    name.unwrap_or_else(|Raised| {
        clear(py);
        "Exception".to_owned()
    })
}
