//! A typed view of an installed private httpd: where its trees lie, what was
//! built into them, which bytes they should hold and how to build against them.
//!
//! Installer, launcher and tests read a prefix through this crate alone. It
//! builds nothing and starts nothing.

mod base;
mod build_vars;
mod error;
mod manifest;
mod record;

pub use base::{Base, LOCK_FILE, Links};
pub use build_vars::{BuildVars, PLACEHOLDER};
pub use error::{Error, Result};
pub use manifest::{Difference, Entry, Kind, Manifest, hash_file, hash_reader};
pub use record::{Component, Python, Record};
