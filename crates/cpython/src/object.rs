//! Objects that are owned: one reference each, given back on drop, by a thread
//! that is attached.

use std::ffi::CStr;
use std::ptr::NonNull;

use pyo3_ffi as ffi;

use crate::interpreter::Attached;

/// An exception is set on this thread.
#[derive(Debug)]
pub struct Raised;

/// Result of a call into Python.
pub type Result<T> = std::result::Result<T, Raised>;

/// An object with one reference of ours.
pub struct Object<'py> {
    raw: NonNull<ffi::PyObject>,
    py: Attached<'py>,
}

impl<'py> Object<'py> {
    /// Takes over a new reference; none means that an exception is set.
    ///
    /// # Safety
    /// `raw` must be null or a reference that is ours to give back (S3).
    ///
    /// # Errors
    /// When it is null.
    pub unsafe fn from_new(py: Attached<'py>, raw: *mut ffi::PyObject) -> Result<Self> {
        NonNull::new(raw).map(|raw| Self { raw, py }).ok_or(Raised)
    }

    /// Makes a reference of our own to an object of somebody else.
    ///
    /// # Safety
    /// `raw` must be null or a live object of this interpreter (S3).
    ///
    /// # Errors
    /// When it is null.
    pub unsafe fn from_borrowed(py: Attached<'py>, raw: *mut ffi::PyObject) -> Result<Self> {
        // SAFETY: S3, by our caller; null is allowed.
        unsafe { ffi::Py_XINCREF(raw) };
        // SAFETY: the reference made above.
        unsafe { Self::from_new(py, raw) }
    }

    /// The thread is attached as long as it lives.
    #[must_use]
    pub fn py(&self) -> Attached<'py> {
        self.py
    }

    /// The pointer, still ours.
    #[must_use]
    pub fn raw(&self) -> *mut ffi::PyObject {
        self.raw.as_ptr()
    }

    /// The pointer, now the caller's.
    #[must_use]
    pub fn into_raw(self) -> *mut ffi::PyObject {
        std::mem::ManuallyDrop::new(self).raw.as_ptr()
    }

    /// Text, one byte a character.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn latin1(py: Attached<'py>, bytes: &[u8]) -> Result<Self> {
        let length = bytes.len().cast_signed();
        // SAFETY: S3; Python copies that many bytes.
        let raw =
            unsafe { ffi::PyUnicode_DecodeLatin1(bytes.as_ptr().cast(), length, std::ptr::null()) };
        // SAFETY: a new reference.
        unsafe { Self::from_new(py, raw) }
    }

    /// A text that there is once in the interpreter: attributes of that name are found
    /// fastest by it.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn interned(py: Attached<'py>, text: &CStr) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(py, ffi::PyUnicode_InternFromString(text.as_ptr())) }
    }

    /// Text of the file system: what cannot be decoded survives (PEP 383).
    ///
    /// # Errors
    /// When memory runs out.
    pub fn path(py: Attached<'py>, bytes: &[u8]) -> Result<Self> {
        let length = bytes.len().cast_signed();
        // SAFETY: S3; Python copies that many bytes.
        let raw = unsafe { ffi::PyUnicode_DecodeFSDefaultAndSize(bytes.as_ptr().cast(), length) };
        // SAFETY: a new reference.
        unsafe { Self::from_new(py, raw) }
    }

    /// Bytes.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn bytes(py: Attached<'py>, bytes: &[u8]) -> Result<Self> {
        let length = bytes.len().cast_signed();
        // SAFETY: S3; Python copies that many bytes.
        let raw = unsafe { ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), length) };
        // SAFETY: a new reference.
        unsafe { Self::from_new(py, raw) }
    }

    /// A whole number.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn integer(py: Attached<'py>, number: i64) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(py, ffi::PyLong_FromLongLong(number)) }
    }

    /// A float.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn float(py: Attached<'py>, number: f64) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(py, ffi::PyFloat_FromDouble(number)) }
    }

    /// `True` or `False`.
    #[must_use]
    pub fn boolean(py: Attached<'py>, value: bool) -> Self {
        // SAFETY: S3; a new reference to one of two that always live.
        let raw = unsafe { ffi::PyBool_FromLong(value.into()) };
        // SAFETY: never null.
        Self { raw: unsafe { NonNull::new_unchecked(raw) }, py }
    }

    /// A tuple of objects.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn tuple(py: Attached<'py>, items: Vec<Self>) -> Result<Self> {
        // SAFETY: S3; a new reference.
        let tuple = unsafe { Self::from_new(py, ffi::PyTuple_New(items.len().cast_signed())) }?;
        for (index, item) in items.into_iter().enumerate() {
            // SAFETY: the tuple is new and takes the reference over.
            unsafe { ffi::PyTuple_SET_ITEM(tuple.raw(), index.cast_signed(), item.into_raw()) };
        }
        Ok(tuple)
    }

    /// An empty dictionary.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn dictionary(py: Attached<'py>) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(py, ffi::PyDict_New()) }
    }

    /// A list of objects.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn list(py: Attached<'py>, items: impl IntoIterator<Item = Result<Self>>) -> Result<Self> {
        // SAFETY: S3; a new reference.
        let list = unsafe { Self::from_new(py, ffi::PyList_New(0)) }?;
        for item in items {
            list.append(&item?)?;
        }
        Ok(list)
    }

    /// Appends to a list.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn append(&self, item: &Self) -> Result<()> {
        // SAFETY: S3; only used on lists, which take a reference of their own.
        done(unsafe { ffi::PyList_Append(self.raw(), item.raw()) })
    }

    /// One more reference to it.
    #[must_use]
    pub fn again(&self) -> Self {
        // SAFETY: S3: a live object.
        unsafe { ffi::Py_INCREF(self.raw()) };
        Self { raw: self.raw, py: self.py }
    }

    /// An attribute.
    ///
    /// # Errors
    /// When there is none.
    pub fn attribute(&self, name: &CStr) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(self.py, ffi::PyObject_GetAttrString(self.raw(), name.as_ptr())) }
    }

    /// An attribute whose name is an object.
    ///
    /// # Errors
    /// When there is none.
    pub fn attribute_of(&self, name: &Self) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(self.py, ffi::PyObject_GetAttr(self.raw(), name.raw())) }
    }

    /// An attribute that need not be there; no exception is made then.
    ///
    /// # Errors
    /// When looking for it fails.
    pub fn attribute_if_any(&self, name: &Self) -> Result<Option<Self>> {
        let mut found = std::ptr::null_mut();
        // SAFETY: S3; a place for a new reference.
        done(unsafe { optional_attribute(self.raw(), name.raw(), &raw mut found) })?;
        // SAFETY: the reference from above; null means that there is none.
        Ok(unsafe { Self::from_new(self.py, found) }.ok())
    }

    /// A name of a module, by way of its dictionary alone.
    ///
    /// # Errors
    /// When the name has no hash.
    pub fn name_in_module(&self, name: &Self) -> Result<Option<Self>> {
        // SAFETY: S3: only used on modules; both references are borrowed.
        unsafe {
            let names = ffi::PyModule_GetDict(self.raw());
            let found = ffi::PyDict_GetItemWithError(names, name.raw());
            if found.is_null() && !ffi::PyErr_Occurred().is_null() {
                return Err(Raised);
            }
            Ok(Self::from_borrowed(self.py, found).ok())
        }
    }

    /// An item.
    ///
    /// # Errors
    /// When there is none.
    pub fn item(&self, key: &Self) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(self.py, ffi::PyObject_GetItem(self.raw(), key.raw())) }
    }

    /// Sets an attribute.
    ///
    /// # Errors
    /// When it cannot be set.
    pub fn set_attribute(&self, name: &CStr, value: &Self) -> Result<()> {
        // SAFETY: S3.
        done(unsafe { ffi::PyObject_SetAttrString(self.raw(), name.as_ptr(), value.raw()) })
    }

    /// Sets an item of a dictionary.
    ///
    /// # Errors
    /// When memory runs out.
    pub fn set_item(&self, key: &Self, value: &Self) -> Result<()> {
        // SAFETY: S3; only used on dictionaries.
        done(unsafe { ffi::PyDict_SetItem(self.raw(), key.raw(), value.raw()) })
    }

    /// Calls it.
    ///
    /// # Errors
    /// When it raises.
    pub fn call(&self, arguments: &[&Self]) -> Result<Self> {
        let mut raw: Vec<*mut ffi::PyObject> = arguments.iter().map(|one| one.raw()).collect();
        // SAFETY: S3; the list holds that many live objects.
        let result = unsafe {
            ffi::PyObject_Vectorcall(self.raw(), raw.as_mut_ptr(), raw.len(), std::ptr::null_mut())
        };
        // SAFETY: a new reference.
        unsafe { Self::from_new(self.py, result) }
    }

    /// An iterator over it.
    ///
    /// # Errors
    /// When it cannot be iterated over.
    pub fn iterator(&self) -> Result<Self> {
        // SAFETY: S3; a new reference.
        unsafe { Self::from_new(self.py, ffi::PyObject_GetIter(self.raw())) }
    }

    /// The next item of an iterator; none at its end.
    ///
    /// # Errors
    /// When it raises.
    pub fn next(&self) -> Result<Option<Self>> {
        // SAFETY: S3; a new reference, or null with or without an exception.
        let item = unsafe { ffi::PyIter_Next(self.raw()) };
        // SAFETY: the reference from above.
        match unsafe { Self::from_new(self.py, item) } {
            Ok(item) => Ok(Some(item)),
            // SAFETY: S3.
            Err(Raised) if unsafe { ffi::PyErr_Occurred() }.is_null() => Ok(None),
            Err(Raised) => Err(Raised),
        }
    }

    /// Whether it is an instance of a class.
    ///
    /// # Errors
    /// When the class does not say.
    pub fn is_instance(&self, class: &Self) -> Result<bool> {
        // SAFETY: S3.
        match unsafe { ffi::PyObject_IsInstance(self.raw(), class.raw()) } {
            -1 => Err(Raised),
            answer => Ok(answer == 1),
        }
    }

    /// Whether it is that very object.
    #[must_use]
    pub fn is(&self, other: *mut ffi::PyObject) -> bool {
        self.raw() == other
    }

    /// Name of its type, for messages.
    #[must_use]
    pub fn type_name(&self) -> String {
        // SAFETY: S3: every object has a type, every type a name.
        let name = unsafe { CStr::from_ptr((*ffi::Py_TYPE(self.raw())).tp_name) };
        name.to_string_lossy().rsplit('.').next().unwrap_or_default().to_owned()
    }
}

impl Drop for Object<'_> {
    fn drop(&mut self) {
        // SAFETY: S3: our reference, on an attached thread.
        unsafe { ffi::Py_DECREF(self.raw()) };
    }
}

#[cfg(Py_3_13)]
use ffi::PyObject_GetOptionalAttr as optional_attribute;

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    /// What `PyObject_GetOptionalAttr` was called up to 3.12: 1 with a new reference,
    /// 0 with null, -1 with an exception.
    #[link_name = "_PyObject_LookupAttr"]
    fn optional_attribute(
        object: *mut ffi::PyObject,
        name: *mut ffi::PyObject,
        result: *mut *mut ffi::PyObject,
    ) -> std::ffi::c_int;
}

/// A status of the C API: -1 means that an exception is set.
pub(crate) fn done(status: std::ffi::c_int) -> Result<()> {
    if status == -1 { Err(Raised) } else { Ok(()) }
}
