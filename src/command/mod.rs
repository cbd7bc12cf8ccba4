//! The commands, each a short story told with the stages.

mod archives;
mod clean;
mod doctor;
mod info;
mod install;
mod pages;
mod pin;
mod sbom;
mod share;
mod trees;
mod uninstall;
mod update;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::apxs::{Apxs, Caller, Tree};
use crate::cli::{Cli, Command, Look, PlaceArgs, RequestArgs};
use crate::command::install::Reuse;
use crate::engine;
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::lock::{self, Lock};
use crate::module::{self, Crates, Workspace};
use crate::place::{self, Place};
use crate::plan::{self, Options, Plan, Tls};
use crate::python::{self, Python};
use crate::recipe::Recipes;
use crate::report::Report;
use crate::source::{Cache, Origin, Settings, Sources};

/// Runs the command.
///
/// # Errors
/// Whatever ended it.
pub fn run(cli: &Cli, env: &Env, report: &Report) -> Result<()> {
    let (recipes, cache) = (cli.recipes.as_deref(), cli.cache.as_deref());
    let context = Context { recipes, cache, env, report };
    match &cli.command {
        Command::Install(args) => {
            let reuse = if args.force { Reuse::Nothing } else { Reuse::Request };
            install::install(&context, args, reuse)
        }
        Command::Plan(args) => archives::plan(&context, args),
        Command::Fetch(args) => archives::fetch(&context, args),
        Command::Vendor(args) => archives::vendor(&context, args),
        Command::Rollback(args) => trees::rollback(&context, args),
        Command::Push(args) => share::push(&context, args),
        Command::Pull(args) => share::pull(&context, args),
        Command::Uninstall(args) => uninstall::uninstall(&context, args),
        Command::Clean(args) => clean::clean(&context, args),
        Command::Doctor(args) => doctor::doctor(&context, args),
        Command::Update(args) => update::update(&context, args),
        Command::Pin(args) => pin::pin(&context, args),
        Command::Completions { shell } => pages::completions(*shell),
        Command::Man { folder } => pages::man(folder.as_deref(), report),
        Command::Look(look) => context.look(look),
    }
}

/// Runs a command that changes nothing.
///
/// # Errors
/// Whatever ended it.
pub fn look(look: &Look, env: &Env, report: &Report) -> Result<()> {
    Context { recipes: None, cache: None, env, report }.look(look)
}

/// Why a package has none of the installer's commands.
#[must_use]
pub fn not_in_package(words: &[OsString]) -> Error {
    let word = words.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    Error::new(Kind::Usage, format!("this httpd came in a package, which has no command `{word}`"))
        .hint(
            "`pip install --upgrade mod-wsgi-rs` renews it, `pip uninstall mod-wsgi-rs` removes it",
        )
        .hint("the installer, which builds others, comes with the sources: `cargo run -- --help`")
}

/// Runs `apxs` for the tree that this program lies in, else for the installed
/// one that the other commands are about.
///
/// # Errors
/// Whatever ended it.
pub fn run_apxs(apxs: &Apxs, caller: Caller, env: &Env, report: &Report) -> Result<()> {
    let tree = match Tree::of_this_program() {
        Some(tree) => tree,
        None => {
            let base = place::place(None, None, env)?.base;
            Tree::at(&base.tree(&base.record()?.plan))
        }
    };
    apxs.run(&tree, caller, env, report)
}

struct Context<'a> {
    recipes: Option<&'a Path>,
    cache: Option<&'a Path>,
    env: &'a Env,
    report: &'a Report,
}

impl Context<'_> {
    fn look(&self, look: &Look) -> Result<()> {
        match look {
            Look::Verify(args) => trees::verify(self, args),
            Look::List(args) => trees::list(self, args),
            Look::Info(args) => info::info(self, args),
            Look::Sbom(args) => sbom::sbom(self, args),
            // Their options are their own: `main` hands them on before this.
            Look::Apxs { .. } => Err(Error::new(Kind::Usage, "`apxs` must be the first word")),
            Look::Express { .. } => {
                Err(Error::new(Kind::Usage, "`express` must be the first word"))
            }
        }
    }

    fn place(&self, args: &PlaceArgs) -> Result<Place> {
        place::place(args.prefix.as_deref(), args.python.as_deref(), self.env)
    }

    fn cache(&self) -> Result<Cache> {
        place::cache(self.cache, self.env).map(Cache::new)
    }

    /// A folder for the full output of this run's steps.
    fn logs(&self, name: &str) -> Result<PathBuf> {
        let logs = self.cache()?.logs().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&logs).map_err(Error::io(Kind::Install, "make folder", &logs))?;
        Ok(logs)
    }

    fn recipes(&self) -> Result<Recipes> {
        Recipes::load(self.recipes)
    }

    fn make_plan<'r>(&self, recipes: &'r Recipes, args: &RequestArgs) -> Result<Plan<'r>> {
        let releases = args
            .releases
            .iter()
            .map(|text| {
                let wrong =
                    |why: String| Error::new(Kind::Usage, format!("`--release {text}`: {why}"));
                let (name, version) =
                    text.split_once('=').ok_or_else(|| wrong("expected NAME=VERSION".into()))?;
                Ok((name.to_owned(), version.parse().map_err(wrong)?))
            })
            .collect::<Result<_>>()?;
        let options = Options { releases, ..options(args) };
        let engine = engine::by_name(&args.engine)?.name();
        let toolchain = engine::toolchain(args.cc.as_deref(), self.env)?;
        Plan::new(recipes, ROOT, &options, toolchain, engine, || self.python(args))
    }

    /// Whether the module is asked for.
    fn builds_module(&self, args: &RequestArgs) -> Result<bool> {
        let recipes = self.recipes()?;
        let features = plan::choose_features(recipes.find(ROOT)?, &options(args))?;
        Ok(features.contains(plan::MODULE))
    }

    /// The Python that the module is built for: it needs one wherever the prefix
    /// lies.
    fn python(&self, args: &RequestArgs) -> Result<Python> {
        python::find(chosen_python(args).as_deref(), self.env)
            .map_err(|error| error.hint(format!("name one with --python; {}", module::WITHOUT)))
            .and_then(module::require_supported)
            .map(|python| Python { portable: args.portable, ..python })
    }

    /// Where the crates that the module is built from may come from.
    fn crates(&self, args: &RequestArgs) -> Crates {
        let folder = args.vendor.as_ref().map(|vendor| vendor.join(module::VENDORED));
        Crates {
            folder: folder.filter(|folder| folder.is_dir()),
            offline: args.offline || !args.sources.contains(&Origin::Upstream),
        }
    }

    /// Sources and crates of the module in a work folder, if the plan has it.
    fn module<'c>(
        &'c self,
        plan: &Plan<'_>,
        args: &RequestArgs,
        work: &Path,
        logs: &'c Path,
    ) -> Result<Option<Workspace<'c>>> {
        if plan.python.is_none() {
            return Ok(None);
        }
        let workspace = Workspace::write(&work.join("module"), logs, self.env)?;
        let crates = self.crates(args);
        workspace.bring_crates(&crates)?;
        self.report.step("Fetched", &format!("crates of mod_wsgi ({crates})"));
        Ok(Some(workspace))
    }

    fn sources(&self, args: &RequestArgs) -> Result<Sources> {
        if let Some(folder) = args.vendor.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(Error::new(
                Kind::Usage,
                format!("there is no folder `{}`", folder.display()),
            )
            .hint("`mod_wsgi-httpd vendor` makes one"));
        }
        let settings = Settings {
            vendor: args.vendor.clone(),
            mirrors: args.mirrors.clone(),
            allowed: args.sources.iter().copied().collect(),
            offline: args.offline,
            suites: args.suites.clone(),
            stall: Duration::from_secs(args.timeout),
        };
        Ok(Sources::new(settings, self.cache()?, self.env, self.report))
    }

    fn lock(&self, args: &RequestArgs) -> Result<Option<Lock>> {
        if !args.locked {
            return Ok(None);
        }
        let path: PathBuf = match (&args.lock, &args.vendor) {
            (Some(path), _) => path.clone(),
            (None, Some(vendor)) if vendor.join(lock::FILE).is_file() => vendor.join(lock::FILE),
            _ => self.place(&args.place)?.base.root().join(lock::FILE),
        };
        Lock::read(&path).map(Some)
    }
}

/// The Python that is named, else that of the last install, which an installed
/// program knows to have been its own.
fn chosen_python(args: &RequestArgs) -> Option<String> {
    let named = args.place.python.as_ref().or(args.python_of_last_time.as_ref());
    named.cloned().or_else(|| {
        let base = place::base_of_this_program().filter(|_| args.place.prefix.is_none())?;
        let python = base.record().ok()?.python?;
        // One that came in a package is for the Python that is active.
        python.executable.is_absolute().then_some(())?;
        Some(python.executable.to_string_lossy().into_owned())
    })
}

/// What the command line says of the result, releases aside.
fn options(args: &RequestArgs) -> Options {
    Options {
        features: args.features.clone(),
        default_features: !args.no_default_features,
        tls: args.tls.unwrap_or(Tls::Private),
        profile: args.profile,
        releases: Vec::new(),
    }
}

/// The component that all others are for.
const ROOT: &str = "httpd";
