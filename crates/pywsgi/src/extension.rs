//! The extension module `mod_wsgi_python`, which has one function: `serve()` runs
//! the process, on Python's main thread, until it ends.

use std::cell::UnsafeCell;
use std::ffi::CString;
use std::panic::catch_unwind;

use cpython::ffi;

/// What Python looks for. The module is made when it asks for it, and kept nowhere.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn PyInit_mod_wsgi_python() -> *mut ffi::PyObject {
    // SAFETY: a definition that always lives; nobody but Python changes it, with its lock.
    unsafe { ffi::PyModuleDef_Init(MODULE.0.get()) }
}

/// `serve()`: the status to exit with.
unsafe extern "C" fn serve(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    let why = match catch_unwind(daemon::serve) {
        // SAFETY: attached again.
        Ok(Ok(status)) => return unsafe { ffi::PyLong_FromLong(status.into()) },
        Ok(Err(why)) => why,
        Err(_) => {
            // Whether the thread is attached, nobody knows.
            std::process::abort();
        }
    };
    let why = CString::new(why.replace('\0', "\\x00")).unwrap_or_default();
    // SAFETY: attached; an exception that always lives.
    let kind = unsafe { ffi::PyExc_RuntimeError };
    // SAFETY: as above.
    unsafe { ffi::PyErr_SetString(kind, why.as_ptr()) };
    std::ptr::null_mut()
}

/// Definitions that Python reads, and keeps notes of its own in.
struct Defined<T>(UnsafeCell<T>);

// SAFETY: changed by Python alone, with its lock.
unsafe impl<T> Sync for Defined<T> {}

static METHODS: Defined<[ffi::PyMethodDef; 2]> = Defined(UnsafeCell::new([
    ffi::PyMethodDef {
        ml_name: c"serve".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: serve },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: std::ptr::null(),
    },
    ffi::PyMethodDef::zeroed(),
]));

static SLOTS: Defined<[ffi::PyModuleDef_Slot; 1]> =
    Defined(UnsafeCell::new([ffi::PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut() }]));

static MODULE: Defined<ffi::PyModuleDef> = Defined(UnsafeCell::new(ffi::PyModuleDef {
    m_base: ffi::PyModuleDef_HEAD_INIT,
    m_name: c"mod_wsgi_python".as_ptr(),
    m_doc: std::ptr::null(),
    m_size: 0,
    m_methods: METHODS.0.get().cast(),
    m_slots: SLOTS.0.get().cast(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
}));
