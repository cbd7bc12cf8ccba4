//! SHA-256 digests: made, compared, and the error when they differ.

use std::io::Read;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Kind};

/// SHA-256 of all bytes, in lower-case hex.
///
/// # Errors
/// When reading fails.
pub fn hash_reader(reader: &mut impl Read) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
    }
    Ok(hex(&hasher.finalize()))
}

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
