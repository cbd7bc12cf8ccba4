//! Bytes objects that are filled before anybody sees them.

use std::mem::MaybeUninit;

use pyo3_ffi as ffi;

use crate::interpreter::Attached;
use crate::object::{Object, Raised, Result};

unsafe extern "C" {
    /// Part of the stable interface; `pyo3-ffi` keeps it to itself.
    fn _PyBytes_Resize(bytes: *mut *mut ffi::PyObject, length: ffi::Py_ssize_t) -> std::ffi::c_int;
}

/// A bytes object that nobody has seen yet, so that it can grow, and be written to
/// by a thread that is not attached.
pub struct GrowingBytes {
    object: *mut ffi::PyObject,
    length: usize,
    capacity: usize,
}

impl GrowingBytes {
    /// One with room for so many bytes.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn new(py: Attached<'_>, capacity: usize) -> Result<Self> {
        let _attached = py;
        // SAFETY: S3; a new reference.
        let object =
            unsafe { ffi::PyBytes_FromStringAndSize(std::ptr::null(), capacity.cast_signed()) };
        if object.is_null() { Err(Raised) } else { Ok(Self { object, length: 0, capacity }) }
    }

    /// Bytes so far.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Adds bytes as far as there is room for them.
    pub fn extend(&mut self, bytes: &[u8]) {
        let mut count = 0;
        for (place, byte) in self.spare().iter_mut().zip(bytes) {
            place.write(*byte);
            count += 1;
        }
        self.length += count;
    }

    /// Room for more: twice as much as before when it is full, but not for more than
    /// `most` bytes in all.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn room(&mut self, py: Attached<'_>, most: usize) -> Result<&mut [MaybeUninit<u8>]> {
        if self.length == self.capacity {
            self.resize(py, self.capacity.saturating_mul(2).max(SMALLEST).min(most))?;
        }
        Ok(self.spare())
    }

    /// Counts bytes that were written to the room.
    ///
    /// # Safety
    /// So many must have been.
    pub unsafe fn add(&mut self, count: usize) {
        self.length += count;
    }

    /// The object.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn finish(mut self, py: Attached<'_>) -> Result<Object<'_>> {
        if self.length < self.capacity {
            self.resize(py, self.length)?;
        }
        let object = std::mem::replace(&mut self.object, std::ptr::null_mut());
        // SAFETY: our reference.
        unsafe { Object::from_new(py, object) }
    }

    fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: S3: the object's own bytes, which nobody else knows of.
        unsafe {
            let start = ffi::PyBytes_AsString(self.object).cast::<MaybeUninit<u8>>();
            std::slice::from_raw_parts_mut(start.add(self.length), self.capacity - self.length)
        }
    }

    fn resize(&mut self, py: Attached<'_>, capacity: usize) -> Result<()> {
        let _attached = py;
        // SAFETY: S3: an object with one reference. When it fails, an exception is set,
        // the object is gone, and null stands in its place.
        match unsafe { _PyBytes_Resize(&raw mut self.object, capacity.cast_signed()) } {
            0 => {
                self.capacity = capacity;
                Ok(())
            }
            _ => Err(Raised),
        }
    }
}

impl Drop for GrowingBytes {
    fn drop(&mut self) {
        // SAFETY: S3: our reference, or null; the thread is attached.
        unsafe { ffi::Py_XDECREF(self.object) };
    }
}

const SMALLEST: usize = 8 * 1024;
