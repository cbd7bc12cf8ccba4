//! `clean`: frees what can be made or fetched again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use prefix::Manifest;
use serde_json::json;

use super::Context;
use super::uninstall::{name_foreign, refuse_running, remove_tree};
use crate::cli::CleanArgs;
use crate::error::{Error, Kind, Result};
use crate::folder;
use crate::place;
use crate::report::size;
use crate::store;

/// Removes leftovers of killed runs, logs, and as asked archives, artefacts
/// and trees out of use.
pub(super) fn clean(context: &Context<'_>, args: &CleanArgs) -> Result<()> {
    let cache = context.cache()?;
    let at = |below: &str| cache.root().join(below);
    let mut doomed = logs_of_the_dead(&cache.logs());
    doomed.push(at("sources/rejected"));
    cache.remove_partials()?;
    let builds = BUILDS.map(at);
    if args.builds || args.all {
        doomed.extend(builds);
    } else if let Some(days) = args.unused {
        let age = Duration::from_secs(24 * 60 * 60 * u64::from(days));
        doomed.extend(builds.iter().flat_map(|folder| unused_for(age, folder)));
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

/// Artefacts in a folder of the cache that nothing has used for so long. Whatever
/// takes one sets its time; a part of one is none.
fn unused_for(age: Duration, folder: &Path) -> Vec<PathBuf> {
    let Some(limit) = SystemTime::now().checked_sub(age) else { return Vec::new() };
    let is_old = |path: &PathBuf| {
        path.symlink_metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| time < limit)
    };
    let is_group = |path: &PathBuf| path.is_dir() && !path.join(Manifest::FILE).is_file();
    let items = folder::items(folder).unwrap_or_default();
    let (groups, single): (Vec<_>, Vec<_>) = items.into_iter().partition(is_group);
    let grouped = groups.iter().flat_map(|group| folder::items(group).unwrap_or_default());
    single.into_iter().chain(grouped).filter(is_old).collect()
}

fn remove_all(paths: &[PathBuf]) -> Result<u64> {
    let mut freed = 0;
    for path in paths.iter().filter(|path| path.symlink_metadata().is_ok()) {
        freed += folder::size(path);
        let removed =
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        removed.map_err(Error::io(Kind::Install, "remove", path))?;
    }
    Ok(freed)
}

/// Folders of the cache with what was built.
const BUILDS: [&str; 4] = ["builds", "objects", "probes", store::FOLDER];
