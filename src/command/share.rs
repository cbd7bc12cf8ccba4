//! `push` and `pull`: a tree is built once and installed by many machines.

use std::time::Duration;

use serde_json::json;

use super::Context;
use crate::cli::{PullArgs, PushArgs};
use crate::error::{Error, Kind, Result};
use crate::place::{self, Work};
use crate::source::{Origin, Settings, Sources};
use crate::store::{self, Entry, Signer, Store, Trees, Trust};

/// Packs a tree and puts it into a shared store.
pub(super) fn push(context: &Context<'_>, args: &PushArgs) -> Result<()> {
    let base = context.place(&args.place)?.base;
    let plan = match &args.plan {
        Some(plan) => plan.clone(),
        None => base.record()?.plan,
    };
    if !base.is_complete(&plan) {
        return Err(Error::new(Kind::Usage, format!("there is no tree `{plan}`"))
            .hint("`mod_wsgi-httpd list` names those that are there"));
    }
    let signer = match (&args.key, &args.new_key) {
        (Some(path), _) => Some(Signer::read(path)?),
        (None, Some(path)) => Some(Signer::make(path)?),
        (None, None) if args.unsigned => None,
        (None, None) => {
            return Err(Error::new(Kind::Usage, "nobody signs the store's index")
                .hint("name a key: --key FILE, make one: --new-key FILE, or say --unsigned"));
        }
    };
    let settings = Settings {
        vendor: None,
        mirrors: Vec::new(),
        allowed: Origin::ORDER.into(),
        offline: false,
        suites: Vec::new(),
        stall: Duration::from_secs(20),
    };
    let sources = Sources::new(settings, context.cache()?, context.env, context.report);
    let store = Store::open(&args.store, &sources)?;
    let work = Work::temporary()?;
    // The kept one is as built, whatever was edited in the prefix since.
    let cache = context.cache()?;
    let trees = Trees::of(&cache);
    let is_kept = trees.is_whole(&plan, context.report)?;
    let tree = if is_kept { trees.tree(&plan) } else { base.tree(&plan) };
    let is_new = store.push(&tree, signer.as_ref(), work.path())?;
    let what = if is_new { "is now in" } else { "was already in" };
    let text = format!("{plan} {what} {}", args.store);
    context.report.result(&text, json!({ "plan": plan, "store": args.store, "changed": is_new }));
    Ok(())
}

/// Brings a tree from a shared store, proves it here and switches to it.
pub(super) fn pull(context: &Context<'_>, args: &PullArgs) -> Result<()> {
    let report = context.report;
    let trust = match &args.public_key {
        Some(key) => Trust::in_key(key)?,
        None if args.unsigned => Trust::Everybody,
        None => {
            return Err(Error::new(Kind::Usage, "whose trees are to be trusted?")
                .hint("name their public key: --public-key KEY, or say --unsigned"));
        }
    };
    let sources = context.sources(&args.request)?;
    let store = Store::open(&args.store, &sources)?;
    let entries = store.entries(&trust)?;
    if args.list {
        let lines: String = entries.iter().map(|entry| line(entry) + "\n").collect();
        report.result(&lines, json!({ "store": args.store, "trees": entries }));
        return Ok(());
    }
    let entry = choose(context, args, &entries)?;
    let place = context.place(&args.request.place)?;
    let base = &place.base;
    place::prepare_base(base)?;
    let _hold = place::hold(base, report)?;
    place::remove_leftovers(base);
    if !base.is_complete(&entry.plan) {
        let cache = context.cache()?;
        let trees = Trees::of(&cache);
        if !trees.is_whole(&entry.plan, report)? {
            store.pull(entry, &trees, report)?;
        }
        store::install(&trees, &entry.plan, base, &context.recipes()?, context.env, report)?;
    }
    base.switch_to(&entry.plan)?;
    place.add_entry_points(report)?;
    let text = format!(
        "httpd {} is ready in {}\nrun it: {}",
        entry.httpd,
        base.root().display(),
        base.root().join("bin/httpd").display()
    );
    report.result(&text, json!({ "prefix": base.root(), "tree": entry }));
    Ok(())
}

/// The tree of a plan, else the last one that was built for this very request.
fn choose<'e>(context: &Context<'_>, args: &PullArgs, entries: &'e [Entry]) -> Result<&'e Entry> {
    let found = match &args.plan {
        Some(plan) => entries.iter().find(|entry| entry.plan == *plan),
        None => {
            let recipes = context.recipes()?;
            let plan = context.make_plan(&recipes, &args.request)?;
            entries.iter().rfind(|entry| entry.request == plan.request)
        }
    };
    let found = found.ok_or_else(|| {
        let what = args.plan.as_deref().unwrap_or("what `install` would build here");
        let error = Error::new(Kind::Network, format!("`{}` does not hold {what}", args.store));
        entries
            .iter()
            .fold(error, |error, entry| error.detail(line(entry)))
            .hint("name one of these by its hash; each is for one target and one Python")
            .hint("a tree for a Python anywhere is built with `install --portable`")
    })?;
    let here = crate::engine::TARGET;
    if found.target != here {
        return Err(Error::new(Kind::Usage, format!("{} is for another machine", found.plan))
            .detail(format!("expected {here}"))
            .detail(format!("found    {}", found.target)));
    }
    Ok(found)
}

fn line(entry: &Entry) -> String {
    let python = if entry.python.is_empty() { "no mod_wsgi.so" } else { &entry.python };
    format!("{}  httpd {}  {}  {python}", entry.plan, entry.httpd, entry.target)
}
