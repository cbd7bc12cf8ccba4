//! SHA-256 digests: made, compared, and the error when they differ.

pub use prefix::hash_reader;

use crate::error::{Error, Kind};

/// Whether two digests are the same; upper case is accepted.
#[must_use]
pub fn same_digest(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error for bytes that are not the pinned ones.
#[must_use]
pub fn wrong_digest(what: &str, expected: &str, found: &str) -> Error {
    Error::new(Kind::Checksum, format!("checksum of `{what}` is wrong"))
        .detail(format!("expected {expected}"))
        .detail(format!("found    {found}"))
        .hint("delete it, or pass another source with --mirror or --vendor")
}
