//! From recipes and options to an ordered, printable plan. Nothing is touched
//! and no network is asked: which release can be had is decided by `fetch`.

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::error::{Error, Kind, Result};
use crate::module;
use crate::python::Python;
use crate::recipe::{Build, Feature, Recipe, Recipes, Version};

/// Where OpenSSL comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Tls {
    /// Built from source, hidden inside the modules that need it.
    Private,
    /// The machine's own, with its headers.
    System,
    /// No TLS.
    None,
}

impl Tls {
    /// Name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::System => "system",
            Self::None => "none",
        }
    }
}

/// How much time the compiler takes for speed of its result.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Profile {
    /// A third less to compile (-O1), for trying things out.
    Quick,
    /// What a server runs with (-O2).
    #[default]
    Release,
}

impl Profile {
    /// The compiler's flag.
    #[must_use]
    pub fn flag(self) -> &'static str {
        match self {
            Self::Quick => "-O1",
            Self::Release => "-O2",
        }
    }
}

/// What the user may choose about the result.
#[derive(Clone, Debug)]
pub struct Options {
    /// Features to switch on, or off with a leading `-`.
    pub features: Vec<String>,
    /// Start from the recipes' defaults.
    pub default_features: bool,
    /// Where OpenSSL comes from.
    pub tls: Tls,
    /// How it is compiled.
    pub profile: Profile,
    /// Releases asked for by number, by component.
    pub releases: Vec<(String, Version)>,
}

/// What the result is built with and for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Toolchain {
    /// Target triple.
    pub target: String,
    /// Path of the C compiler.
    pub cc: std::path::PathBuf,
    /// First line that it says of itself.
    pub compiler: String,
}

/// Components in build order, with everything that the result depends on
/// save the releases.
#[derive(Clone, Debug)]
pub struct Plan<'r> {
    /// In build order: each after all that it needs.
    pub steps: Vec<Step<'r>>,
    /// Features that are on, sorted.
    pub features: Vec<String>,
    /// Where OpenSSL comes from.
    pub tls: Tls,
    /// The Python that `mod_wsgi.so` is built for, when it is built.
    pub python: Option<Python>,
    /// Hash of the request.
    pub request: String,
    /// Engine.
    pub engine: &'static str,
    /// How it is compiled.
    pub profile: Profile,
    /// Compiler and target.
    pub toolchain: Toolchain,
}

/// One component of a plan.
#[derive(Clone, Debug)]
pub struct Step<'r> {
    /// Its recipe.
    pub recipe: &'r Recipe,
    /// Names of the components that it needs, features considered.
    pub needs: Vec<&'r str>,
    /// Arguments that the features add.
    pub arguments: Vec<String>,
    /// Release asked for by number.
    pub asked: Option<Version>,
}

impl<'r> Plan<'r> {
    /// Plans `root` and all that it needs. `python` is asked for the Python of
    /// the module if there is to be one.
    ///
    /// # Errors
    /// When a feature or component is unknown, needs go in a circle, or there is
    /// no Python for the module.
    pub fn new(
        recipes: &'r Recipes,
        root: &str,
        options: &Options,
        toolchain: Toolchain,
        engine: &'static str,
        python: impl FnOnce() -> Result<Python>,
    ) -> Result<Self> {
        let root = recipes.find(root)?;
        let features = choose_features(root, options)?;
        let python = features.contains(MODULE).then(python).transpose()?;
        let mut steps = Vec::new();
        let mut path = Vec::new();
        add_step(recipes, root, &features, options, &mut steps, &mut path)?;
        for (name, _) in &options.releases {
            if !steps.iter().any(|step| step.recipe.name == *name) {
                return Err(Error::new(
                    Kind::Usage,
                    format!("--release names `{name}`, which this plan does not build"),
                ));
            }
        }
        let tls = if features.contains("tls") { options.tls } else { Tls::None };
        let mut request = request_hash(recipes, &features, tls, options, &toolchain, engine);
        if let Some(python) = &python {
            let executable = python.name().display().to_string();
            let parts = [&request, &executable, &python.version, &module::digest()?];
            request = hash_of(&parts);
        }
        let features = features.into_iter().collect();
        let profile = options.profile;
        Ok(Self { steps, features, tls, python, request, engine, profile, toolchain })
    }

    /// Whether a component is built by a configure and a make of its own.
    #[must_use]
    pub fn needs_make(&self) -> bool {
        self.steps.iter().any(|step| {
            let is_ours = self.engine == "direct" && step.recipe.direct;
            !is_ours && matches!(step.recipe.build, Build::Configure(_))
        })
    }
}

/// The feature of the root recipe that is `mod_wsgi.so`.
pub const MODULE: &str = "module";

/// The features that are on.
///
/// # Errors
/// When one is unknown, or the recipe has no `--tls system`.
pub fn choose_features(root: &Recipe, options: &Options) -> Result<BTreeSet<String>> {
    let mut on: BTreeSet<String> = root
        .features
        .iter()
        .filter(|(_, feature)| options.default_features && feature.default)
        .map(|(name, _)| name.clone())
        .collect();
    for choice in &options.features {
        let name = choice.trim_start_matches(['-', '+']);
        if !root.features.contains_key(name) {
            let known: Vec<&str> = root.features.keys().map(String::as_str).collect();
            return Err(Error::new(Kind::Usage, format!("there is no feature `{name}`"))
                .detail(format!("known: {}", known.join(", "))));
        }
        if choice.starts_with('-') {
            on.remove(name);
        } else {
            on.insert(name.to_owned());
        }
    }
    match options.tls {
        Tls::None => drop(on.remove("tls")),
        Tls::System if root.features.get("tls").is_some_and(|tls| tls.system.is_none()) => {
            return Err(Error::new(Kind::Recipe, "the recipe offers no `--tls system`"));
        }
        Tls::Private | Tls::System => {}
    }
    Ok(on)
}

fn add_step<'r>(
    recipes: &'r Recipes,
    recipe: &'r Recipe,
    on: &BTreeSet<String>,
    options: &Options,
    steps: &mut Vec<Step<'r>>,
    path: &mut Vec<&'r str>,
) -> Result<()> {
    if steps.iter().any(|step| step.recipe.name == recipe.name) {
        return Ok(());
    }
    if path.contains(&recipe.name.as_str()) {
        path.push(&recipe.name);
        return Err(Error::new(Kind::Recipe, "recipes need each other in a circle")
            .detail(path.join(" -> ")));
    }
    path.push(&recipe.name);
    let mut needs: Vec<&str> = recipe.needs.iter().map(String::as_str).collect();
    let mut arguments = Vec::new();
    for (name, feature) in &recipe.features {
        arguments.extend(feature_arguments(name, feature, on, options.tls).iter().cloned());
        if on.contains(name) && !is_system(name, options.tls) {
            needs.extend(feature.needs.iter().map(String::as_str));
        }
    }
    needs.sort_unstable();
    needs.dedup();
    for need in &needs {
        add_step(recipes, recipes.find(need)?, on, options, steps, path)?;
    }
    path.pop();
    let asked = options.releases.iter().find(|(name, _)| *name == recipe.name);
    let asked = asked.map(|(_, version)| version.clone());
    steps.push(Step { recipe, needs, arguments, asked });
    Ok(())
}

fn feature_arguments<'f>(
    name: &str,
    feature: &'f Feature,
    on: &BTreeSet<String>,
    tls: Tls,
) -> &'f [String] {
    match &feature.system {
        _ if !on.contains(name) => &feature.without,
        Some(system) if is_system(name, tls) => system,
        _ => &feature.with,
    }
}

fn is_system(feature: &str, tls: Tls) -> bool {
    feature == "tls" && tls == Tls::System
}

fn request_hash(
    recipes: &Recipes,
    features: &BTreeSet<String>,
    tls: Tls,
    options: &Options,
    toolchain: &Toolchain,
    engine: &str,
) -> String {
    let mut parts = vec![
        env!("CARGO_PKG_VERSION").to_owned(),
        recipes.digest().to_owned(),
        engine.to_owned(),
        tls.name().to_owned(),
        options.profile.flag().to_owned(),
        toolchain.target.clone(),
        toolchain.compiler.clone(),
    ];
    parts.extend(features.iter().cloned());
    parts.extend(options.releases.iter().map(|(name, version)| format!("{name}={version}")));
    hash_of(&parts)
}

/// SHA-256 over parts, none of which can pass for another split.
#[must_use]
pub fn hash_of(parts: &[impl AsRef<str>]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.as_ref().len().to_le_bytes());
        hasher.update(part.as_ref().as_bytes());
    }
    hex(&hasher.finalize())
}
