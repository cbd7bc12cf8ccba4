//! What an application is handed to answer with: `start_response`, and `write`,
//! which that returns. Their texts for mistakes are those of the reference, 3.5.

use cpython::{Attached, Object, Raised, Result, ffi};

use crate::response::{Head, Response};
use crate::tls;
use crate::types::{
    Behind, Handle, Kind, LAST, Methods, bytes_of, guarded, make_handle_type, method, none, raise,
};

/// The type whose methods they are.
pub(crate) fn make_type(py: Attached<'_>) -> Result<Object<'_>> {
    make_handle_type(py, c"mod_wsgi.Adapter", &[METHODS.slot()])
}

/// The function `start_response` of an adapter.
pub(crate) fn start_response_of<'py>(adapter: &Object<'py>) -> Result<Object<'py>> {
    bound(adapter, START_RESPONSE)
}

/// A method without a search for its name.
fn bound<'py>(adapter: &Object<'py>, index: usize) -> Result<Object<'py>> {
    let definition = std::ptr::from_ref(&METHODS.0[index]).cast_mut();
    // SAFETY: S3: a static definition; a new reference.
    unsafe {
        let none = std::ptr::null_mut();
        Object::from_new(adapter.py(), ffi::PyCFunction_NewEx(definition, adapter.raw(), none))
    }
}

const START_RESPONSE: usize = 0;
const WRITE: usize = 1;

static METHODS: Methods<5> = Methods([
    ffi::PyMethodDef {
        ml_name: c"start_response".as_ptr(),
        ml_meth: ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: start_response },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: std::ptr::null(),
    },
    method(c"write", write, ffi::METH_O),
    method(c"ssl_is_https", ssl_is_https, ffi::METH_NOARGS),
    method(c"ssl_var_lookup", ssl_var_lookup, ffi::METH_O),
    LAST,
]);

fn behind<'a>(object: *mut ffi::PyObject, expired: &str) -> Result<Behind<'a, Response>> {
    // SAFETY: a method of our own type.
    unsafe { Handle::behind(object, expired) }
}

/// `start_response(status, headers, exc_info=None)`.
unsafe extern "C" fn start_response(
    object: *mut ffi::PyObject,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let mut response = behind(object, "start_response() called after request completed")?;
        let null = std::ptr::null_mut();
        // SAFETY: S3: so many live arguments lie there.
        let [status, headers, exception] = unsafe {
            match count {
                2 if keywords.is_null() => [*arguments, *arguments.add(1), null],
                3 if keywords.is_null() => [*arguments, *arguments.add(1), *arguments.add(2)],
                _ => parse(py, arguments, count, keywords)?,
            }
        };
        start(py, &mut response, status, headers, exception)?;
        // SAFETY: S3: the object whose method runs.
        bound(&unsafe { Object::from_borrowed(py, object) }?, WRITE)
    })
}

/// The arguments where some are named, or too many or too few.
///
/// # Safety
/// They must be those of a call (S3).
unsafe fn parse(
    py: Attached<'_>,
    arguments: *const *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
    keywords: *mut ffi::PyObject,
) -> Result<[*mut ffi::PyObject; 3]> {
    // SAFETY: by our caller; the values of the names follow the other arguments.
    let argument = |index: usize| unsafe { Object::from_borrowed(py, *arguments.add(index)) };
    let count = usize::try_from(count).unwrap_or(0);
    let positional = Object::tuple(py, (0..count).map(argument).collect::<Result<_>>()?)?;
    let named = Object::dictionary(py)?;
    if !keywords.is_null() {
        // SAFETY: S3: a tuple of names.
        for index in 0..unsafe { ffi::PyTuple_Size(keywords) } {
            // SAFETY: S3: a borrowed item.
            let name = unsafe { Object::from_borrowed(py, ffi::PyTuple_GetItem(keywords, index)) }?;
            named.set_item(&name, &argument(count + usize::try_from(index).unwrap_or(0))?)?;
        }
    }
    let mut names = [
        c"status".as_ptr().cast_mut(),
        c"headers".as_ptr().cast_mut(),
        c"exc_info".as_ptr().cast_mut(),
        std::ptr::null_mut(),
    ];
    let mut parts: [*mut ffi::PyObject; 3] = [std::ptr::null_mut(); 3];
    let [status, headers, exception] = &mut parts;
    // SAFETY: S3: three places for the three objects of the format, which the call's
    // own arguments keep alive.
    let parsed = unsafe {
        ffi::PyArg_ParseTupleAndKeywords(
            positional.raw(),
            named.raw(),
            c"OO|O:start_response".as_ptr(),
            names.as_mut_ptr().cast(),
            &raw mut *status,
            &raw mut *headers,
            &raw mut *exception,
        )
    };
    if parsed == 0 { Err(Raised) } else { Ok(parts) }
}

fn start(
    py: Attached<'_>,
    response: &mut Response,
    status: *mut ffi::PyObject,
    headers: *mut ffi::PyObject,
    exception: *mut ffi::PyObject,
) -> Result<()> {
    // SAFETY: S3: an object that always lives.
    let given = !exception.is_null() && exception != unsafe { ffi::Py_None() };
    // SAFETY: S3: a live argument.
    if given && unsafe { ffi::PyTuple_Check(exception) } == 0 {
        return Err(raise(
            Kind::Runtime,
            "start_response() argument 'exc_info' must be a 3-tuple or None",
        ));
    }
    if response.begun && !given {
        return Err(raise(
            Kind::Runtime,
            "start_response() called more than once without exc_info",
        ));
    }
    if response.begun {
        return Err(raise_again(exception));
    }
    response.publish_start(py, status, headers, exception)?;
    let mut head = Head::default();
    head.status = add_text(py, &mut head, status)?;
    add_headers(py, &mut head, headers)?;
    let wrong = |error: wsgi::head::HeadError| raise(Kind::Value, &error.to_string());
    head.code = wsgi::head::check_status(head.text(&head.status)).map_err(wrong)?;
    for (name, value) in &head.headers {
        wsgi::head::check_name(head.text(name))
            .and_then(|()| wsgi::head::check_value(head.text(value)))
            .map_err(wrong)?;
    }
    response.head = Some(head);
    Ok(())
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
            let trace = if parts[2] == ffi::Py_None() { std::ptr::null_mut() } else { parts[2] };
            for part in [parts[0], parts[1], trace] {
                ffi::Py_XINCREF(part);
            }
            ffi::PyErr_Restore(parts[0], parts[1], trace);
        }
    }
    Raised
}

/// Adds a text, which must have a form in latin-1: its place.
fn add_text(
    py: Attached<'_>,
    head: &mut Head,
    text: *mut ffi::PyObject,
) -> Result<std::ops::Range<usize>> {
    // SAFETY: S3: a live argument; one byte a character where Python keeps it so.
    unsafe {
        if ffi::PyUnicode_Check(text) != 0 {
            if ffi::PyUnicode_READY(text) == -1 {
                return Err(Raised);
            }
            if ffi::PyUnicode_KIND(text) == ffi::PyUnicode_1BYTE_KIND {
                let length = usize::try_from(ffi::PyUnicode_GET_LENGTH(text)).unwrap_or(0);
                let start = ffi::PyUnicode_DATA(text).cast::<u8>();
                return Ok(head.add(std::slice::from_raw_parts(start, length)));
            }
            // It has characters that latin-1 lacks: the exception says which.
            Object::from_new(py, ffi::PyUnicode_AsLatin1String(text))?;
        }
        let text = Object::from_borrowed(py, text)?;
        Err(raise(Kind::Type, &format!("must be str, not {}", text.type_name())))
    }
}

fn add_headers(py: Attached<'_>, head: &mut Head, list: *mut ffi::PyObject) -> Result<()> {
    // SAFETY: S3: a live argument.
    let list = unsafe { Object::from_borrowed(py, list) }?;
    // SAFETY: S3: an object that always lives.
    let (is_list, is_none) =
        unsafe { (ffi::PyList_Check(list.raw()) != 0, list.is(ffi::Py_None())) };
    if !is_list {
        // In Python's own messages about arguments None has no type.
        let found = if is_none { "None".to_owned() } else { list.type_name() };
        let text = format!("start_response() argument 2 must be list, not {found}");
        return Err(raise(Kind::Type, &text));
    }
    // SAFETY: S3: a list, which no code of others can change meanwhile.
    for index in 0..unsafe { ffi::PyList_Size(list.raw()) } {
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
        let header = (add_text(py, head, name)?, add_text(py, head, value)?);
        head.headers.push(header);
    }
    Ok(())
}

/// `write(data)`.
unsafe extern "C" fn write(
    object: *mut ffi::PyObject,
    data: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let mut response = behind(object, "write() called after request completed")?;
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
        none(py)
    })
}

unsafe extern "C" fn ssl_is_https(
    object: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        tls::is_https(py, behind(object, "ssl_is_https() called after request completed")?.exchange)
    })
}

unsafe extern "C" fn ssl_var_lookup(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let response = behind(object, "ssl_var_lookup() called after request completed")?;
        // SAFETY: S3: a live argument.
        let name = unsafe { Object::from_borrowed(py, name) }?;
        tls::variable(py, response.exchange, "ssl_var_lookup", &name)
    })
}
