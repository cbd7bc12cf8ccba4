//! Archives from a folder of this machine, by a `file:` address; and why a download
//! does not work, from wherever.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::cache::Cache;
use crate::digest::{hex, same_digest, wrong_digest};
use crate::error::{Error, Kind};
use crate::process::check_interrupted;
use crate::recipe::SourceFile;
use crate::report::Report;

/// Why a download did not work.
pub(super) enum Fault {
    /// Not to be had there; the next address may have it.
    Absent(String),
    /// It gave other bytes than the pinned ones.
    Wrong(Box<Error>),
    /// Going on would be wrong: a full disk, a signal.
    Stop(Box<Error>),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Stop(Box::new(error))
    }
}

/// A `file:` address: same limits, same digest.
pub(super) fn copy_local(
    path: &Path,
    file: &SourceFile,
    cache: &Cache,
    report: &Report,
) -> Result<PathBuf, Fault> {
    let mut from = match std::fs::File::open(path) {
        Ok(from) => from,
        Err(error) => return Err(Fault::Absent(error.to_string())),
    };
    let mut partial = cache.partial(&file.sha256)?;
    // Another run may have finished it while we waited for the lock.
    if let Some(path) = cache.whole_archive(file, report)? {
        return Ok(path);
    }
    let disk = |source| Fault::from(Error::io(Kind::Network, "write to", cache.root())(source));
    partial.clear().map_err(disk)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    loop {
        check_interrupted()?;
        let count = from.read(&mut buffer).map_err(|error| Fault::Absent(error.to_string()))?;
        if count == 0 {
            break;
        }
        hasher.update(&buffer[..count]);
        partial.file.write_all(&buffer[..count]).map_err(disk)?;
    }
    let found = hex(&hasher.finalize());
    if same_digest(&found, &file.sha256) {
        return Ok(cache.adopt(
            &partial.path,
            &file.sha256,
            &format!("file://{}", path.display()),
        )?);
    }
    let aside = cache.set_aside(&partial.path, &file.name)?;
    let error = wrong_digest(&file.name, &file.sha256, &found)
        .detail(format!("kept as {}", aside.display()));
    Err(Fault::Wrong(Box::new(error)))
}
