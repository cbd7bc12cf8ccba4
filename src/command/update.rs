//! `update`: an install with the features, TLS and Python of the last one. `--check` says what
//! it would change, and changes nothing.

use std::path::PathBuf;

use prefix::Record;
use serde_json::json;

use super::Context;
use super::install::{self, Reuse};
use crate::cli::{InstallArgs, UpdateArgs};
use crate::error::Result;
use crate::plan::{Plan, Step};

/// Compares the tree in use with what the recipes would build now.
pub(super) fn update(context: &Context<'_>, args: &UpdateArgs) -> Result<()> {
    let base = context.place(&args.install.request.place)?.base;
    let record = base.record()?;
    let install = as_recorded(&args.install, &record);
    if !args.check {
        let reuse = if install.force { Reuse::Nothing } else { Reuse::Releases };
        return install::install(context, &install, reuse);
    }
    let recipes = context.recipes()?;
    let plan = context.make_plan(&recipes, &install.request)?;
    let rows: Vec<Row<'_>> = plan.steps.iter().map(|step| Row::new(step, &record)).collect();
    let mut text: String = rows.iter().filter_map(Row::text).collect();
    for reason in reasons(&plan, &record) {
        text.push_str(&format!("{reason}\n"));
    }
    let is_current = record.request == plan.request;
    if text.is_empty() {
        text = match is_current {
            true => "nothing would change".to_owned(),
            false => "recipes or installer changed; releases stay the same".to_owned(),
        };
    }
    let components: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "name": row.name, "installed": row.installed, "newest": row.newest,
                "unsafe": row.is_unsafe,
            })
        })
        .collect();
    context.report.result(
        &text,
        json!({
            "changed": !is_current, "components": components,
            "reasons": reasons(&plan, &record),
        }),
    );
    Ok(())
}

/// Features, TLS and Python of the tree in use, where the command line is silent.
fn as_recorded(args: &InstallArgs, record: &Record) -> InstallArgs {
    let mut args = args.clone();
    let request = &mut args.request;
    if request.features.is_empty() && !request.no_default_features {
        request.no_default_features = true;
        request.features.clone_from(&record.features);
    }
    let python = record.python.as_ref();
    request.python_of_last_time =
        python.map(|python| python.executable.to_string_lossy().into_owned());
    if request.tls.is_none() {
        request.tls = clap::ValueEnum::from_str(&record.tls, false).ok();
    }
    args
}

/// One component, as it is and as it would be.
struct Row<'a> {
    name: &'a str,
    installed: Option<&'a str>,
    newest: &'a str,
    is_unsafe: bool,
}

impl<'a> Row<'a> {
    fn new(step: &Step<'a>, record: &'a Record) -> Self {
        let recipe = step.recipe;
        let installed = record.component(&recipe.name).map(|part| part.version.as_str());
        let newest = match &step.asked {
            Some(version) => recipe.release(version),
            None => recipe.releases.first(),
        };
        let is_unsafe = installed
            .and_then(|text| text.parse().ok())
            .is_some_and(|version: crate::recipe::Version| version < recipe.minimum_safe);
        Self {
            name: &recipe.name,
            installed,
            newest: newest.map_or("", |release| release.version.as_str()),
            is_unsafe,
        }
    }

    fn text(&self) -> Option<String> {
        let warning = if self.is_unsafe { "  HAS KNOWN HOLES" } else { "" };
        match self.installed {
            Some(installed) if installed == self.newest && !self.is_unsafe => None,
            installed => Some(format!(
                "{:<9} {:<8} -> {}{warning}\n",
                self.name,
                installed.unwrap_or("-"),
                self.newest
            )),
        }
    }
}

/// What else than releases makes the request another one.
fn reasons(plan: &Plan<'_>, record: &Record) -> Vec<String> {
    let mut reasons = Vec::new();
    let mut compare = |what: &str, old: &str, new: &str| {
        if old != new {
            reasons.push(format!("{what}: {old} -> {new}"));
        }
    };
    compare("compiler", &record.compiler, &plan.toolchain.compiler);
    compare("target", &record.target, &plan.toolchain.target);
    compare("engine", &record.engine, plan.engine);
    compare("installer", &record.tool, env!("CARGO_PKG_VERSION"));
    compare("tls", &record.tls, plan.tls.name());
    compare("features", &record.features.join(","), &plan.features.join(","));
    let old = record.python.as_ref().map(|python| (&python.executable, &python.version));
    let new = plan.python.as_ref().map(|python| (&python.executable, &python.version));
    if let (Some(old), Some(new)) = (old.map(shown), new.map(shown)) {
        compare("python", &old, &new);
    }
    reasons
}

fn shown((executable, version): (&PathBuf, &String)) -> String {
    format!("{} {version}", executable.display())
}
