//! JSON logs: httpd pipes its logs through this program, which makes one object of
//! each line. httpd itself cannot: what it escapes is no JSON.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use serde_json::{Map, Value};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Result};
use crate::logs::Stream;
use crate::server::Server;

/// Format of the error log: fields are parted by tabs, which httpd escapes in values.
pub(crate) const ERROR_FORMAT: &str = "%{cuz}t\t%-m\t%-l\t%-P\t%-T\t%-a\t%-L\t%-E\t%-{Host}i\t%M";

const ERROR_FIELDS: [&str; 10] =
    ["time", "module", "level", "pid", "tid", "client", "request_id", "error", "host", "message"];

/// Format of the access log.
pub(crate) const ACCESS_FORMAT: &str = "%{%Y-%m-%dT%H:%M:%S}t.%{usec_frac}t%{%z}t\t%a\t%u\t%m\t\
    %{Host}i\t%U\t%q\t%H\t%>s\t%B\t%D\t%{Referer}i\t%{User-Agent}i\t%L";

const ACCESS_FIELDS: [&str; 14] = [
    "time",
    "client",
    "user",
    "method",
    "host",
    "path",
    "query",
    "protocol",
    "status",
    "bytes",
    "duration_us",
    "referer",
    "user_agent",
    "request_id",
];

/// Fields that are numbers.
const NUMBERS: [&str; 5] = ["pid", "tid", "status", "bytes", "duration_us"];

impl Stream {
    /// As the command has it.
    fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Error => "error",
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Access => &ACCESS_FIELDS,
            Self::Error => &ERROR_FIELDS,
        }
    }
}

/// The command of that program, as words of a shell.
#[must_use]
pub(crate) fn command(server: &Server, stream: Stream) -> String {
    let program = &server.caller.program;
    let launcher = if program.ends_with(crate::NAME) { "" } else { " express" };
    let program = crate::control::word(&program.to_string_lossy());
    format!("{program}{launcher} json-log {}", stream.name())
}

/// Reads a log from standard input until it ends, writes it to standard output.
///
/// # Errors
/// When the log is neither, or cannot be written.
pub(crate) fn run(words: &[String]) -> Result<u8> {
    let stream = match words {
        [name] if name == "access" => Stream::Access,
        [name] if name == "error" => Stream::Error,
        _ => return Err(Error::usage("`json-log` takes a log: access or error")),
    };
    // httpd's signals to it: it ends when the log ends, and loses no line.
    let ignored = std::sync::Arc::default();
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, std::sync::Arc::clone(&ignored))
            .map_err(Error::io("watch signals of", Path::new("json-log")))?;
    }
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        let failed = Error::io("read from", Path::new("standard input"));
        if input.read_until(b'\n', &mut line).map_err(failed)? == 0 {
            return Ok(0);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        if line.is_empty() {
            continue;
        }
        // In one piece: other programs append to the same file.
        let text = format!("{}\n", object(stream.fields(), line));
        output
            .write_all(text.as_bytes())
            .and_then(|()| output.flush())
            .map_err(Error::io("write to", Path::new("standard output")))?;
    }
}

/// One line as an object; one that is not of the format, such as what a library
/// prints, is a message.
fn object(fields: &[&str], line: &[u8]) -> Value {
    let parts: Vec<&[u8]> = line.split(|byte| *byte == b'\t').collect();
    let mut object = Map::new();
    if parts.len() != fields.len() {
        object.insert("message".to_owned(), unescaped(line).into());
        return Value::Object(object);
    }
    for (name, part) in fields.iter().zip(parts) {
        let text = unescaped(part);
        let value = match text.as_str() {
            "-" | "" => continue,
            _ if NUMBERS.contains(name) => {
                text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
            }
            _ if *name == "time" => text.replacen(' ', "T", 1).replace(' ', "").into(),
            _ => text.into(),
        };
        object.insert((*name).to_owned(), value);
    }
    Value::Object(object)
}

/// The text that httpd has escaped: `\xhh`, the letters of C, and any other
/// character for itself.
fn unescaped(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        let (b'\\', [escape, after @ ..]) = (*first, rest) else {
            bytes.push(*first);
            continue;
        };
        rest = after;
        match escape {
            b'n' => bytes.push(b'\n'),
            b'r' => bytes.push(b'\r'),
            b't' => bytes.push(b'\t'),
            b'b' => bytes.push(8),
            b'f' => bytes.push(12),
            b'v' => bytes.push(11),
            b'x' => {
                let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        rest = &rest[2..];
                    }
                    None => bytes.extend(b"\\x"),
                }
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_httpd_escapes_is_restored() {
        for (escaped, text) in [
            (r"plain", "plain"),
            (r#"a\"b\\c"#, "a\"b\\c"),
            (r"\xc3\xbc\n\t", "ü\n\t"),
            (r"\xff", "\u{fffd}"),
            (r"\x", r"\x"),
            (r"\xz1", r"\xz1"),
            (r"end\", r"end\"),
        ] {
            assert_eq!(unescaped(escaped.as_bytes()), text, "{escaped}");
        }
    }

    #[test]
    fn each_line_is_an_object() {
        let fields = ["time", "pid", "client", "message"];
        let text = |line: &[u8]| object(&fields, line).to_string();
        assert_eq!(
            text(b"2026-01-02 03:04:05.6 +0100\t12\t-\ta \\\"b\\\""),
            r#"{"message":"a \"b\"","pid":12,"time":"2026-01-02T03:04:05.6+0100"}"#
        );
        assert_eq!(text(b"Fatal Python error"), r#"{"message":"Fatal Python error"}"#);
    }
}
