//! A client that shows every byte: what it sends, and what comes back.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A connection to the server.
pub(super) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Wire {
    pub(super) fn connect(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, read: Vec::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Says that nothing more will be sent.
    pub(super) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads what there is; false at the end.
    fn more(&mut self) -> bool {
        let mut block = [0; 65536];
        match self.stream.read(&mut block) {
            Ok(count) => {
                self.read.extend_from_slice(&block[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("{error}, after: {}", String::from_utf8_lossy(&self.read)),
        }
    }

    /// Takes all up to and with that text.
    #[track_caller]
    pub(super) fn until(&mut self, text: &str) -> String {
        loop {
            let found = self.read.windows(text.len()).position(|bytes| bytes == text.as_bytes());
            if let Some(place) = found {
                let taken: Vec<u8> = self.read.drain(..place + text.len()).collect();
                return latin1(&taken);
            }
            assert!(self.more(), "no `{text}` before the end: {}", latin1(&self.read));
        }
    }

    /// So many bytes.
    #[track_caller]
    pub(super) fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.more(), "{} of {count} bytes before the end", self.read.len());
        }
        self.read.drain(..count).collect()
    }

    /// Everything up to the end of the connection.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        while self.more() {}
        std::mem::take(&mut self.read)
    }

    /// The reply to a request of that method, on a connection that then ends.
    #[track_caller]
    pub(super) fn reply(&mut self, method: &str) -> Reply {
        let head = self.until("\r\n\r\n");
        let mut lines = head.trim_end().split("\r\n");
        let line = lines.next().unwrap().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(": ").unwrap_or((line.trim_end_matches(':'), "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut reply = Reply {
            status: line.split(' ').nth(1).unwrap().parse().unwrap(),
            line,
            headers,
            body: self.rest(),
            complete: true,
        };
        if reply.header("transfer-encoding") == Some("chunked") && method != "HEAD" {
            (reply.body, reply.complete) = unchunked(&reply.body);
        } else if let Some(length) = reply.header("content-length") {
            reply.complete = method == "HEAD" || length.parse() == Ok(reply.body.len());
        }
        reply
    }
}

/// The blocks of a chunked body, and whether its last one came.
fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return (body, &bytes[end..] == b"\r\n\r\n");
        }
        let from = end + 2;
        let to = (from + size).min(bytes.len());
        body.extend_from_slice(&bytes[from..to]);
        bytes = bytes.get(to + 2..).unwrap_or_default();
    }
    (body, false)
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) line: String,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// Whether the body came to the end that its framing promised.
    pub(super) complete: bool,
}

impl Reply {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of every header of that name.
    pub(super) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    pub(super) fn text(&self) -> String {
        latin1(&self.body)
    }

    #[track_caller]
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    #[track_caller]
    pub(super) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}
