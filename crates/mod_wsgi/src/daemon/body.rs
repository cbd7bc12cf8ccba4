//! The body of a request on its way to a daemon process. A thread there is dear:
//! what the client sends slowly is collected here first, in a file beyond a
//! limit, unless few others do the same.

use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicI32, Ordering};

use httpd::{BodyError, Request};
use wsgi::wire;

use super::Group;

/// A body, ready to be told of.
pub(crate) struct Body<'g> {
    /// Its first bytes, or all of them.
    pub(crate) inline: Vec<u8>,
    /// All of it.
    pub(crate) file: Option<File>,
    /// Its length; negative when only its end will tell.
    pub(crate) length: i64,
    /// Whether nothing is left with the client.
    is_whole: bool,
    /// The right to keep a thread waiting for the rest.
    permit: Option<Permit<'g>>,
}

impl<'g> Body<'g> {
    /// Reads what is there, or all.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn of(request: Request<'_>, group: &'g Group) -> Result<Self, BodyError> {
        let length = request.body_length();
        let mut body =
            Self { inline: Vec::new(), file: None, length, is_whole: length == 0, permit: None };
        if body.is_whole {
            return Ok(body);
        }
        // Reading asks such a client for the body, which is the application's to do.
        if !request.awaits_continue() {
            body.read(request, false)?;
        }
        if !body.is_whole {
            body.permit = Permit::of(group);
            if body.permit.is_none() {
                body.read(request, true)?;
            }
        }
        if body.is_whole && body.file.is_none() {
            body.length = i64::try_from(body.inline.len()).unwrap_or(0);
        }
        Ok(body)
    }

    /// How it reaches the process.
    pub(crate) fn way(&self) -> wire::Body {
        if self.file.is_some() { wire::Body::File } else { wire::Body::Inline }
    }

    /// Some of the rest, at most so many bytes, and whether that is all.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn pull(
        &mut self,
        request: Request<'_>,
        most: usize,
        into: &mut Vec<u8>,
    ) -> Result<bool, BodyError> {
        if !self.is_whole {
            let mut take = |bytes: &[u8]| {
                into.extend_from_slice(bytes);
                Ok(())
            };
            self.is_whole = request.read_some(true, most, &mut take)?.is_end;
        }
        Ok(self.is_whole)
    }

    /// Reads all, or what is there and fits into memory.
    fn read(&mut self, request: Request<'_>, all: bool) -> Result<(), BodyError> {
        let length = usize::try_from(self.length).unwrap_or(0);
        self.inline.reserve(length.min(LONGEST_INLINE).saturating_sub(self.inline.len()));
        while !self.is_whole && (all || self.inline.len() < LONGEST_INLINE) {
            let (inline, file) = (&mut self.inline, &mut self.file);
            let mut take = |bytes: &[u8]| {
                if let Some(file) = file {
                    return file.write_all(bytes);
                }
                inline.extend_from_slice(bytes);
                if inline.len() > LONGEST_INLINE && all {
                    let mut made = tempfile::tempfile()?;
                    made.write_all(inline)?;
                    *inline = Vec::new();
                    *file = Some(made);
                }
                Ok(())
            };
            let read = request.read_some(all, CHUNK, &mut take)?;
            if read.bytes == 0 && !read.is_end {
                return Ok(());
            }
            self.is_whole = read.is_end;
        }
        if let Some(file) = &self.file {
            let length = file.metadata().map_err(|_| BodyError::Broken)?.len();
            self.length = i64::try_from(length).map_err(|_| BodyError::Broken)?;
        }
        Ok(())
    }
}

/// The right to keep a thread of the group waiting for a client. At most half of the
/// threads may be kept so.
struct Permit<'g>(&'g AtomicI32);

impl<'g> Permit<'g> {
    fn of(group: &'g Group) -> Option<Self> {
        let threads = i64::from(group.options.threads) * i64::from(group.options.processes);
        let count = &group.board.group().waiting_for_clients;
        if i64::from(count.fetch_add(1, Ordering::Relaxed)) < threads / 2 {
            return Some(Self(count));
        }
        count.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of a body that are held in memory.
const LONGEST_INLINE: usize = 128 * 1024;
/// Bytes that are read at a time.
const CHUNK: usize = 64 * 1024;
