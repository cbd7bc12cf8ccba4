//! The last stage: a staged tree is finished, checked, copied beside the store,
//! checked again where it will stay, and switched to in one rename. Until then
//! nothing of what was there before is touched.

use std::os::unix::fs::symlink;
use std::path::Path;

use prefix::{Base, Component, Manifest, Record};

use crate::error::{Error, Kind, Result};
use crate::folder::{self, Scratch};
use crate::lock;
use crate::place;
use crate::plan::{Tls, hash_of};
use crate::process::Program;
use crate::recipe::Placement;
use crate::stage::build::{Job, Staged};
use crate::stage::{fetch, link, module, smoke};

/// Hash that names the tree: the request and what was fetched for it.
#[must_use]
pub fn plan_hash(request: &str, fetched: &[fetch::Fetched<'_>]) -> String {
    let mut parts = vec![request.to_owned()];
    parts.extend(fetched.iter().map(|part| part.file.sha256.clone()));
    hash_of(&parts)[..32].to_owned()
}

/// Finishes, checks and installs a staged tree, and switches to it.
///
/// # Errors
/// [`Kind::Install`]; the tree in use is then still the old one.
pub fn install(job: &Job<'_>, staged: Staged, base: &Base, plan_hash: &str) -> Result<Record> {
    let tree = &staged.tree;
    strip(job, tree)?;
    std::fs::create_dir_all(tree.join("logs")).map_err(Error::io(Kind::Install, "make", tree))?;
    job.report.step("Checking", "what the tree is linked to");
    let hidden: Vec<String> = job.hidden().collect();
    let system: &[&str] =
        if job.plan.tls == Tls::System { &["libssl.so", "libcrypto.so"] } else { &[] };
    link::check(&link::read_tree(tree)?, tree, &hidden, system)?;
    folder::refuse_text(tree, &job.work.to_string_lossy())?;
    keep_licences(job, tree)?;
    lock::Lock::write(&fetch::lock_of(job.fetched), &tree.join(lock::FILE))?;
    let final_place = Scratch::below(&base.store(), ".staging-")?;
    folder::copy(tree, final_place.path())?;
    let at = final_place.path();
    add_tool(job, at)?;
    module::add(job, at)?;
    // The check's server may run as a user who must be able to read the tree.
    folder::normalise_modes(at)?;
    let proof = prove(job, at)?;
    let record = record(job, &staged, plan_hash, proof)?;
    record.write(at)?;
    folder::normalise_modes(at)?;
    Manifest::of(at)?.write(at)?;
    folder::set_mode(&at.join(Manifest::FILE), 0o644)?;
    let target = base.tree(plan_hash);
    if target.exists() {
        replace(&target, final_place, job)?;
    } else {
        final_place.move_to(&target)?;
    }
    base.switch_to(plan_hash)?;
    Ok(record)
}

/// Puts a new tree in the place of one of the same name, in one step. Files of
/// others in the old one move over.
fn replace(target: &Path, fresh: Scratch, job: &Job<'_>) -> Result<()> {
    let foreign: Vec<String> = Manifest::read(target)?
        .differences(target)?
        .into_iter()
        .filter(|(_, difference)| *difference == prefix::Difference::Unknown)
        .map(|(name, _)| name)
        .collect();
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        fresh.path(),
        rustix::fs::CWD,
        target,
        rustix::fs::RenameFlags::EXCHANGE,
    )
    .map_err(|source| Error::io(Kind::Install, "exchange", target)(source.into()))?;
    // What was the new tree's place holds the old one now, and goes with it.
    for name in foreign {
        let (old, new) = (fresh.path().join(&name), target.join(&name));
        if new.symlink_metadata().is_err() && new.parent().is_some_and(Path::is_dir) {
            std::fs::rename(&old, &new).map_err(Error::io(Kind::Install, "keep", &new))?;
            job.report.step("Kept", &name);
        } else {
            job.report.warn(&format!("{name}, which is not ours, is gone with the old tree"));
        }
    }
    Ok(())
}

/// Runs the recipes' checks where the tree will stay.
fn prove(job: &Job<'_>, tree: &Path) -> Result<smoke::Proof> {
    let parts = job.fetched.iter().map(|part| (part.recipe, part.release.version.as_str()));
    smoke::prove(tree, parts, job.work, job.plan.python.as_ref(), job.env, job.report)
}

fn record(job: &Job<'_>, staged: &Staged, plan_hash: &str, proof: smoke::Proof) -> Result<Record> {
    let components = job
        .fetched
        .iter()
        .map(|part| Component {
            name: part.recipe.name.clone(),
            version: part.release.version.to_string(),
            file: part.file.name.clone(),
            sha256: part.file.sha256.clone(),
            origin: part.tarball.origin.clone(),
            patches: staged.patches.get(&part.recipe.name).cloned().unwrap_or_default(),
            licence: part.recipe.licence.clone(),
            homepage: part.recipe.homepage.clone(),
            vulnerable: part.vulnerable,
        })
        .chain(module::component(job)?)
        .collect();
    let python = job.plan.python.as_ref().map(|python| prefix::Python {
        executable: python.name(),
        version: python.version.clone(),
    });
    Ok(Record {
        request: job.plan.request.clone(),
        plan: plan_hash.to_owned(),
        tool: env!("CARGO_PKG_VERSION").to_owned(),
        engine: job.plan.engine.to_owned(),
        target: job.plan.toolchain.target.clone(),
        compiler: job.plan.toolchain.compiler.clone(),
        features: job.plan.features.clone(),
        tls: job.plan.tls.name().to_owned(),
        python,
        check: proof.name().to_owned(),
        components,
    })
}

fn strip(job: &Job<'_>, tree: &Path) -> Result<()> {
    let files: Vec<_> = link::read_tree(tree)?.into_keys().collect();
    if files.is_empty() {
        return Ok(());
    }
    Program::new("strip")
        .envs(job.env.for_build())
        .arg("--strip-unneeded")
        .args(files)
        .run_logged(Kind::Install, &job.logs.join("strip.log"))
}

/// Licence texts of what is linked in, beside those of what is installed.
fn keep_licences(job: &Job<'_>, tree: &Path) -> Result<()> {
    for step in &job.plan.steps {
        if step.recipe.placement == Placement::Private {
            let name = &step.recipe.name;
            let from = job.dep(name).join("licences").join(name);
            folder::copy(&from, &tree.join("licences").join(name))?;
        }
    }
    Ok(())
}

/// The tool travels with the tree, so that `apxs` works wherever it goes.
fn add_tool(job: &Job<'_>, tree: &Path) -> Result<()> {
    let ours = std::env::current_exe().map_err(Error::io(Kind::Install, "find", "this program"))?;
    let bin = tree.join("bin");
    let copy = bin.join("mod_wsgi-httpd");
    std::fs::create_dir_all(&bin).map_err(Error::io(Kind::Install, "make folder", &bin))?;
    std::fs::copy(&ours, &copy).map_err(Error::io(Kind::Install, "copy", &ours))?;
    Program::new("strip")
        .envs(job.env.for_build())
        .arg(&copy)
        .run_logged(Kind::Install, &job.logs.join("strip.log"))?;
    for name in ["apxs", "mod_wsgi-apxs", "mod_wsgi-express"] {
        let link = bin.join(name);
        symlink("mod_wsgi-httpd", &link).map_err(Error::io(Kind::Install, "link", &link))?;
    }
    let package = tree.join(place::PACKAGE);
    express::write_package(&package).map_err(|error| {
        Error::new(Kind::Install, "failed to write the launcher's Python side").caused_by(error)
    })
}
