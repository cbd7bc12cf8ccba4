//! A script: its file read, compiled and run as a module; again when it has
//! changed.

use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cpython::{Attached, Object, Raised, Result, ffi};

use crate::call;
use crate::current::{self, level};
use crate::load::{self, Script};
use crate::world::{Kept, World};

/// The module of a script, loaded if it is not or has changed. None means that
/// it failed, and that the log has said why.
pub(crate) fn module<'py>(
    py: Attached<'py>,
    world: &World,
    path: &[u8],
    time: i64,
    reloading: bool,
) -> Option<Object<'py>> {
    let script = world.scripts.find(path);
    let mut script = load::wait(py, &script);
    if let Some(kept) = &script.module {
        let module = kept.get(py).ok()?;
        if !reloading || !(script.time != time || asks_for_reload(py, world, &module, path)) {
            return Some(module);
        }
    }
    let shown = String::from_utf8_lossy(path);
    let verb = if script.module.is_some() { "Reloading" } else { "Loading" };
    let place = world.shown();
    let text = format!("{verb} WSGI script '{shown}' into {place} in embedded mode.");
    current::log(level::INFO, text.as_bytes());
    match run(py, path, time) {
        Ok(module) => {
            *script = Script { module: Some(Kept::new(module)), time };
            script.module.as_ref()?.get(py).ok()
        }
        Err(Raised) => {
            let header = format!("WSGI0105: script '{shown}' cannot be loaded as a Python module");
            call::log_exception(py, world, &header);
            None
        }
    }
}

/// The module's own `reload_required(path)`. An exception there means no.
fn asks_for_reload(py: Attached<'_>, world: &World, module: &Object<'_>, path: &[u8]) -> bool {
    let Ok(function) = module.attribute(c"reload_required") else {
        // SAFETY: S3: attached; the exception is that there is none.
        unsafe { ffi::PyErr_Clear() };
        return false;
    };
    let ask = || -> Result<bool> {
        let answer = function.call(&[&Object::path(py, path)?])?;
        // SAFETY: S3.
        match unsafe { ffi::PyObject_IsTrue(answer.raw()) } {
            -1 => Err(Raised),
            answer => Ok(answer == 1),
        }
    };
    ask().unwrap_or_else(|Raised| {
        call::log_exception(py, world, "WSGI0110: exception in reload_required()");
        false
    })
}

/// Reads, compiles and runs the file as a module of its own name.
fn run<'py>(py: Attached<'py>, path: &[u8], time: i64) -> Result<Object<'py>> {
    let file = Path::new(std::ffi::OsStr::from_bytes(path));
    let source = py.detached(|| std::fs::read(file)).map_err(|error| {
        let text = format!("{}: {error}", file.display());
        crate::types::raise(crate::types::Kind::Os, &text)
    })?;
    let source = CString::new(source).map_err(|_| {
        crate::types::raise(crate::types::Kind::Value, "source code cannot contain null bytes")
    })?;
    let name = CString::new(path).map_err(|_| Raised)?;
    let module_name = CString::new(module_name(path)).map_err(|_| Raised)?;
    // SAFETY: S3; new references. The code is run as a module, which puts it into
    // `sys.modules` and sets `__file__`.
    unsafe {
        let code = Object::from_new(
            py,
            ffi::Py_CompileString(source.as_ptr(), name.as_ptr(), ffi::Py_file_input),
        )?;
        forget(&module_name);
        let module = Object::from_new(
            py,
            ffi::PyImport_ExecCodeModuleEx(module_name.as_ptr(), code.raw(), name.as_ptr()),
        )?;
        module.set_attribute(c"__mtime__", &Object::integer(py, time)?)?;
        Ok(module)
    }
}

/// Takes the old module out of `sys.modules`: the new one starts empty.
///
/// # Safety
/// The thread must be attached (S3).
unsafe fn forget(name: &std::ffi::CStr) {
    // SAFETY: by our caller; a missing module is no error of ours.
    unsafe {
        let modules = ffi::PyImport_GetModuleDict();
        if ffi::PyDict_DelItemString(modules, name.as_ptr().cast::<c_char>()) != 0 {
            ffi::PyErr_Clear();
        }
    }
}

/// `_mod_wsgi_` and the MD5 of the path, as applications may have seen it.
fn module_name(path: &[u8]) -> String {
    format!("_mod_wsgi_{:x}", md5::compute(path))
}
