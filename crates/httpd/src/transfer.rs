//! Bodies on their way through a process that must not wait for the client more
//! than it wants to: read as far as they are there, passed on as far as they go.

use std::ffi::c_int;
use std::fs::File;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use crate::request::{ClientGone, Request, insert_last};
use crate::sys;

/// What a read of the body gave.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Read {
    /// Bytes that were handed over.
    pub bytes: usize,
    /// Whether that was the end.
    pub is_end: bool,
}

/// Why a body cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BodyError {
    /// The client was too slow.
    Timeout,
    /// Its connection broke, or what it sent is no body.
    Broken,
}

/// How a file is read on its way to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// The kernel may send it by itself.
    ByKernel,
    /// Mapped into memory; what is mapped waits for the client as if it were memory.
    Mapped,
    /// In pieces, so that httpd need never wait for the client.
    InPieces,
}

/// What follows bytes that are passed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Then {
    /// More, soon: they may be kept back.
    More,
    /// They are to leave now, however long that takes.
    Flush,
    /// Nothing.
    End,
}

impl Request<'_> {
    /// Whether the client waits to be asked for the body (`Expect: 100-continue`).
    /// The first read asks.
    #[must_use]
    pub fn awaits_continue(self) -> bool {
        self.record().expecting_100 != 0
    }

    /// Hands over some of the body, at most so many bytes: what is there, or, if it
    /// is to wait, at least one byte before the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read_some(
        self,
        wait: bool,
        most: usize,
        take: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
    ) -> Result<Read, BodyError> {
        let record = self.record();
        // SAFETY: S1, S2.
        let brigade =
            unsafe { sys::apr_brigade_create(record.pool, (*record.connection).bucket_alloc) };
        let mut read = Read { bytes: 0, is_end: false };
        let result = loop {
            let block = if wait { sys::APR_BLOCK_READ } else { sys::APR_NONBLOCK_READ };
            let count = i64::try_from(most).unwrap_or(i64::MAX);
            // SAFETY: S1: the first filter of the request's own chain.
            let status = unsafe {
                let mode = sys::AP_MODE_READBYTES;
                sys::ap_get_brigade(record.input_filters, brigade, mode, block, count)
            };
            match status {
                sys::APR_SUCCESS => {}
                sys::APR_EAGAIN if !wait => break Ok(read),
                sys::APR_TIMEUP => break Err(BodyError::Timeout),
                _ => break Err(BodyError::Broken),
            }
            // SAFETY: S2: a brigade of our own.
            if let Err(error) = unsafe { take_all(brigade, &mut read, take) } {
                break Err(error);
            }
            if read.is_end || read.bytes > 0 || !wait {
                break Ok(read);
            }
        };
        // SAFETY: S2: made above.
        unsafe { sys::apr_brigade_cleanup(brigade.cast()) };
        result
    }

    /// Passes bytes on to the client.
    ///
    /// # Errors
    /// When it has gone.
    pub fn pass_bytes(self, bytes: &[u8], then: Then) -> Result<(), ClientGone> {
        // SAFETY: S1; a transient bucket is copied by whoever keeps it.
        self.pass(|brigade| unsafe {
            let list = (*brigade).bucket_alloc;
            if !bytes.is_empty() {
                let start = bytes.as_ptr().cast();
                insert_last(brigade, sys::apr_bucket_transient_create(start, bytes.len(), list));
            }
            finish(brigade, then);
        })
    }

    /// Passes a part of a file on, which the request keeps open until it is sent.
    ///
    /// # Errors
    /// When the client has gone, or the file cannot be sent.
    pub fn pass_file(
        self,
        file: File,
        start: i64,
        length: i64,
        reading: Reading,
        then: Then,
    ) -> Result<(), ClientGone> {
        let descriptor = file.as_raw_fd();
        let _kept_by_the_pool = self.pool().keep(file);
        self.pass_descriptor(descriptor, start, length, reading, then)
    }

    /// The same with a descriptor that stays the caller's, open until it is sent: what
    /// is flushed is sent.
    ///
    /// # Errors
    /// See above.
    pub fn pass_descriptor(
        self,
        mut descriptor: c_int,
        start: i64,
        length: i64,
        reading: Reading,
        then: Then,
    ) -> Result<(), ClientGone> {
        let pool = self.pool().raw();
        let mut file = std::ptr::null_mut();
        let by_kernel = reading == Reading::ByKernel;
        let flags = if by_kernel { sys::APR_FOPEN_SENDFILE_ENABLED } else { 0 };
        // SAFETY: S1, S2; APR wraps the number and closes nothing.
        let made = unsafe { sys::apr_os_file_put(&raw mut file, &raw mut descriptor, flags, pool) };
        if made != sys::APR_SUCCESS {
            return Err(ClientGone);
        }
        // SAFETY: S1, S2.
        self.pass(|brigade| unsafe {
            let bucket = sys::apr_brigade_insert_file(brigade, file, start, length, pool);
            if reading == Reading::InPieces {
                sys::apr_bucket_file_enable_mmap(bucket, 0);
            }
            finish(brigade, then);
        })
    }

    /// Whether what is passed on meets httpd's own filters alone: no filter that changes
    /// bodies, none of the connection's but the one that writes to its socket.
    #[must_use]
    pub fn writes_without_waiting(self) -> bool {
        // SAFETY: S1: the connection's filters.
        let is_last = unsafe {
            let filter = (*self.record().connection).output_filters;
            !filter.is_null() && (*filter).next.is_null()
        };
        is_last && self.client_socket().is_some() && !self.has_content_filter()
    }

    /// Whether the client's connection is known to be broken.
    #[must_use]
    pub fn is_aborted(self) -> bool {
        // SAFETY: S1: a request is never without its connection.
        unsafe { (*self.record().connection).aborted != 0 }
    }

    /// Whether bytes that were passed on wait for the client to take them.
    #[must_use]
    pub fn is_clogged(self) -> bool {
        // SAFETY: S1: a request is never without its connection.
        unsafe { (*self.record().connection).data_in_output_filters != 0 }
    }

    /// Sends as much of what waits as the client takes now.
    pub fn push(self) {
        // SAFETY: S1: the last filter of the connection is httpd's own, which takes no
        // brigade for a wish to go on, as the MPMs have it.
        unsafe {
            let mut filter = (*self.record().connection).output_filters;
            while !filter.is_null() && !(*filter).next.is_null() {
                filter = (*filter).next;
            }
            if !filter.is_null()
                && let Some(write) = (*(*filter).frec).filter_func
            {
                write(filter, std::ptr::null_mut());
            }
        }
    }

    /// The client's socket. A stream of HTTP/2 has none of its own.
    #[must_use]
    pub fn client_socket(&self) -> Option<BorrowedFd<'_>> {
        let connection = self.record().connection;
        let mut descriptor = -1;
        // SAFETY: S1: the connection's own socket, open as long as the request runs.
        unsafe {
            if !(*connection).master.is_null() {
                return None;
            }
            let socket = sys::ap_get_conn_socket(connection);
            if socket.is_null()
                || sys::apr_os_sock_get(&raw mut descriptor, socket) != sys::APR_SUCCESS
                || descriptor < 0
            {
                return None;
            }
            Some(BorrowedFd::borrow_raw(descriptor))
        }
    }

    /// Answers with another page of this server, as if it had been asked for by GET.
    pub fn redirect_internally(self, target: &[u8]) {
        let target = self.pool().copy(target);
        // SAFETY: S1: what the answer of a script may not change about the page, as
        // httpd's own CGI has it.
        unsafe {
            (*self.raw()).method = c"GET".as_ptr();
            (*self.raw()).method_number = sys::M_GET;
        }
        self.headers_in().unset(c"Content-Length");
        // SAFETY: S1, S2.
        unsafe { sys::ap_internal_redirect(target, self.raw()) };
    }
}

/// What comes after bytes, at the end of a brigade.
///
/// # Safety
/// A live brigade.
unsafe fn finish(brigade: *mut sys::apr_bucket_brigade, then: Then) {
    // SAFETY: by our caller.
    unsafe {
        let list = (*brigade).bucket_alloc;
        match then {
            Then::More => {}
            Then::Flush => insert_last(brigade, sys::apr_bucket_flush_create(list)),
            Then::End => insert_last(brigade, sys::apr_bucket_eos_create(list)),
        }
    }
}

/// Hands over the bytes of a brigade, and empties it.
///
/// # Safety
/// A live brigade.
unsafe fn take_all(
    brigade: *mut sys::apr_bucket_brigade,
    read: &mut Read,
    take: &mut dyn FnMut(&[u8]) -> std::io::Result<()>,
) -> Result<(), BodyError> {
    let offset = std::mem::offset_of!(sys::apr_bucket_brigade, _list_next);
    let head = brigade.cast::<u8>().wrapping_add(offset).cast::<sys::apr_bucket>();
    // SAFETY: by our caller; buckets of the ring, which ends at its head.
    unsafe {
        let mut bucket = (*brigade)._list_next;
        while bucket != head {
            let kind = (*bucket).r#type;
            if kind == &raw const sys::apr_bucket_type_eos {
                read.is_end = true;
                break;
            }
            if (*kind).is_metadata == 0 {
                let (mut start, mut length) = (std::ptr::null(), 0);
                let Some(bytes_of) = (*kind).read else { return Err(BodyError::Broken) };
                let block = sys::APR_BLOCK_READ.cast_signed();
                if bytes_of(bucket, &raw mut start, &raw mut length, block) != sys::APR_SUCCESS {
                    return Err(BodyError::Broken);
                }
                if length > 0 {
                    let bytes = std::slice::from_raw_parts(start.cast::<u8>(), length);
                    take(bytes).map_err(|_| BodyError::Broken)?;
                    read.bytes += length;
                }
            }
            bucket = (*bucket)._link_next;
        }
        sys::apr_brigade_cleanup(brigade.cast());
    }
    Ok(())
}
