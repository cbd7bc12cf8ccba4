//! Fetching: for each component of a plan the newest pinned release that some
//! origin has. A release with wrong bytes everywhere stops the run; one that
//! cannot be had gives way to an older one, loudly.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::digest::same_digest;
use crate::error::{Error, Kind, Result};
use crate::lock::{Lock, Locked};
use crate::plan::{Plan, Step};
use crate::recipe::{Recipe, Release, SourceFile};
use crate::report::Report;
use crate::source::{Answer, Found, Origin, Sources};

/// An archive at hand. Its bytes are checked again when it is unpacked.
#[derive(Clone, Debug)]
pub struct Tarball {
    /// Where it lies.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: String,
}

/// What was fetched for one component.
#[derive(Clone, Debug)]
pub struct Fetched<'r> {
    /// The component.
    pub recipe: &'r Recipe,
    /// The release taken.
    pub release: &'r Release,
    /// The archive taken.
    pub file: &'r SourceFile,
    /// Where it lies.
    pub tarball: Tarball,
    /// Whether the release is below the recipe's minimum safe version.
    pub vulnerable: bool,
}

/// Fetches everything that a plan needs, all components at once.
///
/// # Errors
/// The first component's error, in build order.
pub fn fetch<'r>(
    plan: &Plan<'r>,
    sources: &Sources,
    lock: Option<&Lock>,
    allow_vulnerable: bool,
    report: &Report,
) -> Result<Vec<Fetched<'r>>> {
    sources.note_strangers(plan.steps.iter().map(|step| step.recipe));
    let results: Vec<Result<Fetched<'r>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = plan
            .steps
            .iter()
            .map(|step| scope.spawn(|| fetch_step(step, sources, lock, allow_vulnerable, report)))
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(Error::new(Kind::Network, "a download thread failed")))
            })
            .collect()
    });
    let fetched: Vec<Fetched<'r>> = results.into_iter().collect::<Result<_>>()?;
    for part in &fetched {
        warn_of_age(part, plan, lock.is_some(), report);
    }
    Ok(fetched)
}

/// A release, and the origins that may be asked for it.
#[derive(Debug)]
pub struct Candidate<'r> {
    /// The release.
    pub release: &'r Release,
    /// The origins, in order.
    pub origins: Vec<Origin>,
    /// Not below the minimum safe version, or let in by the user.
    pub trusted: bool,
}

fn fetch_step<'r>(
    step: &Step<'r>,
    sources: &Sources,
    lock: Option<&Lock>,
    allow_vulnerable: bool,
    report: &Report,
) -> Result<Fetched<'r>> {
    let recipe = step.recipe;
    let locked = lock.map(|lock| locked_entry(lock, recipe)).transpose()?;
    let candidates = candidates(step, lock, sources, allow_vulnerable)?;
    let mut tried: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Candidate { release, origins, trusted } in candidates {
        let mut wrong = None;
        for origin in origins {
            for file in &release.files {
                if locked.is_some_and(|locked| !same_digest(&file.sha256, &locked.sha256)) {
                    continue;
                }
                match sources.ask(origin, recipe, file)? {
                    // A cache keeps what --allow-vulnerable once let in.
                    Answer::Found(found)
                        if origin == Origin::Cache && !trusted && !found.is_of_distribution() => {}
                    Answer::Found(Found { path, origin }) => {
                        report.step(
                            "Fetched",
                            &format!("{} {} ({origin})", recipe.name, release.version),
                        );
                        let vulnerable = release.version < recipe.minimum_safe;
                        let tarball = Tarball { path, origin };
                        return Ok(Fetched { recipe, release, file, tarball, vulnerable });
                    }
                    Answer::Absent(why) => {
                        let lines = tried.entry(release.version.to_string()).or_default();
                        lines.extend(why.lines().map(str::to_owned));
                    }
                    Answer::Wrong(error) => wrong = Some(error),
                }
            }
        }
        // An older release would hide that somebody hands out wrong bytes.
        if let Some(error) = wrong {
            return Err(error);
        }
    }
    Err(nothing_found(recipe, &tried, allow_vulnerable))
}

/// Releases worth asking for, newest first. Below the minimum safe version
/// only what is at hand and the distribution's archive, as a last resort.
///
/// # Errors
/// When the release asked for or locked is not pinned, or has known holes.
pub fn candidates<'r>(
    step: &Step<'r>,
    lock: Option<&Lock>,
    sources: &Sources,
    allow_vulnerable: bool,
) -> Result<Vec<Candidate<'r>>> {
    let recipe = step.recipe;
    let locked = lock.map(|lock| locked_entry(lock, recipe)).transpose()?;
    let all: Vec<Origin> = sources.allowed().collect();
    let chosen = match (locked, &step.asked) {
        (Some(locked), _) => Some(locked.version.clone()),
        (None, Some(version)) => Some(version.to_string()),
        (None, None) => None,
    };
    let mut candidates = Vec::new();
    for release in &recipe.releases {
        let is_chosen = chosen.as_ref().is_some_and(|chosen| release.version.as_str() == chosen);
        if chosen.is_some() && !is_chosen {
            continue;
        }
        let trusted =
            release.version >= recipe.minimum_safe || allow_vulnerable || locked.is_some();
        let last_resort = [Origin::Vendor, Origin::Cache, Origin::Distribution];
        let origins: Vec<Origin> = all
            .iter()
            .copied()
            .filter(|origin| trusted || (!is_chosen && last_resort.contains(origin)))
            .collect();
        if is_chosen && !trusted {
            return Err(Error::new(
                Kind::Recipe,
                format!("{} {} has known holes", recipe.name, release.version),
            )
            .detail(format!("minimum safe version: {}", recipe.minimum_safe))
            .hint("add --allow-vulnerable if it must be this one"));
        }
        if let Some(locked) = locked
            && !release.files.iter().any(|file| same_digest(&file.sha256, &locked.sha256))
        {
            return Err(Error::new(
                Kind::Recipe,
                format!(
                    "the lock file's digest of {} {} is not pinned",
                    recipe.name, release.version
                ),
            )
            .detail(format!("locked {}", locked.sha256))
            .hint("the recipes have changed: write a new lock file without --locked"));
        }
        candidates.push(Candidate { release, origins, trusted });
    }
    if let (Some(chosen), true) = (chosen, candidates.is_empty()) {
        let known: Vec<&str> =
            recipe.releases.iter().map(|release| release.version.as_str()).collect();
        return Err(Error::new(Kind::Recipe, format!("no recipe pins {} {chosen}", recipe.name))
            .detail(format!("pinned: {}", known.join(", "))));
    }
    Ok(candidates)
}

fn locked_entry<'l>(lock: &'l Lock, recipe: &Recipe) -> Result<&'l Locked> {
    lock.find(&recipe.name).ok_or_else(|| {
        Error::new(Kind::Recipe, format!("the lock file does not name `{}`", recipe.name))
            .hint("write a new one: run `install` or `vendor` without --locked")
    })
}

fn nothing_found(
    recipe: &Recipe,
    tried: &BTreeMap<String, Vec<String>>,
    allow_vulnerable: bool,
) -> Error {
    let mut error = Error::new(Kind::Network, format!("no source has `{}`", recipe.name));
    for release in &recipe.releases {
        let mut lines = tried.get(release.version.as_str()).cloned().unwrap_or_default();
        lines.sort();
        lines.dedup();
        for line in lines {
            error = error.detail(format!("{}: {line}", release.version));
        }
    }
    let held_back = recipe.releases.iter().any(|release| release.version < recipe.minimum_safe);
    if held_back && !allow_vulnerable {
        error = error.hint(format!(
            "releases below {} come from a vendor folder or the distribution only; --allow-vulnerable asks everywhere",
            recipe.minimum_safe
        ));
    }
    error.hint("name a folder of archives with --vendor, or a mirror with --mirror")
}

/// Says when a release is not the newest pinned one, and loudly when it has
/// known holes.
fn warn_of_age(part: &Fetched<'_>, plan: &Plan<'_>, locked: bool, report: &Report) {
    let Fetched { recipe, release, .. } = part;
    let name = &recipe.name;
    let asked = plan.steps.iter().any(|step| step.recipe.name == *name && step.asked.is_some());
    let chosen = locked || asked;
    if part.vulnerable {
        let why = if chosen {
            "it was asked for"
        } else {
            "it was taken because nothing newer can be had. Run `update` when it can"
        };
        report.warn(&format!(
            "{name} {} HAS KNOWN HOLES (safe from {} on), and the distribution's fixes are not in its \
             archive; {why}",
            release.version, recipe.minimum_safe
        ));
    } else if let Some(newest) = recipe.releases.first()
        && newest.version != release.version
        && !chosen
    {
        report.warn(&format!(
            "{name} {} is taken; the newest pinned release, {}, cannot be had from any source",
            release.version, newest.version
        ));
    }
}

/// The lock that makes this choice repeatable.
#[must_use]
pub fn lock_of(fetched: &[Fetched<'_>]) -> Lock {
    let components = fetched
        .iter()
        .map(|part| Locked {
            name: part.recipe.name.clone(),
            version: part.release.version.to_string(),
            file: part.file.name.clone(),
            sha256: part.file.sha256.clone(),
            origin: part.tarball.origin.clone(),
        })
        .collect();
    Lock { version: 1, components }
}
