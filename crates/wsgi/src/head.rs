//! What an application may give to `start_response`: status line, header names
//! and values, the declared length. Each check answers with mod_wsgi's own text.
//!
//! That the arguments have the right Python types is checked where Python is.

use std::fmt;

/// A status line or header that is not passed on. `Display` gives the text of
/// the Python `ValueError`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeadError {
    /// The status does not start with exactly three digits, or with a zero.
    StatusCode(Vec<u8>),
    /// The status is one that only the server may send (1xx).
    Informational(Vec<u8>),
    /// Something other than a blank follows the code.
    NoSpace(Vec<u8>),
    /// The reason phrase holds a control character.
    ControlInReason(Vec<u8>),
    /// The header has no name.
    EmptyName,
    /// The header name holds a control character.
    ControlInName(Vec<u8>),
    /// The header name holds a blank.
    SpaceInName(Vec<u8>),
    /// The header value holds CR or LF.
    LineEndInValue(Vec<u8>),
    /// The header value holds a NUL.
    ControlInValue(Vec<u8>),
    /// `Content-Length` is not a plain decimal number.
    ContentLength(Vec<u8>),
}

impl fmt::Display for HeadError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (text, bytes) = match self {
            Self::StatusCode(bytes) => ("status code must be a 3 digit integer", bytes),
            Self::Informational(bytes) => ("status code must not be informational", bytes),
            Self::NoSpace(bytes) => ("no space following status code", bytes),
            Self::ControlInReason(bytes) => ("control character in status reason phrase", bytes),
            Self::EmptyName => return out.write_str("header name is empty"),
            Self::ControlInName(bytes) => ("control character in header name", bytes),
            Self::SpaceInName(bytes) => ("space character in header name", bytes),
            Self::LineEndInValue(bytes) => {
                ("carriage return/line feed character in header value", bytes)
            }
            Self::ControlInValue(bytes) => ("control character in header value", bytes),
            Self::ContentLength(bytes) => {
                return write!(
                    out,
                    "invalid Content-Length header value: {}",
                    python_latin1(bytes)
                );
            }
        };
        write!(out, "{text}: {}", python_bytes(bytes))
    }
}

impl std::error::Error for HeadError {}

/// The code of a status line: three digits, then the end or a blank and a
/// reason free of control characters (reference 3.5). PEP 3333 asks for a
/// reason; mod_wsgi 6 does not.
///
/// Upstream passes 1xx on, and the client then waits for a final answer that
/// never comes; it is refused here, and so is a code below 100.
///
/// # Errors
/// When the line has another form.
pub fn check_status(status: &[u8]) -> Result<u16, HeadError> {
    let digits = status.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits != CODE_DIGITS || status.starts_with(b"0") {
        return Err(HeadError::StatusCode(status.to_vec()));
    }
    let (code, rest) = status.split_at(CODE_DIGITS);
    match rest.split_first() {
        Some((b' ', reason)) if reason.iter().any(u8::is_ascii_control) => {
            return Err(HeadError::ControlInReason(status.to_vec()));
        }
        None | Some((b' ', _)) => {}
        Some(_) => return Err(HeadError::NoSpace(status.to_vec())),
    }
    if code.starts_with(b"1") {
        return Err(HeadError::Informational(status.to_vec()));
    }
    Ok(code.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
}

/// A header name must not be empty nor hold control characters or blanks
/// (reference 3.5). A colon passes, as upstream: httpd refuses it when it
/// writes the head.
///
/// # Errors
/// When the name is not one.
pub fn check_name(name: &[u8]) -> Result<(), HeadError> {
    if name.is_empty() {
        return Err(HeadError::EmptyName);
    }
    // All bytes at once are faster than one after the other.
    let is_wrong = |byte: &u8| byte.is_ascii_control() || *byte == b' ';
    if !name.iter().fold(false, |wrong, byte| wrong | is_wrong(byte)) {
        return Ok(());
    }
    match name.iter().find(|byte| is_wrong(byte)) {
        None => Ok(()),
        Some(b' ') => Err(HeadError::SpaceInName(name.to_vec())),
        Some(_) => Err(HeadError::ControlInName(name.to_vec())),
    }
}

/// A header value must not hold CR, LF (reference 3.5) or NUL. Upstream passes
/// NUL, which cuts the value off in httpd's tables; other control characters
/// pass here as well.
///
/// # Errors
/// When the value holds one of the three.
pub fn check_value(value: &[u8]) -> Result<(), HeadError> {
    let is_wrong = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
    if !value.iter().fold(false, |wrong, byte| wrong | is_wrong(byte)) {
        return Ok(());
    }
    if value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        return Err(HeadError::LineEndInValue(value.to_vec()));
    }
    if value.contains(&0) {
        return Err(HeadError::ControlInValue(value.to_vec()));
    }
    Ok(())
}

/// The number in a `Content-Length` header (RFC 9110 section 8.6: digits only),
/// at most what httpd's signed 64-bit lengths can hold.
///
/// # Errors
/// When it is anything else; signs and blanks included, because other parties
/// on the way read them differently.
pub fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    let refused = || HeadError::ContentLength(value.to_vec());
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(refused());
    }
    let digits = std::str::from_utf8(value).map_err(|_| refused())?;
    let length: i64 = digits.parse().map_err(|_| refused())?;
    u64::try_from(length).map_err(|_| refused())
}

/// Python's `repr` of a `bytes` object: `b'200 OK'`. As in Python, quotes are
/// double when the bytes hold single ones and no double ones.
#[must_use]
pub fn python_bytes(bytes: &[u8]) -> String {
    format!("b{}", quoted(bytes, |byte| byte.is_ascii()))
}

/// Python's `repr` of the latin-1 `str` that the bytes stand for.
fn python_latin1(bytes: &[u8]) -> String {
    quoted(bytes, |byte| byte.is_ascii() || (byte > NO_BREAK_SPACE && byte != SOFT_HYPHEN))
}

/// Quotes and escapes as Python does. ASCII control characters are always
/// escaped, other bytes unless `printable`.
fn quoted(bytes: &[u8], printable: impl Fn(u8) -> bool) -> String {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for &byte in bytes {
        match char::from(byte) {
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\\' => text.push_str("\\\\"),
            letter if letter == quote => text.extend(['\\', letter]),
            letter if !letter.is_ascii_control() && printable(byte) => text.push(letter),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text.push(quote);
    text
}

const CODE_DIGITS: usize = 3;

/// Up to here the upper half of latin-1 has nothing that Python prints as is.
const NO_BREAK_SPACE: u8 = 0xa0;

/// The one later character that Python escapes.
const SOFT_HYPHEN: u8 = 0xad;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn status_text(status: &[u8]) -> String {
        check_status(status).unwrap_err().to_string()
    }

    #[test]
    fn a_status_is_a_code_and_perhaps_a_reason() {
        assert_eq!(check_status(b"200 OK"), Ok(200));
        assert_eq!(check_status(b"200"), Ok(200));
        assert_eq!(check_status(b"204 "), Ok(204));
        assert_eq!(check_status(b"999 \xe9t\xe9"), Ok(999));
    }

    #[test]
    fn a_status_of_another_form_is_refused() {
        for (status, text) in [
            (&b""[..], "status code must be a 3 digit integer: b''"),
            (b"20", "status code must be a 3 digit integer: b'20'"),
            (b"2000 OK", "status code must be a 3 digit integer: b'2000 OK'"),
            (b"OK", "status code must be a 3 digit integer: b'OK'"),
            (b" 200 OK", "status code must be a 3 digit integer: b' 200 OK'"),
            (b"099 x", "status code must be a 3 digit integer: b'099 x'"),
            (b"200OK", "no space following status code: b'200OK'"),
            (b"200\tOK", "no space following status code: b'200\\tOK'"),
            (b"200 O\nK", "control character in status reason phrase: b'200 O\\nK'"),
            (b"200 \x7f", "control character in status reason phrase: b'200 \\x7f'"),
            (b"101 x", "status code must not be informational: b'101 x'"),
            (b"100", "status code must not be informational: b'100'"),
        ] {
            assert_eq!(status_text(status), text);
        }
    }

    #[test]
    fn a_name_has_no_control_characters_and_blanks() {
        assert_eq!(check_name(b"X-Name"), Ok(()));
        assert_eq!(check_name(b"X:Name"), Ok(()));
        for (name, text) in [
            (&b""[..], "header name is empty"),
            (b"X Y", "space character in header name: b'X Y'"),
            (b"X\tY", "control character in header name: b'X\\tY'"),
            (b"X\0Y", "control character in header name: b'X\\x00Y'"),
        ] {
            assert_eq!(check_name(name).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_value_stays_on_its_line() {
        assert_eq!(check_value(b""), Ok(()));
        assert_eq!(check_value(b"a\tb\x01\xff"), Ok(()));
        for (value, text) in [
            (
                &b"a\r\nSet-Cookie: b"[..],
                "carriage return/line feed character in header value: b'a\\r\\nSet-Cookie: b'",
            ),
            (b"a\n", "carriage return/line feed character in header value: b'a\\n'"),
            (b"a\0b", "control character in header value: b'a\\x00b'"),
        ] {
            assert_eq!(check_value(value).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_length_is_digits_only() {
        assert_eq!(content_length(b"0"), Ok(0));
        assert_eq!(content_length(b"007"), Ok(7));
        assert_eq!(content_length(b"9223372036854775807"), Ok(9_223_372_036_854_775_807));
        for value in ["", "abc", "-1", "+1", " 1", "1 ", "1,1", "0x1", "9223372036854775808"] {
            assert_eq!(
                content_length(value.as_bytes()).unwrap_err().to_string(),
                format!("invalid Content-Length header value: '{value}'")
            );
        }
        assert_eq!(
            content_length(b"\xe9\xa0'\n").unwrap_err().to_string(),
            "invalid Content-Length header value: \"é\\xa0'\\n\""
        );
    }

    #[test]
    fn bytes_look_as_python_shows_them() {
        for (bytes, text) in [
            (&b"plain"[..], "b'plain'"),
            (b"it's", "b\"it's\""),
            (b"say \"it\"", "b'say \"it\"'"),
            (b"both ' and \"", "b'both \\' and \"'"),
            (b"back\\slash", "b'back\\\\slash'"),
            (b"\t\n\r\0\x1f\x7f\x80\xff", "b'\\t\\n\\r\\x00\\x1f\\x7f\\x80\\xff'"),
        ] {
            assert_eq!(python_bytes(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_what_passes_is_one_line(bytes: Vec<u8>) {
            if let Err(error) = check_status(&bytes) {
                prop_assert!(!error.to_string().contains(['\n', '\r', '\0']));
            } else {
                prop_assert!(!bytes.contains(&b'\n'));
            }
            prop_assert!(check_name(&bytes).is_err() || !bytes.contains(&b'\n'));
            prop_assert!(check_value(&bytes).is_err() || !bytes.contains(&b'\n'));
            prop_assert!(content_length(&bytes).is_err() || bytes[0].is_ascii_digit());
            prop_assert!(python_bytes(&bytes).is_ascii());
        }

        #[test]
        fn every_final_code_is_itself(code in 200_u16..1000, reason in "[ -~]{0,20}") {
            prop_assert_eq!(check_status(format!("{code} {reason}").as_bytes()), Ok(code));
        }

        #[test]
        fn every_length_is_itself(length in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(content_length(length.to_string().as_bytes()), Ok(length));
        }
    }
}
