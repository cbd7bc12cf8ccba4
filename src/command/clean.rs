//! `clean`: frees what can be made or fetched again.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use super::uninstall::{name_foreign, refuse_running, remove_tree};
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
    let mut doomed = logs_of_the_dead(&cache.logs());
    doomed.push(at("sources/rejected"));
    cache.remove_partials()?;
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
            for tree in trees.iter().map(|plan| base.tree(plan)) {
                refuse_running(&tree)?;
                freed += folder::size(&tree);
                name_foreign(context, &remove_tree(&tree)?);
            }
        }
    }
    place::remove_dead_work_folders(context.env, cache.root());
    let text = format!("{} freed", size(freed));
    context.report.result(&text, json!({ "freed": freed, "trees": trees }));
    Ok(())
}

/// Logs of runs that have ended: their folders end in the process's number.
fn logs_of_the_dead(logs: &Path) -> Vec<PathBuf> {
    let is_over = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let process = name.rsplit('-').next().unwrap_or_default();
        !Path::new("/proc").join(process).exists()
    };
    folder::items(logs).unwrap_or_default().into_iter().filter(is_over).collect()
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
