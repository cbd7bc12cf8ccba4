//! The way to the network of a program that was built without one.

use std::path::PathBuf;
use std::time::Duration;

use super::cache::Cache;
use super::local::Fault;
use crate::recipe::SourceFile;
use crate::report::Report;

/// No way to the network.
pub(super) struct Http;

impl Http {
    pub(super) fn new(_stall: Duration, _report: Report) -> Self {
        Self
    }

    pub(super) fn download(&self, _: &str, _: &SourceFile, _: &Cache) -> Result<PathBuf, Fault> {
        Err(Fault::Absent(WHY.to_owned()))
    }

    pub(super) fn whole(&self, _url: &str, _most: u64) -> Result<Vec<u8>, String> {
        Err(WHY.to_owned())
    }
}

const WHY: &str = "this program was built without the feature `network`";
