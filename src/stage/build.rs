//! The stage that an engine fills: what it gets and what it gives back. Which
//! engines there are is not known here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::module::Workspace;
use crate::plan::Plan;
use crate::recipe::{Recipe, Recipes};
use crate::report::Report;
use crate::source::Cache;
use crate::stage::fetch::Fetched;

/// Turns sources into a staged tree.
pub trait Engine {
    /// Name, part of the plan hash.
    fn name(&self) -> &'static str;

    /// Builds all components of the job into its stage.
    ///
    /// # Errors
    /// [`Kind::Configure`] or [`Kind::Compile`], with the failed step's log.
    fn build(&self, job: &Job<'_>) -> Result<Staged>;
}

/// Everything that an engine gets.
pub struct Job<'a> {
    /// What to build, in order.
    pub plan: &'a Plan<'a>,
    /// Archives, by component.
    pub fetched: &'a [Fetched<'a>],
    /// Recipes, for patches and templates.
    pub recipes: &'a Recipes,
    /// Sources and crates of the module, if the tree is to have it.
    pub module: Option<&'a Workspace<'a>>,
    /// Finished artefacts of earlier builds.
    pub cache: &'a Cache,
    /// A neutral, executable folder of this build alone.
    pub work: &'a Path,
    /// Where each step's full output is kept.
    pub logs: &'a Path,
    /// A program that the compiler is started by: ccache, sccache, distcc.
    pub launcher: Option<PathBuf>,
    /// Most processes at once.
    pub jobs: usize,
    /// The caller's environment; children see its allowed part.
    pub env: &'a Env,
    /// The way to the user.
    pub report: &'a Report,
}

/// A built tree, not yet checked, at a place that does not matter.
#[derive(Debug)]
pub struct Staged {
    /// Its folder.
    pub tree: PathBuf,
    /// Patches applied, by component.
    pub patches: BTreeMap<String, Vec<String>>,
}

impl<'a> Job<'a> {
    /// What was fetched for a component.
    pub(crate) fn fetched(&self, recipe: &Recipe) -> Result<&Fetched<'a>> {
        self.fetched
            .iter()
            .find(|part| part.recipe.name == recipe.name)
            .ok_or_else(|| Error::new(Kind::Recipe, format!("`{}` was not fetched", recipe.name)))
    }

    /// First letters of the names that no file of the tree may show.
    pub(crate) fn hidden(&self) -> impl Iterator<Item = String> {
        self.plan.steps.iter().flat_map(|step| step.recipe.hides.iter().cloned())
    }

    /// The staged tree.
    pub(crate) fn stage(&self) -> PathBuf {
        self.work.join("stage")
    }

    /// Where a private component's artefact lies during the build.
    pub(crate) fn dep(&self, name: &str) -> PathBuf {
        self.work.join("deps").join(name)
    }
}

/// Fails unless a check succeeded and printed what it should.
pub(crate) fn expect_output(
    what: &str,
    output: &std::process::Output,
    expected: &str,
) -> Result<()> {
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && printed.contains(expected) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(Kind::Install, format!("{what} was built, but its check fails"))
        .detail(format!("expected {expected}"))
        .detail(format!("found    {}", printed.trim()))
        .detail(format!("{}, standard error: {}", output.status, said.trim())))
}
