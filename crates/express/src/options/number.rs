//! How numbers are read. The original took whatever Python's `optparse` takes, so
//! `0x1f`, `0b11` and `017` (octal) are integers; what it then let httpd refuse
//! is refused here, with the option's name.

use clap::builder::TypedValueParser as _;

use crate::error::Error;

/// Reads a whole number that is not negative.
pub(super) fn whole() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::builder::StringValueParser::new().try_map(|text| read(&text, 0))
}

/// Reads a buffer size: 0, which means the default, or at least that much.
pub(super) fn size(least: u32) -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::builder::StringValueParser::new().try_map(move |text| read(&text, least))
}

/// Reads a share between 0 and 1.
pub(super) fn share() -> impl clap::builder::TypedValueParser<Value = f64> {
    clap::builder::StringValueParser::new().try_map(|text| {
        let share = real(&text)?;
        if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(Refusal::Share) }
    })
}

/// Reads seconds that may have a fraction; above 0, or also 0.
pub(super) fn seconds(zero: bool) -> impl clap::builder::TypedValueParser<Value = f64> {
    clap::builder::StringValueParser::new().try_map(move |text| match real(&text)? {
        value if value > 0.0 || (zero && value == 0.0) => Ok(value),
        _ => {
            Err(Refusal::Low { text, least: if zero { "0 or more" } else { "more than 0" }.into() })
        }
    })
}

fn read(text: &str, least: u32) -> Result<u32, Refusal> {
    let number = integer(text).ok_or_else(|| Refusal::Integer(text.to_owned()))?;
    match u32::try_from(number) {
        Ok(number) if i32::try_from(number).is_err() => {
            Err(Refusal::Low { text: text.to_owned(), least: format!("at most {}", i32::MAX) })
        }
        Ok(number) if number == 0 || number >= least => Ok(number),
        _ if least > 0 => {
            Err(Refusal::Low { text: text.to_owned(), least: format!("{least} or more, or 0") })
        }
        _ => Err(Refusal::Low { text: text.to_owned(), least: "0 or more".to_owned() }),
    }
}

/// An integer as `optparse` reads it.
fn integer(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    i64::from_str_radix(digits, radix).ok().map(|number| sign * number)
}

fn real(text: &str) -> Result<f64, Refusal> {
    match text.trim().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Refusal::Real(text.to_owned())),
    }
}

/// Why a number is refused; reads on after `option NAME: `, save a share, which
/// reads on after `NAME option `.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("invalid integer value: '{0}'")]
    Integer(String),
    #[error("invalid floating-point value: '{0}'")]
    Real(String),
    #[error("value needs to be within the range 0 to 1.")]
    Share,
    #[error("invalid value: '{text}' (allowed: {least})")]
    Low { text: String, least: String },
}

/// Whether a number can be a port.
///
/// # Errors
/// When it cannot, with the option's name.
pub(crate) fn check_port(option: &str, port: u32) -> Result<(), Error> {
    match port {
        1..=65535 => Ok(()),
        _ => Err(Error::usage(format!(
            "option {option}: invalid value: '{port}' (allowed: 1 to 65535)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_optparse_reads_them() {
        for (text, number) in
            [("8000", 8000), ("0x1f", 31), ("0b11", 3), ("0100", 64), ("0", 0), ("-5", -5)]
        {
            assert_eq!(integer(text), Some(number), "{text}");
        }
        for text in ["", "abc", "1.5", "08", "0x", "--5", "1_000"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn a_size_is_zero_or_large_enough() {
        assert_eq!(read("0", 512), Ok(0));
        assert_eq!(read("512", 512), Ok(512));
        for text in ["511", "-1", "4294967296", "2147483648"] {
            assert!(read(text, 512).is_err(), "{text}");
        }
    }
}
