//! `uninstall`: what we installed goes, what others put there stays and is
//! named.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use prefix::{Base, Manifest};
use serde_json::json;

use super::Context;
use crate::cli::PlaceArgs;
use crate::error::{Error, Kind, Result};
use crate::place;

/// Removes all trees of a base, its links and entry points.
pub(super) fn uninstall(context: &Context<'_>, args: &PlaceArgs) -> Result<()> {
    let place = context.place(args)?;
    let base = &place.base;
    // A failed first install has left its lock.
    let is_ours = base.root().join(place::LOCK).is_file();
    if !is_ours && removable(base)?.is_empty() {
        base.record()?;
    }
    let hold = place::hold(base, context.report)?;
    let trees = removable(base)?;
    for tree in &trees {
        refuse_running(tree)?;
    }
    place.remove_entry_points()?;
    // First the links: whoever comes now finds nothing rather than half of it.
    base.unlink()?;
    place::remove_leftovers(base);
    let mut foreign = Vec::new();
    for tree in &trees {
        foreign.extend(remove_tree(tree)?);
    }
    remove_folder_if_empty(&base.store())?;
    remove_file(&base.root().join(place::LOCK))?;
    drop(hold);
    remove_folder_if_empty(base.root())?;
    if base.root().is_dir() {
        foreign.extend(others(base));
    }
    name_foreign(context, &foreign);
    let text = format!("{} trees are gone from {}", trees.len(), base.root().display());
    context.report.result(&text, json!({ "removed": trees, "foreign": foreign }));
    Ok(())
}

/// Says what stays.
pub(super) fn name_foreign(context: &Context<'_>, foreign: &[PathBuf]) {
    for path in foreign {
        context.report.warn(&format!("{} is not ours and stays", path.display()));
    }
}

/// Complete trees, and those that an earlier run has begun to remove.
fn removable(base: &Base) -> Result<Vec<PathBuf>> {
    let ours = |tree: &PathBuf| {
        [Manifest::FILE, Manifest::REMOVING].iter().any(|name| tree.join(name).is_file())
    };
    if !base.store().is_dir() {
        return Ok(Vec::new());
    }
    Ok(crate::folder::items(&base.store())?.into_iter().filter(ours).collect())
}

/// A server that runs would lose its files under its feet.
pub(super) fn refuse_running(tree: &Path) -> Result<()> {
    let text = std::fs::read_to_string(tree.join("logs/httpd.pid")).unwrap_or_default();
    let pid = text.trim();
    // The number may be somebody else's by now.
    let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let tree = tree.canonicalize().unwrap_or_else(|_| tree.to_owned());
    if pid.is_empty() || !program.starts_with(&tree) {
        return Ok(());
    }
    Err(Error::new(Kind::Install, format!("httpd runs from `{}` (process {pid})", tree.display()))
        .hint(format!("stop it first: {} -k stop", tree.join("bin/httpd").display())))
}

/// Removes a tree's own files; returns the others. Its logs are its own.
pub(super) fn remove_tree(tree: &Path) -> Result<Vec<PathBuf>> {
    let (whole, removing) = (tree.join(Manifest::FILE), tree.join(Manifest::REMOVING));
    if whole.is_file() {
        std::fs::rename(&whole, &removing).map_err(Error::io(Kind::Install, "rename", &whole))?;
    }
    let manifest = Manifest::read_removing(tree)?;
    for name in manifest.entries.keys() {
        remove_file(&tree.join(name))?;
    }
    let logs = tree.join("logs");
    if logs.is_dir() {
        std::fs::remove_dir_all(&logs).map_err(Error::io(Kind::Install, "remove", &logs))?;
    }
    // Last: until here another run could go on.
    remove_file(&removing)?;
    let mut foreign = Vec::new();
    remove_empty_folders(tree, &mut foreign)?;
    Ok(foreign)
}

/// Removes folders that hold nothing; collects what the others hold.
fn remove_empty_folders(folder: &Path, foreign: &mut Vec<PathBuf>) -> Result<()> {
    for path in crate::folder::items(folder)? {
        let is_folder = path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
        if is_folder {
            remove_empty_folders(&path, foreign)?;
        } else {
            foreign.push(path);
        }
    }
    remove_folder_if_empty(folder)
}

fn remove_folder_if_empty(folder: &Path) -> Result<()> {
    match std::fs::remove_dir(folder) {
        Err(error)
            if !matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::NotFound) =>
        {
            Err(Error::io(Kind::Install, "remove", folder)(error))
        }
        _ => Ok(()),
    }
}

fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io(Kind::Install, "remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// What lies in the base beside the store.
fn others(base: &Base) -> Vec<PathBuf> {
    let items = crate::folder::items(base.root()).unwrap_or_default();
    items.into_iter().filter(|path| *path != base.store()).collect()
}
