//! The way to the network of a program that was built without one: addresses of this
//! machine alone.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::Cache;
use super::local::{Fault, copy_local};
use crate::recipe::SourceFile;
use crate::report::Report;

/// No way to the network.
pub(super) struct Http {
    report: Report,
}

impl Http {
    pub(super) fn new(_stall: Duration, report: Report) -> Self {
        Self { report }
    }

    /// Copies one archive into the cache.
    pub(super) fn download(
        &self,
        url: &str,
        file: &SourceFile,
        cache: &Cache,
    ) -> Result<PathBuf, Fault> {
        let path = url.strip_prefix("file://").ok_or_else(|| Fault::Absent(WHY.to_owned()))?;
        copy_local(Path::new(path), file, cache, &self.report)
    }

    /// Reads a file whole, or says why not.
    pub(super) fn whole(&self, url: &str, _most: u64) -> Result<Vec<u8>, String> {
        let path = url.strip_prefix("file://").ok_or(WHY)?;
        std::fs::read(path).map_err(|error| error.to_string())
    }
}

const WHY: &str = "this program was built without the feature `network`";
