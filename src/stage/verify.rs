//! Verify or stop. A file becomes [`Verified`] only when its bytes, read
//! through the same open file that is unpacked later, have the pinned digest,
//! and so has the tar inside where it is pinned too.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom, Write};
use std::path::Path;

use bzip2::bufread::BzDecoder;
use flate2::bufread::GzDecoder;
use lzma_rust2::XzReader;
use sha2::{Digest as _, Sha256};

use crate::digest::{hash_reader, hex, same_digest, wrong_digest};
use crate::error::{Error, Kind, Result};
use crate::process::check_interrupted;
use crate::recipe::SourceFile;
use crate::source::looks_like;
use crate::stage::fetch::Tarball;

/// An archive whose bytes are the pinned ones, as an open, plain tar file.
#[derive(Debug)]
pub struct Verified {
    /// The tar, on disk without a name, at its start.
    pub tar: File,
    /// The archive's file name, for messages.
    pub name: String,
    /// The one folder at its top.
    pub folder: String,
}

/// Checks an archive and decompresses it into `scratch`.
///
/// # Errors
/// [`Kind::Checksum`] when a digest is wrong, [`Kind::Unpack`] when the
/// compressed stream is broken or beyond all bounds.
pub fn verify(tarball: &Tarball, file: &SourceFile, scratch: &Path) -> Result<Verified> {
    let mut archive =
        File::open(&tarball.path).map_err(Error::io(Kind::Network, "open", &tarball.path))?;
    let found =
        hash_reader(&mut archive).map_err(Error::io(Kind::Checksum, "read", &tarball.path))?;
    if !same_digest(&found, &file.sha256) {
        let start = first_bytes(&mut archive);
        return Err(wrong_digest(&file.name, &file.sha256, &found)
            .detail(format!("it is {}", looks_like(&start)))
            .detail(format!("at {}", tarball.path.display())));
    }
    archive.seek(SeekFrom::Start(0)).map_err(Error::io(Kind::Unpack, "rewind", &tarball.path))?;
    let (tar, digest) = decompress(archive, &file.name, scratch)?;
    match &file.tar_sha256 {
        Some(expected) if !same_digest(&digest, expected) => {
            Err(wrong_digest(&format!("the tar inside {}", file.name), expected, &digest))
        }
        _ => Ok(Verified { tar, name: file.name.clone(), folder: file.folder.clone() }),
    }
}

/// Decompresses by what the bytes are, not by what the name says. A second
/// member or bytes after the stream's end are refused: no release has
/// them, and readers disagree about them.
fn decompress(archive: File, name: &str, scratch: &Path) -> Result<(File, String)> {
    let length = archive.metadata().map_err(Error::io(Kind::Unpack, "inspect", name))?.len();
    let mut archive = archive;
    let start = first_bytes(&mut archive);
    archive.seek(SeekFrom::Start(0)).map_err(Error::io(Kind::Unpack, "rewind", name))?;
    let mut tar = tempfile::tempfile_in(scratch).map_err(Error::io(
        Kind::Unpack,
        "make a file in",
        scratch,
    ))?;
    let limit = Limit::for_archive(length);
    let input = BufReader::with_capacity(128 * 1024, archive);
    let digest = match start.as_slice() {
        [0x1f, 0x8b, ..] => {
            let mut decoder = GzDecoder::new(input);
            let digest = copy_hashed(&mut decoder, &mut tar, limit, name)?;
            refuse_rest(decoder.into_inner(), name)?;
            digest
        }
        [b'B', b'Z', b'h', ..] => {
            let mut decoder = BzDecoder::new(input);
            let digest = copy_hashed(&mut decoder, &mut tar, limit, name)?;
            refuse_rest(decoder.into_inner(), name)?;
            digest
        }
        [0xfd, b'7', b'z', b'X', b'Z', 0] => {
            let mut decoder = XzReader::new(input, false);
            let digest = copy_hashed(&mut decoder, &mut tar, limit, name)?;
            refuse_rest(decoder.into_inner(), name)?;
            digest
        }
        other => {
            return Err(Error::new(
                Kind::Unpack,
                format!("`{name}` is no archive that can be read"),
            )
            .detail("expected gzip, bzip2 or xz")
            .detail(format!("found {}", looks_like(other))));
        }
    };
    tar.seek(SeekFrom::Start(0)).map_err(Error::io(Kind::Unpack, "rewind", name))?;
    Ok((tar, digest))
}

fn refuse_rest(mut rest: impl Read, name: &str) -> Result<()> {
    let mut byte = [0];
    match rest.read(&mut byte) {
        Ok(0) => Ok(()),
        _ => {
            Err(Error::new(Kind::Unpack, format!("`{name}` goes on after the end of its archive"))
                .hint("no release does; get it from another source"))
        }
    }
}

/// How much a compressed file may become: a bomb is stopped early.
#[derive(Clone, Copy)]
struct Limit {
    bytes: u64,
}

impl Limit {
    fn for_archive(length: u64) -> Self {
        // Sources shrink to a fifth, with long runs of tests to a twelfth.
        Self { bytes: (length.saturating_mul(60)).clamp(32 << 20, 1 << 30) }
    }
}

fn copy_hashed(
    from: &mut impl Read,
    to: &mut impl Write,
    limit: Limit,
    name: &str,
) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0_u64;
    loop {
        check_interrupted()?;
        let count = from.read(&mut buffer).map_err(|source| {
            Error::new(Kind::Unpack, format!("the compressed data of `{name}` is broken"))
                .caused_by(source)
        })?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        total += count as u64;
        if total > limit.bytes {
            return Err(Error::new(Kind::Unpack, format!("`{name}` unpacks to too much"))
                .detail(format!("allowed {} bytes for a file of its size", limit.bytes)));
        }
        hasher.update(&buffer[..count]);
        to.write_all(&buffer[..count]).map_err(Error::io(Kind::Unpack, "unpack", name))?;
    }
}

fn first_bytes(file: &mut File) -> Vec<u8> {
    let mut start = [0; 6];
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read(&mut start)).unwrap_or(0);
    start[..read].to_vec()
}
