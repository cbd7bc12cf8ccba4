//! APR's tables: lists of names and values, names compared without case.

use std::ffi::{CStr, c_char};
use std::marker::PhantomData;

use crate::pool::Pool;
use crate::sys;

/// A table of a request.
#[derive(Clone, Copy)]
pub struct Table<'r> {
    table: *mut sys::apr_table_t,
    pool: Pool,
    _request: PhantomData<&'r ()>,
}

impl<'r> Table<'r> {
    pub(crate) fn new(table: *mut sys::apr_table_t, pool: Pool) -> Self {
        Self { table, pool, _request: PhantomData }
    }

    /// The first value of that name.
    #[must_use]
    pub fn get(self, name: &CStr) -> Option<&'r [u8]> {
        // SAFETY: S1: the request's table, and a text that ends in NUL.
        let value = unsafe { sys::apr_table_get(self.table, name.as_ptr()) };
        bytes_of(value)
    }

    /// All names and values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'r [u8], &'r [u8])> {
        // SAFETY: S1: a table is never without its array.
        let array = unsafe { &*sys::apr_table_elts(self.table) };
        let entries = array.elts.cast::<sys::apr_table_entry_t>();
        let count = usize::try_from(array.nelts).unwrap_or(0);
        (0..count).filter_map(move |index| {
            // SAFETY: S1: `nelts` entries lie there.
            let entry = unsafe { &*entries.add(index) };
            Some((bytes_of(entry.key)?, bytes_of(entry.val).unwrap_or_default()))
        })
    }

    /// Adds a value beside others of that name.
    pub fn add(self, name: &[u8], value: &[u8]) {
        let (name, value) = (self.pool.copy(name), self.pool.copy(value));
        // SAFETY: S1, S2: both texts live in the request's pool.
        unsafe { sys::apr_table_addn(self.table, name, value) };
    }

    /// Sets a value in the place of others of that name.
    pub fn set(self, name: &[u8], value: &[u8]) {
        let (name, value) = (self.pool.copy(name), self.pool.copy(value));
        // SAFETY: S1, S2: both texts live in the request's pool.
        unsafe { sys::apr_table_setn(self.table, name, value) };
    }

    /// The same with texts that live on.
    pub fn set_static(self, name: &'static CStr, value: &'static CStr) {
        // SAFETY: S1; both texts are static.
        unsafe { sys::apr_table_setn(self.table, name.as_ptr(), value.as_ptr()) };
    }

    /// Removes all values of that name.
    pub fn unset(self, name: &CStr) {
        // SAFETY: S1.
        unsafe { sys::apr_table_unset(self.table, name.as_ptr()) };
    }
}

/// The bytes of a C text that httpd lends to a callback.
///
/// # Safety
/// Null, or a text that ends in NUL and lives for all of `'r` (S1).
#[must_use]
pub unsafe fn text<'r>(text: *const c_char) -> Option<&'r [u8]> {
    bytes_of(text)
}

/// The bytes of a C text of httpd's, if there is one.
pub(crate) fn bytes_of<'r>(text: *const c_char) -> Option<&'r [u8]> {
    if text.is_null() {
        return None;
    }
    // SAFETY: S1: httpd's texts end in NUL and live as long as the request.
    Some(unsafe { CStr::from_ptr(text) }.to_bytes())
}
