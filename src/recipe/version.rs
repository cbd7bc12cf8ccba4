//! Release numbers as upstreams write them (`2.4.69`, `10.49`, `1.2.13.dfsg`)
//! and ranges over them (`>=3.2, <4`). Semantic versions need three numbers,
//! which most of our components do not have.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A release number: parts between dots, numbers compared as numbers.
#[derive(Clone, Debug, Deserialize, Eq, Hash, PartialEq)]
#[serde(try_from = "String")]
pub struct Version {
    text: String,
}

impl Version {
    /// As upstream writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        self.text.split('.').map(|part| match part.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Word(part),
        })
    }
}

/// A word ranks below a number, so `2.0.rc1` comes before `2.0.0`.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
enum Part<'a> {
    Word(&'a str),
    Number(u64),
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(other.parts()).then_with(|| self.text.cmp(&other.text))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
        let starts_well = text.starts_with(|c: char| c.is_ascii_digit());
        // The number becomes part of file names: no `..`, no separator.
        if starts_well && text.len() <= 64 && text.chars().all(allowed) && !text.contains("..") {
            Ok(Self { text: text.to_owned() })
        } else {
            Err(format!(
                "`{text}` is not a version: expected digits first, then letters, digits, `.`, `-`, `+`"
            ))
        }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Bounds that a version must keep, all of them; none means any version.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub struct Range {
    bounds: Vec<(Bound, Version)>,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast,
    Above,
    AtMost,
    Below,
    Exactly,
}

impl Range {
    /// Whether the version keeps every bound.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        self.bounds.iter().all(|(bound, limit)| match bound {
            Bound::AtLeast => version >= limit,
            Bound::Above => version > limit,
            Bound::AtMost => version <= limit,
            Bound::Below => version < limit,
            Bound::Exactly => version == limit,
        })
    }
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bound = |text: &str| {
            let text = text.trim();
            let (bound, rest) = OPERATORS
                .iter()
                .find_map(|(sign, bound)| Some((*bound, text.strip_prefix(sign)?)))
                .unwrap_or((Bound::Exactly, text));
            Ok((bound, rest.trim().parse()?))
        };
        let bounds = if text.trim().is_empty() {
            Vec::new()
        } else {
            text.split(',').map(bound).collect::<Result<_, String>>()?
        };
        Ok(Self { bounds })
    }
}

impl TryFrom<String> for Range {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Longer signs first.
const OPERATORS: [(&str, Bound); 5] = [
    (">=", Bound::AtLeast),
    ("<=", Bound::AtMost),
    (">", Bound::Above),
    ("<", Bound::Below),
    ("=", Bound::Exactly),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn numbers_compare_as_numbers() {
        let sorted = ["1.2.9", "1.2.13.dfsg", "1.3.2", "1.6.rc1", "1.6.3", "10.42"];
        for pair in sorted.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
    }

    #[test]
    fn names_that_could_leave_a_folder_are_refused() {
        for text in ["", "..", "1/2", "1..2", "v1", "1 2", "1\n"] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn every_bound_of_a_range_counts() {
        let range: Range = ">=3.2, <4".parse().unwrap();
        let inside = ["3.2", "3.5.7", "4.0"].map(|text| range.contains(&version(text)));
        assert_eq!(inside, [true, true, false]);
        assert!(Range::default().contains(&version("0")));
    }

    proptest! {
        #[test]
        fn order_is_total_and_consistent(a in "[0-9]{1,3}(\\.[0-9a-z]{1,3}){0,3}", b in "[0-9]{1,3}(\\.[0-9a-z]{1,3}){0,3}") {
            let (a, b) = (version(&a), version(&b));
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
        }

        #[test]
        fn no_text_makes_the_readers_panic(text in ".*") {
            drop(text.parse::<Version>());
            drop(text.parse::<Range>());
        }
    }
}
