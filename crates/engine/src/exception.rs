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
    let mut log = || -> Result<()> {
        let [kind, value, trace] = held.parts(py)?;
        let script = String::from_utf8_lossy(script);
        let place = world.place();
        // SAFETY: S3: both are live.
        let exits = unsafe { ffi::PyErr_GivenExceptionMatches(kind.raw(), ffi::PyExc_SystemExit) };
        let name = kind.attribute(c"__name__")?;
        let name = utf8_of(&name)?;
        let shown = current::shown();
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
        world.own.log_exception.get(py)?.call(&[&kind, &value, &trace]).map(drop)
    };
    if let Err(Raised) = log() {
        print(py);
    }
}

/// Logs the exception that is set, where our own means are not there or fail.
pub(crate) fn print(py: Attached<'_>) {
    // SAFETY: S3: attached, with an exception set; a borrowed reference. Without that
    // stream Python would dump objects by its own means, which wait for the main
    // interpreter's lock for ever when a sub-interpreter's thread asks.
    unsafe {
        let stream = ffi::PySys_GetObject(c"stderr".as_ptr());
        if !stream.is_null() && stream != ffi::Py_None() {
            return ffi::PyErr_Print();
        }
    }
    let kind = || -> Result<String> {
        let [kind, ..] = Held::take().parts(py)?;
        let name = kind.attribute(c"__name__")?;
        utf8_of(&name).map(str::to_owned)
    };
    let kind = kind();
    clear(py);
    let text = format!(
        "{} exception that cannot be shown: there is no sys.stderr",
        kind.unwrap_or_default()
    );
    current::log(level::ERROR, text.as_bytes());
}
