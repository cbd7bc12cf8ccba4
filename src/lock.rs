//! The lock file: which release of which component was taken from where, so
//! that another machine, or another day, takes the same.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind, Result};
use crate::folder::set_mode;

/// File name in a tree, a base folder and a vendor folder.
pub const FILE: &str = prefix::LOCK_FILE;

/// The releases of one install.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Form of the file; always 1.
    pub version: u32,
    /// One entry a component, in build order.
    #[serde(rename = "component", default)]
    pub components: Vec<Locked>,
}

/// The release of one component.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Locked {
    /// Recipe name.
    pub name: String,
    /// Release.
    pub version: String,
    /// Archive.
    pub file: String,
    /// SHA-256 of the archive, hex.
    pub sha256: String,
    /// Where it came from then; for people, not a rule.
    pub origin: String,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    /// When it is missing or not a lock file of a known form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            Error::io(Kind::Recipe, "read lock file", path)(source)
                .hint("`install` and `vendor` write one; name it with --lock")
        })?;
        let lock: Self = toml::from_str(&text).map_err(|source| {
            Error::new(Kind::Recipe, format!("lock file `{}` is wrong", path.display()))
                .detail(source.to_string())
        })?;
        if lock.version != 1 {
            return Err(Error::new(
                Kind::Recipe,
                format!("lock file `{}` has form {}", path.display(), lock.version),
            )
            .detail("expected form 1"));
        }
        Ok(lock)
    }

    /// Writes the lock file, by rename.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self).map_err(|source| {
            Error::new(Kind::Install, "failed to write a lock file").caused_by(source)
        })?;
        let text = format!("# Written by mod_wsgi-httpd; `--locked` takes exactly these.\n{text}");
        let fresh = path.with_extension("lock.new");
        std::fs::write(&fresh, text).map_err(Error::io(Kind::Install, "write lock file", path))?;
        set_mode(&fresh, 0o644)?;
        std::fs::rename(&fresh, path).map_err(Error::io(Kind::Install, "write lock file", path))
    }

    /// The entry of a component.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Locked> {
        self.components.iter().find(|locked| locked.name == name)
    }
}
