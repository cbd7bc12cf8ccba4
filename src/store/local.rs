//! Finished trees in the cache. A prefix gets one by links where the file system
//! has them: copies that share their blocks, else hard links, else plain copies.

use std::fs::File;
use std::path::{Path, PathBuf};

use prefix::{Base, Manifest, Record};

use crate::error::{Error, Kind, Result};
use crate::folder::{self, Scratch};
use crate::process::check_interrupted;
use crate::report::Report;
use crate::source::Cache;

/// The trees in a cache.
#[derive(Debug)]
pub struct Trees<'c> {
    cache: &'c Cache,
}

impl<'c> Trees<'c> {
    /// Those of that cache.
    #[must_use]
    pub fn of(cache: &'c Cache) -> Self {
        Self { cache }
    }

    /// Where a tree lies, once it is kept.
    #[must_use]
    pub fn tree(&self, plan: &str) -> PathBuf {
        self.cache.root().join(FOLDER).join(plan)
    }

    /// Whether a tree was built here for that request, of whichever releases.
    #[must_use]
    pub fn know(&self, request: &str) -> bool {
        let kept = folder::items(&self.cache.root().join(FOLDER)).unwrap_or_default();
        kept.iter().any(|tree| Record::read(tree).is_ok_and(|record| record.request == request))
    }

    /// Whether a tree is there and every file of it is as built. One that is not
    /// is removed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn is_whole(&self, plan: &str, report: &Report) -> Result<bool> {
        let tree = self.tree(plan);
        let Ok(manifest) = Manifest::read(&tree) else { return Ok(false) };
        if manifest.differences(&tree).is_ok_and(|differences| differences.is_empty()) {
            folder::touch(&tree);
            return Ok(true);
        }
        report.warn(&format!("the kept tree {plan} is damaged and is made again"));
        std::fs::remove_dir_all(&tree).map_err(Error::io(Kind::Install, "remove", &tree))?;
        Ok(false)
    }

    /// Puts a tree that was built on this machine into a base, if it is kept.
    ///
    /// # Errors
    /// When it cannot be written there.
    pub fn restore(&self, plan: &str, base: &Base, report: &Report) -> Result<bool> {
        if !self.is_whole(plan, report)? {
            return Ok(false);
        }
        let place = Scratch::below(&base.store(), ".staging-")?;
        self.place(plan, place.path())?;
        place.move_to(&base.tree(plan))?;
        report.step("Restored", &format!("{plan} from the cache"));
        Ok(true)
    }

    /// Keeps a tree that was just installed. A cache that cannot be written costs
    /// the next install some time, not this one its success.
    ///
    /// # Errors
    /// When a signal asked for the end.
    pub fn keep(&self, plan: &str, tree: &Path, report: &Report) -> Result<()> {
        let kept = || {
            let fresh = self.scratch()?;
            let copy = fresh.path().join("tree");
            link(tree, &copy)?;
            self.adopt(&copy, plan)
        };
        if let Err(error) = kept() {
            check_interrupted()?;
            report.detail(&format!("{plan} is not kept for later: {error}"));
        }
        Ok(())
    }

    /// A folder beside the trees.
    pub(super) fn scratch(&self) -> Result<Scratch> {
        Scratch::below(&self.cache.make(FOLDER)?, ".new-")
    }

    /// Takes a whole tree in, by rename.
    pub(super) fn adopt(&self, tree: &Path, plan: &str) -> Result<()> {
        folder::normalise_modes(tree)?;
        let target = self.tree(plan);
        if target.exists() {
            std::fs::remove_dir_all(&target).map_err(Error::io(
                Kind::Install,
                "remove",
                &target,
            ))?;
        }
        std::fs::rename(tree, &target).map_err(Error::io(Kind::Install, "move to", &target))
    }

    /// Fills an empty folder with a kept tree.
    pub(super) fn place(&self, plan: &str, to: &Path) -> Result<()> {
        link(&self.tree(plan), to)?;
        folder::normalise_modes(to)
    }
}

/// Like [`folder::copy`], by links.
fn link(from: &Path, to: &Path) -> Result<()> {
    folder::copy_by(from, to, &|file, target| {
        let below = file.strip_prefix(from).unwrap_or(file);
        link_file(file, target, EDITED.iter().any(|edited| below.starts_with(edited)))
    })
}

/// A file that is edited in place gets bytes of its own.
fn link_file(from: &Path, to: &Path, is_edited: bool) -> std::io::Result<()> {
    let permissions = from.metadata()?.permissions();
    let target = File::create_new(to)?;
    if rustix::fs::ioctl_ficlone(&target, File::open(from)?).is_ok() {
        return target.set_permissions(permissions);
    }
    std::fs::remove_file(to)?;
    if !is_edited && std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(drop)
}

/// Where the trees lie in the cache.
pub const FOLDER: &str = "trees";

/// Folders of a tree that hold what its owner may change.
const EDITED: [&str; 5] = ["conf", "htdocs", "cgi-bin", "error", "logs"];
