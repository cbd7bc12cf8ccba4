//! The base folder: `store/<plan-hash>/` holds complete trees, `current` and
//! `previous` point to two of them, and a link per top folder of the current
//! tree lets the base be used as a classical prefix (`<base>/bin/httpd`).
//!
//! A tree that came in a package is a base of its own, in which nothing changes: its
//! files are the package manager's.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::{Error, Manifest, Record, Result};

/// A base folder, whether anything is installed in it or not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Base {
    root: PathBuf,
}

/// The two links that say which tree serves and which one served before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Links {
    /// Plan hash of the tree in use.
    pub current: Option<String>,
    /// Plan hash of the one before it.
    pub previous: Option<String>,
}

impl Base {
    /// The base at an absolute path; nothing is read yet.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The base that a tree lies in, if it lies in one.
    #[must_use]
    pub fn around(tree: &Path) -> Option<Self> {
        let store = tree.parent()?;
        (store.file_name()? == STORE).then(|| Self::new(store.parent().unwrap_or(store)))
    }

    /// Whether this is a tree that came in a package.
    #[must_use]
    pub fn is_packed(&self) -> bool {
        self.root.join(Record::FILE).is_file()
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where complete trees lie, one folder each, named by plan hash.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join(STORE)
    }

    /// The tree of that plan hash.
    #[must_use]
    pub fn tree(&self, plan: &str) -> PathBuf {
        if self.is_packed() { self.root.clone() } else { self.store().join(plan) }
    }

    /// The path that always names the tree in use, for configuration files
    /// that must outlive an update.
    #[must_use]
    pub fn current(&self) -> PathBuf {
        if self.is_packed() { self.root.clone() } else { self.root.join(CURRENT) }
    }

    /// Which trees are in use.
    #[must_use]
    pub fn links(&self) -> Links {
        if self.is_packed() {
            return Links { current: self.packed_plan(), previous: None };
        }
        Links { current: self.follow(CURRENT), previous: self.follow(PREVIOUS) }
    }

    /// Record of the tree in use.
    ///
    /// # Errors
    /// When nothing is installed or the record cannot be read.
    pub fn record(&self) -> Result<Record> {
        match self.links().current {
            Some(plan) => Record::read(&self.tree(&plan)),
            None => Err(Error::NotInstalled { path: self.root.clone() }),
        }
    }

    /// Plan hashes of all complete trees, sorted.
    #[must_use]
    pub fn trees(&self) -> Vec<String> {
        if self.is_packed() {
            return self.packed_plan().into_iter().collect();
        }
        let mut plans: Vec<String> = std::fs::read_dir(self.store())
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|item| item.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.') && self.is_complete(name))
            .collect();
        plans.sort();
        plans
    }

    /// Whether the tree of that plan hash is there in full.
    #[must_use]
    pub fn is_complete(&self, plan: &str) -> bool {
        self.tree(plan).join(Manifest::FILE).is_file()
    }

    /// Makes a complete tree the one in use, in one rename. The one in use
    /// before is kept as `previous`.
    ///
    /// # Errors
    /// When a link cannot be written; the tree in use is then still the old one.
    pub fn switch_to(&self, plan: &str) -> Result<()> {
        if let Some(old) = self.links().current.filter(|old| old != plan) {
            self.point(PREVIOUS, &format!("{STORE}/{old}"))?;
        }
        self.point(CURRENT, &format!("{STORE}/{plan}"))?;
        self.link_folders(plan)
    }

    /// Goes back to the previous tree; a second call goes forth again.
    ///
    /// # Errors
    /// When there is no complete previous tree.
    pub fn roll_back(&self) -> Result<String> {
        match self.links().previous {
            Some(previous) if self.is_complete(&previous) => {
                self.switch_to(&previous)?;
                Ok(previous)
            }
            _ => Err(Error::NoPrevious { path: self.root.clone() }),
        }
    }

    /// Removes all links of the base, `current` first.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn unlink(&self) -> Result<()> {
        self.remove_link(CURRENT)?;
        self.remove_link(PREVIOUS)?;
        for link in [CURRENT, PREVIOUS] {
            self.remove_link(&fresh_name(link))?;
        }
        for name in self.folder_links() {
            self.remove_link(&name)?;
        }
        Ok(())
    }

    /// Removes the `previous` link alone.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn forget_previous(&self) -> Result<()> {
        self.remove_link(PREVIOUS)
    }

    /// One relative link per top folder of the tree, and one to its lock file.
    /// A foreign file of that name stays.
    fn link_folders(&self, plan: &str) -> Result<()> {
        let tree = self.tree(plan);
        let tops: Vec<String> = std::fs::read_dir(&tree)
            .map_err(Error::io("list", &tree))?
            .flatten()
            .filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir()))
            .filter_map(|item| item.file_name().into_string().ok())
            .chain(std::iter::once(LOCK_FILE.to_owned()).filter(|file| tree.join(file).exists()))
            .collect();
        for stale in self.folder_links() {
            if !tops.contains(&stale) {
                self.remove_link(&stale)?;
            }
        }
        for top in tops {
            let path = self.root.join(&top);
            match symlink(format!("{CURRENT}/{top}"), &path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                result => result.map_err(Error::io("link", &path))?,
            }
        }
        Ok(())
    }

    /// Names of the links that lead into `current/`.
    fn folder_links(&self) -> Vec<String> {
        let is_ours =
            |path: &Path| std::fs::read_link(path).is_ok_and(|target| target.starts_with(CURRENT));
        std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .filter(|item| is_ours(&item.path()))
            .filter_map(|item| item.file_name().into_string().ok())
            .collect()
    }

    fn packed_plan(&self) -> Option<String> {
        Record::read(&self.root).ok().map(|record| record.plan)
    }

    fn follow(&self, link: &str) -> Option<String> {
        let target = std::fs::read_link(self.root.join(link)).ok()?;
        let plan = target.strip_prefix(STORE).ok()?.to_str()?;
        Some(plan.to_owned())
    }

    /// Replaces a link in one step: a new one beside it, renamed over it.
    fn point(&self, link: &str, target: &str) -> Result<()> {
        let path = self.root.join(link);
        let fresh = self.root.join(fresh_name(link));
        match std::fs::remove_file(&fresh) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("remove", &fresh)(error));
            }
            _ => {}
        }
        symlink(target, &fresh).map_err(Error::io("link", &fresh))?;
        std::fs::rename(&fresh, &path).map_err(Error::io("switch", &path))
    }

    fn remove_link(&self, link: &str) -> Result<()> {
        let path = self.root.join(link);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(Error::io("remove", &path)),
        }
    }
}

/// Where a link is made before it is renamed to its place.
fn fresh_name(link: &str) -> String {
    format!(".{link}.new")
}

/// The releases of a tree, and where they came from.
pub const LOCK_FILE: &str = "mod_wsgi-httpd.lock";
const STORE: &str = "store";
const CURRENT: &str = "current";
const PREVIOUS: &str = "previous";

#[cfg(test)]
mod tests {
    use super::*;

    type TestResult = std::result::Result<(), Box<dyn std::error::Error>>;

    fn base_with(plans: &[&str]) -> std::result::Result<Base, Box<dyn std::error::Error>> {
        let root = std::env::temp_dir().join(format!(
            "prefix-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let base = Base::new(&root);
        for plan in plans {
            std::fs::create_dir_all(base.tree(plan).join("bin"))?;
            std::fs::write(base.tree(plan).join(Manifest::FILE), "{}")?;
        }
        Ok(base)
    }

    #[test]
    fn switching_keeps_the_previous_tree_and_rolls_back() -> TestResult {
        let base = base_with(&["aa", "bb"])?;
        base.switch_to("aa")?;
        assert!(base.roll_back().is_err(), "nothing to go back to yet");
        base.switch_to("bb")?;
        assert_eq!(base.links(), Links { current: Some("bb".into()), previous: Some("aa".into()) });
        assert_eq!(base.roll_back()?, "aa");
        assert_eq!(base.links(), Links { current: Some("aa".into()), previous: Some("bb".into()) });
        assert!(base.root().join("bin").is_dir(), "top folders are reachable from the base");
        base.unlink()?;
        assert_eq!(base.links(), Links { current: None, previous: None });
        std::fs::remove_dir_all(base.root())?;
        Ok(())
    }

    #[test]
    fn a_tree_without_manifest_is_not_complete() -> TestResult {
        let base = base_with(&["aa"])?;
        std::fs::create_dir_all(base.tree("half"))?;
        assert_eq!(base.trees(), ["aa"]);
        std::fs::remove_dir_all(base.root())?;
        Ok(())
    }
}
