//! A connection with one of httpd's processes, kept for many requests: frames in
//! and out.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, recv, recvmsg, sendmsg, shutdown,
};
use wsgi::wire::{HEADER, Header, Kind, LONGEST, Why, put_frame};

/// A kept connection.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    state: AtomicU8,
}

/// Nobody uses it; httpd may send a request.
const IDLE: u8 = 0;
/// A thread is at a request of it.
const BUSY: u8 = 1;
/// It takes no request any more.
const CLOSED: u8 = 2;

/// What came in.
pub(crate) enum Incoming {
    /// Nothing yet.
    Nothing,
    /// The other side has closed it, or sends what is no request.
    End,
    /// A whole frame, with the descriptor that came with it.
    Request(Option<OwnedFd>),
}

impl Connection {
    /// A connection that the calling thread uses.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, state: AtomicU8::new(BUSY) }
    }

    /// Makes it the calling thread's, if it is nobody's.
    pub(crate) fn take(&self) -> bool {
        self.state.compare_exchange(IDLE, BUSY, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// Lets others have it.
    pub(crate) fn release(&self) {
        self.state.store(IDLE, Ordering::SeqCst);
    }

    /// Closes it to new requests, if nobody uses it: hands back what has come
    /// already. What comes later fails at the sender's.
    pub(crate) fn refuse(&self, buffer: &mut Buffer) -> bool {
        if self.state.compare_exchange(IDLE, CLOSED, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            return false;
        }
        // Both may find the other side gone.
        let _gone = shutdown(&self.socket, Shutdown::Read);
        if matches!(self.receive(buffer), Ok(Incoming::Request(_))) {
            let _gone = self.send_plain(Kind::Retry, &[Why::Ending as u8]);
        }
        true
    }

    /// Sends a small frame by itself.
    pub(crate) fn send_plain(&self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEADER + payload.len());
        put_frame(&mut frame, kind, 0, payload);
        self.send(&frame, &[], None)
    }

    /// Reads a request, if one has begun to come.
    pub(crate) fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        buffer.clear();
        let mut file = None;
        let now = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        match self.receive_some(buffer, now, &mut file) {
            Err(rustix::io::Errno::AGAIN) => return Ok(Incoming::Nothing),
            Err(error) => return Err(error.into()),
            Ok(0) => return Ok(Incoming::End),
            Ok(_) => {}
        }
        loop {
            match buffer.missing() {
                Err(()) => return Ok(Incoming::End),
                Ok(0) => return Ok(Incoming::Request(file)),
                Ok(_) => {}
            }
            if self.receive_some(buffer, RecvFlags::CMSG_CLOEXEC, &mut file)? == 0 {
                return Ok(Incoming::End);
            }
        }
    }

    fn receive_some(
        &self,
        buffer: &mut Buffer,
        flags: RecvFlags,
        file: &mut Option<OwnedFd>,
    ) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut place = [IoSliceMut::new(&mut buffer.bytes[buffer.filled..])];
            match recvmsg(&self.socket, &mut place, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                received => break received?.bytes,
            }
        };
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                *file = descriptors.last().or(file.take());
            }
        }
        buffer.filled += received;
        Ok(received)
    }

    /// Reads the next bytes, as many as the place holds.
    pub(crate) fn read_exact(&self, mut place: &mut [u8]) -> io::Result<()> {
        while !place.is_empty() {
            match recv(&self.socket, &mut *place, RecvFlags::empty()) {
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
                Ok((_, 0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((_, count)) => place = &mut place[count..],
            }
        }
        Ok(())
    }

    /// Sends both texts, and a descriptor with their first byte.
    pub(crate) fn send(
        &self,
        mut first: &[u8],
        mut second: &[u8],
        mut file: Option<BorrowedFd<'_>>,
    ) -> io::Result<()> {
        while !(first.is_empty() && second.is_empty()) {
            let sent = self.send_some([first, second], file, SendFlags::NOSIGNAL)?;
            file = None;
            let of_first = sent.min(first.len());
            first = &first[of_first..];
            second = &second[sent - of_first..];
        }
        Ok(())
    }

    /// Sends what can be sent at once, and says how much that is.
    pub(crate) fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.send_some([bytes, &[]], None, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN) => Ok(0),
            sent => Ok(sent?),
        }
    }

    fn send_some(
        &self,
        parts: [&[u8]; 2],
        file: Option<BorrowedFd<'_>>,
        flags: SendFlags,
    ) -> rustix::io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files: Vec<BorrowedFd<'_>> = file.into_iter().collect();
        if !files.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&files));
        }
        loop {
            let parts = parts.map(IoSlice::new);
            match sendmsg(&self.socket, &parts, &mut control, flags) {
                Err(rustix::io::Errno::INTR) => {}
                sent => return sent,
            }
        }
    }

    /// Number of its descriptor, which names it as long as it lives.
    pub(crate) fn number(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Where a thread reads requests into, one after the other.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; USUAL], filled: 0 }
    }

    fn clear(&mut self) {
        self.filled = 0;
        if self.bytes.len() > USUAL {
            self.bytes = vec![0; USUAL];
        }
    }

    /// The payload of the frame that is there.
    pub(crate) fn payload(&self) -> &[u8] {
        self.bytes.get(HEADER..self.filled).unwrap_or_default()
    }

    /// Bytes of the frame that are not there yet; room is made for them. None of
    /// what may come is longer than a request.
    fn missing(&mut self) -> Result<usize, ()> {
        let Some(header) = self.bytes[..self.filled].first_chunk() else {
            return Ok(HEADER - self.filled);
        };
        let header = Header::of_bytes(*header).map_err(|_| ())?;
        let whole = HEADER + header.length;
        if header.kind != Kind::Request || header.length > LONGEST || self.filled > whole {
            return Err(());
        }
        if self.bytes.len() < whole {
            // Announced is not sent: memory grows with what comes.
            let room = whole.min(self.filled.max(USUAL) * 2);
            self.bytes.resize(room.max(self.bytes.len()), 0);
        }
        Ok(whole - self.filled)
    }
}

/// Requests are rarely longer: their bodies come with them up to 128 KiB. Memory that
/// is not written to is not the process's.
const USUAL: usize = 192 * 1024;
