//! The upstream engine: each component by its own configure and make, or, where
//! upstream ships none that is usable, by compiling its C files. Components that
//! do not need each other are built side by side, under one jobserver.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;

use super::Machine;
use super::component::{build_component, clean_texts};
use super::configure::configure_and_make;
use crate::error::Result;
use crate::process::check_interrupted;
use crate::stage::build::{Engine, Job, Staged};

/// The engine by configure and make.
#[derive(Debug)]
pub struct Upstream;

impl Engine for Upstream {
    fn name(&self) -> &'static str {
        "upstream"
    }

    fn build(&self, job: &Job<'_>) -> Result<Staged> {
        let patches = Machine::with(job, |machine| build_all(job, machine))?;
        let stage = job.stage();
        clean_texts(&stage, job.work)?;
        Ok(Staged { tree: stage, patches })
    }
}

/// Starts each component once all that it needs are done. After a failure
/// nothing new is started; what runs is waited for.
fn build_all(job: &Job<'_>, machine: &Machine<'_>) -> Result<BTreeMap<String, Vec<String>>> {
    let bar = job.report.bar("Building", "components", job.plan.steps.len() as u64, false);
    std::thread::scope(|scope| {
        let (sender, results) = mpsc::channel();
        let mut waiting: Vec<_> = in_order_of_weight(job);
        let mut done: BTreeSet<&str> = BTreeSet::new();
        let mut patches = BTreeMap::new();
        let mut running = 0;
        let mut failure = None;
        loop {
            if failure.is_none() {
                let (ready, rest) = waiting
                    .into_iter()
                    .partition(|step| step.needs.iter().all(|need| done.contains(need)));
                waiting = rest;
                for step in ready {
                    running += 1;
                    let sender = sender.clone();
                    scope.spawn(move || {
                        let result =
                            build_component(job, step, machine, configure_and_make, &|| ());
                        // The receiver outlives every sender.
                        let _received = sender.send((step, result));
                    });
                }
            }
            if running == 0 {
                break;
            }
            let Ok((step, result)) = results.recv() else { break };
            running -= 1;
            bar.advance();
            match result {
                Ok(names) => {
                    done.insert(&step.recipe.name);
                    patches.insert(step.recipe.name.clone(), names);
                }
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        check_interrupted()?;
        failure.map_or(Ok(patches), Err)
    })
}

/// Steps with the largest archive first: among those that may start together,
/// the longest should.
fn in_order_of_weight<'p>(job: &'p Job<'_>) -> Vec<&'p crate::plan::Step<'p>> {
    let mut steps: Vec<_> = job.plan.steps.iter().collect();
    steps.sort_by_key(|step| {
        std::cmp::Reverse(job.fetched(step.recipe).map_or(0, |part| part.file.size))
    });
    steps
}
