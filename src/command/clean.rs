//! `clean`: frees what can be made or fetched again.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use crate::cli::CleanArgs;
use crate::error::{Error, Kind, Result};
use crate::folder;
use crate::place;
use crate::report::size;

/// Removes leftovers of killed runs, logs, and as asked archives, artefacts
/// and trees out of use.
pub(super) fn clean(context: &Context<'_>, args: &CleanArgs) -> Result<()> {
    let cache = context.cache()?;
    let at = |below: &str| cache.root().join(below);
    let mut doomed = vec![at("logs"), at("sources/partial"), at("sources/rejected")];
    if args.builds || args.all {
        doomed.push(at("builds"));
    }
    if args.sources || args.all {
        doomed.push(at("sources"));
    }
    let mut freed = remove_all(&doomed)?;
    let base = context.place(&args.place)?.base;
    let mut trees = Vec::new();
    if base.root().is_dir() {
        let _hold = place::hold(&base, context.report)?;
        place::remove_leftovers(&base);
        if args.trees || args.all {
            base.forget_previous()?;
            let current = base.links().current;
            trees = base.trees();
            trees.retain(|plan| Some(plan) != current.as_ref());
            let paths: Vec<PathBuf> = trees.iter().map(|plan| base.tree(plan)).collect();
            freed += remove_all(&paths)?;
        }
    }
    place::remove_dead_work_folders(context.env, cache.root());
    let text = format!("{} freed", size(freed));
    context.report.result(&text, json!({ "freed": freed, "trees": trees }));
    Ok(())
}

fn remove_all(folders: &[PathBuf]) -> Result<u64> {
    let mut freed = 0;
    for path in folders.iter().filter(|path| path.is_dir()) {
        freed += folder::size(path);
        remove(path)?;
    }
    Ok(freed)
}

fn remove(path: &Path) -> Result<()> {
    std::fs::remove_dir_all(path).map_err(Error::io(Kind::Install, "remove", path))
}
