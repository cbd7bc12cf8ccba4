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
    if base.trees().is_empty() {
        base.record()?;
    }
    let hold = place::hold(base, context.report)?;
    let trees = base.trees();
    for plan in &trees {
        refuse_running(&base.tree(plan))?;
    }
    place.remove_entry_points()?;
    // First the links: whoever comes now finds nothing rather than half of it.
    base.unlink()?;
    place::remove_leftovers(base);
    let mut foreign = Vec::new();
    for plan in &trees {
        foreign.extend(remove_tree(&base.tree(plan))?);
    }
    for file in [crate::lock::FILE, place::LOCK] {
        remove_file(&base.root().join(file))?;
    }
    drop(hold);
    remove_folder_if_empty(&base.store())?;
    remove_folder_if_empty(base.root())?;
    if base.root().is_dir() {
        foreign.extend(others(base));
    }
    for path in &foreign {
        context.report.warn(&format!("{} is not ours and stays", path.display()));
    }
    let text = format!("{} trees are gone from {}", trees.len(), base.root().display());
    context.report.result(&text, json!({ "removed": trees, "foreign": foreign }));
    Ok(())
}

/// A server that runs would lose its files under its feet.
fn refuse_running(tree: &Path) -> Result<()> {
    let text = std::fs::read_to_string(tree.join("logs/httpd.pid")).unwrap_or_default();
    let pid = text.trim().parse::<i32>().ok().and_then(rustix::process::Pid::from_raw);
    match pid {
        Some(pid) if rustix::process::test_kill_process(pid).is_ok() => Err(Error::new(
            Kind::Install,
            format!("httpd runs from `{}` (process {})", tree.display(), pid.as_raw_nonzero()),
        )
        .hint(format!("stop it first: {} -k stop", tree.join("bin/httpd").display()))),
        _ => Ok(()),
    }
}

/// Removes a tree's own files; returns the others. Its logs are its own.
fn remove_tree(tree: &Path) -> Result<Vec<PathBuf>> {
    let manifest = Manifest::read(tree)?;
    // First what makes it complete: a killed run leaves no tree that looks whole.
    remove_file(&tree.join(Manifest::FILE))?;
    for name in manifest.entries.keys() {
        remove_file(&tree.join(name))?;
    }
    let logs = tree.join("logs");
    if logs.is_dir() {
        std::fs::remove_dir_all(&logs).map_err(Error::io(Kind::Install, "remove", &logs))?;
    }
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
