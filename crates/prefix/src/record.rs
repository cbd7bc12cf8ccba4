//! The build record (`build.json`): what a tree was made of, and how.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What a tree was made of, and how. Written once, at the end of the build.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Hash of what was asked for: recipes, options, compiler, target. An
    /// install that asks for the same has nothing to do.
    pub request: String,
    /// Hash of what was built: the request and the releases obtained for it.
    pub plan: String,
    /// Version of the installer.
    pub tool: String,
    /// Engine that built the tree, for example `upstream`.
    pub engine: String,
    /// Target triple, for example `x86_64-unknown-linux-gnu`.
    pub target: String,
    /// First line that the compiler says of itself.
    pub compiler: String,
    /// Features that are on, sorted.
    pub features: Vec<String>,
    /// Where OpenSSL came from: `private`, `system` or `none`.
    pub tls: String,
    /// The Python that `mod_wsgi.so` is for, if it was built.
    pub python: Option<Python>,
    /// How far the closing check came: `served` (pages over each protocol),
    /// `served-http1` (by a program that speaks no other) or `configuration` (every module loads; the machine has no loopback).
    pub check: String,
    /// The parts, in build order.
    pub components: Vec<Component>,
}

/// The Python that the module is for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Python {
    /// The interpreter.
    pub executable: PathBuf,
    /// For example `3.11.7`.
    pub version: String,
}

/// One part of a tree.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Recipe name, for example `apr-util`.
    pub name: String,
    /// Release.
    pub version: String,
    /// File name of its source archive.
    pub file: String,
    /// SHA-256 of that file, in lower-case hex.
    pub sha256: String,
    /// Where the file came from.
    pub origin: String,
    /// Patches applied, in order.
    pub patches: Vec<String>,
    /// SPDX expression.
    pub licence: String,
    /// Home page.
    pub homepage: String,
    /// Whether the release is below the recipe's minimum safe version.
    pub vulnerable: bool,
}

impl Record {
    /// File name inside a tree.
    pub const FILE: &str = "build.json";

    /// Reads the record of a tree.
    ///
    /// # Errors
    /// When the file is missing or not a record.
    pub fn read(tree: &Path) -> Result<Self> {
        let path = tree.join(Self::FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        serde_json::from_str(&text).map_err(|source| Error::Malformed {
            what: "a build record",
            path,
            source: source.into(),
        })
    }

    /// Writes the record into a tree.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, tree: &Path) -> Result<()> {
        let path = tree.join(Self::FILE);
        let mut text = serde_json::to_string_pretty(self).map_err(|source| Error::Malformed {
            what: "a build record",
            path: path.clone(),
            source: source.into(),
        })?;
        text.push('\n');
        std::fs::write(&path, text).map_err(Error::io("write", &path))
    }

    /// The component of that name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<&Component> {
        self.components.iter().find(|part| part.name == name)
    }
}
