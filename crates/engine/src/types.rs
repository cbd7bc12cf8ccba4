//! The types of our objects in an interpreter, and the guard around every
//! function that Python calls.

use std::ffi::{CStr, CString, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cpython::{Attached, Object, Raised, Result, ffi};

use crate::world::Kept;
use crate::{adapter, input, tls};

/// Types of one interpreter.
pub(crate) struct Types {
    pub(crate) input: Kept,
    pub(crate) response: Kept,
    pub(crate) connection: Kept,
}

impl Types {
    pub(crate) fn new(py: Attached<'_>) -> Result<Self> {
        Ok(Self {
            input: Kept::new(input::make_type(py)?),
            response: Kept::new(adapter::make_type(py)?),
            connection: Kept::new(tls::make_type(py)?),
        })
    }
}

/// An object of ours: Python's head, and a pointer to what is behind it. The
/// pointer is cleared when the request ends; the object may live on.
#[repr(C)]
pub(crate) struct Handle {
    head: ffi::PyObject,
    behind: *mut c_void,
    /// Whether a method uses what is behind: it may let go of Python's lock, or run
    /// code that calls a method again.
    in_use: AtomicBool,
}

/// What is behind a handle, for one method's call.
pub(crate) struct Behind<'a, T> {
    handle: *mut Handle,
    value: &'a mut T,
}

impl Handle {
    /// A new object of that type with `behind` behind it.
    pub(crate) fn make<'py, T>(
        py: Attached<'py>,
        kind: &Kept,
        behind: *mut T,
    ) -> Result<Object<'py>> {
        let kind = kind.raw().cast::<ffi::PyTypeObject>();
        // SAFETY: S3: a heap type of ours, whose objects are handles.
        let object = unsafe { Object::from_new(py, ffi::PyType_GenericAlloc(kind, 0)) }?;
        // SAFETY: as above; the rest is zero.
        unsafe { (*object.raw().cast::<Self>()).behind = behind.cast() };
        Ok(object)
    }

    /// Clears the pointer, when no other thread uses it any more.
    pub(crate) fn expire(py: Attached<'_>, object: &Object<'_>) {
        let handle = object.raw().cast::<Self>();
        // SAFETY: S3: only called with handles.
        while unsafe { (*handle).in_use.load(Ordering::Relaxed) } {
            py.detached(|| std::thread::sleep(Duration::from_millis(1)));
        }
        // SAFETY: as above.
        unsafe { (*handle).behind = std::ptr::null_mut() };
    }

    /// What is behind an object, while its request runs: for one user at a time.
    ///
    /// # Safety
    /// `object` must be a handle with a `T` behind it.
    pub(crate) unsafe fn behind<'a, T>(
        object: *mut ffi::PyObject,
        expired: &str,
    ) -> Result<Behind<'a, T>> {
        let handle = object.cast::<Self>();
        // SAFETY: S3: by our caller.
        let (value, in_use) = unsafe { ((*handle).behind.cast::<T>().as_mut(), &(*handle).in_use) };
        let value = value.ok_or_else(|| raise(Kind::Runtime, expired))?;
        if in_use.swap(true, Ordering::Relaxed) {
            return Err(raise(Kind::Runtime, "request object is in use by another call"));
        }
        Ok(Behind { handle, value })
    }
}

impl<T> Drop for Behind<'_, T> {
    fn drop(&mut self) {
        // SAFETY: S3: the object outlives the call of its method.
        unsafe { (*self.handle).in_use.store(false, Ordering::Relaxed) };
    }
}

impl<T> std::ops::Deref for Behind<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> std::ops::DerefMut for Behind<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value
    }
}

/// Makes a heap type of handles. The method table must live for good.
pub(crate) fn make_handle_type<'py>(
    py: Attached<'py>,
    name: &'static CStr,
    slots: &[(c_int, *mut c_void)],
) -> Result<Object<'py>> {
    let mut table: Vec<ffi::PyType_Slot> =
        slots.iter().map(|&(slot, pfunc)| ffi::PyType_Slot { slot, pfunc }).collect();
    table.push(ffi::PyType_Slot { slot: 0, pfunc: std::ptr::null_mut() });
    let mut spec = ffi::PyType_Spec {
        name: name.as_ptr(),
        basicsize: c_int::try_from(size_of::<Handle>()).unwrap_or(0),
        itemsize: 0,
        flags: u32::try_from(ffi::Py_TPFLAGS_DEFAULT).unwrap_or(0),
        slots: table.as_mut_ptr(),
    };
    // SAFETY: S3: Python copies the spec and its slots; a new reference.
    unsafe { Object::from_new(py, ffi::PyType_FromSpec(&raw mut spec)) }
}

/// A method table that Python may read from any thread.
pub(crate) struct Methods<const COUNT: usize>(pub(crate) [ffi::PyMethodDef; COUNT]);

// SAFETY: never changed.
unsafe impl<const COUNT: usize> Sync for Methods<COUNT> {}

impl<const COUNT: usize> Methods<COUNT> {
    pub(crate) fn slot(&'static self) -> (c_int, *mut c_void) {
        (ffi::Py_tp_methods, self.0.as_ptr().cast_mut().cast())
    }
}

/// A function that Python calls with `self`, and an argument or a tuple of them.
pub(crate) type Function =
    unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

/// A line of a method table.
pub(crate) const fn method(
    name: &'static CStr,
    function: Function,
    flags: c_int,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: flags,
        ml_doc: std::ptr::null(),
    }
}

/// The end of a method table.
pub(crate) const LAST: ffi::PyMethodDef = ffi::PyMethodDef::zeroed();

/// Runs the body of a function that Python calls: a panic becomes a
/// `RuntimeError`, a raised exception the null that Python wants.
pub(crate) fn guarded(
    body: impl for<'py> FnOnce(Attached<'py>) -> Result<Object<'py>>,
) -> *mut ffi::PyObject {
    // SAFETY: S3: Python calls functions on an attached thread.
    let py = unsafe { Attached::assume() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(object)) => object.into_raw(),
        Ok(Err(Raised)) => std::ptr::null_mut(),
        Err(_) => {
            raise(Kind::Runtime, "mod_wsgi failed in itself; the error log has the reason");
            std::ptr::null_mut()
        }
    }
}

/// Exceptions that we raise.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Os,
    Runtime,
    Type,
    Value,
}

/// Raises.
pub(crate) fn raise(kind: Kind, text: &str) -> Raised {
    let text = CString::new(text.replace('\0', "\\x00")).unwrap_or_default();
    // SAFETY: S3: attached; exceptions that always live.
    unsafe {
        let kind = match kind {
            Kind::Os => ffi::PyExc_OSError,
            Kind::Runtime => ffi::PyExc_RuntimeError,
            Kind::Type => ffi::PyExc_TypeError,
            Kind::Value => ffi::PyExc_ValueError,
        };
        ffi::PyErr_SetString(kind, text.as_ptr());
    }
    Raised
}

/// `None`.
pub(crate) fn none(py: Attached<'_>) -> Result<Object<'_>> {
    // SAFETY: S3: an object that always lives.
    unsafe { Object::from_borrowed(py, ffi::Py_None()) }
}

/// The bytes of a bytes object, as long as it lives.
pub(crate) fn bytes_of<'a>(object: &'a Object<'_>) -> Option<&'a [u8]> {
    // SAFETY: S3: checked to be bytes, which never change.
    unsafe {
        if ffi::PyBytes_Check(object.raw()) == 0 {
            return None;
        }
        let start = ffi::PyBytes_AsString(object.raw()).cast::<u8>();
        let length = usize::try_from(ffi::PyBytes_Size(object.raw())).unwrap_or(0);
        Some(std::slice::from_raw_parts(start, length))
    }
}

/// A text as UTF-8.
pub(crate) fn utf8_of<'a>(object: &'a Object<'_>) -> Result<&'a str> {
    let mut length = 0;
    // SAFETY: S3: the text of the object, kept by it for as long as it lives; null
    // with an exception where it is none.
    unsafe {
        let start = ffi::PyUnicode_AsUTF8AndSize(object.raw(), &raw mut length).cast::<u8>();
        if start.is_null() {
            return Err(Raised);
        }
        let length = usize::try_from(length).unwrap_or(0);
        Ok(std::str::from_utf8_unchecked(std::slice::from_raw_parts(start, length)))
    }
}

/// The bytes of a text in latin-1, if it has such a form.
pub(crate) fn latin1_of(object: &Object<'_>) -> Result<Vec<u8>> {
    let py = object.py();
    // SAFETY: S3; a new reference.
    let bytes = unsafe { Object::from_new(py, ffi::PyUnicode_AsLatin1String(object.raw())) }?;
    Ok(bytes_of(&bytes).unwrap_or_default().to_vec())
}

/// Whether it is a text.
pub(crate) fn is_text(object: &Object<'_>) -> bool {
    // SAFETY: S3.
    unsafe { ffi::PyUnicode_Check(object.raw()) != 0 }
}
