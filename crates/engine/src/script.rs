//! A script: its file read, compiled and run as a module; again when it has
//! changed.

use std::ffi::{CString, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use cpython::{Attached, Object, Raised, Result, ffi};
use wsgi::reload::is_stale;

use crate::current::{self, level};
use crate::exception;
use crate::load::{self, Script};
use crate::types::{Kind, raise};
use crate::world::{Kept, World};

/// Why there is no module.
pub(crate) enum Missing {
    /// It failed to load, and the log has said why.
    Failed,
    /// It has changed, and another process is to load it.
    Changed,
}

/// Whether any script has been loaded so far.
pub fn has_loaded() -> bool {
    HAS_LOADED.load(Ordering::Relaxed)
}

static HAS_LOADED: AtomicBool = AtomicBool::new(false);

/// The module of a script, loaded if it is not or has changed. Where others serve
/// what has changed, the first to notice is told so; after that the old one goes on.
/// `asked_for` is the file that a request is for, which need not be the script.
pub(crate) fn module<'a, 'py>(
    py: Attached<'py>,
    world: &World,
    script: &door::Script<'_>,
    asked_for: impl Fn() -> &'a [u8],
) -> std::result::Result<Object<'py>, Missing> {
    let (path, time) = (script.path.bytes(), script.time);
    let loaded = world.scripts.find(path);
    let mut loaded = load::wait(py, &loaded);
    if let Some(kept) = &loaded.module {
        let module = kept.get(py).map_err(|Raised| Missing::Failed)?;
        let is_stale = || {
            is_stale(loaded.time, Some(time).filter(|time| *time >= 0))
                || asks_for_reload(py, world, &module, path, &asked_for)
        };
        if !script.reloading || loaded.is_handed_back || !is_stale() {
            return Ok(module);
        }
        if world.hands_back {
            loaded.is_handed_back = true;
            return Err(Missing::Changed);
        }
    }
    let verb = if loaded.module.is_some() { "Reloading" } else { "Loading" };
    let (shown, place) = (String::from_utf8_lossy(path), world.place());
    let text = format!("{verb} WSGI script '{shown}' into {place}.");
    current::log(level::INFO, text.as_bytes());
    let Ok(module) = run(py, world, path, time) else {
        exception::log(py, world, path);
        return Err(Missing::Failed);
    };
    HAS_LOADED.store(true, Ordering::Relaxed);
    let fresh = Script { module: Some(Kept::new(module.again())), time, ..Script::default() };
    let old = std::mem::replace(&mut *loaded, fresh);
    drop(loaded);
    // What goes with the old module may run code, which may ask for the script.
    if let Some(old) = old.module {
        drop(old.take(py));
    }
    Ok(module)
}

/// The module's own `reload_required(asked_for)`. An exception there means no.
fn asks_for_reload<'a>(
    py: Attached<'_>,
    world: &World,
    module: &Object<'_>,
    path: &[u8],
    asked_for: impl Fn() -> &'a [u8],
) -> bool {
    let ask = || -> Result<bool> {
        let name = world.own.reload_required.get(py)?;
        let Some(function) = module.name_in_module(&name)? else { return Ok(false) };
        let answer = function.call(&[&Object::path(py, asked_for())?])?;
        // SAFETY: S3.
        match unsafe { ffi::PyObject_IsTrue(answer.raw()) } {
            -1 => Err(Raised),
            answer => Ok(answer == 1),
        }
    };
    ask().unwrap_or_else(|Raised| {
        exception::log(py, world, path);
        false
    })
}

/// Reads, compiles and runs the file as a module of its own name. What keeps it
/// from that is said in the log; the exception is left set.
fn run<'py>(py: Attached<'py>, world: &World, path: &[u8], time: i64) -> Result<Object<'py>> {
    let shown = String::from_utf8_lossy(path);
    let failed = |text: &str| {
        current::log(level::ERROR, format!("{}{text}", current::shown()).as_bytes());
    };
    let code = compile(py, path).inspect_err(|Raised| {
        let place = world.place();
        failed(&format!("WSGI0105: Could not read or compile WSGI script '{shown}' for {place}."));
    })?;
    execute(py, world, &code, path, time).inspect_err(|Raised| {
        // SAFETY: S3: attached, with an exception set.
        let exits = unsafe { ffi::PyErr_ExceptionMatches(ffi::PyExc_SystemExit) } != 0;
        failed(&if exits {
            format!("WSGI0107: SystemExit exception raised when doing exec of Python script file '{shown}'.")
        } else {
            format!("WSGI0109: Unable to execute Python script file '{shown}'.")
        });
    })
}

fn compile<'py>(py: Attached<'py>, path: &[u8]) -> Result<Object<'py>> {
    let file = Path::new(std::ffi::OsStr::from_bytes(path));
    let source = py.detached(|| std::fs::read(file)).map_err(|error| {
        let text = format!("{}: {error}", file.display());
        raise(Kind::Os, &text)
    })?;
    let source = CString::new(source)
        .map_err(|_| raise(Kind::Value, "source code cannot contain null bytes"))?;
    let name = CString::new(path).map_err(|_| raise(Kind::Value, "path has a null byte"))?;
    // SAFETY: S3; a new reference.
    unsafe {
        let code = ffi::Py_CompileString(source.as_ptr(), name.as_ptr(), ffi::Py_file_input);
        Object::from_new(py, code)
    }
}

fn execute<'py>(
    py: Attached<'py>,
    world: &World,
    code: &Object<'py>,
    path: &[u8],
    time: i64,
) -> Result<Object<'py>> {
    let file = CString::new(path).map_err(|_| raise(Kind::Value, "path has a null byte"))?;
    let name = CString::new(module_name(path, world.case_sensitivity)).map_err(|_| Raised)?;
    // SAFETY: S3; a new reference. The code is run as a module, which puts it into
    // `sys.modules` and sets `__file__`.
    let module = unsafe {
        forget(&name);
        let module = ffi::PyImport_ExecCodeModuleEx(name.as_ptr(), code.raw(), file.as_ptr());
        Object::from_new(py, module)
    }?;
    module.set_attribute(c"__mtime__", &Object::integer(py, time)?)?;
    Ok(module)
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
pub(crate) fn module_name(path: &[u8], case_sensitivity: bool) -> String {
    let digest =
        if case_sensitivity { md5::compute(path) } else { md5::compute(path.to_ascii_lowercase()) };
    format!("_mod_wsgi_{digest:x}")
}
