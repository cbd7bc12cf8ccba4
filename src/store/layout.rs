//! A store in a folder, as an OCI image layout, and the same folder behind a web
//! server, from which trees are only read.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::Shelf;
use super::index::{EMPTY, Parts, Signed, hash_of_bytes};
use crate::error::{Error, Kind, Result};
use crate::folder::make_parent;
use crate::process::lock;
use crate::source::Sources;

/// A folder by its address.
pub(super) struct Site<'s> {
    url: String,
    sources: &'s Sources,
}

impl<'s> Site<'s> {
    pub(super) fn new(url: &str, sources: &'s Sources) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), sources }
    }

    fn blob(&self, digest: &str) -> String {
        format!("{}/{}", self.url, blob(digest))
    }

    fn read_only(&self) -> Error {
        Error::new(Kind::Usage, format!("`{}` is only read from", self.url))
            .hint("push to the folder that its server shows")
    }

    fn read(&self, url: &str, most: u64) -> Result<Vec<u8>> {
        self.sources
            .unpinned(url, most)
            .map_err(|why| Error::new(Kind::Network, format!("`{url}` cannot be had")).detail(why))
    }
}

impl Shelf for Site<'_> {
    fn index(&self) -> Result<Option<Signed>> {
        let url = format!("{}/{INDEX}", self.url);
        let bytes = self.read(&url, MOST_OF_INDEX)?;
        let signature = self.sources.unpinned(&format!("{url}{SIGNED}"), MOST_OF_SIGNATURE).ok();
        let signature = signature.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Ok(Some(Signed { bytes, signature }))
    }

    fn small(&self, digest: &str) -> Result<Vec<u8>> {
        self.read(&self.blob(digest), MOST_OF_INDEX)
    }

    fn archive(&self, parts: &Parts, _scratch: &Path) -> Result<PathBuf> {
        self.sources.pinned(&self.blob(&parts.archive), &parts.file(&parts.archive))
    }

    fn put(&self, _parts: &Parts, _plan: &str, _archive: &Path) -> Result<()> {
        Err(self.read_only())
    }

    fn put_index(&self, _index: &Signed) -> Result<()> {
        Err(self.read_only())
    }

    /// Says so before anything is packed.
    fn hold(&self) -> Result<Option<File>> {
        Err(self.read_only())
    }
}

/// A folder of this machine, or one that it mounts.
pub(super) struct Folder<'s> {
    folder: PathBuf,
    site: Site<'s>,
}

impl<'s> Folder<'s> {
    pub(super) fn new(location: &str, sources: &'s Sources) -> Result<Self> {
        let failed = Error::io(Kind::Usage, "use", location);
        let folder = std::path::absolute(location).map_err(failed)?;
        let url = format!("file://{}", folder.display());
        Ok(Self { folder, site: Site::new(&url, sources) })
    }

    /// Writes beside the place and renames: nobody sees half a file.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let place = self.folder.join(name);
        make_parent(&place)?;
        let fresh = place.with_extension(format!("new{}", std::process::id()));
        std::fs::write(&fresh, bytes)
            .and_then(|()| std::fs::rename(&fresh, &place))
            .map_err(Error::io(Kind::Install, "write", &place))
    }
}

impl Shelf for Folder<'_> {
    fn index(&self) -> Result<Option<Signed>> {
        if self.folder.join(INDEX).is_file() { self.site.index() } else { Ok(None) }
    }

    fn small(&self, digest: &str) -> Result<Vec<u8>> {
        self.site.small(digest)
    }

    /// Read where it lies; it is verified through the same open file.
    fn archive(&self, parts: &Parts, _scratch: &Path) -> Result<PathBuf> {
        Ok(self.folder.join(blob(&parts.archive)))
    }

    fn put(&self, parts: &Parts, _plan: &str, archive: &Path) -> Result<()> {
        self.write("oci-layout", b"{\"imageLayoutVersion\": \"1.0.0\"}\n")?;
        self.write(&blob(&hash_of_bytes(EMPTY)), EMPTY)?;
        let bytes = std::fs::read(archive).map_err(Error::io(Kind::Install, "read", archive))?;
        self.write(&blob(&parts.archive), &bytes)?;
        self.write(&blob(&hash_of_bytes(&parts.manifest)), &parts.manifest)
    }

    fn put_index(&self, index: &Signed) -> Result<()> {
        if let Some(signature) = &index.signature {
            self.write(&format!("{INDEX}{SIGNED}"), signature.as_bytes())?;
        }
        self.write(INDEX, &index.bytes)
    }

    fn hold(&self) -> Result<Option<File>> {
        let place = self.folder.join(".lock");
        make_parent(&place)?;
        let file = File::create(&place).map_err(Error::io(Kind::Install, "write", &place))?;
        lock(&file).map_err(Error::io(Kind::Install, "lock", &place))?;
        Ok(Some(file))
    }
}

fn blob(digest: &str) -> String {
    format!("blobs/sha256/{digest}")
}

const INDEX: &str = "index.json";
/// What minisign adds to the name of a file that it has signed.
const SIGNED: &str = ".minisig";
/// Some 20,000 trees.
const MOST_OF_INDEX: u64 = 16 << 20;
const MOST_OF_SIGNATURE: u64 = 4096;
