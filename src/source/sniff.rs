//! What bytes look like to a person who expected an archive.

/// What bytes look like to a person who expected an archive.
#[must_use]
pub fn looks_like(start: &[u8]) -> &'static str {
    match start {
        [] => "empty",
        [0x1f, 0x8b, ..] => "a gzip file",
        [b'B', b'Z', b'h', ..] => "a bzip2 file",
        [0xfd, b'7', b'z', b'X', b'Z', ..] => "an xz file",
        [b'P', b'K', 3, 4, ..] => "a zip file",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a zstd file",
        [0x7f, b'E', b'L', b'F', ..] => "an ELF file",
        _ if is_page(start) => "an HTML or XML page",
        _ if start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) => {
            "plain text"
        }
        _ => "data of an unknown kind",
    }
}

/// Whether bytes look like a page where an archive was expected.
#[must_use]
pub(super) fn is_page(start: &[u8]) -> bool {
    start.trim_ascii_start().starts_with(b"<")
}
