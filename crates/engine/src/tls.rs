//! What mod_ssl knows of a connection.

use std::ffi::c_void;

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{Exchange, Sink, Text};

use crate::current;
use crate::exception::clear;
use crate::types::{
    Handle, Kind, LAST, Methods, bytes_of, guarded, is_text, latin1_of, make_handle_type, method,
    none, raise,
};

/// 1 if the connection is mod_ssl's.
pub(crate) fn is_https(py: Attached<'_>, exchange: Exchange) -> Result<Object<'_>> {
    // SAFETY: the host's own function; the request runs.
    let is_https = current::host().is_some_and(|host| unsafe { (host.is_https)(exchange) });
    Object::integer(py, is_https.into())
}

/// A variable of mod_ssl's, `None` if there is no such.
pub(crate) fn variable<'py>(
    py: Attached<'py>,
    exchange: Exchange,
    method: &str,
    name: &Object<'py>,
) -> Result<Object<'py>> {
    let wrong = |what: &str| raise(Kind::Type, &format!("{method}() argument must be bytes{what}"));
    let name = match bytes_of(name) {
        Some(bytes) => bytes.to_vec(),
        None if is_text(name) => latin1_of(name).map_err(|Raised| {
            clear(py);
            wrong(" or a latin-1 str")
        })?,
        None => return Err(wrong(&format!(", not {}", name.type_name()))),
    };
    let mut value = None;
    if let Some(host) = current::host() {
        let mut take = |_number: usize, text: &[u8]| value = Some(text.to_vec());
        // SAFETY: the host's own function; the request runs.
        unsafe { (host.ssl_variable)(exchange, Text::new(&name), Sink::new(&mut take)) };
    }
    value.map_or_else(|| none(py), |value| Object::latin1(py, &value))
}

/// The type whose methods are `mod_ssl.is_https` and `mod_ssl.var_lookup` of
/// scripts that decide about a request. Behind it is the exchange.
pub(crate) fn make_type(py: Attached<'_>) -> Result<Object<'_>> {
    make_handle_type(py, c"mod_wsgi.Auth", &[METHODS.slot()])
}

static METHODS: Methods<3> = Methods([
    method(c"is_https", asked, ffi::METH_NOARGS),
    method(c"var_lookup", looked_up, ffi::METH_O),
    LAST,
]);

fn behind(object: *mut ffi::PyObject) -> Result<Exchange> {
    // SAFETY: a method of our own type; any exchange is behind it.
    let mut behind = unsafe { Handle::behind::<c_void>(object, "request object has expired") }?;
    Ok(std::ptr::from_mut(&mut *behind))
}

unsafe extern "C" fn asked(
    object: *mut ffi::PyObject,
    _none: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| is_https(py, behind(object)?))
}

unsafe extern "C" fn looked_up(
    object: *mut ffi::PyObject,
    name: *mut ffi::PyObject,
) -> *mut ffi::PyObject {
    guarded(|py| {
        let exchange = behind(object)?;
        // SAFETY: S3: a live argument.
        variable(py, exchange, "var_lookup", &unsafe { Object::from_borrowed(py, name) }?)
    })
}
