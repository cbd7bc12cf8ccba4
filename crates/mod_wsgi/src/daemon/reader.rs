//! Frames of a daemon process as they arrive. What it sends is taken for hostile:
//! nothing is indexed or believed unchecked.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use wsgi::wire::{HEADER, Header};

/// Why no frame comes any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lost {
    /// Nothing came for `socket-timeout`.
    Timeout,
    /// The connection has ended.
    Ended,
    /// The same, and the other side has not read all that was sent to it.
    Unread,
    /// What came is no frame.
    Malformed,
}

/// Frames from one connection.
pub(crate) struct Reader<'l> {
    socket: &'l OwnedFd,
    /// Room for bytes, initialised once: a buffer is kept for many requests.
    buffer: &'l mut Vec<u8>,
    /// Start of what was not taken yet.
    at: usize,
    /// End of what has arrived.
    end: usize,
    file: Option<OwnedFd>,
}

impl<'l> Reader<'l> {
    /// Reads into that buffer, whose contents do not matter.
    pub(crate) fn new(socket: &'l OwnedFd, buffer: &'l mut Vec<u8>) -> Self {
        Self { socket, buffer, at: 0, end: 0, file: None }
    }

    /// The header of the next frame.
    pub(crate) fn header(&mut self) -> Result<Header, Lost> {
        let bytes = self.payload(HEADER)?.first_chunk::<HEADER>().ok_or(Lost::Malformed)?;
        Header::of_bytes(*bytes).map_err(|_| Lost::Malformed)
    }

    /// A whole payload.
    pub(crate) fn payload(&mut self, length: usize) -> Result<&[u8], Lost> {
        self.fill(length)?;
        let start = self.at;
        self.at += length;
        Ok(&self.buffer[start..self.at])
    }

    /// Some of a payload that is left: all of it, or as much as is worth a write.
    pub(crate) fn some(&mut self, left: usize) -> Result<&[u8], Lost> {
        self.fill(left.min(WRITE))?;
        let start = self.at;
        self.at += left.min(self.end - start);
        Ok(&self.buffer[start..self.at])
    }

    /// The file that came with a frame.
    pub(crate) fn take_file(&mut self) -> Option<OwnedFd> {
        self.file.take()
    }

    /// Whether everything that has arrived was taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.end
    }

    /// Takes in what has arrived, without waiting, where everything before it was taken:
    /// whether there was anything.
    pub(crate) fn receive_now(&mut self) -> Result<bool, Lost> {
        (self.at, self.end) = (0, 0);
        self.make_room(CHUNK);
        self.receive(usize::MAX, RecvFlags::DONTWAIT)
    }

    /// The connection.
    pub(crate) fn socket(&self) -> &'l OwnedFd {
        self.socket
    }

    /// Makes sure that so many bytes are there.
    fn fill(&mut self, wanted: usize) -> Result<(), Lost> {
        if self.end - self.at >= wanted {
            return Ok(());
        }
        if self.at == self.end || self.buffer.len() - self.at < wanted {
            self.buffer.copy_within(self.at..self.end, 0);
            self.end -= self.at;
            self.at = 0;
        }
        while self.end - self.at < wanted {
            // What is announced is made room for as it comes.
            let missing = wanted - (self.end - self.at);
            self.make_room(missing.min(LARGEST).max(CHUNK - self.end.min(CHUNK)));
            // The rest of something large comes at once: it is waited for in one call.
            let (most, flags) = match missing {
                ..PAGE => (usize::MAX, RecvFlags::empty()),
                PAGE.. => (missing, RecvFlags::WAITALL),
            };
            if !self.receive(most, flags)? {
                return Err(Lost::Timeout);
            }
        }
        Ok(())
    }

    /// Makes room for so many bytes behind those that are there.
    fn make_room(&mut self, length: usize) {
        let room = self.end + length;
        if self.buffer.is_empty() {
            // Memory that is zero already, and not the process's before it is used.
            *self.buffer = vec![0; room];
        } else if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
    }

    /// Takes in what comes, at most so many bytes: whether anything has.
    fn receive(&mut self, most: usize, flags: RecvFlags) -> Result<bool, Lost> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let until = self.end + most.min(self.buffer.len() - self.end);
            let slices = &mut [IoSliceMut::new(&mut self.buffer[self.end..until])];
            match recvmsg(self.socket, slices, &mut control, flags | RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                received => break received,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                self.file = descriptors.last();
            }
        }
        match received {
            Ok(received) if received.bytes > 0 => {
                self.end += received.bytes;
                Ok(true)
            }
            Err(Errno::AGAIN) => Ok(false),
            // What a unix socket tells when it was closed with bytes left in it.
            Err(Errno::CONNRESET) => Err(Lost::Unread),
            _ => Err(Lost::Ended),
        }
    }
}

/// Waits until the first can be read or the second be written to, for so many
/// milliseconds at most: which of it holds.
pub(crate) fn wait(
    reads: impl AsFd,
    writes: Option<BorrowedFd<'_>>,
    milliseconds: i64,
) -> (bool, bool) {
    let reads = reads.as_fd();
    let mut all = vec![PollFd::from_borrowed_fd(reads, PollFlags::IN)];
    all.extend(writes.map(|writes| PollFd::from_borrowed_fd(writes, PollFlags::OUT)));
    if poll(&mut all, Some(&timespec(milliseconds))).is_err() {
        return (false, false);
    }
    let told = |number: usize| all.get(number).is_some_and(|one| !one.revents().is_empty());
    (told(0), told(1))
}

/// Whether nobody is at the other end of a connection any more. One that only sends no
/// more still is.
pub(crate) fn is_gone(connection: BorrowedFd<'_>) -> bool {
    let mut one = [PollFd::from_borrowed_fd(connection, PollFlags::empty())];
    poll(&mut one, Some(&timespec(0))).is_ok_and(|told| told > 0)
}

/// Whether something can be written to it within so many milliseconds.
pub(crate) fn wait_to_write(to: impl AsFd, milliseconds: i64) -> bool {
    let mut only = [PollFd::new(&to, PollFlags::OUT)];
    poll(&mut only, Some(&timespec(milliseconds))).is_ok_and(|count| count > 0)
}

fn timespec(milliseconds: i64) -> Timespec {
    Timespec { tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000 }
}

/// Bytes that a write should have.
const WRITE: usize = 64 * 1024;
/// Bytes that room is made for at least. With many more they would have left the
/// processor's cache before they are passed on.
const CHUNK: usize = WRITE + PAGE;
const PAGE: usize = 4096;
/// Bytes that are made room for at most before they are there.
const LARGEST: usize = 1024 * 1024;
