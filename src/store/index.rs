//! The documents of a shared store, as the OCI image specification has them: an
//! index, and a manifest for each tree with one layer, the archive.

use std::collections::BTreeMap;

use prefix::Record;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{Error, Kind, Result};
use crate::recipe::SourceFile;

/// An index as it lies in a store.
pub(super) struct Signed {
    pub(super) bytes: Vec<u8>,
    /// minisign's, of these bytes.
    pub(super) signature: Option<String>,
}

/// What a store holds.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Index {
    schema_version: u8,
    media_type: String,
    manifests: Vec<Descriptor>,
}

/// What a document says of another one, or of a blob.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// One tree of a store.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Entry {
    /// Plan hash.
    pub plan: String,
    /// Hash of what was asked for, when it was built.
    pub request: String,
    /// Release of httpd.
    pub httpd: String,
    /// Target triple.
    pub target: String,
    /// The Python that its module is for, with its release; empty without one.
    pub python: String,
    /// SHA-256 of its manifest.
    pub digest: String,
    /// Bytes of its manifest.
    pub size: u64,
}

/// A tree's manifest, and what it names.
#[derive(Debug)]
pub(super) struct Parts {
    /// The document itself.
    pub(super) manifest: Vec<u8>,
    /// SHA-256 of the archive.
    pub(super) archive: String,
    /// Bytes of the archive.
    pub(super) size: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self { schema_version: 2, media_type: INDEX_TYPE.to_owned(), manifests: Vec::new() }
    }
}

impl Index {
    pub(super) fn parse(bytes: &[u8], location: &str) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|source| {
            Error::new(Kind::Network, format!("`{location}` has no index of an OCI image layout"))
                .caused_by(source)
        })
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(no_json)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Trees of ours; a layout may hold other things.
    pub(super) fn entries(&self) -> Result<Vec<Entry>> {
        let ours = self.manifests.iter().filter(|part| part.annotations.contains_key(REQUEST));
        ours.map(Entry::read).collect()
    }

    /// Adds a tree, in the place of one of the same plan.
    pub(super) fn add(&mut self, entry: &Entry) {
        let is_other = |part: &Descriptor| part.annotations.get(PLAN) != Some(&entry.plan);
        self.manifests.retain(is_other);
        self.manifests.push(entry.descriptor());
    }
}

impl Entry {
    pub(super) fn of(record: &Record, parts: &Parts) -> Self {
        let python = record.python.as_ref();
        Self {
            plan: record.plan.clone(),
            request: record.request.clone(),
            httpd: record.component("httpd").map_or(String::new(), |part| part.version.clone()),
            target: record.target.clone(),
            python: python.map_or(String::new(), |python| {
                format!("{} {}", python.executable.display(), python.version)
            }),
            digest: hash_of_bytes(&parts.manifest),
            size: parts.manifest.len() as u64,
        }
    }

    fn read(part: &Descriptor) -> Result<Self> {
        let note = |name: &str| part.annotations.get(name).cloned().unwrap_or_default();
        let plan = note(PLAN);
        if plan.is_empty() || !plan.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::new(Kind::Network, "the index names a tree by no plan hash")
                .detail(format!("found {plan:?}")));
        }
        Ok(Self {
            plan,
            request: note(REQUEST),
            httpd: note(VERSION),
            target: note(TARGET),
            python: note(PYTHON),
            digest: sha256(&part.digest)?,
            size: part.size,
        })
    }

    fn descriptor(&self) -> Descriptor {
        let notes = [
            (PLAN, &self.plan),
            (REQUEST, &self.request),
            (VERSION, &self.httpd),
            (TARGET, &self.target),
            (PYTHON, &self.python),
        ];
        Descriptor {
            media_type: MANIFEST_TYPE.to_owned(),
            digest: format!("sha256:{}", self.digest),
            size: self.size,
            annotations: notes.map(|(name, text)| (name.to_owned(), text.clone())).into(),
        }
    }
}

impl Parts {
    /// The manifest of a tree with that archive.
    pub(super) fn new(archive: String, size: u64) -> Result<Self> {
        let manifest = serde_json::to_vec_pretty(&json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": TREE_TYPE,
            "config": {
                "mediaType": EMPTY_TYPE,
                "digest": format!("sha256:{}", hash_of_bytes(EMPTY)),
                "size": EMPTY.len(),
            },
            "layers": [{
                "mediaType": LAYER_TYPE, "digest": format!("sha256:{archive}"), "size": size,
            }],
        }))
        .map_err(no_json)?;
        Ok(Self { manifest, archive, size })
    }

    /// Reads the manifest that an entry of the index names.
    pub(super) fn parse(bytes: &[u8], entry: &Entry) -> Result<Self> {
        let found = hash_of_bytes(bytes);
        if found != entry.digest {
            return Err(crate::digest::wrong_digest(
                &format!("the manifest of {}", entry.plan),
                &entry.digest,
                &found,
            ));
        }
        let (archive, size) = Self::layer(bytes)?;
        Ok(Self { manifest: bytes.to_vec(), archive, size })
    }

    /// Digest and size of the one layer that a manifest names.
    pub(super) fn layer(manifest: &[u8]) -> Result<(String, u64)> {
        #[derive(Deserialize)]
        struct Document {
            layers: Vec<Descriptor>,
        }
        let document: Document = serde_json::from_slice(manifest).map_err(no_json)?;
        let layer = document
            .layers
            .first()
            .ok_or_else(|| Error::new(Kind::Network, "a manifest of the store names no layer"))?;
        Ok((sha256(&layer.digest)?, layer.size))
    }

    /// The archive, as the stages that fetch, verify and unpack know archives.
    pub(super) fn file(&self, plan: &str) -> SourceFile {
        SourceFile {
            name: format!("{plan}.tar.gz"),
            urls: Vec::new(),
            sha256: self.archive.clone(),
            tar_sha256: None,
            size: self.size,
            folder: plan.to_owned(),
            signature: None,
        }
    }
}

/// Hex of a digest as OCI documents write it; nothing else comes near a path.
fn sha256(digest: &str) -> Result<String> {
    let hex = digest.strip_prefix("sha256:").unwrap_or_default();
    if hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(hex.to_owned());
    }
    Err(Error::new(Kind::Network, format!("`{digest}` is no digest that a store can have"))
        .detail("expected sha256: and 64 hex digits"))
}

pub(super) fn hash_of_bytes(bytes: &[u8]) -> String {
    prefix::hash_reader(&mut &*bytes).unwrap_or_default()
}

fn no_json(source: serde_json::Error) -> Error {
    Error::new(Kind::Network, "a document of the store cannot be read").caused_by(source)
}

pub(super) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What the one layer is: an ordinary layer, so that every tool can unpack it.
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const TREE_TYPE: &str = "application/vnd.mod-wsgi-rs.tree.v1";
/// The configuration of what has none, and its type.
pub(super) const EMPTY: &[u8] = b"{}";
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";

const PLAN: &str = "org.opencontainers.image.ref.name";
const VERSION: &str = "org.opencontainers.image.version";
const REQUEST: &str = "org.mod-wsgi-rs.request";
const TARGET: &str = "org.mod-wsgi-rs.target";
const PYTHON: &str = "org.mod-wsgi-rs.python";
