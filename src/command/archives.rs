//! `plan`, `fetch` and `vendor`: everything about archives that builds nothing.

use std::path::Path;

use serde_json::{Value, json};

use super::Context;
use crate::cli::{RequestArgs, VendorArgs};
use crate::error::{Error, Kind, Result};
use crate::folder::{self, Scratch, set_mode};
use crate::lock;
use crate::module::{self, Workspace};
use crate::place::Work;
use crate::plan::Step;
use crate::recipe::{Release, SourceFile};
use crate::report::size;
use crate::source::{Origin, Sources};
use crate::stage::fetch::{self, Candidate};

/// Shows the order of the build, what each component needs, and where its
/// archive would come from. Nothing is touched.
pub(super) fn plan(context: &Context<'_>, args: &RequestArgs) -> Result<()> {
    let recipes = context.recipes()?;
    let plan = context.make_plan(&recipes, args)?;
    let lock = context.lock(args)?;
    let sources = context.sources(args)?;
    let mut text = String::new();
    let mut rows = Vec::new();
    let mut to_fetch = 0;
    for step in &plan.steps {
        let candidates = fetch::candidates(step, lock.as_ref(), &sources, args.allow_vulnerable)?;
        let Some(Candidate { release, origins, .. }) = candidates.first() else { continue };
        let Some(file) = release.files.first() else { continue };
        let at_hand = at_hand(&candidates, &sources);
        let have_newest = at_hand.is_some_and(|(have, _)| have.version == release.version);
        let remote = remote_origins(&sources, step, file, origins);
        let from = match at_hand {
            Some((_, origin)) if have_newest => origin.to_owned(),
            Some((have, origin)) => format!("{remote} ({} is in the {origin})", have.version),
            None => remote,
        };
        if !have_newest {
            to_fetch += file.size;
        }
        let needs = step.needs.join(", ");
        text.push_str(&format!(
            "{:<9} {:<8} {:>11}  {from}{}\n",
            step.recipe.name,
            release.version.as_str(),
            size(file.size),
            if needs.is_empty() { String::new() } else { format!("; needs {needs}") },
        ));
        rows.push(json!({
            "name": step.recipe.name,
            "summary": step.recipe.summary,
            "version": release.version.as_str(),
            "file": file.name,
            "size": file.size,
            "sha256": file.sha256,
            "from": from,
            "cached": have_newest,
            "at_hand": at_hand.map(|(release, origin)| json!({
                "version": release.version.as_str(), "origin": origin,
            })),
            "needs": step.needs,
            "minimum_safe": step.recipe.minimum_safe.as_str(),
        }));
    }
    let features = plan.features.join(", ");
    let python = plan.python.as_ref().map_or_else(
        || "none: mod_wsgi is not built".to_owned(),
        |python| format!("{} {}", python.executable.display(), python.version),
    );
    let place = context.place(&args.place)?.base;
    text.push_str(&format!(
        "features  {features}\ntls       {}\npython    {python}\ncompiler  {}\nto fetch  {}\nprefix    {}\n",
        plan.tls.name(),
        plan.toolchain.compiler,
        size(to_fetch),
        place.root().display(),
    ));
    let value = json!({
        "components": rows,
        "features": plan.features,
        "tls": plan.tls.name(),
        "python": plan.python.as_ref().map(|python| json!({
            "executable": python.executable, "version": python.version,
        })),
        "engine": plan.engine,
        "compiler": plan.toolchain.compiler,
        "target": plan.toolchain.target,
        "request": plan.request,
        "to_fetch": to_fetch,
        "prefix": place.root(),
    });
    context.report.result(&text, value);
    Ok(())
}

/// The newest release that needs no network, and where it is.
fn at_hand<'r>(
    candidates: &[Candidate<'r>],
    sources: &Sources,
) -> Option<(&'r Release, &'static str)> {
    candidates.iter().find_map(|candidate| {
        let release = candidate.release;
        release.files.iter().find_map(|file| Some((release, sources.at_hand(file)?)))
    })
}

/// The remote origins that could have an archive, in order.
fn remote_origins(
    sources: &Sources,
    step: &Step<'_>,
    file: &SourceFile,
    origins: &[Origin],
) -> String {
    let could = |origin: &&Origin| match origin {
        Origin::Upstream => !file.urls.is_empty(),
        Origin::Distribution => step.recipe.debian.is_some(),
        Origin::Mirror => sources.has_mirrors(),
        Origin::Vendor | Origin::Cache => false,
    };
    let names: Vec<String> = origins.iter().filter(could).map(ToString::to_string).collect();
    if names.is_empty() { "nowhere".to_owned() } else { names.join(", then ") }
}

/// Fills the cache.
pub(super) fn fetch(context: &Context<'_>, args: &RequestArgs) -> Result<()> {
    let recipes = context.recipes()?;
    let plan = context.make_plan(&recipes, args)?;
    let lock = context.lock(args)?;
    let sources = context.sources(args)?;
    let fetched =
        fetch::fetch(&plan, &sources, lock.as_ref(), args.allow_vulnerable, context.report)?;
    // Those of the module are kept by cargo, which has a cache of its own.
    let work = Work::temporary()?;
    context.module(&plan, args, work.path(), &context.logs("fetch")?)?;
    let lock = fetch::lock_of(&fetched);
    let text = format!("{} archives are in {}", fetched.len(), sources.cache().root().display());
    context.report.result(&text, json!({ "components": lock.components }));
    Ok(())
}

/// Fills a folder with all that an air-gapped install needs: archives under
/// their own names, signatures where there are any, the module's crates, and the
/// lock file.
pub(super) fn vendor(context: &Context<'_>, args: &VendorArgs) -> Result<()> {
    let request = &args.request;
    let recipes = context.recipes()?;
    let plan = context.make_plan(&recipes, request)?;
    let lock = context.lock(request)?;
    let sources = context.sources(request)?;
    let fetched =
        fetch::fetch(&plan, &sources, lock.as_ref(), request.allow_vulnerable, context.report)?;
    let folder = &args.folder;
    std::fs::create_dir_all(folder).map_err(Error::io(Kind::Install, "make folder", folder))?;
    let mut names: Vec<Value> = Vec::new();
    for part in &fetched {
        put(folder, &part.file.name, |fresh| std::fs::copy(&part.tarball.path, fresh).map(drop))?;
        names.push(part.file.name.clone().into());
        if let (Some(bytes), Some(signature)) = (sources.signature(part.file), &part.file.signature)
        {
            let name = format!("{}{}", part.file.name, signature.suffix);
            put(folder, &name, |fresh| std::fs::write(fresh, &bytes))?;
            names.push(name.into());
        }
    }
    let mut crates = "";
    if plan.python.is_some() {
        vendor_crates(context, args)?;
        names.push(module::VENDORED.into());
        crates = ", the crates of mod_wsgi";
    }
    fetch::lock_of(&fetched).write(&folder.join(lock::FILE))?;
    names.push(lock::FILE.into());
    let text = format!(
        "{} holds {} archives{crates} and their lock file\nuse it: mod_wsgi-httpd install --offline --locked --vendor {}",
        folder.display(),
        fetched.len(),
        folder.display()
    );
    context.report.result(&text, json!({ "folder": folder, "files": names }));
    Ok(())
}

/// Fills the folder of crates anew, and puts it in the place of an old one.
fn vendor_crates(context: &Context<'_>, args: &VendorArgs) -> Result<()> {
    let work = Work::temporary()?;
    let scratch = Scratch::below(&args.folder, ".crates-")?;
    let fresh = scratch.path().join("new");
    let crates = context.crates(&args.request);
    let logs = context.logs("vendor")?;
    let workspace = Workspace::write(&work.path().join("module"), &logs, context.env)?;
    workspace.bring_crates_to(&fresh, &crates)?;
    context.report.step("Fetched", &format!("crates of mod_wsgi ({crates})"));
    folder::normalise_modes(&fresh)?;
    let place = args.folder.join(module::VENDORED);
    if place.exists() {
        let old = scratch.path().join("old");
        std::fs::rename(&place, old).map_err(Error::io(Kind::Install, "replace", &place))?;
    }
    std::fs::rename(&fresh, &place).map_err(Error::io(Kind::Install, "write", &place))
}

/// Writes a file of a vendor folder by rename; readable by those it is for.
fn put(folder: &Path, name: &str, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let fresh = tempfile::NamedTempFile::new_in(folder).map_err(Error::io(
        Kind::Install,
        "write to",
        folder,
    ))?;
    write(fresh.path()).map_err(Error::io(Kind::Install, "write to", folder))?;
    set_mode(fresh.path(), 0o644)?;
    let target = folder.join(name);
    fresh
        .persist(&target)
        .map(drop)
        .map_err(|error| Error::io(Kind::Install, "write", &target)(error.error))
}
