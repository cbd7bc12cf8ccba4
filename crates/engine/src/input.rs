//! `wsgi.input`: the body, read as the application asks for it.

use std::ffi::c_void;
use std::time::{Duration, Instant};

use cpython::{Attached, Object, Raised, Result, ffi};
use door::Exchange;

use crate::current;
use crate::types::{Handle, Kind, LAST, Methods, guarded, make_handle_type, none, raise};

/// The body of one request.
pub(crate) struct Input {
    exchange: Exchange,
    /// Read from the host, not yet by the application.
    rest: Vec<u8>,
    /// Start of what is left of `rest`.
    at: usize,
    ended: bool,
    broken: bool,
    /// Reads of the application, bytes given to it, time spent waiting.
    pub(crate) traffic: Traffic,
}

/// What went one way.
#[derive(Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) count: i64,
    pub(crate) bytes: i64,
    pub(crate) time: Duration,
}

impl Traffic {
    /// Adds what went elsewhere.
    pub(crate) fn add_all(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
        self.time += other.time;
    }

    /// Counts one more, of that many bytes.
    pub(crate) fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += i64::try_from(bytes).unwrap_or(0);
    }
}

impl Input {
    pub(crate) fn new(exchange: Exchange, has_body: bool) -> Self {
        Self {
            exchange,
            rest: Vec::new(),
            at: 0,
            ended: !has_body,
            broken: false,
            traffic: Traffic::default(),
        }
    }

    fn left(&self) -> &[u8] {
        &self.rest[self.at..]
    }

    /// Takes the first bytes of what is there.
    fn take(&mut self, count: usize) -> Vec<u8> {
        let count = count.min(self.rest.len() - self.at);
        let taken = self.rest[self.at..self.at + count].to_vec();
        self.traffic.add(taken.len());
        self.at += count;
        if self.at == self.rest.len() {
            self.rest.clear();
            self.at = 0;
        }
        taken
    }

    /// Reads some more from the host: whether there was any.
    fn fill(&mut self, py: Attached<'_>, wanted: usize) -> Result<bool> {
        if self.broken {
            return Err(broken("input is already in error state"));
        }
        let Some(host) = current::host().filter(|_| !self.ended) else { return Ok(false) };
        let start = self.rest.len();
        self.rest.resize(start + wanted.clamp(SMALLEST, LARGEST), 0);
        let place = &mut self.rest[start..];
        let (into, length) = (place.as_mut_ptr() as usize, place.len());
        let exchange = self.exchange as usize;
        let begin = Instant::now();
        // SAFETY: the host's own function, and a place of ours of that length.
        let count =
            py.detached(|| unsafe { (host.read)(exchange as Exchange, into as *mut u8, length) });
        self.traffic.time += begin.elapsed();
        let read = usize::try_from(count).unwrap_or(0);
        self.rest.truncate(start + read);
        match count {
            0 => self.ended = true,
            1.. => {}
            _ => {
                self.broken = true;
                return Err(broken("Connection was terminated"));
            }
        }
        Ok(read > 0)
    }

    /// So many bytes, or all to the end; fewer only at the end.
    fn read(&mut self, py: Attached<'_>, count: Option<usize>) -> Result<Vec<u8>> {
        let enough = |input: &Self| count.is_some_and(|count| input.left().len() >= count);
        while !enough(self) {
            let missing = count.map_or(LARGEST, |count| count - self.left().len());
            if !self.fill(py, missing)? {
                break;
            }
        }
        Ok(self.take(count.unwrap_or(usize::MAX)))
    }

    /// One line with its end, or its first bytes.
    fn line(&mut self, py: Attached<'_>, most: Option<usize>) -> Result<Vec<u8>> {
        let mut searched = 0;
        loop {
            let left = self.left();
            if let Some(end) = left[searched..].iter().position(|byte| *byte == b'\n') {
                let length = searched + end + 1;
                return Ok(self.take(most.map_or(length, |most| most.min(length))));
            }
            searched = left.len();
            if most.is_some_and(|most| searched >= most) {
                return Ok(self.take(most.unwrap_or(searched)));
            }
            if !self.fill(py, SMALLEST)? {
                return Ok(self.take(searched));
            }
        }
    }
}

fn broken(why: &str) -> Raised {
    raise(Kind::Os, &format!("mod_wsgi request data read error: {why}"))
}

const SMALLEST: usize = 8 * 1024;
const LARGEST: usize = 256 * 1024;

/// The type `mod_wsgi.Input`.
pub(crate) fn make_type(py: Attached<'_>) -> Result<Object<'_>> {
    let slots = [
        METHODS.slot(),
        (ffi::Py_tp_iter, iterate as *mut c_void),
        (ffi::Py_tp_iternext, next as *mut c_void),
    ];
    make_handle_type(py, c"mod_wsgi.Input", &slots)
}

static METHODS: Methods<5> = Methods([
    method(c"read", read),
    method(c"readline", readline),
    method(c"readlines", readlines),
    method(c"close", close),
    LAST,
]);

type Function = unsafe extern "C" fn(*mut ffi::PyObject, *mut ffi::PyObject) -> *mut ffi::PyObject;

const fn method(name: &'static std::ffi::CStr, function: Function) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: function },
        ml_flags: ffi::METH_VARARGS,
        ml_doc: std::ptr::null(),
    }
}

/// The input behind an object, while its request runs.
fn behind<'a>(object: *mut ffi::PyObject, expired: &str) -> Result<&'a mut Input> {
    // SAFETY: a method of our own type; one thread at a time is attached, and a
    // read that detaches keeps nobody else from a second one: Python code must
    // not read one body on two threads.
    unsafe { Handle::behind::<Input>(object) }.ok_or_else(|| raise(Kind::Runtime, expired))
}

/// The one optional number: absent, None or negative means all.
fn count_of(arguments: *mut ffi::PyObject) -> Result<Option<usize>> {
    let mut object: *mut ffi::PyObject = std::ptr::null_mut();
    // SAFETY: S3: one place for the one object of the format.
    unsafe {
        if ffi::PyArg_ParseTuple(arguments, c"|O".as_ptr(), &raw mut object) == 0 {
            return Err(Raised);
        }
        if object.is_null() || object == ffi::Py_None() {
            return Ok(None);
        }
        let number = ffi::PyNumber_AsSsize_t(object, ffi::PyExc_OverflowError);
        if number == -1 && !ffi::PyErr_Occurred().is_null() {
            return Err(Raised);
        }
        Ok(usize::try_from(number).ok())
    }
}

unsafe extern "C" fn read(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let input = behind(object, "read() called on wsgi.input after request completed")?;
        let count = count_of(arguments)?;
        if count == Some(0) {
            // The first read, even of nothing, asks the client for the body.
            if !input.ended && input.left().is_empty() && !input.broken {
                input.fill(py, 1)?;
            }
            return Object::bytes(py, b"");
        }
        Object::bytes(py, &input.read(py, count)?)
    })
}

unsafe extern "C" fn readline(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let input = behind(object, "readline() called on wsgi.input after request completed")?;
        let most = count_of(arguments)?;
        Object::bytes(py, &input.line(py, most)?)
    })
}

unsafe extern "C" fn readlines(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let input = behind(object, "readlines() called on wsgi.input after request completed")?;
        let hint = count_of(arguments)?.filter(|hint| *hint > 0);
        // SAFETY: S3; a new reference.
        let list = Object::list(py, [])?;
        let mut total = 0;
        loop {
            let line = input.line(py, None)?;
            if line.is_empty() {
                return Ok(list);
            }
            total += line.len();
            let line = Object::bytes(py, &line)?;
            list.append(&line)?;
            if hint.is_some_and(|hint| total >= hint) {
                return Ok(list);
            }
        }
    })
}

unsafe extern "C" fn close(
    object: *mut ffi::PyObject,
    _arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        behind(object, "close() called on wsgi.input after request completed")?;
        none(py)
    })
}

unsafe extern "C" fn iterate(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    // SAFETY: S3: the object that Python iterates over.
    guarded(|py| unsafe { Object::from_borrowed(py, object) })
}

unsafe extern "C" fn next(object: *mut ffi::PyObject) -> *mut ffi::PyObject {
    let mut ended = false;
    let line = guarded(|py| {
        let input = behind(object, "iteration of wsgi.input attempted after request completed")?;
        let line = input.line(py, None)?;
        ended = line.is_empty();
        Object::bytes(py, &line)
    });
    if ended && !line.is_null() {
        // SAFETY: S3: our reference; null without an exception ends the iteration.
        unsafe { ffi::Py_DECREF(line) };
        return std::ptr::null_mut();
    }
    line
}
