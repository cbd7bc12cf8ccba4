//! The direct engine: APR, APR-util and httpd compiled by us, without configure,
//! make and libtool. All components start at once and share one pool; each waits
//! only for the headers and libraries that it really needs.

mod apr;
mod apr_util;
mod board;
mod headers;
mod httpd;
mod link;
mod makefile;
mod modules;
mod offers;
mod openssl;
mod probe;
mod vars;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::mpsc;

use board::Board;

pub use probe::{Answer, Answers, last_answers};

use super::Machine;
use super::component::{Component, build_component, clean_texts};
use super::configure::configure_and_make;
use crate::error::{Error, Kind, Result};
use crate::plan::Step;
use crate::process::check_interrupted;
use crate::recipe::Placement;
use crate::stage::build::{Engine, Job, Staged};

/// The engine that compiles by itself.
#[derive(Debug)]
pub struct Direct;

impl Engine for Direct {
    fn name(&self) -> &'static str {
        "direct"
    }

    fn build(&self, job: &Job<'_>) -> Result<Staged> {
        require_target(&job.plan.toolchain.target)?;
        let patches = Machine::with(job, |machine| build_all(job, machine))?;
        let stage = job.stage();
        clean_texts(&stage, job.work)?;
        Ok(Staged { tree: stage, patches })
    }
}

/// The fixed answers are those of 64-bit, little-endian Linux.
fn require_target(target: &str) -> Result<()> {
    let known = target.starts_with("x86_64-") || target.starts_with("aarch64-");
    if known && target.contains("-linux-") {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("the direct engine does not build for {target}"))
        .detail("known: x86_64 and aarch64, Linux")
        .hint("take the other one: --engine upstream"))
}

fn build_all(job: &Job<'_>, machine: &Machine<'_>) -> Result<BTreeMap<String, Vec<String>>> {
    let bar = job.report.bar("Building", "components", job.plan.steps.len() as u64, false);
    let board = Board::default();
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        for step in &job.plan.steps {
            let (sender, board) = (sender.clone(), &board);
            scope.spawn(move || {
                let result = build_step(job, step, machine, board);
                // The receiver outlives every sender.
                let _received = sender.send((step, result));
            });
        }
        drop(sender);
        let mut patches = BTreeMap::new();
        let mut failure = None;
        for (step, result) in results {
            bar.advance();
            match result {
                Ok(names) => drop(patches.insert(step.recipe.name.clone(), names)),
                Err(error) => {
                    board.stop();
                    machine.pool.stop();
                    failure.get_or_insert(error);
                }
            }
        }
        check_interrupted()?;
        failure.map_or(Ok(patches), Err)
    })
}

fn build_step(
    job: &Job<'_>,
    step: &Step<'_>,
    machine: &Machine<'_>,
    board: &Board,
) -> Result<Vec<String>> {
    let name = step.recipe.name.as_str();
    if step.recipe.placement == Placement::Private {
        let include = job.dep(name).join("include");
        let maker = match name {
            _ if !step.recipe.direct => configure_and_make,
            "openssl" => openssl::build,
            _ => return Err(promises_too_much(name)),
        };
        let patches = build_component(job, step, machine, maker, &|| {
            board.tell_headers(name, include.clone());
        })?;
        board.tell_headers(name, include.clone());
        board.tell_library(name);
        return Ok(patches);
    }
    let component = Component::new(job, step, machine)?;
    let patches = match name {
        _ if !step.recipe.direct => {
            for need in &step.needs {
                board.library(need)?;
            }
            build_component(job, step, machine, configure_and_make, &|| ())?
        }
        "apr" => apr::build(&component, board)?,
        "apr-util" => apr_util::build(&component, board)?,
        "httpd" => httpd::build(&component, board)?,
        _ => return Err(promises_too_much(name)),
    };
    board.tell_library(name);
    Ok(patches)
}

/// A recipe says `direct`, and there is no builder for it.
fn promises_too_much(name: &str) -> Error {
    Error::new(Kind::Recipe, format!("`direct` of {name} promises too much"))
        .detail("the direct engine builds by itself: apr, apr-util, httpd, openssl")
        .hint("leave the key away: configure and make build it then")
}

/// Answers to what the templates of a component ask, of this build's compiler.
fn ask(component: &Component<'_>, names: &BTreeSet<String>) -> Result<(probe::Questions, Answers)> {
    let (job, name) = (component.job, &component.step.recipe.name);
    let text = job.recipes.template(&format!("direct/{name}.toml"))?;
    prober(component).ask(name, &text, names, &job.plan.toolchain, job.cache)
}

/// This build's compiler, to be asked for a component.
fn prober<'c>(component: &'c Component<'_>) -> probe::Prober<'c> {
    let job = component.job;
    let folder = job.work.join("probe").join(&component.step.recipe.name);
    probe::Prober { cc: &job.plan.toolchain.cc, env: job.env, folder }
}

/// What a release lacks that the engine reads.
fn unknown_release(what: String) -> Error {
    Error::new(Kind::Configure, what)
        .hint("this release is newer than the direct engine: --engine upstream")
}

/// A file of a source as text, whatever its encoding.
fn read(folder: &Path, name: &str) -> Result<String> {
    let path = folder.join(name);
    let bytes = std::fs::read(&path).map_err(Error::io(Kind::Configure, "read", &path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_targets_are_built_for() {
        for target in ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-musl"] {
            assert!(require_target(target).is_ok(), "{target}");
        }
        for target in ["i686-unknown-linux-gnu", "aarch64-apple-darwin", "s390x-unknown-linux-gnu"]
        {
            let error = require_target(target).unwrap_err();
            assert!(error.message.contains(target), "{}", error.message);
        }
    }
}
