//! The module `mod_wsgi.so` in a tree: built against the tree's own headers, or
//! taken from an earlier build of the very same, and checked like all of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use prefix::{Component, Manifest, hash_file};

use crate::error::{Error, Kind, Result};
use crate::folder;
use crate::module::{self, FILES, NAME, VERSION, Workspace};
use crate::plan::hash_of;
use crate::python::Python;
use crate::stage::build::Job;
use crate::stage::link;

/// Puts the module into a tree, if it is to have one.
///
/// # Errors
/// [`Kind::Module`] when it cannot be built.
pub fn add(job: &Job<'_>, tree: &Path) -> Result<()> {
    let (Some(python), Some(workspace)) = (&job.plan.python, job.module) else { return Ok(()) };
    let title = format!("{NAME} {VERSION} for Python {}", python.version);
    let built = job.work.join("built-module");
    let key = key(job, workspace, python, tree)?;
    if job.cache.restore(&key, &title, &built, job.report)? {
        job.report.step("Reused", &title);
    } else {
        job.report.step("Building", &title);
        let begin = Instant::now();
        build(job, workspace, python, tree, &built)?;
        job.report.step("Built", &format!("{title} in {:.1} s", begin.elapsed().as_secs_f64()));
        job.cache.keep(&key, &title, &built, job.report)?;
    }
    for name in FILES {
        let (from, to) = (built.join(name), tree.join("modules").join(name));
        folder::make_parent(&to)?;
        std::fs::copy(&from, &to).map(drop).map_err(Error::io(Kind::Install, "copy", &from))?;
        folder::set_mode(&to, 0o755)?;
    }
    let licence = tree.join("licences").join(NAME).join("LICENSE");
    folder::make_parent(&licence)?;
    std::fs::write(&licence, module::LICENCE).map_err(Error::io(
        Kind::Install,
        "write",
        &licence,
    ))?;
    check(job, tree)
}

fn build(
    job: &Job<'_>,
    workspace: &Workspace<'_>,
    python: &Python,
    tree: &Path,
    to: &Path,
) -> Result<()> {
    let _spinner = job.report.spinner("Building", NAME);
    let libraries = workspace.build(python, tree, &job.plan.toolchain.cc, job.jobs)?;
    std::fs::create_dir_all(to).map_err(Error::io(Kind::Install, "make folder", to))?;
    for (library, name) in libraries.iter().zip(FILES) {
        std::fs::copy(library, to.join(name)).map(drop).map_err(Error::io(
            Kind::Module,
            "find what cargo should have built,",
            library,
        ))?;
    }
    folder::refuse_text(to, &job.work.to_string_lossy())
}

/// Hash of all that the module is made from. A Python may be built anew with
/// other options under the same name and version, so its bytes count.
fn key(job: &Job<'_>, workspace: &Workspace<'_>, python: &Python, tree: &Path) -> Result<String> {
    let mut parts = vec![
        VERSION.to_owned(),
        module::digest()?,
        workspace.rust().text.clone(),
        job.plan.toolchain.compiler.clone(),
        python.version.clone(),
        python.name().display().to_string(),
        hash_file(&python.executable)?,
    ];
    match python.shared_library() {
        Some(library) => {
            let place = if python.portable { String::new() } else { library.display().to_string() };
            parts.extend([place, hash_file(&library)?]);
        }
        None => parts.push("no shared library".to_owned()),
    }
    for (name, header) in Manifest::of(&tree.join("include"))?.entries {
        parts.push(format!("{name} {:?}", header.kind));
    }
    Ok(format!("{NAME}-{}", &hash_of(&parts)[..32]))
}

fn check(job: &Job<'_>, tree: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for name in FILES {
        let path = tree.join("modules").join(name);
        if let Some(linkage) = link::read(&path)? {
            files.insert(path, linkage);
        }
    }
    let hidden: Vec<String> = job.hidden().collect();
    link::check(&files, tree, &hidden, &[])
}

/// The module's entry in the build record, if the tree has it.
///
/// # Errors
/// When the embedded sources cannot be read.
pub fn component(job: &Job<'_>) -> Result<Option<Component>> {
    if job.plan.python.is_none() {
        return Ok(None);
    }
    Ok(Some(Component {
        name: NAME.to_owned(),
        version: VERSION.to_owned(),
        file: format!("{NAME}-{VERSION}"),
        sha256: module::digest()?,
        origin: "built in".to_owned(),
        patches: Vec::new(),
        licence: "Apache-2.0".to_owned(),
        homepage: env!("CARGO_PKG_REPOSITORY").to_owned(),
        vulnerable: false,
    }))
}
