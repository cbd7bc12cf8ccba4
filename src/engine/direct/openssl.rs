//! OpenSSL: its own Configure says what there is to do, in the makefile that it
//! writes; we do it. Perl makes headers and assembler files, the compiler runs
//! in the pool with everything else. What nobody links is not compiled.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::makefile::{Makefile, Rule};
use super::{read, unknown_release};
use crate::engine::compile::Unit;
use crate::engine::component::Component;
use crate::engine::pool::{Work, acquire};
use crate::error::Result;
use crate::recipe::Configure;

/// Configures and builds the archives that the recipe keeps.
pub(super) fn build(component: &Component<'_>, rules: &Configure, folder: &Path) -> Result<()> {
    component.configure(rules, folder)?;
    let makefile = Makefile::read(&read(folder, "Makefile")?);
    let kept = component.step.recipe.installs.iter().flat_map(|rule| &rule.from);
    let archives: Vec<&str> =
        kept.map(String::as_str).filter(|name| name.ends_with(".a")).collect();
    let plan = Plan::new(&makefile, folder, archives.iter().chain([&HEADERS]))?;
    generate(component, &makefile, folder, plan.generated)?;
    let works = plan
        .objects
        .iter()
        .map(|(object, rule)| compile(component, &makefile, folder, (object, rule)));
    component.machine.pool.run(works.collect::<Result<_>>()?)?;
    let _token = acquire(component.machine.jobs)?;
    for name in archives {
        let objects = makefile.rule(name).into_iter().flat_map(|rule| &rule.needs);
        let objects: Vec<PathBuf> =
            objects.filter(|name| is_object(name)).map(|name| folder.join(name)).collect();
        component.archive(&folder.join(name), folder, &objects)?;
    }
    Ok(())
}

/// All that some targets need, by what makes it.
struct Plan<'m> {
    /// Files that a command of upstream writes.
    generated: BTreeMap<&'m str, &'m Rule>,
    objects: BTreeMap<&'m str, &'m Rule>,
}

impl<'m> Plan<'m> {
    fn new<'t>(
        makefile: &'m Makefile,
        folder: &Path,
        targets: impl Iterator<Item = &'t &'t str>,
    ) -> Result<Self> {
        let mut plan = Self { generated: BTreeMap::new(), objects: BTreeMap::new() };
        for target in targets {
            let rule = makefile
                .rule(target)
                .ok_or_else(|| unknown_release(format!("OpenSSL's makefile has no `{target}`")))?;
            plan.add_needs(makefile, folder, rule);
        }
        Ok(plan)
    }

    fn add_needs(&mut self, makefile: &'m Makefile, folder: &Path, rule: &'m Rule) {
        for name in &rule.needs {
            let Some(rule) = makefile.rule(name).filter(|rule| !rule.commands.is_empty()) else {
                continue;
            };
            // Configure has just written some of what has a rule.
            let kind = if is_object(name) { &mut self.objects } else { &mut self.generated };
            if !folder.join(name).exists() && kind.insert(name, rule).is_none() {
                self.add_needs(makefile, folder, rule);
            }
        }
    }
}

/// Runs upstream's generators, those that another's result is for first.
fn generate(
    component: &Component<'_>,
    makefile: &Makefile,
    folder: &Path,
    mut waiting: BTreeMap<&str, &Rule>,
) -> Result<()> {
    while !waiting.is_empty() {
        let is_open: BTreeSet<&str> = waiting.keys().copied().collect();
        let (ready, rest): (BTreeMap<_, _>, BTreeMap<_, _>) = waiting
            .into_iter()
            .partition(|(_, rule)| !rule.needs.iter().any(|need| is_open.contains(&**need)));
        if ready.is_empty() {
            return Err(unknown_release("files of OpenSSL's makefile need each other".to_owned())
                .detail(rest.into_keys().collect::<Vec<_>>().join(", ")));
        }
        let works = ready.iter().map(|(target, rule)| {
            let commands = rule.commands.iter().map(|line| makefile.expand(line, target));
            let script = commands.collect::<Result<Vec<_>>>()?.join("\n");
            Ok(Work {
                // Others wait for it.
                weight: u64::MAX,
                program: component.program("/bin/sh", folder).args(["-e", "-c", &script]),
                log: component.log("generate"),
                recall: None,
            })
        });
        component.machine.pool.run(works.collect::<Result<_>>()?)?;
        waiting = rest;
    }
    Ok(())
}

/// The work that the first command of an object's rule does.
fn compile(
    component: &Component<'_>,
    makefile: &Makefile,
    folder: &Path,
    (target, rule): (&str, &Rule),
) -> Result<Work> {
    let command = rule.commands.first().map(String::as_str).unwrap_or_default();
    let command = makefile.expand(command, target)?;
    let unknown = || {
        unknown_release(format!("OpenSSL compiles `{target}` in an unknown way"))
            .detail(format!("command: {command}"))
    };
    let words = shlex::split(&command).ok_or_else(unknown)?;
    let source = words.last().ok_or_else(unknown)?;
    let at = words.iter().position(|word| word == "-c").ok_or_else(unknown)?;
    // The list of headers goes where we look for it.
    let is_list =
        |index: usize| words[index] == "-MMD" || words[index] == "-MF" || words[index - 1] == "-MF";
    let flags: Vec<OsString> =
        (1..at).filter(|index| !is_list(*index)).map(|index| (&words[index]).into()).collect();
    let object = folder.join(target);
    let mut work = component.unit(&Unit { folder, source, object: &object, flags: &flags });
    // Nothing is read besides, and so no list is written.
    if source.ends_with(".s") {
        work.recall = None;
    }
    Ok(work)
}

/// The target of all headers that are not in the release as they are.
const HEADERS: &str = "build_generated";

fn is_object(name: &str) -> bool {
    name.ends_with(".o")
}
