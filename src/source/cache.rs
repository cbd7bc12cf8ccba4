//! The cache: archives keyed by SHA-256, finished artefacts keyed by the hash
//! of everything that went into them. Safe to delete at any time; written by
//! rename only, so a killed run leaves nothing that looks whole.

use std::fs::File;
use std::io::{ErrorKind, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use prefix::{Manifest, hash_file};

use crate::digest::same_digest;
use crate::error::{Error, Kind, Result};
use crate::folder::{self, Scratch};
use crate::process::{check_interrupted, lock};
use crate::recipe::SourceFile;
use crate::report::Report;

/// A cache folder. Made when first written to.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// The cache at that folder.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where an archive lies, once it is there.
    #[must_use]
    pub fn archive(&self, sha256: &str) -> PathBuf {
        self.root.join("sources/sha256").join(sha256)
    }

    /// Where the archive's detached signature lies, if it was ever seen.
    #[must_use]
    pub fn signature(&self, sha256: &str) -> PathBuf {
        self.archive(sha256).with_extension("asc")
    }

    /// Where an archive first came from.
    #[must_use]
    pub fn origin(&self, sha256: &str) -> Option<String> {
        std::fs::read_to_string(self.archive(sha256).with_extension("origin")).ok()
    }

    /// Copies a finished artefact out, if it is there and whole. `title` names it
    /// for people.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn restore(&self, key: &str, title: &str, to: &Path, report: &Report) -> Result<bool> {
        let artefact = self.artefact(key);
        let Ok(manifest) = Manifest::read(&artefact) else { return Ok(false) };
        if manifest.differences(&artefact).is_ok_and(|differences| differences.is_empty()) {
            folder::copy(&artefact, to)?;
            folder::touch(&artefact);
            return Ok(true);
        }
        report.warn(&format!("the cached build of {title} is damaged and is made again"));
        Ok(false)
    }

    /// Keeps an artefact for later, by rename. A cache that cannot be written
    /// costs the next build some time, not this one its success.
    ///
    /// # Errors
    /// When a signal asked for the end.
    pub fn keep(&self, key: &str, title: &str, from: &Path, report: &Report) -> Result<()> {
        if let Err(error) = self.store(&self.artefact(key), from) {
            check_interrupted()?;
            report.detail(&format!("{title} is not kept for later: {error}"));
        }
        Ok(())
    }

    fn store(&self, artefact: &Path, from: &Path) -> Result<()> {
        let manifest = Manifest::of(from)?;
        let parent = self.make("builds")?;
        let fresh = Scratch::below(&parent, ".new-")?;
        folder::copy(from, fresh.path())?;
        manifest.write(fresh.path())?;
        if artefact.exists() {
            let damaged = Scratch::below(&parent, ".old-")?;
            std::fs::rename(artefact, damaged.path().join("artefact")).map_err(Error::io(
                Kind::Install,
                "replace",
                artefact,
            ))?;
        }
        std::fs::rename(fresh.keep(), artefact).map_err(Error::io(Kind::Install, "write", artefact))
    }

    fn artefact(&self, key: &str) -> PathBuf {
        self.root.join("builds").join(key)
    }

    /// Logs of the last runs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The archive, if it is there and has the pinned digest. One that has
    /// another is set aside.
    ///
    /// # Errors
    /// When it cannot be read or moved.
    pub fn whole_archive(&self, file: &SourceFile, report: &Report) -> Result<Option<PathBuf>> {
        let path = self.archive(&file.sha256);
        if !path.is_file() {
            return Ok(None);
        }
        if same_digest(&hash_file(&path)?, &file.sha256) {
            return Ok(Some(path));
        }
        let aside = self.set_aside(&path, &file.name)?;
        report.warn(&format!(
            "cached {} is damaged; it was set aside as {}",
            file.name,
            aside.display()
        ));
        Ok(None)
    }

    /// A partly fetched archive, locked against other runs.
    ///
    /// # Errors
    /// When it cannot be opened or locked.
    pub fn partial(&self, sha256: &str) -> Result<Partial> {
        let folder = self.make("sources/partial")?;
        let path = folder.join(sha256);
        let file = File::options()
            .create(true)
            .read(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(Kind::Network, "open", &path))?;
        lock(&file).map_err(Error::io(Kind::Network, "lock", &path))?;
        check_interrupted()?;
        Ok(Partial { path, file })
    }

    /// Removes what is left of downloads that nobody is at.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove_partials(&self) -> Result<()> {
        for path in folder::items(&self.root.join("sources/partial")).unwrap_or_default() {
            let is_idle = File::open(&path).is_ok_and(|file| file.try_lock().is_ok());
            if is_idle {
                std::fs::remove_file(&path).map_err(Error::io(Kind::Network, "remove", &path))?;
            }
        }
        Ok(())
    }

    /// Takes a file in, by rename where possible.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn adopt(&self, file: &Path, sha256: &str, origin: &str) -> Result<PathBuf> {
        self.make("sources/sha256")?;
        let place = self.archive(sha256);
        if std::fs::rename(file, &place).is_err() {
            let fresh = place.with_extension(format!("new{}", std::process::id()));
            std::fs::copy(file, &fresh)
                .and_then(|_| std::fs::rename(&fresh, &place))
                .map_err(Error::io(Kind::Network, "write", &place))?;
        }
        let note = place.with_extension("origin");
        std::fs::write(&note, origin).map_err(Error::io(Kind::Network, "write", &note))?;
        Ok(place)
    }

    /// Keeps a signature beside its archive.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep_signature(&self, file: &Path, sha256: &str) -> Result<()> {
        self.make("sources/sha256")?;
        let place = self.signature(sha256);
        std::fs::copy(file, &place).map(drop).map_err(Error::io(Kind::Network, "write", &place))
    }

    /// Moves a bad file out of the way, for inspection.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn set_aside(&self, file: &Path, name: &str) -> Result<PathBuf> {
        let aside = self.make("sources/rejected")?.join(name);
        std::fs::rename(file, &aside).map_err(Error::io(Kind::Checksum, "set aside", file))?;
        Ok(aside)
    }

    /// Makes a folder below the cache.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn make(&self, below: &str) -> Result<PathBuf> {
        let folder = self.root.join(below);
        std::fs::create_dir_all(&folder).map_err(|source| {
            Error::io(Kind::Network, "make folder", &folder)(source)
                .hint("name another place with --cache")
        })?;
        Ok(folder)
    }
}

/// A partly fetched archive; unlocked on drop.
#[derive(Debug)]
pub struct Partial {
    /// Where it lies.
    pub path: PathBuf,
    /// Open for reading and appending.
    pub file: File,
}

impl Partial {
    /// Bytes so far.
    ///
    /// # Errors
    /// When the file cannot be inspected.
    pub fn len(&self) -> std::io::Result<u64> {
        self.file.metadata().map(|metadata| metadata.len())
    }

    /// Starts anew.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub fn clear(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.remember_tag(None)
    }

    /// What the server called the version that these bytes are of.
    #[must_use]
    pub fn tag(&self) -> Option<String> {
        std::fs::read_to_string(self.tag_path()).ok()
    }

    /// Remembers the server's name for the version.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn remember_tag(&self, tag: Option<&str>) -> std::io::Result<()> {
        match tag {
            Some(tag) => File::create(self.tag_path())?.write_all(tag.as_bytes()),
            None => match std::fs::remove_file(self.tag_path()) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    fn tag_path(&self) -> PathBuf {
        self.path.with_extension("tag")
    }
}
