//! One component: verified, unpacked, patched, built, and what is kept of it
//! copied to its place. A private component that was built before comes from
//! the cache of artefacts.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use prefix::{Manifest, PLACEHOLDER};

use super::Machine;
use super::pool::acquire;
use super::text::{fill, fill_template, without_build_places};
use crate::error::{Error, Kind, Result};
use crate::folder::{make_parent, set_mode};
use crate::plan::{Step, hash_of};
use crate::process::Program;
use crate::recipe::{Build, Check, Configure, Install, Placement, ProgramCheck};
use crate::stage::build::{Job, expect_output};
use crate::stage::fetch::Fetched;
use crate::stage::patch::{Patched, patch};
use crate::stage::unpack::unpack;
use crate::stage::verify::verify;

/// What makes a component's files in its source folder.
pub(super) type Maker = fn(&Component<'_>, &Configure, &Path) -> Result<()>;

/// Builds one component and returns the names of its patches. `headers_ready`
/// is called as soon as the headers of a private one may be read; `maker` is for
/// one that has a configure script.
pub(super) fn build_component(
    job: &Job<'_>,
    step: &Step<'_>,
    machine: &Machine<'_>,
    maker: Maker,
    headers_ready: &dyn Fn(),
) -> Result<Vec<String>> {
    let component = Component::new(job, step, machine)?;
    if step.recipe.placement == Placement::Tree {
        return component.build(maker, headers_ready);
    }
    let key = component.artefact_key()?;
    if job.cache.restore(&key, &component.title, &component.place, job.report)? {
        job.report.step("Reused", &component.title);
        return Ok(component.patch_names());
    }
    let patches = component.build(maker, headers_ready)?;
    job.cache.keep(&key, &component.title, &component.place, job.report)?;
    Ok(patches)
}

pub(super) struct Component<'j> {
    pub(super) job: &'j Job<'j>,
    pub(super) step: &'j Step<'j>,
    pub(super) fetched: &'j Fetched<'j>,
    pub(super) machine: &'j Machine<'j>,
    /// Name and release, for people.
    pub(super) title: String,
    /// Where the result goes.
    pub(super) place: PathBuf,
}

impl<'j> Component<'j> {
    pub(super) fn new(
        job: &'j Job<'_>,
        step: &'j Step<'_>,
        machine: &'j Machine<'_>,
    ) -> Result<Self> {
        let fetched = job.fetched(step.recipe)?;
        let title = format!("{} {}", step.recipe.name, fetched.release.version);
        let place = match step.recipe.placement {
            Placement::Tree => job.stage(),
            Placement::Private => job.dep(&step.recipe.name),
        };
        Ok(Self { job, step, fetched, machine, title, place })
    }

    fn build(&self, maker: Maker, headers_ready: &dyn Fn()) -> Result<Vec<String>> {
        let begin = Instant::now();
        let source = self.start()?;
        match &self.step.recipe.build {
            Build::Configure(rules) => {
                maker(self, rules, &source.folder)?;
                let values = self.values(rules, &source.folder)?;
                let _token = acquire(self.machine.jobs)?;
                self.install_all(&source.folder, &values)?;
            }
            // What is installed besides the library are headers.
            Build::Compile(rules) => {
                self.generate(rules, &source.folder)?;
                self.install_all(&source.folder, &BTreeMap::new())?;
                headers_ready();
                self.compile(rules, &source.folder)?;
            }
        }
        {
            let _token = acquire(self.machine.jobs)?;
            for check in &self.step.recipe.checks {
                if let Check::Program(check) = check {
                    self.check_program(check)?;
                }
            }
            // The source is no longer needed, and a full disk helps nobody.
            std::fs::remove_dir_all(&source.folder).map_err(Error::io(
                Kind::Install,
                "remove",
                &source.folder,
            ))?;
        }
        self.tell_built(begin);
        Ok(source.patches)
    }

    /// Tells the user and makes the source ready.
    pub(super) fn start(&self) -> Result<Patched> {
        let _token = acquire(self.machine.jobs)?;
        let source = self.prepare()?;
        self.job.report.step("Building", &self.title);
        Ok(source)
    }

    pub(super) fn tell_built(&self, begin: Instant) {
        let seconds = begin.elapsed().as_secs_f64();
        self.job.report.step("Built", &format!("{} in {seconds:.1} s", self.title));
    }

    /// Keeps what the recipe names, and the licence.
    pub(super) fn install_all(
        &self,
        folder: &Path,
        values: &BTreeMap<String, String>,
    ) -> Result<()> {
        for rule in &self.step.recipe.installs {
            self.install(rule, folder, values)?;
        }
        self.install_licences(folder)
    }

    /// Verifies, unpacks and patches.
    fn prepare(&self) -> Result<Patched> {
        let parent = self.job.work.join("src").join(&self.step.recipe.name);
        std::fs::create_dir_all(&parent).map_err(Error::io(
            Kind::Unpack,
            "make folder",
            &parent,
        ))?;
        let verified = verify(&self.fetched.tarball, self.fetched.file, self.job.work)?;
        let source = unpack(verified, &parent, &self.step.recipe.skip)?;
        patch(source, self.job.recipes, self.step.recipe, &self.fetched.release.version)
    }

    /// A program in a clean environment: nothing of the machine's packages or
    /// of the caller's flags leads anywhere.
    pub(super) fn program(&self, name: &str, folder: &Path) -> Program {
        let temporary = self.job.work.join("tmp");
        Program::new(name)
            .envs(self.job.env.for_build())
            .envs([
                ("CONFIG_SHELL", "/bin/sh"),
                ("CONFIG_SITE", "/dev/null"),
                ("PKG_CONFIG", "/bin/false"),
                ("PKG_CONFIG_PATH", ""),
                ("PKG_CONFIG_LIBDIR", "/nonexistent"),
                // GNU ld takes it where no -rpath is given; libtool gives none
                // as long as it finds no .la file.
                ("LD_RUN_PATH", "$ORIGIN/../lib"),
                ("SOURCE_DATE_EPOCH", SOURCE_DATE_EPOCH),
            ])
            .env("TMPDIR", &temporary)
            .folder(folder)
    }

    /// What `{name}` in a recipe stands for.
    pub(super) fn names(&self) -> BTreeMap<String, String> {
        let version = self.fetched.release.version.as_str();
        let mut names = BTreeMap::from([
            ("prefix".to_owned(), PLACEHOLDER.to_owned()),
            ("stage".to_owned(), self.job.stage().display().to_string()),
            ("version".to_owned(), version.to_owned()),
            ("version-hex".to_owned(), hex_version(version)),
            ("cc".to_owned(), self.job.plan.toolchain.cc.display().to_string()),
            ("profile".to_owned(), self.job.plan.profile.flag().to_owned()),
            (
                "cflags".to_owned(),
                format!("{} {}", self.job.plan.profile.flag(), self.prefix_map()),
            ),
        ]);
        for step in &self.job.plan.steps {
            let name = &step.recipe.name;
            names.insert(format!("dep:{name}"), self.job.dep(name).display().to_string());
        }
        names
    }

    pub(super) fn prefix_map(&self) -> String {
        format!("-ffile-prefix-map={}=/src", self.job.work.display())
    }

    // ---- install and check ----

    fn install(
        &self,
        rule: &Install,
        folder: &Path,
        values: &BTreeMap<String, String>,
    ) -> Result<()> {
        let to = self.place.join(&rule.to);
        if let Some(template) = &rule.template {
            let mut values = values.clone();
            values.insert("version".to_owned(), self.fetched.release.version.to_string());
            let text = fill_template(&self.job.recipes.template(template)?, &values);
            write(&to, &text)?;
            return set_mode(&to, if rule.executable { 0o755 } else { 0o644 });
        }
        let mut count = 0;
        for pattern in &rule.from {
            for path in matches(folder, pattern)? {
                let name = path.file_name().unwrap_or_default();
                if rule.exclude.iter().any(|excluded| name == excluded.as_str()) {
                    continue;
                }
                let target = match (&rule.rename, &rule.base) {
                    (Some(name), _) => to.join(name),
                    (None, Some(base)) => {
                        to.join(path.strip_prefix(folder.join(base)).unwrap_or(&path))
                    }
                    (None, None) => to.join(name),
                };
                self.keep(&path, &target)?;
                count += 1;
            }
        }
        if count == 0 {
            return Err(Error::new(
                Kind::Recipe,
                format!("{} built nothing that `{}` matches", self.title, rule.from.join("`, `")),
            )
            .log(self.log("make")));
        }
        Ok(())
    }

    /// Copies a file or link of the build to its place.
    fn keep(&self, from: &Path, to: &Path) -> Result<()> {
        make_parent(to)?;
        if let Ok(target) = std::fs::read_link(from)
            && target.components().count() == 1
        {
            return symlink(&target, to).map_err(Error::io(Kind::Install, "link", to));
        }
        let mut bytes = std::fs::read(from).map_err(Error::io(Kind::Install, "read", from))?;
        // What is built later reads these texts, so they must lead to the stage
        // until `clean_texts` makes them relocatable again.
        if let Ok(text) = std::str::from_utf8(&bytes)
            && text.contains(PLACEHOLDER)
        {
            let stage = self.job.stage().display().to_string();
            bytes = text.replace(PLACEHOLDER, &stage).into_bytes();
        }
        std::fs::write(to, bytes).map_err(Error::io(Kind::Install, "write", to))?;
        let executable =
            from.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
        set_mode(to, if executable { 0o755 } else { 0o644 })
    }

    fn install_licences(&self, folder: &Path) -> Result<()> {
        let place = self.place.join("licences").join(&self.step.recipe.name);
        let mut found = false;
        for name in &self.step.recipe.licence_files {
            let from = folder.join(name);
            if from.is_file() {
                self.keep(&from, &place.join(from.file_name().unwrap_or_default()))?;
                found = true;
            }
        }
        if found || self.step.recipe.licence_files.is_empty() {
            return Ok(());
        }
        Err(Error::new(Kind::Recipe, format!("{} has none of its licence files", self.title))
            .detail(format!("expected one of: {}", self.step.recipe.licence_files.join(", "))))
    }

    /// Compiles and runs the recipe's proof that a private component works.
    fn check_program(&self, check: &ProgramCheck) -> Result<()> {
        let folder = self.job.work.join("checks");
        let source = folder.join(format!("{}.c", self.step.recipe.name));
        let program = folder.join(&self.step.recipe.name);
        write(&source, &check.source)?;
        let libraries = check.libraries.iter().map(|name| {
            if name.starts_with('-') {
                OsString::from(name)
            } else {
                self.place.join("lib").join(name).into_os_string()
            }
        });
        let log = self.log("check");
        self.program(&self.job.plan.toolchain.cc.to_string_lossy(), &folder)
            .arg(format!("-I{}", self.place.join("include").display()))
            .arg(&source)
            .arg("-o")
            .arg(&program)
            .args(libraries)
            .run_logged(Kind::Compile, &log)?;
        let output = self.program(&program.to_string_lossy(), &folder).output(Kind::Compile)?;
        expect_output(&self.title, &output, &fill(&check.prints, &self.names()))
    }

    // ---- artefacts ----

    /// Hash of all that a private component is made from.
    fn artefact_key(&self) -> Result<String> {
        let recipe = self.step.recipe;
        let mut parts = vec![
            env!("CARGO_PKG_VERSION").to_owned(),
            self.job.plan.profile.flag().to_owned(),
            self.job.plan.toolchain.target.clone(),
            self.job.plan.toolchain.compiler.clone(),
            recipe.name.clone(),
            self.fetched.file.sha256.clone(),
            format!("{:?}{:?}", recipe.build, recipe.installs),
        ];
        parts.extend(self.step.arguments.iter().cloned());
        let patches = recipe.patches_for(&self.fetched.release.version);
        parts.extend(patches.map(|patch| patch.sha256.clone()));
        for template in recipe.installs.iter().filter_map(|rule| rule.template.as_ref()) {
            parts.push(self.job.recipes.template(template)?);
        }
        Ok(format!("{}-{}", recipe.name, &hash_of(&parts)[..32]))
    }

    fn patch_names(&self) -> Vec<String> {
        let patches = self.step.recipe.patches_for(&self.fetched.release.version);
        patches.map(|patch| patch.file.clone()).collect()
    }

    pub(super) fn log(&self, step: &str) -> PathBuf {
        self.job.logs.join(format!("{}-{step}.log", self.step.recipe.name))
    }
}

/// Takes the places of the build out of every text of a staged tree.
pub(super) fn clean_texts(tree: &Path, work: &Path) -> Result<()> {
    for name in Manifest::of(tree)?.entries.keys() {
        let path = tree.join(name);
        if let Ok(text) = std::fs::read_to_string(&path) {
            let clean = without_build_places(&text, work);
            if clean != text {
                std::fs::write(&path, clean).map_err(Error::io(Kind::Install, "write", &path))?;
            }
        }
    }
    Ok(())
}

/// Files that match a glob below a folder, sorted.
pub(super) fn matches(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>> {
    let full = format!("{}/{pattern}", glob::Pattern::escape(&folder.to_string_lossy()));
    let paths = glob::glob(&full).map_err(|source| {
        Error::new(Kind::Recipe, format!("`{pattern}` is no pattern")).caused_by(source)
    })?;
    Ok(paths.flatten().filter(|path| !path.is_dir()).collect())
}

/// `1.52.0` as `0x013400`.
fn hex_version(version: &str) -> String {
    let parts = version.split('.').map(|part| part.parse::<u8>().unwrap_or(0));
    parts.fold("0x".to_owned(), |text, part| format!("{text}{part:02x}"))
}

pub(super) fn write(path: &Path, text: &str) -> Result<()> {
    make_parent(path)?;
    std::fs::write(path, text).map_err(Error::io(Kind::Install, "write", path))
}

/// Fixed, so that the same sources give the same bytes: 2026-01-01.
const SOURCE_DATE_EPOCH: &str = "1767225600";
