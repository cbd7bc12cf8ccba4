//! `install`.

use std::path::PathBuf;
use std::time::Instant;

use prefix::Base;
use serde_json::json;

use super::{Context, ROOT, doctor};
use crate::cli::InstallArgs;
use crate::engine;
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::place::{self, Place};
use crate::plan::Plan;
use crate::stage::build::Job;
use crate::stage::{fetch, install};
use crate::store::Trees;

/// What an install may take over instead of building it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reuse {
    /// The tree in use, if it was built for the same request.
    Request,
    /// A tree of the same request and the releases that can be had now.
    Releases,
    /// None.
    Nothing,
}

/// Fetches, builds, checks and switches, unless what was asked for is there.
pub(super) fn install(context: &Context<'_>, args: &InstallArgs, reuse: Reuse) -> Result<()> {
    let begin = Instant::now();
    let (env, report) = (context.env, context.report);
    let request = &args.request;
    let recipes = context.recipes()?;
    let plan = context.make_plan(&recipes, request)?;
    let place = context.place(&request.place)?;
    let base = &place.base;
    let lock = context.lock(request)?;
    let by_request = reuse == Reuse::Request && lock.is_none();
    if by_request && is_in_use(base, &plan) {
        return nothing_to_do(context, &place);
    }
    let cache = context.cache()?;
    let trees = Trees::of(&cache);
    // Who compiles nothing needs no compiler.
    let may_restore = reuse != Reuse::Nothing && trees.know(&plan.request);
    if !may_restore {
        doctor::require(&plan, env)?;
    }
    place::prepare_base(base)?;
    let _hold = place::hold(base, report)?;
    place::remove_leftovers(base);
    // Another run may have installed it while we waited.
    if by_request && is_in_use(base, &plan) {
        return nothing_to_do(context, &place);
    }
    let sources = context.sources(request)?;
    let fetched = fetch::fetch(&plan, &sources, lock.as_ref(), request.allow_vulnerable, report)?;
    let hash = install::plan_hash(&plan.request, &fetched);
    if reuse != Reuse::Nothing && base.is_complete(&hash) {
        if base.links().current.as_ref() == Some(&hash) {
            return nothing_to_do(context, &place);
        }
        base.switch_to(&hash)?;
    } else if may_restore && trees.restore(&hash, base, report)? {
        base.switch_to(&hash)?;
    } else {
        if may_restore {
            doctor::require(&plan, env)?;
        }
        let work = place::work_folder(args.work_dir.as_deref(), cache.root(), env)?;
        let logs = context.logs(&hash[..12])?;
        let module = context.module(&plan, request, work.path(), &logs)?;
        let jobs = args.jobs.map_or_else(processors, usize::from);
        let job = Job {
            plan: &plan,
            fetched: &fetched,
            recipes: &recipes,
            module: module.as_ref(),
            cache: &cache,
            work: work.path(),
            logs: &logs,
            launcher: launcher(args, env)?,
            jobs,
            env,
            report,
        };
        let staged = engine::by_name(&request.engine)?.build(&job)?;
        install::install(&job, staged, base, &hash)?;
        trees.keep(&hash, &base.tree(&hash), report)?;
    }
    place.add_entry_points(report)?;
    let record = base.record()?;
    let version = record.component(ROOT).map_or("", |part| part.version.as_str()).to_owned();
    let text = format!(
        "httpd {version} is ready in {} ({:.0} s)\nrun it: {}",
        base.root().display(),
        begin.elapsed().as_secs_f64(),
        base.root().join("bin/httpd").display()
    );
    report.result(&text, json!({ "changed": true, "prefix": base.root(), "record": record }));
    Ok(())
}

/// Whether the tree in use was built for this very request.
fn is_in_use(base: &Base, plan: &Plan<'_>) -> bool {
    base.record().is_ok_and(|record| record.request == plan.request)
}

fn nothing_to_do(context: &Context<'_>, place: &Place) -> Result<()> {
    let base = &place.base;
    place.add_entry_points(context.report)?;
    for part in base.record()?.components.iter().filter(|part| part.vulnerable) {
        context.report.warn(&format!(
            "{} {} HAS KNOWN HOLES; `update` looks for a newer release",
            part.name, part.version
        ));
    }
    let text = format!("nothing to do: {} is installed as asked", base.current().display());
    context.report.result(&text, json!({ "changed": false, "prefix": base.root() }));
    Ok(())
}

fn launcher(args: &InstallArgs, env: &Env) -> Result<Option<PathBuf>> {
    let Some(name) = &args.launcher else { return Ok(None) };
    let found = env.find_program(name);
    found.map(Some).ok_or_else(|| {
        Error::new(Kind::Usage, format!("there is no program `{name}` to start the compiler by"))
            .hint("install it, or leave --launcher away")
    })
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
