//! APR's pools: memory that lives as long as a request, a connection or a
//! configuration.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use crate::sys;

/// A pool, for the length of a call that got it.
#[derive(Clone, Copy)]
pub struct Pool(NonNull<sys::apr_pool_t>);

impl Pool {
    /// The pool behind a pointer of httpd's.
    ///
    /// # Safety
    /// It must be a live pool, and stay one as long as this is used (S2).
    #[must_use]
    pub unsafe fn from_raw(pool: *mut sys::apr_pool_t) -> Option<Self> {
        NonNull::new(pool).map(Self)
    }

    /// The pointer.
    #[must_use]
    pub fn raw(self) -> *mut sys::apr_pool_t {
        self.0.as_ptr()
    }

    /// Copies bytes into the pool, with a NUL after them.
    #[must_use]
    pub fn copy(self, bytes: &[u8]) -> *mut c_char {
        // SAFETY: S2; APR copies that many bytes and adds the NUL.
        unsafe { sys::apr_pstrmemdup(self.raw(), bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Registers an authentication or authorisation provider, for as long as the pool
    /// lives.
    pub fn register_provider<T>(self, group: &CStr, name: &CStr, provider: *const T) {
        // SAFETY: S2, S4: httpd copies the names; the provider is a static of the
        // module's.
        unsafe {
            sys::ap_register_auth_provider(
                self.raw(),
                group.as_ptr(),
                name.as_ptr(),
                c"0".as_ptr(),
                provider.cast(),
                sys::AP_AUTH_INTERNAL_PER_CONF,
            );
        }
    }

    /// Gives the pool a value of ours to keep; it is dropped with the pool.
    #[must_use]
    pub fn keep<T>(self, value: T) -> *mut T {
        unsafe extern "C" fn drop_it<T>(value: *mut c_void) -> sys::apr_status_t {
            crate::enter("a cleanup", || {
                // SAFETY: made by `Box::into_raw` below, and APR runs it once.
                drop(unsafe { Box::from_raw(value.cast::<T>()) });
            });
            sys::APR_SUCCESS
        }
        let value = Box::into_raw(Box::new(value));
        // SAFETY: S2; nothing is to be done before an exec.
        unsafe {
            sys::apr_pool_cleanup_register(
                self.raw(),
                value.cast(),
                Some(drop_it::<T>),
                Some(sys::apr_pool_cleanup_null),
            );
        }
        value
    }
}
