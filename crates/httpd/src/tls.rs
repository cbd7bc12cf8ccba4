//! What mod_ssl says of a connection, if it is loaded.

use std::ffi::{CStr, c_char, c_int};

use crate::request::Request;
use crate::sys;
use crate::table::bytes_of;

type IsHttps = unsafe extern "C" fn(*mut sys::conn_rec) -> c_int;
type Lookup = unsafe extern "C" fn(
    *mut sys::apr_pool_t,
    *mut sys::server_rec,
    *mut sys::conn_rec,
    *mut sys::request_rec,
    *const c_char,
) -> *const c_char;

/// Whether the request came in by TLS.
#[must_use]
pub fn is_https(request: Request<'_>) -> bool {
    let Some(function) = optional(c"ssl_is_https") else { return false };
    // SAFETY: mod_ssl registers a function of that type under that name.
    let function = unsafe { std::mem::transmute::<unsafe extern "C" fn(), IsHttps>(function) };
    // SAFETY: S1: a request is never without its connection.
    unsafe { function((*request.raw()).connection) != 0 }
}

/// A variable of mod_ssl's, such as `SSL_PROTOCOL`.
#[must_use]
pub fn variable<'r>(request: Request<'r>, name: &[u8]) -> Option<&'r [u8]> {
    let function = optional(c"ssl_var_lookup")?;
    // SAFETY: as above.
    let function = unsafe { std::mem::transmute::<unsafe extern "C" fn(), Lookup>(function) };
    let pool = request.pool();
    let name = pool.copy(name);
    // SAFETY: S1, S2.
    let value = unsafe {
        let raw = request.raw();
        function(pool.raw(), (*raw).server, (*raw).connection, raw, name)
    };
    bytes_of(value).filter(|value| !value.is_empty())
}

fn optional(name: &CStr) -> Option<unsafe extern "C" fn()> {
    // SAFETY: a text that ends in NUL.
    unsafe { sys::apr_dynamic_fn_retrieve(name.as_ptr()) }
}
