//! The manifest (`manifest.json`): every file of a tree with its mode and
//! SHA-256, and what differs from it later.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

/// All files and links of a tree, by path relative to it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Manifest {
    /// Path relative to the tree, with `/`, to what lies there.
    pub entries: BTreeMap<String, Entry>,
}

/// One file or link.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Permission bits.
    pub mode: u32,
    /// What it is, and its content.
    pub kind: Kind,
}

/// Content of an entry.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file and the SHA-256 of its bytes.
    File {
        /// Lower-case hex.
        sha256: String,
    },
    /// A symbolic link and its target.
    Link {
        /// As stored in the link.
        target: String,
    },
}

/// One way in which a tree is not what its manifest says.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// Listed, but gone.
    Missing,
    /// Other bytes, or another link target.
    Content,
    /// Other permission bits.
    Mode {
        /// As installed.
        expected: u32,
        /// As found.
        found: u32,
    },
    /// Present, but not listed. Somebody else's file: reported, never touched.
    Unknown,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => formatter.write_str("is missing"),
            Self::Content => formatter.write_str("was changed"),
            Self::Mode { expected, found } => {
                write!(formatter, "has mode {found:o} instead of {expected:o}")
            }
            Self::Unknown => formatter.write_str("is not ours"),
        }
    }
}

impl Manifest {
    /// File name inside a tree.
    pub const FILE: &str = "manifest.json";

    /// Its name while the tree is being removed: the tree counts as gone, and a
    /// later run can finish the work.
    pub const REMOVING: &str = "manifest.removing";

    /// Lists a tree as it is now, without the manifest itself.
    ///
    /// # Errors
    /// When something in the tree cannot be read.
    pub fn of(tree: &Path) -> Result<Self> {
        let mut manifest = Self::default();
        manifest.add_folder(tree, "")?;
        manifest.entries.remove(Self::FILE);
        Ok(manifest)
    }

    /// Reads the manifest of a tree.
    ///
    /// # Errors
    /// When the file is missing or not a manifest.
    pub fn read(tree: &Path) -> Result<Self> {
        Self::read_file(&tree.join(Self::FILE))
    }

    /// Reads the manifest of a tree that is being removed.
    ///
    /// # Errors
    /// When the file is missing or not a manifest.
    pub fn read_removing(tree: &Path) -> Result<Self> {
        Self::read_file(&tree.join(Self::REMOVING))
    }

    fn read_file(path: &Path) -> Result<Self> {
        let path = path.to_owned();
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        serde_json::from_str(&text).map_err(|source| Error::Malformed {
            what: "a manifest",
            path,
            source: source.into(),
        })
    }

    /// Writes the manifest into its tree, one entry a line.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, tree: &Path) -> Result<()> {
        let path = tree.join(Self::FILE);
        let mut text = serde_json::to_string_pretty(self).map_err(|source| Error::Malformed {
            what: "a manifest",
            path: path.clone(),
            source: source.into(),
        })?;
        text.push('\n');
        File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(Error::io("write", &path))
    }

    /// What of `tree` differs from this manifest, by path.
    ///
    /// # Errors
    /// When the tree cannot be listed.
    pub fn differences(&self, tree: &Path) -> Result<BTreeMap<String, Difference>> {
        let found = Self::of(tree)?;
        let mut differences = BTreeMap::new();
        for (path, expected) in &self.entries {
            match found.entries.get(path) {
                None => drop(differences.insert(path.clone(), Difference::Missing)),
                Some(entry) if entry.kind != expected.kind => {
                    differences.insert(path.clone(), Difference::Content);
                }
                Some(entry) if entry.mode != expected.mode => {
                    let mode = Difference::Mode { expected: expected.mode, found: entry.mode };
                    differences.insert(path.clone(), mode);
                }
                Some(_) => {}
            }
        }
        for path in found.entries.keys() {
            if !self.entries.contains_key(path) {
                differences.insert(path.clone(), Difference::Unknown);
            }
        }
        Ok(differences)
    }

    fn add_folder(&mut self, folder: &Path, name: &str) -> Result<()> {
        for item in std::fs::read_dir(folder).map_err(Error::io("list", folder))? {
            let item = item.map_err(Error::io("list", folder))?;
            let path = item.path();
            let below = item.file_name();
            let below = below.to_string_lossy();
            let name = if name.is_empty() { below.into_owned() } else { format!("{name}/{below}") };
            let metadata = path.symlink_metadata().map_err(Error::io("inspect", &path))?;
            let kind = if metadata.is_dir() {
                self.add_folder(&path, &name)?;
                continue;
            } else if metadata.is_symlink() {
                let target = std::fs::read_link(&path).map_err(Error::io("read link", &path))?;
                Kind::Link { target: target.to_string_lossy().into_owned() }
            } else {
                Kind::File { sha256: hash_file(&path)? }
            };
            // A link's own mode means nothing and differs between systems.
            let mode = match kind {
                Kind::Link { .. } => 0o777,
                Kind::File { .. } => metadata.permissions().mode() & 0o7777,
            };
            self.entries.insert(name, Entry { mode, kind });
        }
        Ok(())
    }
}

/// SHA-256 of a file's bytes, in lower-case hex.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_file(path: &Path) -> Result<String> {
    File::open(path).and_then(|mut file| hash_reader(&mut file)).map_err(Error::io("read", path))
}

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
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
