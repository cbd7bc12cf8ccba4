//! Frames between httpd and its daemon processes, on connections that are kept
//! for many requests. Little-endian; each frame is a header of eight bytes and
//! a payload. Each side takes the other's bytes for hostile.
//!
//! httpd sends a [`Kind::Request`]; the process answers with any number of
//! [`Kind::Log`] and [`Kind::Pull`], each of the latter answered by one
//! [`Kind::Body`], one [`Kind::Head`], [`Kind::Data`] and [`Kind::File`], and
//! ends the answer with a last `Data`, an [`Kind::End`], a [`Kind::Retry`] or a
//! [`Kind::Expired`]. A connection that ends otherwise tells of a process that
//! died.

/// Bytes of a frame's header.
pub const HEADER: usize = 8;

/// Longest payload that a reader must hold as a whole. [`Kind::Data`] may be
/// longer: it is passed on as it comes.
pub const LONGEST: usize = 64 * 1024 * 1024;

/// In [`Header::flags`] of a `Data` or `Body`: nothing follows it.
pub const LAST: u8 = 1;

/// What a frame is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Kind {
    /// To the process: a request, see [`Request`]. The descriptor of a file comes
    /// with it if [`Body::File`] says so.
    Request = 1,
    /// To the process: some of the body, at least a byte unless it is [`LAST`].
    Body = 2,
    /// To the process: the body cannot be read to its end.
    BodyBroken = 3,
    /// The request has reached a thread; sent only where [`Request::wants_start`].
    Started = 16,
    /// Status and headers, see [`head`].
    Head = 17,
    /// Bytes of the body. Unless it is [`LAST`], they are to leave at once.
    Data = 18,
    /// A part of a file, whose descriptor comes with the frame: start and length,
    /// two `u64`.
    File = 19,
    /// The end, with an outcome as of `door`: one `i32`.
    End = 20,
    /// A line for the error log: see [`LogLine`].
    Log = 21,
    /// At most so many bytes of the body are wanted: one `u32`.
    Pull = 22,
    /// The request was not begun: another process must serve it. One byte, see
    /// [`Why`].
    Retry = 23,
    /// The request was not begun: it is older than `queue-timeout`.
    Expired = 24,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::Request,
        Self::Body,
        Self::BodyBroken,
        Self::Started,
        Self::Head,
        Self::Data,
        Self::File,
        Self::End,
        Self::Log,
        Self::Pull,
        Self::Retry,
        Self::Expired,
    ];
}

/// Why a request is handed back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Why {
    /// The process ends.
    Ending = 1,
    /// The script has changed: a process must serve it that has started later.
    Reload = 2,
}

impl Why {
    /// The reason of that number.
    #[must_use]
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::Ending, Self::Reload].into_iter().find(|why| *why as u8 == number)
    }
}

/// The bytes are none of this protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// See [`LAST`].
    pub flags: u8,
    /// Bytes of the payload.
    pub length: usize,
}

impl Header {
    /// As bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&u32::try_from(self.length).unwrap_or(u32::MAX).to_le_bytes());
        bytes[4] = self.kind as u8;
        bytes[5] = self.flags;
        bytes
    }

    /// Of bytes.
    ///
    /// # Errors
    /// If no frame starts so, or one that is too long to be held.
    pub fn of_bytes(bytes: [u8; HEADER]) -> Result<Self, Malformed> {
        let [a, b, c, d, kind, flags, 0, 0] = bytes else { return Err(Malformed) };
        let kind = *Kind::ALL.iter().find(|known| **known as u8 == kind).ok_or(Malformed)?;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|_| Malformed)?;
        if length > LONGEST && kind != Kind::Data {
            return Err(Malformed);
        }
        Ok(Self { kind, flags, length })
    }
}

/// Adds a whole frame.
pub fn put_frame(into: &mut Vec<u8>, kind: Kind, flags: u8, payload: &[u8]) {
    into.extend_from_slice(&Header { kind, flags, length: payload.len() }.to_bytes());
    into.extend_from_slice(payload);
}

/// Adds a frame whose payload a function writes.
pub fn put_frame_with(into: &mut Vec<u8>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
    put_frame_start(into, kind, 0, write);
}

/// The same, with so many bytes of the payload still to follow.
fn put_frame_start(into: &mut Vec<u8>, kind: Kind, rest: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = into.len();
    into.extend_from_slice(&[0; HEADER]);
    write(into);
    let length = into.len() - start - HEADER + rest;
    let header = Header { kind, flags: 0, length };
    into[start..start + HEADER].copy_from_slice(&header.to_bytes());
}

/// How a body reaches the process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Body {
    /// Its first bytes, or all of them, come with the request; the rest is pulled.
    Inline,
    /// All of it lies in a file, whose descriptor comes with the request: it starts
    /// at the file's start.
    File,
}

/// A request, without its variables and inline body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Request<'a> {
    /// When httpd began to read it, in microseconds since 1970.
    pub begun: i64,
    /// When httpd looked for a process, in microseconds since 1970.
    pub queued: i64,
    /// Bytes of the body; negative when only its end will tell.
    pub body_length: i64,
    /// Time of the script's last change, as in `door::Script`.
    pub script_time: i64,
    /// Path of the script, as the process sees it.
    pub script: &'a [u8],
    /// Name of the interpreter.
    pub application_group: &'a [u8],
    /// Name of what is called.
    pub callable: &'a [u8],
    /// Whether it came in by TLS.
    pub https: bool,
    /// `WSGIScriptReloading`.
    pub reloading: bool,
    /// `WSGIIgnoreActivity`.
    pub ignores_activity: bool,
    /// Whether the process is to say when a thread has it.
    pub wants_start: bool,
    /// How its body comes.
    pub body: Body,
    /// How often httpd has connected for it.
    pub connects: u16,
    /// How often it was handed back.
    pub restarts: u16,
    /// The highest level of lines that its log takes, as httpd counts them.
    pub log_level: u8,
}

const HTTPS: u8 = 1;
const RELOADING: u8 = 2;
const IGNORES_ACTIVITY: u8 = 4;
const WANTS_START: u8 = 8;
const BODY_IN_FILE: u8 = 16;
const FLAGS: u8 = HTTPS | RELOADING | IGNORES_ACTIVITY | WANTS_START | BODY_IN_FILE;

/// A variable: number of its key or [`BY_NAME`], its name then, its value.
pub type Variable<'a> = (u16, &'a [u8], &'a [u8]);

/// A variable whose key has no number.
pub const BY_NAME: u16 = u16::MAX;

impl<'a> Request<'a> {
    /// Adds its frame, but for so many last bytes of it: those of the body that come
    /// with it.
    pub fn put<'v>(
        &self,
        into: &mut Vec<u8>,
        variables: impl ExactSizeIterator<Item = Variable<'v>>,
        body: usize,
    ) {
        put_frame_start(into, Kind::Request, body, |into| {
            for number in [self.begun, self.queued, self.body_length, self.script_time] {
                into.extend_from_slice(&number.to_le_bytes());
            }
            let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
            into.push(
                flag(self.https, HTTPS)
                    | flag(self.reloading, RELOADING)
                    | flag(self.ignores_activity, IGNORES_ACTIVITY)
                    | flag(self.wants_start, WANTS_START)
                    | flag(self.body == Body::File, BODY_IN_FILE),
            );
            into.extend_from_slice(&self.connects.to_le_bytes());
            into.extend_from_slice(&self.restarts.to_le_bytes());
            into.push(self.log_level);
            for text in [self.script, self.application_group, self.callable] {
                put_text(into, text);
            }
            into.extend_from_slice(&u32::try_from(variables.len()).unwrap_or(0).to_le_bytes());
            for (key, name, value) in variables {
                into.extend_from_slice(&key.to_le_bytes());
                if key == BY_NAME {
                    put_text(into, name);
                }
                put_text(into, value);
            }
        });
    }

    /// Reads a payload: the request, its variables, and what came of its body.
    ///
    /// # Errors
    /// If it is none.
    pub fn of_payload(
        payload: &'a [u8],
        mut each: impl FnMut(Variable<'a>),
    ) -> Result<(Self, &'a [u8]), Malformed> {
        let mut rest = Reader(payload);
        let [begun, queued, body_length, script_time] =
            [rest.i64()?, rest.i64()?, rest.i64()?, rest.i64()?];
        let flags = rest.u8()?;
        if flags & !FLAGS != 0 {
            return Err(Malformed);
        }
        let has = |flag: u8| flags & flag != 0;
        let request = Self {
            begun,
            queued,
            body_length,
            script_time,
            https: has(HTTPS),
            reloading: has(RELOADING),
            ignores_activity: has(IGNORES_ACTIVITY),
            wants_start: has(WANTS_START),
            body: if has(BODY_IN_FILE) { Body::File } else { Body::Inline },
            connects: rest.u16()?,
            restarts: rest.u16()?,
            log_level: rest.u8()?,
            script: rest.text()?,
            application_group: rest.text()?,
            callable: rest.text()?,
        };
        for _ in 0..rest.u32()? {
            let key = rest.u16()?;
            let name = if key == BY_NAME { rest.text()? } else { &[] };
            each((key, name, rest.text()?));
        }
        Ok((request, rest.0))
    }
}

/// Status and headers of an answer.
pub mod head {
    use super::{Kind, Malformed, Reader, put_frame_with, put_text};

    /// Adds the frame of a head.
    pub fn put<'h>(
        into: &mut Vec<u8>,
        code: u16,
        status: &[u8],
        headers: impl ExactSizeIterator<Item = (&'h [u8], &'h [u8])>,
    ) {
        put_frame_with(into, Kind::Head, |into| {
            into.extend_from_slice(&code.to_le_bytes());
            put_text(into, status);
            into.extend_from_slice(&u32::try_from(headers.len()).unwrap_or(0).to_le_bytes());
            for (name, value) in headers {
                put_text(into, name);
                put_text(into, value);
            }
        });
    }

    /// Reads the payload of one: its code and status line; each header is handed to
    /// the function.
    ///
    /// # Errors
    /// If it is none.
    pub fn read<'p>(
        payload: &'p [u8],
        mut each: impl FnMut(&'p [u8], &'p [u8]),
    ) -> Result<(u16, &'p [u8]), Malformed> {
        let mut rest = Reader(payload);
        let (code, status) = (rest.u16()?, rest.text()?);
        for _ in 0..rest.u32()? {
            let name = rest.text()?;
            each(name, rest.text()?);
        }
        rest.end()?;
        Ok((code, status))
    }
}

/// A line for the error log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LogLine<'a> {
    /// httpd's number of its level.
    pub level: u8,
    /// The file of the code that logs it; empty for the module itself.
    pub file: &'a [u8],
    /// The number of that line of code.
    pub line: u32,
    /// The line, without its end.
    pub text: &'a [u8],
}

impl<'a> LogLine<'a> {
    /// Adds its frame.
    pub fn put(&self, into: &mut Vec<u8>) {
        put_frame_with(into, Kind::Log, |into| {
            into.push(self.level);
            into.extend_from_slice(&self.line.to_le_bytes());
            put_text(into, self.file);
            into.extend_from_slice(self.text);
        });
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// If it is none.
    pub fn of_payload(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = Reader(payload);
        let (level, line) = (rest.u8()?, rest.u32()?);
        Ok(Self { level, line, file: rest.text()?, text: rest.0 })
    }
}

/// Reads the payload of [`Kind::File`]: start and length.
///
/// # Errors
/// If it is none.
pub fn read_file(payload: &[u8]) -> Result<(u64, u64), Malformed> {
    let mut rest = Reader(payload);
    let part = (rest.u64()?, rest.u64()?);
    rest.end()?;
    Ok(part)
}

/// Reads the payload of [`Kind::End`] or [`Kind::Pull`].
///
/// # Errors
/// If it is none.
pub fn read_number(payload: &[u8]) -> Result<u32, Malformed> {
    let mut rest = Reader(payload);
    let number = rest.u32()?;
    rest.end()?;
    Ok(number)
}

fn put_text(into: &mut Vec<u8>, text: &[u8]) {
    into.extend_from_slice(&u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
    into.extend_from_slice(text);
}

/// What is left of a payload.
struct Reader<'p>(&'p [u8]);

impl<'p> Reader<'p> {
    fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Malformed> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn i64(&mut self) -> Result<i64, Malformed> {
        self.array().map(i64::from_le_bytes)
    }

    fn text(&mut self) -> Result<&'p [u8], Malformed> {
        let length = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        let (text, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(text)
    }

    fn end(&self) -> Result<(), Malformed> {
        if self.0.is_empty() { Ok(()) } else { Err(Malformed) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload(frame: &[u8]) -> (Header, &[u8]) {
        let (header, payload) = frame.split_first_chunk().unwrap();
        let header = Header::of_bytes(*header).unwrap();
        assert_eq!(header.length, payload.len());
        (header, payload)
    }

    proptest! {
        #[test]
        fn a_request_comes_out_as_it_went_in(
            numbers: (i64, i64, i64, i64),
            texts: (Vec<u8>, Vec<u8>, Vec<u8>),
            flags: (bool, bool, bool, bool, bool),
            counts: (u16, u16, u8),
            variables: Vec<(bool, u16, Vec<u8>, Vec<u8>)>,
            body: Vec<u8>,
        ) {
            let request = Request {
                begun: numbers.0,
                queued: numbers.1,
                body_length: numbers.2,
                script_time: numbers.3,
                script: &texts.0,
                application_group: &texts.1,
                callable: &texts.2,
                https: flags.0,
                reloading: flags.1,
                ignores_activity: flags.2,
                wants_start: flags.3,
                body: if flags.4 { Body::File } else { Body::Inline },
                connects: counts.0,
                restarts: counts.1,
                log_level: counts.2,
            };
            let variables: Vec<Variable<'_>> = variables
                .iter()
                .map(|(named, key, name, value)| {
                    if *named || *key == BY_NAME { (BY_NAME, &**name, &**value) } else { (*key, &[][..], &**value) }
                })
                .collect();
            let mut frame = Vec::new();
            request.put(&mut frame, variables.iter().copied(), body.len());
            frame.extend_from_slice(&body);
            let (header, payload) = payload(&frame);
            prop_assert_eq!(header.kind, Kind::Request);
            let mut found = Vec::new();
            let (read, rest) = Request::of_payload(payload, |variable| found.push(variable)).unwrap();
            prop_assert_eq!(read, request);
            prop_assert_eq!(found, variables);
            prop_assert_eq!(rest, &*body);
        }

        #[test]
        fn a_head_comes_out_as_it_went_in(
            code: u16,
            status: Vec<u8>,
            headers: Vec<(Vec<u8>, Vec<u8>)>,
        ) {
            let headers: Vec<(&[u8], &[u8])> =
                headers.iter().map(|(name, value)| (&**name, &**value)).collect();
            let mut frame = Vec::new();
            head::put(&mut frame, code, &status, headers.iter().copied());
            let (header, payload) = payload(&frame);
            prop_assert_eq!(header.kind, Kind::Head);
            let mut found = Vec::new();
            let read = head::read(payload, |name, value| found.push((name, value))).unwrap();
            prop_assert_eq!(read, (code, &*status));
            prop_assert_eq!(found, headers);
        }

        #[test]
        fn a_line_comes_out_as_it_went_in(level: u8, file: Vec<u8>, line: u32, text: Vec<u8>) {
            let sent = LogLine { level, file: &file, line, text: &text };
            let mut frame = Vec::new();
            sent.put(&mut frame);
            prop_assert_eq!(LogLine::of_payload(payload(&frame).1), Ok(sent));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>, header: [u8; HEADER]) {
            let _header = Header::of_bytes(header);
            let _request = Request::of_payload(&bytes, |_| {});
            let _head = head::read(&bytes, |_, _| {});
            let _line = LogLine::of_payload(&bytes);
            let _file = read_file(&bytes);
            let _number = read_number(&bytes);
        }

        #[test]
        fn what_is_cut_off_is_no_head(code: u16, status: Vec<u8>, at: prop::sample::Index) {
            let mut frame = Vec::new();
            head::put(&mut frame, code, &status, [(&b"Name"[..], &b"value"[..])].into_iter());
            let cut = &frame[HEADER..HEADER + at.index(frame.len() - HEADER)];
            let read = head::read(cut, |_, _| {});
            prop_assert!(read.is_err());
        }
    }

    #[test]
    fn frames_that_nobody_sends_are_refused() {
        let good = Header { kind: Kind::Data, flags: LAST, length: LONGEST + 1 };
        assert_eq!(Header::of_bytes(good.to_bytes()), Ok(good));
        let too_long = Header { kind: Kind::Head, ..good };
        assert_eq!(Header::of_bytes(too_long.to_bytes()), Err(Malformed));
        assert_eq!(Header::of_bytes([0; HEADER]), Err(Malformed));
        assert_eq!(Header::of_bytes([0, 0, 0, 0, 18, 0, 1, 0]), Err(Malformed));
        assert_eq!(Why::of_number(2), Some(Why::Reload));
        assert_eq!(Why::of_number(0), None);
    }
}
