//! The answer of one request, as it goes to the host. The head waits until the
//! first block that is not empty, or the end (PEP 3333).

use std::ffi::c_int;
use std::ops::Range;
use std::time::Instant;

use cpython::{Attached, Object, Result, ffi};
use door::{Exchange, List, Pair, Text};

use crate::current;
use crate::input::Traffic;
use crate::metrics;
use crate::types::{Kind, bytes_of, none, raise};
use crate::world::{Kept, World};

/// The answer of one request.
pub(crate) struct Response {
    pub(crate) exchange: Exchange,
    pub(crate) head: Option<Head>,
    /// Whether the head went to the host.
    pub(crate) begun: bool,
    /// Bytes that Content-Length still allows, if it was given.
    allowed: Option<u64>,
    /// Whether the client has gone.
    pub(crate) gone: bool,
    /// Blocks sent, their bytes, time spent sending.
    pub(crate) traffic: Traffic,
    /// The last block, to be sent when the thread has left Python.
    pub(crate) last: Option<LastBlock>,
    /// The world and the request's id, for events; both outlive the request.
    pub(crate) events: Option<(*const World, *mut ffi::PyObject)>,
}

/// A block that is sent by a thread which is not attached any more, and so need not
/// wait for Python's lock after it.
pub(crate) struct LastBlock {
    /// What keeps the bytes.
    pub(crate) object: Kept,
    bytes: *const [u8],
}

impl LastBlock {
    /// Sends it, with the end of the body.
    pub(crate) fn send(&self, exchange: Exchange) {
        if let Some(host) = current::host() {
            // SAFETY: bytes never change, and are kept until after this. Whether the client
            // is still there is nobody's business any more.
            unsafe { (host.send)(exchange, Text::new(&*self.bytes), true) };
        }
    }
}

/// Status and headers, checked: all texts in one.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) code: u16,
    pub(crate) status: Range<usize>,
    pub(crate) headers: Vec<(Range<usize>, Range<usize>)>,
    pub(crate) texts: Vec<u8>,
}

impl Head {
    /// The text at that place.
    pub(crate) fn text(&self, range: &Range<usize>) -> &[u8] {
        &self.texts[range.clone()]
    }

    /// Adds a text: its place.
    pub(crate) fn add(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }

    /// Value of Content-Length.
    fn length(&self) -> Option<&[u8]> {
        let is_length = |name: &[u8]| name.eq_ignore_ascii_case(b"content-length");
        let mut headers = self.headers.iter();
        headers.find(|(name, _)| is_length(self.text(name))).map(|(_, value)| self.text(value))
    }
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
            last: None,
            events: None,
        }
    }

    /// Status that the application chose.
    pub(crate) fn status(&self) -> Option<&[u8]> {
        self.head.as_ref().map(|head| head.text(&head.status))
    }

    /// Its code.
    pub(crate) fn code(&self) -> Option<u16> {
        self.head.as_ref().map(|head| head.code)
    }

    /// Tells subscribers of events that the answer starts.
    pub(crate) fn publish_start(
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
        let exception = if exception.is_null() { none(py)?.raw() } else { exception };
        let borrowed = |raw| {
            // SAFETY: S3: arguments of the call that runs, held by the request, or one
            // that always lives.
            unsafe { Object::from_borrowed(py, raw) }
        };
        let arguments =
            [borrowed(request_id)?, borrowed(status)?, borrowed(headers)?, borrowed(exception)?];
        let [request_id, status, headers, exception] = &arguments;
        let tell = world.own.response_started.get(py)?;
        tell.call(&[request_id, status, headers, exception]).map(drop)
    }

    /// Takes the last block, after which no code of the application's runs. With the
    /// length that was announced it is sent later, unflushed: httpd would not change
    /// the head for knowing the end.
    pub(crate) fn send_last(&mut self, py: Attached<'_>, block: &Object<'_>) -> Result<()> {
        let bytes = bytes_of(block).unwrap_or_default();
        self.require_head()?;
        self.begin()?;
        let is_whole = self.allowed == Some(bytes.len() as u64) && !bytes.is_empty();
        if !is_whole || bytes.len() > LONGEST_LATER || metrics::is_measuring() {
            self.send(py, bytes)?;
            return self.finish();
        }
        self.traffic.add(bytes.len());
        self.last = Some(LastBlock { object: Kept::new(block.again()), bytes });
        Ok(())
    }

    /// Sends a block and flushes it, the head before the first one.
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
            (host.send)(exchange as Exchange, sent.0, false)
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
            let name = head.add(b"Content-Length");
            let value = head.add(rest.to_string().as_bytes());
            head.headers.push((name, value));
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
            .map(|(name, value)| {
                let (name, value) = (Text::new(head.text(name)), Text::new(head.text(value)));
                Pair { name, value }
            })
            .collect();
        // SAFETY: the host's own function; the texts outlive the call.
        let status = unsafe {
            (host.start)(
                self.exchange,
                head.code,
                Text::new(head.text(&head.status)),
                List::new(&pairs),
            )
        };
        self.gone |= status != 0;
        self.begun = true;
        Ok(())
    }
}

/// A text that crosses into a closure which runs detached, on this same thread.
struct Send<'a>(Text<'a>);

/// Bytes of a block that is kept until the interpreter's next request.
const LONGEST_LATER: usize = 1024 * 1024;
