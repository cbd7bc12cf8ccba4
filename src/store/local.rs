//! Finished trees in the cache. A prefix gets one by links where the file system
//! has them: copies that share their blocks, else hard links, else plain copies.

use std::fs::File;
use std::os::unix::fs::symlink;
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
        let target = base.tree(plan);
        std::fs::rename(place.keep(), &target).map_err(Error::io(
            Kind::Install,
            "move to",
            &target,
        ))?;
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
            link(tree, &copy, Share::Links)?;
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
        link(&self.tree(plan), to, Share::Links)?;
        folder::set_mode(to, 0o755)
    }
}

/// How files get from one tree into another.
#[derive(Clone, Copy, PartialEq)]
enum Share {
    /// Whatever costs least.
    Links,
    /// Bytes of their own, for those whom people edit in place.
    Copies,
}

/// Like [`folder::copy`], by links.
fn link(from: &Path, to: &Path, share: Share) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::io(Kind::Install, "make folder", to))?;
    for path in folder::items(from)? {
        let name = path.file_name().unwrap_or_default();
        let target = to.join(name);
        let failed = Error::io(Kind::Install, "link", &target);
        if let Ok(leads_to) = std::fs::read_link(&path) {
            symlink(leads_to, &target).map_err(failed)?;
        } else if path.is_dir() {
            let is_edited = EDITED.iter().any(|edited| name == *edited);
            let below = if is_edited { Share::Copies } else { share };
            link(&path, &target, below)?;
            let permissions = path.metadata().map(|metadata| metadata.permissions());
            permissions
                .and_then(|permissions| std::fs::set_permissions(&target, permissions))
                .map_err(failed)?;
        } else {
            link_file(&path, &target, share).map_err(failed)?;
        }
    }
    Ok(())
}

fn link_file(from: &Path, to: &Path, share: Share) -> std::io::Result<()> {
    let permissions = from.metadata()?.permissions();
    let target = File::create_new(to)?;
    if rustix::fs::ioctl_ficlone(&target, File::open(from)?).is_ok() {
        return target.set_permissions(permissions);
    }
    std::fs::remove_file(to)?;
    if share == Share::Links && std::fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    std::fs::copy(from, to).map(drop)
}

/// Where the trees lie in the cache.
pub const FOLDER: &str = "trees";

/// Folders of a tree that hold what its owner may change.
const EDITED: [&str; 5] = ["conf", "htdocs", "cgi-bin", "error", "logs"];
