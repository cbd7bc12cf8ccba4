//! The functions of the module `mod_wsgi` that are not Python.

use std::ffi::{c_int, c_uint, c_void};

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{Process, Scoreboard, Source, Text, Worker};

use crate::metrics::{self, figures};
use crate::types::{LAST, Methods, bytes_of, guarded, method, none};
use crate::{current, environ, exception};

/// Adds them to the module.
pub(crate) fn add_to(module: &Object<'_>) -> Result<()> {
    // SAFETY: S3: a live module; the table is static.
    match unsafe { ffi::PyModule_AddFunctions(module.raw(), FUNCTIONS.0.as_ptr().cast_mut()) } {
        -1 => Err(Raised),
        _ => Ok(()),
    }
}

static FUNCTIONS: Methods<10> = Methods([
    method(c"_log", log, ffi::METH_VARARGS),
    method(c"_log_exception", log_exception, ffi::METH_VARARGS),
    method(c"_log_level", log_level, ffi::METH_NOARGS),
    method(c"_log_of_script", log_of_script, ffi::METH_VARARGS),
    method(c"_measure", measure, ffi::METH_NOARGS),
    method(c"_scoreboard", scoreboard, ffi::METH_NOARGS),
    method(c"process_metrics", process_metrics, ffi::METH_NOARGS),
    method(c"request_metrics", request_metrics, ffi::METH_NOARGS),
    method(c"start_recording_metrics", start_recording_metrics, ffi::METH_NOARGS),
    LAST,
]);

/// `_log(level, text)`: text is bytes.
unsafe extern "C" fn log(
    _module: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    log_by(arguments, |level, text, _source| current::log(level, text))
}

/// `_log_of_script(level, text[, file, line])`: the same with the script's name before
/// the line.
unsafe extern "C" fn log_of_script(
    _module: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    log_by(arguments, current::log_of_script)
}

/// `_log_level()`: the highest level that the log takes.
unsafe extern "C" fn log_level(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| Object::integer(py, current::log_level().into()))
}

/// `_log_exception(kind, value, traceback)`.
unsafe extern "C" fn log_exception(
    _module: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let mut parts: [*mut ffi::PyObject; 3] = [std::ptr::null_mut(); 3];
        let [kind, value, trace] = &mut parts;
        // SAFETY: S3: three places for the three objects of the format.
        let parsed = unsafe {
            let (kind, value, trace) = (&raw mut *kind, &raw mut *value, &raw mut *trace);
            ffi::PyArg_ParseTuple(arguments, c"OOO".as_ptr(), kind, value, trace)
        };
        if parsed == 0 {
            return Err(Raised);
        }
        // SAFETY: S3: arguments, alive for the call.
        let part = |part| unsafe { Object::from_borrowed(py, part) };
        let [kind, value, trace] = parts;
        exception::log_parts(py, &part(kind)?, &part(value)?, &part(trace)?);
        none(py)
    })
}

/// Logs what the arguments of a call say: level and text, and file and line if it has
/// them.
fn log_by(
    arguments: *mut ffi::PyObject,
    log: impl FnOnce(c_int, &[u8], Source<'_>),
) -> *mut ffi::PyObject {
    guarded(|py| {
        let (mut level, mut line): (c_int, c_uint) = (0, 0);
        let (mut text, mut file): (*mut ffi::PyObject, *mut ffi::PyObject) =
            (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: S3: places for what the format says.
        let parsed = unsafe {
            let (level, text) = (&raw mut level, &raw mut text);
            let (file, line) = (&raw mut file, &raw mut line);
            ffi::PyArg_ParseTuple(arguments, c"iS|SI".as_ptr(), level, text, file, line)
        };
        if parsed == 0 {
            return Err(Raised);
        }
        // SAFETY: S3: an argument, alive for the call.
        let text = unsafe { Object::from_borrowed(py, text) }?;
        let text = bytes_of(&text).unwrap_or_default();
        if file.is_null() {
            log(level, text, Source::none());
            return none(py);
        }
        // SAFETY: as above.
        let file = unsafe { Object::from_borrowed(py, file) }?;
        let file = Text::new(bytes_of(&file).unwrap_or_default());
        log(level, text, Source { file, line });
        none(py)
    })
}

/// Somebody subscribes to events: what requests use is measured from now on.
unsafe extern "C" fn measure(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        metrics::measure();
        none(py)
    })
}

unsafe extern "C" fn start_recording_metrics(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        metrics::record();
        none(py)
    })
}

unsafe extern "C" fn process_metrics(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| figures::of_process(py)?.map_or_else(|| none(py), Ok))
}

unsafe extern "C" fn request_metrics(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| figures::of_requests(py)?.map_or_else(|| none(py), Ok))
}

/// The scoreboard, or `None` where there is none: limits of processes and
/// threads, generation, time of the restart, and a list of processes.
unsafe extern "C" fn scoreboard(
    _module: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let Some(host) = current::host() else { return none(py) };
        let mut seen = Seen { py, processes: Vec::new() };
        let mut board = Scoreboard::default();
        let context = std::ptr::from_mut(&mut seen).cast::<c_void>();
        // SAFETY: the host's own function; the context is what `see` expects.
        if !unsafe { (host.scoreboard)(&mut board, context, see) } {
            return none(py);
        }
        let whole = |number: c_int| Object::integer(py, number.into());
        Object::tuple(
            py,
            vec![
                whole(board.server_limit)?,
                whole(board.thread_limit)?,
                whole(board.running_generation)?,
                Object::float(py, environ::seconds(board.restart_time))?,
                Object::list(py, seen.processes)?,
            ],
        )
    })
}

/// Processes of the scoreboard so far.
struct Seen<'py> {
    py: Attached<'py>,
    processes: Vec<Result<Object<'py>>>,
}

unsafe extern "C" fn see(context: *mut c_void, process: &Process<'_>) {
    // SAFETY: S3: what `scoreboard` lends, on its own thread.
    let seen = unsafe { &mut *context.cast::<Seen<'_>>() };
    seen.processes.push(of_process(seen.py, process));
}

/// Number, pid, generation, whether it is quiescing, threads.
fn of_process<'py>(py: Attached<'py>, process: &Process<'_>) -> Result<Object<'py>> {
    let whole = |number: c_int| Object::integer(py, number.into());
    let workers = process.workers.items().iter().map(|worker| of_worker(py, worker));
    let items = vec![
        whole(process.number)?,
        whole(process.pid)?,
        whole(process.generation)?,
        Object::boolean(py, process.quiescing),
        Object::list(py, workers)?,
    ];
    Object::tuple(py, items)
}

/// In the order of the record.
fn of_worker<'py>(py: Attached<'py>, worker: &Worker<'_>) -> Result<Object<'py>> {
    let time = |micros| Object::float(py, environ::seconds(micros));
    let items = vec![
        Object::integer(py, worker.number.into())?,
        Object::integer(py, worker.generation.into())?,
        Object::latin1(py, &[worker.status])?,
        Object::integer(py, worker.access_count)?,
        Object::integer(py, worker.bytes_served)?,
        time(worker.start_time)?,
        time(worker.stop_time)?,
        time(worker.last_used)?,
        Object::latin1(py, worker.client.bytes())?,
        Object::latin1(py, worker.request.bytes())?,
        Object::latin1(py, worker.vhost.bytes())?,
    ];
    Object::tuple(py, items)
}
