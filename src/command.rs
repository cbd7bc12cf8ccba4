//! The commands, each a short story told with the stages.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use prefix::Manifest;
use serde_json::json;

use crate::cli::{Cli, Command, InstallArgs, PlaceArgs, RequestArgs};
use crate::engine::{self, Job};
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::lock::{self, Lock};
use crate::place::{self, Place};
use crate::plan::{Options, Plan};
use crate::recipe::Recipes;
use crate::report::{Report, size};
use crate::source::{Cache, Settings, Sources};
use crate::stage::{fetch, install};

/// Runs the command.
///
/// # Errors
/// Whatever ended it.
pub fn run(cli: &Cli, env: &Env, report: &Report) -> Result<()> {
    let context = Context { cli, env, report };
    match &cli.command {
        Command::Install(args) => context.install(args),
        Command::Plan(args) => context.plan(args),
        Command::Fetch(args) => context.fetch(args),
        Command::Verify(args) => context.verify(args),
        Command::List(args) => context.list(args),
        Command::Rollback(args) => context.rollback(args),
    }
}

struct Context<'a> {
    cli: &'a Cli,
    env: &'a Env,
    report: &'a Report,
}

impl Context<'_> {
    fn place(&self, args: &PlaceArgs) -> Result<Place> {
        place::place(args.prefix.as_deref(), args.python.as_deref(), self.env)
    }

    fn cache(&self) -> Result<Cache> {
        place::cache(self.cli.cache.as_deref(), self.env).map(Cache::new)
    }

    fn recipes(&self) -> Result<Recipes> {
        Recipes::load(self.cli.recipes.as_deref())
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
        let options = Options {
            features: args.features.clone(),
            default_features: !args.no_default_features,
            tls: args.tls,
            releases,
        };
        let engine = engine::by_name(&args.engine)?.name();
        let toolchain = engine::toolchain(args.cc.as_deref(), self.env)?;
        Plan::new(recipes, ROOT, &options, toolchain, engine)
    }

    fn sources(&self, args: &RequestArgs) -> Result<Sources> {
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
        let path = match (&args.lock, &args.vendor) {
            (Some(path), _) => path.clone(),
            (None, Some(vendor)) if vendor.join(lock::FILE).is_file() => vendor.join(lock::FILE),
            _ => self.place(&args.place)?.base.root().join(lock::FILE),
        };
        Lock::read(&path).map(Some)
    }

    fn install(&self, args: &InstallArgs) -> Result<()> {
        let begin = Instant::now();
        let request = &args.request;
        let recipes = self.recipes()?;
        let plan = self.make_plan(&recipes, request)?;
        let base = self.place(&request.place)?.base;
        let lock = self.lock(request)?;
        if let Ok(record) = base.record()
            && record.request == plan.request
            && lock.is_none()
        {
            let text = format!("nothing to do: {} is installed as asked", base.current().display());
            self.report.result(&text, json!({ "changed": false, "prefix": base.root() }));
            return Ok(());
        }
        place::prepare_base(&base)?;
        let _hold = place::hold(&base, self.report)?;
        let sources = self.sources(request)?;
        let fetched =
            fetch::fetch(&plan, &sources, lock.as_ref(), request.allow_vulnerable, self.report)?;
        let hash = install::plan_hash(&plan.request, &fetched);
        if base.is_complete(&hash) {
            base.switch_to(&hash)?;
        } else {
            let cache = self.cache()?;
            let work = place::work_folder(args.work_dir.as_deref(), cache.root(), self.env)?;
            let logs = self.logs(&cache, &hash)?;
            let jobs = args.jobs.map_or_else(processors, usize::from);
            let job = Job {
                plan: &plan,
                fetched: &fetched,
                recipes: &recipes,
                cache: &cache,
                work: work.path(),
                logs: &logs,
                jobs,
                env: self.env,
                report: self.report,
            };
            let staged = engine::by_name(&request.engine)?.build(&job)?;
            install::install(&job, staged, &base, &hash)?;
        }
        let record = base.record()?;
        let version = record.component(ROOT).map_or("", |part| part.version.as_str()).to_owned();
        let text = format!(
            "httpd {version} is ready in {} ({:.0} s)\nrun it: {}",
            base.root().display(),
            begin.elapsed().as_secs_f64(),
            base.root().join("bin/httpd").display()
        );
        self.report
            .result(&text, json!({ "changed": true, "prefix": base.root(), "record": record }));
        Ok(())
    }

    fn plan(&self, args: &RequestArgs) -> Result<()> {
        let recipes = self.recipes()?;
        let plan = self.make_plan(&recipes, args)?;
        let sources = self.sources(args)?;
        let mut text = String::new();
        let mut rows = Vec::new();
        for step in &plan.steps {
            let Some(release) = step.recipe.releases.first() else { continue };
            let release =
                step.asked.as_ref().and_then(|asked| step.recipe.release(asked)).unwrap_or(release);
            let Some(file) = release.files.first() else { continue };
            let hand = release.files.iter().find_map(|file| sources.at_hand(file));
            let from =
                hand.unwrap_or_else(|| file.urls.first().map_or("distribution", String::as_str));
            let needs = step.needs.join(", ");
            text.push_str(&format!(
                "{:<10} {:<8} {:>10}  {from}{}\n",
                step.recipe.name,
                release.version.as_str(),
                size(file.size),
                if needs.is_empty() { String::new() } else { format!("  (needs {needs})") },
            ));
            rows.push(json!({
                "name": step.recipe.name, "version": release.version.as_str(), "size": file.size,
                "sha256": file.sha256, "from": from, "needs": step.needs,
            }));
        }
        text.push_str(&format!(
            "features: {}; tls: {}\n",
            plan.features.join(", "),
            plan.tls.name()
        ));
        let value =
            json!({ "components": rows, "features": plan.features, "request": plan.request });
        self.report.result(&text, value);
        Ok(())
    }

    fn fetch(&self, args: &RequestArgs) -> Result<()> {
        let recipes = self.recipes()?;
        let plan = self.make_plan(&recipes, args)?;
        let lock = self.lock(args)?;
        let sources = self.sources(args)?;
        let fetched =
            fetch::fetch(&plan, &sources, lock.as_ref(), args.allow_vulnerable, self.report)?;
        let lock = fetch::lock_of(&fetched);
        self.report.result("", json!({ "components": lock.components }));
        Ok(())
    }

    fn verify(&self, args: &PlaceArgs) -> Result<()> {
        let base = self.place(args)?.base;
        let record = base.record()?;
        let tree = base.tree(&record.plan);
        let manifest = Manifest::read(&tree)?;
        let differences = manifest.differences(&tree)?;
        let ours: Vec<_> = differences
            .iter()
            .filter(|(_, difference)| **difference != prefix::Difference::Unknown)
            .collect();
        if ours.is_empty() {
            let text = format!("{} files are as installed", manifest.entries.len());
            self.report.result(
                &text,
                json!({ "files": manifest.entries.len(), "differences": differences }),
            );
            return Ok(());
        }
        let error = Error::new(Kind::Install, format!("{} files are not as installed", ours.len()));
        Err(ours
            .iter()
            .fold(error, |error, (path, difference)| {
                error.detail(format!("{path}: {difference:?}"))
            })
            .hint("install again, or go back with `rollback`"))
    }

    fn list(&self, args: &PlaceArgs) -> Result<()> {
        let base = self.place(args)?.base;
        let links = base.links();
        let mut text = String::new();
        let mut rows = Vec::new();
        for plan in base.trees() {
            let record = prefix::Record::read(&base.tree(&plan))?;
            let mark = if links.current.as_ref() == Some(&plan) {
                "current"
            } else if links.previous.as_ref() == Some(&plan) {
                "previous"
            } else {
                ""
            };
            let version = record.component(ROOT).map_or("", |part| part.version.as_str());
            text.push_str(&format!("{plan}  httpd {version}  {mark}\n"));
            rows.push(json!({ "plan": plan, "state": mark, "record": record }));
        }
        self.report.result(&text, json!({ "trees": rows }));
        Ok(())
    }

    fn rollback(&self, args: &PlaceArgs) -> Result<()> {
        let base = self.place(args)?.base;
        base.record()?;
        let _hold = place::hold(&base, self.report)?;
        let plan = base.roll_back()?;
        self.report.result(&format!("now in use: {plan}"), json!({ "current": plan }));
        Ok(())
    }

    fn logs(&self, cache: &Cache, hash: &str) -> Result<PathBuf> {
        let logs = cache.logs().join(format!("{}-{}", &hash[..12], std::process::id()));
        std::fs::create_dir_all(&logs).map_err(Error::io(Kind::Install, "make folder", &logs))?;
        Ok(logs)
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The component that all others are for.
const ROOT: &str = "httpd";
