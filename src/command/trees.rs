//! `list`, `verify` and `rollback`: the installed trees as they are.

use prefix::{Base, Difference, Manifest, Record};
use serde_json::json;

use super::{Context, ROOT};
use crate::cli::PlaceArgs;
use crate::error::{Error, Kind, Result};
use crate::place;

/// Compares the files of the tree in use with its manifest.
pub(super) fn verify(context: &Context<'_>, args: &PlaceArgs) -> Result<()> {
    let base = context.place(args)?.base;
    let tree = base.tree(&base.record()?.plan);
    let manifest = Manifest::read(&tree)?;
    let differences = manifest.differences(&tree)?;
    let ours: Vec<_> =
        differences.iter().filter(|(_, difference)| **difference != Difference::Unknown).collect();
    if ours.is_empty() {
        let text = format!("{} files are as installed", manifest.entries.len());
        let value = json!({ "files": manifest.entries.len(), "differences": differences });
        context.report.result(&text, value);
        return Ok(());
    }
    let error = Error::new(Kind::Install, format!("{} files are not as installed", ours.len()));
    Err(ours
        .iter()
        .fold(error, |error, (path, difference)| error.detail(format!("{path}: {difference}")))
        .hint("`uninstall` and `install` make them anew, `rollback` goes back to the tree before"))
}

/// Lists the trees of a base.
pub(super) fn list(context: &Context<'_>, args: &PlaceArgs) -> Result<()> {
    let base = context.place(args)?.base;
    let mut text = String::new();
    let mut rows = Vec::new();
    for plan in base.trees() {
        let record = Record::read(&base.tree(&plan))?;
        let state = state(&base, &plan);
        let version = record.component(ROOT).map_or("", |part| part.version.as_str());
        text.push_str(&format!("{plan}  httpd {version}  {state}\n"));
        rows.push(json!({ "plan": plan, "state": state, "record": record }));
    }
    if rows.is_empty() {
        text = format!("nothing is installed in {}", base.root().display());
    }
    context.report.result(&text, json!({ "prefix": base.root(), "trees": rows }));
    Ok(())
}

fn state(base: &Base, plan: &str) -> &'static str {
    let links = base.links();
    if links.current.as_deref() == Some(plan) {
        "current"
    } else if links.previous.as_deref() == Some(plan) {
        "previous"
    } else {
        ""
    }
}

/// Goes back to the tree before.
pub(super) fn rollback(context: &Context<'_>, args: &PlaceArgs) -> Result<()> {
    let base = context.place(args)?.base;
    base.record()?;
    let _hold = place::hold(&base, context.report)?;
    let plan = base.roll_back()?;
    let version =
        base.record()?.component(ROOT).map_or_else(String::new, |part| part.version.clone());
    let text = format!("now in use: {plan} (httpd {version})");
    context.report.result(&text, json!({ "current": plan }));
    Ok(())
}
