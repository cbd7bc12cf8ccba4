//! `wsgi.input`: the body, read as the application asks for it.

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::time::{Duration, Instant};

use cpython::{Attached, GrowingBytes, Object, Raised, Result, ffi};
use door::Exchange;

use crate::current;
use crate::types::{
    Behind, Handle, Kind, LAST, Methods, bytes_of, guarded, make_handle_type, method, none, raise,
};

/// The body of one request.
pub(crate) struct Input {
    exchange: Exchange,
    /// Read from the host, not yet by the application.
    rest: Vec<u8>,
    /// Start of what is left of `rest`.
    at: usize,
    left: Left,
    broken: bool,
    /// Reads of the application, bytes given to it, time spent waiting.
    pub(crate) traffic: Traffic,
}

/// What the host still has.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Left {
    /// So many bytes; none is the end.
    Exactly(usize),
    /// Only the end will tell.
    Unknown,
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
    /// A body of that length; negative for one whose end alone will tell.
    pub(crate) fn new(exchange: Exchange, length: i64) -> Self {
        let left = usize::try_from(length).map_or(Left::Unknown, Left::Exactly);
        Self { exchange, rest: Vec::new(), at: 0, left, broken: false, traffic: Traffic::default() }
    }

    fn buffered(&self) -> &[u8] {
        &self.rest[self.at..]
    }

    fn has_ended(&self) -> bool {
        self.left == Left::Exactly(0)
    }

    /// Takes the first bytes of what is there.
    fn take(&mut self, count: usize) -> &[u8] {
        let start = self.at;
        self.at += count.min(self.rest.len() - start);
        &self.rest[start..self.at]
    }

    /// Reads from the host until the place is full, or something of it if that is
    /// enough, or the body ends: how much came.
    fn pull(
        &mut self,
        py: Attached<'_>,
        place: &mut [MaybeUninit<u8>],
        some_is_enough: bool,
    ) -> Result<usize> {
        if self.broken {
            return Err(broken("input is already in error state"));
        }
        let Some(host) = current::host() else { return Ok(0) };
        let exchange = self.exchange as usize;
        let (start, wanted) = (place.as_mut_ptr() as usize, place.len());
        let wanted = match self.left {
            Left::Exactly(left) => wanted.min(left),
            Left::Unknown => wanted,
        };
        let begin = Instant::now();
        let (read, last) = py.detached(|| {
            let mut read = 0;
            while read < wanted && !(some_is_enough && read > 0) {
                // SAFETY: the host's own function; what is left of the place, which
                // nobody else knows of.
                let count = unsafe {
                    let into = (start as *mut u8).add(read);
                    (host.read)(exchange as Exchange, into, wanted - read)
                };
                match usize::try_from(count) {
                    Ok(0) | Err(_) => return (read, count),
                    Ok(count) => read += count,
                }
            }
            (read, 1)
        });
        self.traffic.time += begin.elapsed();
        if last < 0 {
            self.broken = true;
            return Err(broken("Connection was terminated"));
        }
        self.left = match self.left {
            Left::Exactly(left) if last > 0 => Left::Exactly(left - read),
            Left::Unknown if last > 0 => Left::Unknown,
            _ => Left::Exactly(0),
        };
        Ok(read)
    }

    /// Reads some more into the buffer: whether there was any.
    fn fill(&mut self, py: Attached<'_>, wanted: usize) -> Result<bool> {
        if self.has_ended() && !self.broken {
            return Ok(false);
        }
        if self.at > 0 {
            self.rest.drain(..self.at);
            self.at = 0;
        }
        let mut rest = std::mem::take(&mut self.rest);
        rest.reserve(wanted);
        let pulled = self.pull(py, &mut rest.spare_capacity_mut()[..wanted], true);
        if let Ok(read) = pulled {
            // SAFETY: so many bytes were written behind the others.
            unsafe { rest.set_len(rest.len() + read) };
        }
        self.rest = rest;
        Ok(pulled? > 0)
    }

    /// So many bytes, or all to the end; fewer only at the end.
    fn read<'py>(&mut self, py: Attached<'py>, count: Option<usize>) -> Result<Object<'py>> {
        let most = match self.left {
            Left::Exactly(left) => self.buffered().len() + left,
            Left::Unknown => usize::MAX,
        };
        let most = count.map_or(most, |count| count.min(most));
        // A client that announces much has not sent it yet.
        let mut bytes = GrowingBytes::new(py, most.min(self.buffered().len() + LARGEST))?;
        bytes.extend(self.take(most));
        while bytes.len() < most && (!self.has_ended() || self.broken) {
            let place = bytes.room(py, most)?;
            let wanted = place.len();
            let read = self.pull(py, place, false)?;
            // SAFETY: so many bytes were written.
            unsafe { bytes.add(read) };
            if read < wanted {
                break;
            }
        }
        self.traffic.add(bytes.len());
        bytes.finish(py)
    }

    /// One line with its end, or its first bytes.
    fn line<'py>(&mut self, py: Attached<'py>, most: Option<usize>) -> Result<Object<'py>> {
        let mut searched = 0;
        let length = loop {
            let buffered = self.buffered();
            if let Some(end) = buffered[searched..].iter().position(|byte| *byte == b'\n') {
                break searched + end + 1;
            }
            searched = buffered.len();
            let enough = most.is_some_and(|most| searched >= most);
            if enough || !self.fill(py, SMALLEST)? {
                break searched;
            }
        };
        let length = most.map_or(length, |most| most.min(length));
        self.traffic.add(length);
        Object::bytes(py, self.take(length))
    }
}

fn broken(why: &str) -> Raised {
    raise(Kind::Os, &format!("mod_wsgi request data read error: {why}"))
}

/// Bytes that are asked for at least.
const SMALLEST: usize = 8 * 1024;
/// Bytes that are made room for before they are there.
const LARGEST: usize = 1024 * 1024;

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
    method(c"read", read, ffi::METH_VARARGS),
    method(c"readline", readline, ffi::METH_VARARGS),
    method(c"readlines", readlines, ffi::METH_VARARGS),
    method(c"close", close, ffi::METH_VARARGS),
    LAST,
]);

/// The input behind an object, while its request runs.
fn behind<'a>(object: *mut ffi::PyObject, expired: &str) -> Result<Behind<'a, Input>> {
    // SAFETY: a method of our own type.
    unsafe { Handle::behind(object, expired) }
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
        let mut input = behind(object, "read() called on wsgi.input after request completed")?;
        let count = count_of(arguments)?;
        if count == Some(0) {
            // The first read, even of nothing, asks the client for the body.
            if input.buffered().is_empty() && !input.broken {
                input.fill(py, 1)?;
            }
            return Object::bytes(py, b"");
        }
        input.read(py, count)
    })
}

unsafe extern "C" fn readline(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let mut input = behind(object, "readline() called on wsgi.input after request completed")?;
        let most = count_of(arguments)?;
        input.line(py, most)
    })
}

unsafe extern "C" fn readlines(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let mut input = behind(object, "readlines() called on wsgi.input after request completed")?;
        let hint = count_of(arguments)?.filter(|hint| *hint > 0);
        // SAFETY: S3; a new reference.
        let list = Object::list(py, [])?;
        let mut total = 0;
        loop {
            let line = input.line(py, None)?;
            let length = bytes_of(&line).unwrap_or_default().len();
            if length == 0 {
                return Ok(list);
            }
            total += length;
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
        let mut input =
            behind(object, "iteration of wsgi.input attempted after request completed")?;
        let line = input.line(py, None)?;
        ended = bytes_of(&line).is_none_or(<[u8]>::is_empty);
        Ok(line)
    });
    if ended && !line.is_null() {
        // SAFETY: S3: our reference; null without an exception ends the iteration.
        unsafe { ffi::Py_DECREF(line) };
        return std::ptr::null_mut();
    }
    line
}
