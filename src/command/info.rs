//! `info`: facts of the installed httpd for scripts, each by name.

use prefix::Manifest;
use serde_json::{Map, Value};

use super::{Context, ROOT};
use crate::apxs::Tree;
use crate::cli::InfoArgs;
use crate::error::{Error, Kind, Result};
use crate::module::FILES;

/// Prints one fact, or all of them.
pub(super) fn info(context: &Context<'_>, args: &InfoArgs) -> Result<()> {
    let facts = facts(context, args)?;
    let Some(name) = &args.name else {
        let text: String =
            facts.iter().map(|(name, value)| format!("{name} = {}\n", shown(value))).collect();
        context.report.result(&text, Value::Object(facts));
        return Ok(());
    };
    let value = facts.get(name).ok_or_else(|| {
        let known: Vec<&str> = facts.keys().map(String::as_str).collect();
        Error::new(Kind::Usage, format!("there is no fact `{name}`"))
            .detail(format!("known: {}", known.join(", ")))
            .hint("build variables are asked for with `apxs -q`")
    })?;
    let fact = Map::from_iter([(name.clone(), value.clone())]);
    context.report.result(&shown(value), Value::Object(fact));
    Ok(())
}

fn facts(context: &Context<'_>, args: &InfoArgs) -> Result<Map<String, Value>> {
    let base = context.place(&args.place)?.base;
    let record = base.record()?;
    let folder = base.tree(&record.plan);
    let tree = Tree::at(&folder);
    let at = |below: &str| Value::from(tree.prefix.join(below).display().to_string());
    let (mpms, modules) = modules(&Manifest::read(&folder)?);
    let version = |name: &str| {
        record.component(name).map_or(Value::Null, |part| part.version.as_str().into())
    };
    let mut facts = Map::new();
    let mut add = |name: &str, value: Value| facts.insert(name.to_owned(), value);
    add("prefix", tree.prefix.display().to_string().into());
    add("base", base.root().display().to_string().into());
    add("tree", folder.display().to_string().into());
    add("plan", record.plan.as_str().into());
    add("httpd", at("bin/httpd"));
    add("apxs", at("bin/apxs"));
    add("apr-config", at("bin/apr-1-config"));
    add("apu-config", at("bin/apu-1-config"));
    add("bindir", at("bin"));
    add("libdir", at("lib"));
    add("includedir", at("include"));
    add("modulesdir", at("modules"));
    add("sysconfdir", at("conf"));
    add("version", version(ROOT));
    for part in record.components.iter().filter(|part| part.name != ROOT) {
        add(&format!("{}-version", part.name), version(&part.name));
    }
    add("mpms", mpms.into());
    add("modules", modules.into());
    add("features", record.features.clone().into());
    add("tls", record.tls.as_str().into());
    let python = record.python.as_ref();
    add("python", python.map(|python| python.executable.display().to_string()).into());
    add("python-version", python.map(|python| python.version.clone()).into());
    add("engine", record.engine.as_str().into());
    add("target", record.target.as_str().into());
    add("compiler", record.compiler.as_str().into());
    add("check", record.check.as_str().into());
    let vulnerable = record.components.iter().filter(|part| part.vulnerable);
    add("vulnerable", vulnerable.map(|part| part.name.clone()).collect::<Vec<_>>().into());
    Ok(facts)
}

/// Names of MPMs and of other modules, from what is installed.
fn modules(manifest: &Manifest) -> (Vec<String>, Vec<String>) {
    let names = manifest
        .entries
        .keys()
        // The module's Python side is none of httpd's.
        .filter(|path| !path.ends_with(FILES[1]))
        .filter_map(|path| path.strip_prefix("modules/mod_")?.strip_suffix(".so"));
    let (mpms, others): (Vec<&str>, Vec<&str>) = names.partition(|name| name.starts_with("mpm_"));
    let mpms = mpms.iter().filter_map(|name| name.strip_prefix("mpm_"));
    (mpms.map(str::to_owned).collect(), others.into_iter().map(str::to_owned).collect())
}

/// A value as a script takes it: text bare, lists by blanks.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
