//! How directive arguments are read: flags, `name=value` options, numbers.
//!
//! Numbers are read strictly. Upstream's `atoi` drops trailing rubbish and makes
//! 0 of a non-number, so that `threads=abc` silently ran a service daemon
//! (reference 1.1, 9 item 14).

use std::ops::RangeInclusive;

pub mod daemon;

/// The value of an On/Off directive, in any case (reference 1.1).
///
/// # Errors
/// Anything else: `<Name> must be one of: Off | On`.
pub fn flag(directive: &str, text: &str) -> Result<bool, String> {
    on_or_off(text).ok_or_else(|| format!("{directive} must be one of: Off | On"))
}

/// When an application sees GET for HEAD: `WSGIMapHEADToGET` (reference 5.8).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MapHead {
    /// Never.
    Off,
    /// Always.
    On,
    /// When an output filter of the request needs the body to see its length.
    #[default]
    Auto,
}

impl MapHead {
    /// Reads the argument, in any case.
    ///
    /// # Errors
    /// Anything else than the three words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("Auto") {
            return Ok(Self::Auto);
        }
        match on_or_off(text) {
            Some(true) => Ok(Self::On),
            Some(false) => Ok(Self::Off),
            None => Err("WSGIMapHEADToGET must be one of: Off | On | Auto".to_owned()),
        }
    }
}

/// All `name=value` options of a raw argument line. Values are quoted as httpd's
/// `ap_getword_conf` has it: in single or double quotes, where a backslash
/// stands before a quote or a backslash. Nothing when a word is bare (reference
/// 1.1). httpd's own reader would part `name="two words"` at the blank.
#[must_use]
pub fn pairs(line: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = first_word(after);
        found.push((option_name(name)?.to_owned(), value));
        rest = after.trim_ascii_start();
    }
    Some(found)
}

/// A whole number in decimal digits alone: no sign, no blanks.
#[must_use]
pub fn whole(text: &str, allowed: RangeInclusive<u64>) -> Option<u64> {
    let number = digits(text)?.parse().ok()?;
    allowed.contains(&number).then_some(number)
}

/// A whole number that may have a minus sign.
#[must_use]
pub fn signed(text: &str, allowed: RangeInclusive<i64>) -> Option<i64> {
    digits(text.strip_prefix('-').unwrap_or(text))?;
    let number = text.parse().ok()?;
    allowed.contains(&number).then_some(number)
}

/// A file mode mask in octal digits.
#[must_use]
pub fn octal_mask(text: &str) -> Option<u32> {
    let mask = u32::from_str_radix(digits(text)?, 8).ok()?;
    (mask <= 0o777).then_some(mask)
}

/// A decimal number of seconds, 0 or more, such as `0.005`.
#[must_use]
pub fn decimal_seconds(text: &str) -> Option<f64> {
    let plain = text.starts_with(|letter: char| letter.is_ascii_digit() || letter == '.');
    let number: f64 = text.parse().ok()?;
    (plain && number.is_finite()).then_some(number)
}

fn on_or_off(text: &str) -> Option<bool> {
    let known = [("On", true), ("Off", false)];
    known.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

fn option_name(text: &str) -> Option<&str> {
    let blank = |letter: char| letter.is_ascii_whitespace();
    (!text.is_empty() && !text.contains(blank)).then_some(text)
}

/// The word at the start of the text and what follows it. A quote that is never
/// closed reaches to the end, as in httpd.
fn first_word(text: &str) -> (String, &str) {
    let quote = text.chars().next().filter(|letter| QUOTES.contains(letter));
    let mut word = String::new();
    let mut rest = text[quote.map_or(0, char::len_utf8)..].chars();
    loop {
        let here = rest.as_str();
        match rest.next() {
            None => return (word, ""),
            Some('\\') if here[1..].starts_with('\\') => word.extend(rest.next()),
            Some('\\') if quote.is_some_and(|quote| here[1..].starts_with(quote)) => {
                word.extend(rest.next());
            }
            Some(letter) if Some(letter) == quote => return (word, rest.as_str()),
            Some(letter) if quote.is_none() && letter.is_ascii_whitespace() => return (word, here),
            Some(letter) => word.push(letter),
        }
    }
}

const QUOTES: [char; 2] = ['"', '\''];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_are_on_or_off_in_any_case() {
        assert_eq!(flag("WSGIErrorOverride", "On"), Ok(true));
        assert_eq!(flag("WSGIErrorOverride", "oFF"), Ok(false));
        for text in ["", "yes", "1", "On "] {
            let refused = "WSGIErrorOverride must be one of: Off | On".to_owned();
            assert_eq!(flag("WSGIErrorOverride", text), Err(refused));
        }
    }

    #[test]
    fn mapping_of_head_knows_auto() {
        assert_eq!(MapHead::parse("auto"), Ok(MapHead::Auto));
        assert_eq!(MapHead::parse("ON"), Ok(MapHead::On));
        assert_eq!(MapHead::parse("Off"), Ok(MapHead::Off));
        assert_eq!(MapHead::default(), MapHead::Auto);
        let refused = "WSGIMapHEADToGET must be one of: Off | On | Auto".to_owned();
        assert_eq!(MapHead::parse("maybe"), Err(refused));
    }

    #[test]
    fn a_line_is_all_pairs_or_none() {
        let owned = |list: &[(&str, &str)]| {
            Some(list.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
        };
        for (line, found) in [
            ("", owned(&[])),
            ("  threads=5\tprocesses=2 ", owned(&[("threads", "5"), ("processes", "2")])),
            (
                "display-name=\"my app\" threads=5",
                owned(&[("display-name", "my app"), ("threads", "5")]),
            ),
            (r#"a="say \"it\" \\ \n""#, owned(&[("a", r#"say "it" \ \n"#)])),
            (r"a='it\'s' b=\\x", owned(&[("a", "it's"), ("b", r"\x")])),
            ("a=\"open end", owned(&[("a", "open end")])),
            ("a= b=1", owned(&[("a", ""), ("b", "1")])),
            ("threads", None),
            ("threads =5", None),
            ("threads= 5", None),
            ("a=1 bare b=2", None),
        ] {
            assert_eq!(pairs(line), found, "{line}");
        }
    }

    #[test]
    fn numbers_are_strict() {
        assert_eq!(whole("0", 0..=5), Some(0));
        assert_eq!(whole("5", 0..=5), Some(5));
        for text in ["", "abc", "5x", "-1", "+1", " 1", "6", "0x1", "99999999999999999999"] {
            assert_eq!(whole(text, 0..=5), None, "{text}");
        }
        assert_eq!(signed("-5", -20..=20), Some(-5));
        assert_eq!(signed("-0", -20..=20), Some(0));
        for text in ["", "-", "--1", "+1", "1.5", "21"] {
            assert_eq!(signed(text, -20..=20), None, "{text}");
        }
        assert_eq!(octal_mask("022"), Some(0o22));
        assert_eq!(octal_mask("777"), Some(0o777));
        for text in ["", "8", "1000", "0o22", "-1", "u=rwx"] {
            assert_eq!(octal_mask(text), None, "{text}");
        }
        assert_eq!(decimal_seconds("0.005"), Some(0.005));
        assert_eq!(decimal_seconds(".5"), Some(0.5));
        assert_eq!(decimal_seconds("1e3"), Some(1000.0));
        for text in ["", ".", "abc", "-1", "+1", "inf", "NaN", "1s", "1e999"] {
            assert_eq!(decimal_seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-=\"'\\\\ a-z0-9\u{e9}]{0,12}") {
            prop_assert_eq!(flag("X", &text).is_ok(), MapHead::parse(&text).is_ok() && text.len() < 4);
            prop_assert!(pairs(&text).is_none_or(|found| found.len() <= text.len()));
            prop_assert!(whole(&text, 0..=7).is_none_or(|number| number <= 7));
            prop_assert!(signed(&text, -7..=7).is_none_or(|number| number.abs() <= 7));
            prop_assert!(octal_mask(&text).is_none_or(|mask| mask <= 0o777));
            prop_assert!(decimal_seconds(&text).is_none_or(|number| number >= 0.0));
        }

        #[test]
        fn every_number_is_itself(large: u64, small: i64) {
            prop_assert_eq!(whole(&large.to_string(), 0..=u64::MAX), Some(large));
            prop_assert_eq!(signed(&small.to_string(), i64::MIN..=i64::MAX), Some(small));
        }

        #[test]
        fn a_quoted_value_comes_back(value in "\\PC*") {
            let quoted = value.replace('\\', r"\\").replace('"', "\\\"");
            let expected = Some(vec![("a".to_owned(), value)]);
            prop_assert_eq!(pairs(&format!("a=\"{quoted}\"")), expected);
        }
    }
}
