//! The answer of one request: `start_response`, `write`, and what the
//! application's iterable yields. The head waits until the first block that is
//! not empty, or the end (PEP 3333).

use std::ffi::c_int;
use std::time::Instant;

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{Exchange, List, Pair, Text};

use crate::current;
use crate::input::Traffic;
use crate::tls;
use crate::types::{
    Handle, Kind, LAST, Methods, bytes_of, guarded, is_text, latin1_of, make_handle_type, raise,
};
use crate::world::World;

/// The answer of one request.
pub(crate) struct Response {
    exchange: Exchange,
    head: Option<Head>,
    /// Whether the head went to the host.
    pub(crate) begun: bool,
    /// Bytes that Content-Length still allows, if it was given.
    allowed: Option<u64>,
    /// Whether the client has gone.
    pub(crate) gone: bool,
    /// Blocks sent, their bytes, time spent sending.
    pub(crate) traffic: Traffic,
    /// The world and the request's id, for events; both outlive the request.
    pub(crate) events: Option<(*const World, *mut ffi::PyObject)>,
}

struct Head {
    code: u16,
    status: Vec<u8>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Response {
    pub(crate) fn new(exchange: Exchange) -> Self {
        Self {
            exchange,
            head: None,
            begun: false,
            allowed: None,
            gone: false,
            traffic: Traffic::default(),
            events: None,
        }
    }

    /// Status that the application chose.
    pub(crate) fn status(&self) -> Option<&[u8]> {
        self.head.as_ref().map(|head| head.status.as_slice())
    }

    /// Its code.
    pub(crate) fn code(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.code)
    }

    /// Tells subscribers of events that the answer starts.
    fn publish_start(
        &self,
        py: Attached<'_>,
        status: *mut ffi::PyObject,
        headers: *mut ffi::PyObject,
        exception: *mut ffi::PyObject,
    ) -> Result<()> {
        let Some((world, request_id)) = self.events else { return Ok(()) };
        // SAFETY: the world of the call that runs.
        let world = unsafe { &*world };
        if !world.own.has_subscribers() {
            return Ok(());
        }
        let exception = if exception.is_null() { none_raw() } else { exception };
        let borrowed = |raw| {
            // SAFETY: S3: arguments of the call that runs, or held by the request.
            unsafe { Object::from_borrowed(py, raw) }
        };
        let arguments =
            [borrowed(request_id)?, borrowed(status)?, borrowed(headers)?, borrowed(exception)?];
        let [request_id, status, headers, exception] = &arguments;
        let tell = world.module(py)?.attribute(c"_response_started")?;
        tell.call(&[request_id, status, headers, exception]).map(drop)
    }

    /// Sends a block, the head before the first one.
    pub(crate) fn send(&mut self, py: Attached<'_>, block: &[u8]) -> Result<()> {
        if block.is_empty() {
            return Ok(());
        }
        self.require_head()?;
        self.begin()?;
        let length = block.len() as u64;
        // What the length does not allow is dropped: the next answer on the
        // connection would start with it.
        let block = match self.allowed {
            Some(allowed) if allowed < length => {
                &block[..usize::try_from(allowed).unwrap_or(block.len())]
            }
            _ => block,
        };
        self.allowed = self.allowed.map(|allowed| allowed.saturating_sub(length));
        if block.is_empty() || self.gone {
            return Ok(());
        }
        let Some(host) = current::host() else { return Ok(()) };
        self.traffic.add(block.len());
        let begin = Instant::now();
        let (exchange, text) = (self.exchange as usize, Text::new(block));
        let sent = Send(text);
        // SAFETY: the host's own function; the block outlives the call.
        let status = py.detached(move || unsafe {
            let sent = sent;
            (host.send)(exchange as Exchange, sent.0)
        });
        self.traffic.time += begin.elapsed();
        self.gone |= status != 0;
        Ok(())
    }

    /// Sends a part of a file: whether it was the host's to send.
    pub(crate) fn send_file(
        &mut self,
        py: Attached<'_>,
        descriptor: c_int,
        start: i64,
        rest: i64,
    ) -> Result<()> {
        self.require_head()?;
        let announced = self.head.as_ref().is_some_and(|head| head.length().is_some());
        if !announced && let Some(head) = self.head.as_mut() {
            head.headers.push((b"Content-Length".to_vec(), rest.to_string().into_bytes()));
        }
        self.begin()?;
        let length = self.allowed.and_then(|allowed| i64::try_from(allowed).ok()).unwrap_or(rest);
        let Some(host) = current::host() else { return Ok(()) };
        let exchange = self.exchange as usize;
        // SAFETY: the host's own function; the descriptor is open for the call.
        let status = py.detached(|| unsafe {
            (host.send_file)(exchange as Exchange, descriptor, start, length.min(rest))
        });
        self.gone |= status != 0;
        Ok(())
    }

    /// The end: the head alone, if nothing was sent.
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.require_head()?;
        self.begin()
    }

    fn require_head(&self) -> Result<()> {
        if self.head.is_some() || self.begun {
            return Ok(());
        }
        Err(raise(
            Kind::Runtime,
            "start_response() must be called before response content is produced",
        ))
    }

    /// Gives the head to the host.
    fn begin(&mut self) -> Result<()> {
        if self.begun {
            return Ok(());
        }
        let (Some(head), Some(host)) = (&self.head, current::host()) else { return Ok(()) };
        if let Some(value) = head.length() {
            let length = wsgi::head::content_length(value)
                .map_err(|error| raise(Kind::Value, &error.to_string()))?;
            self.allowed = Some(length);
        }
        let pairs: Vec<Pair<'_>> = head
            .headers
            .iter()
            .map(|(name, value)| Pair { name: Text::new(name), value: Text::new(value) })
            .collect();
        // SAFETY: the host's own function; the texts outlive the call.
        let status = unsafe {
            (host.start)(self.exchange, head.code, Text::new(&head.status), List::new(&pairs))
        };
        self.gone |= status != 0;
        self.begun = true;
        Ok(())
    }

    fn start(
        &mut self,
        py: Attached<'_>,
        status: *mut ffi::PyObject,
        headers: *mut ffi::PyObject,
        exception: *mut ffi::PyObject,
    ) -> Result<()> {
        let given = !exception.is_null() && exception != none_raw();
        // SAFETY: S3: a live argument.
        if given && unsafe { ffi::PyTuple_Check(exception) } == 0 {
            return Err(raise(
                Kind::Runtime,
                "start_response() argument 'exc_info' must be a 3-tuple or None",
            ));
        }
        if self.begun && !given {
            return Err(raise(
                Kind::Runtime,
                "start_response() called more than once without exc_info",
            ));
        }
        if self.begun {
            return Err(raise_again(exception));
        }
        self.publish_start(py, status, headers, exception)?;
        let status = argument(py, status)?;
        let headers = headers_of(py, headers)?;
        let code = wsgi::head::check_status(&status)
            .map_err(|error| raise(Kind::Value, &error.to_string()))?;
        for (name, value) in &headers {
            wsgi::head::check_name(name)
                .and_then(|()| wsgi::head::check_value(value))
                .map_err(|error| raise(Kind::Value, &error.to_string()))?;
        }
        self.head = Some(Head { code, status, headers });
        Ok(())
    }
}

impl Head {
    /// Value of Content-Length.
    fn length(&self) -> Option<&[u8]> {
        let is_length = |name: &[u8]| name.eq_ignore_ascii_case(b"content-length");
        self.headers.iter().find(|(name, _)| is_length(name)).map(|(_, value)| value.as_slice())
    }
}

/// A text that crosses into a closure which runs detached, on this same thread.
struct Send<'a>(Text<'a>);

fn none_raw() -> *mut ffi::PyObject {
    // SAFETY: S3: an object that always lives.
    unsafe { ffi::Py_None() }
}

/// Raises the exception of an `exc_info` tuple.
fn raise_again(exception: *mut ffi::PyObject) -> Raised {
    let mut parts: [*mut ffi::PyObject; 3] = [std::ptr::null_mut(); 3];
    let [kind, value, trace] = &mut parts;
    // SAFETY: S3: a tuple, and three places for its parts, which are borrowed;
    // restoring takes references of its own.
    unsafe {
        let format = c"OOO".as_ptr();
        let (kind, value, trace) = (&raw mut *kind, &raw mut *value, &raw mut *trace);
        if ffi::PyArg_ParseTuple(exception, format, kind, value, trace) != 0 {
            for part in parts {
                ffi::Py_XINCREF(part);
            }
            let trace = if parts[2] == ffi::Py_None() { std::ptr::null_mut() } else { parts[2] };
            ffi::PyErr_Restore(parts[0], parts[1], trace);
        }
    }
    Raised
}

/// The bytes of an argument that must be a text, one a character.
fn argument(py: Attached<'_>, object: *mut ffi::PyObject) -> Result<Vec<u8>> {
    // SAFETY: S3: a live argument.
    let object = unsafe { Object::from_borrowed(py, object) }?;
    if !is_text(&object) {
        return Err(raise(Kind::Type, &format!("must be str, not {}", object.type_name())));
    }
    latin1_of(&object)
}

type Headers = Vec<(Vec<u8>, Vec<u8>)>;

fn headers_of(py: Attached<'_>, list: *mut ffi::PyObject) -> Result<Headers> {
    // SAFETY: S3: a live argument.
    let list = unsafe { Object::from_borrowed(py, list) }?;
    // SAFETY: S3.
    if unsafe { ffi::PyList_Check(list.raw()) } == 0 {
        // In Python's own messages about arguments None has no type.
        let found = if list.is(none_raw()) { "None".to_owned() } else { list.type_name() };
        let text = format!("start_response() argument 2 must be list, not {found}");
        return Err(raise(Kind::Type, &text));
    }
    let mut headers = Vec::new();
    // SAFETY: S3: the length is asked anew, as conversions run code.
    while headers.len() < usize::try_from(unsafe { ffi::PyList_Size(list.raw()) }).unwrap_or(0) {
        let index = headers.len().cast_signed();
        // SAFETY: S3: a borrowed item of the list.
        let item = unsafe { Object::from_borrowed(py, ffi::PyList_GetItem(list.raw(), index)) }?;
        // SAFETY: S3.
        if unsafe { ffi::PyTuple_Check(item.raw()) } == 0 {
            let text = format!("each header must be a 2-tuple, not {}", item.type_name());
            return Err(raise(Kind::Type, &text));
        }
        // SAFETY: S3: a tuple.
        let length = unsafe { ffi::PyTuple_Size(item.raw()) };
        if length != 2 {
            let text = format!("each header must be a 2-tuple, got length {length}");
            return Err(raise(Kind::Value, &text));
        }
        // SAFETY: S3: two borrowed items.
        let (name, value) =
            unsafe { (ffi::PyTuple_GetItem(item.raw(), 0), ffi::PyTuple_GetItem(item.raw(), 1)) };
        headers.push((argument(py, name)?, argument(py, value)?));
    }
    Ok(headers)
}

/// The type whose methods are `start_response` and `write`.
pub(crate) fn make_type(py: Attached<'_>) -> Result<Object<'_>> {
    make_handle_type(py, c"mod_wsgi.Adapter", &[METHODS.slot()])
}

static METHODS: Methods<5> = Methods([
    ffi::PyMethodDef {
        ml_name: c"start_response".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionWithKeywords: start_response },
        ml_flags: ffi::METH_VARARGS | ffi::METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    },
    ffi::PyMethodDef {
        ml_name: c"write".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: write },
        ml_flags: ffi::METH_O,
        ml_doc: std::ptr::null(),
    },
    ffi::PyMethodDef {
        ml_name: c"ssl_is_https".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: ssl_is_https },
        ml_flags: ffi::METH_NOARGS,
        ml_doc: std::ptr::null(),
    },
    ffi::PyMethodDef {
        ml_name: c"ssl_var_lookup".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunction: ssl_var_lookup },
        ml_flags: ffi::METH_O,
        ml_doc: std::ptr::null(),
    },
    LAST,
]);

unsafe extern "C" fn start_response(
    object: *mut ffi::PyObject,
    arguments: *mut ffi::PyObject,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: a method of our own type.
        let response = unsafe { Handle::behind::<Response>(object) }.ok_or_else(|| {
            raise(Kind::Runtime, "start_response() called after request completed")
        })?;
        let mut names = [
            c"status".as_ptr().cast_mut(),
            c"headers".as_ptr().cast_mut(),
            c"exc_info".as_ptr().cast_mut(),
            std::ptr::null_mut(),
        ];
        let mut parts: [*mut ffi::PyObject; 3] = [std::ptr::null_mut(); 3];
        let [status, headers, exception] = &mut parts;
        // SAFETY: S3: three places for the three objects of the format.
        let parsed = unsafe {
            ffi::PyArg_ParseTupleAndKeywords(
                arguments,
                keywords,
                c"OO|O:start_response".as_ptr(),
                names.as_mut_ptr().cast(),
                &raw mut *status,
                &raw mut *headers,
                &raw mut *exception,
            )
        };
        if parsed == 0 {
            return Err(Raised);
        }
        response.start(py, parts[0], parts[1], parts[2])?;
        // SAFETY: S3: the object whose method runs.
        unsafe { Object::from_borrowed(py, object) }?.attribute(c"write")
    })
}

unsafe extern "C" fn write(
    object: *mut ffi::PyObject,
    data: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: a method of our own type.
        let response = unsafe { Handle::behind::<Response>(object) }
            .ok_or_else(|| raise(Kind::Runtime, "write() called after request completed"))?;
        // SAFETY: S3: a live argument.
        let data = unsafe { Object::from_borrowed(py, data) }?;
        let Some(block) = bytes_of(&data) else {
            let text = format!("write() argument must be bytes, not {}", data.type_name());
            return Err(raise(Kind::Type, &text));
        };
        response.send(py, block)?;
        if response.gone {
            return Err(raise(Kind::Os, "mod_wsgi client connection closed"));
        }
        crate::types::none(py)
    })
}

unsafe extern "C" fn ssl_is_https(
    object: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: a method of our own type.
        let response = unsafe { Handle::behind::<Response>(object) };
        let response = response
            .ok_or_else(|| raise(Kind::Runtime, "ssl_is_https() called after request completed"))?;
        tls::is_https(py, response.exchange)
    })
}

unsafe extern "C" fn ssl_var_lookup(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        // SAFETY: a method of our own type.
        let response = unsafe { Handle::behind::<Response>(object) };
        let response = response.ok_or_else(|| {
            raise(Kind::Runtime, "ssl_var_lookup() called after request completed")
        })?;
        // SAFETY: S3: a live argument.
        let name = unsafe { Object::from_borrowed(py, name) }?;
        tls::variable(py, response.exchange, "ssl_var_lookup", &name)
    })
}
