//! Recipes: where a component comes from, what it needs, how it is built and
//! what proves that it works. Data only; unknown keys are errors.

mod check;
mod set;
mod version;

use std::collections::BTreeMap;

use serde::Deserialize;

pub use set::Recipes;
pub use version::{Range, Version};

/// One component with all its known releases.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recipe {
    /// Name, equal to the file's.
    pub name: String,
    /// One line for people.
    pub summary: String,
    /// SPDX expression.
    pub licence: String,
    /// Files of the source that hold the licence text.
    pub licence_files: Vec<String>,
    /// Home page.
    pub homepage: String,
    /// Whether it becomes part of the tree or is linked into what needs it.
    pub placement: Placement,
    /// Components that must be built first, whatever the features.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Releases below it have known holes.
    pub minimum_safe: Version,
    /// Source package of Debian and its kin.
    pub debian: Option<String>,
    /// Releases, newest first.
    #[serde(rename = "release")]
    pub releases: Vec<Release>,
    /// Paths inside the source that are not unpacked: globs, `*` crosses `/`.
    #[serde(default)]
    pub skip: Vec<String>,
    /// Options of the component, each with its needs and arguments.
    #[serde(default)]
    pub features: BTreeMap<String, Feature>,
    /// Changes to the source, in order.
    #[serde(default, rename = "patch")]
    pub patches: Vec<Patch>,
    /// How it is built.
    pub build: Build,
    /// The direct engine has a builder for it, which takes the place of its own
    /// configure and make.
    #[serde(default)]
    pub direct: bool,
    /// What of the result is kept, and where.
    #[serde(rename = "install")]
    pub installs: Vec<Install>,
    /// What proves that it works.
    #[serde(default, rename = "check")]
    pub checks: Vec<Check>,
    /// First letters of the names that it defines and that no file of the tree
    /// may show.
    #[serde(default)]
    pub hides: Vec<String>,
    /// The finished tree is a web server: start it and fetch pages.
    #[serde(default)]
    pub serves: bool,
}

/// Where a component ends up.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// In the installed tree.
    Tree,
    /// Static, hidden inside the one library or module that needs it; kept as
    /// an artefact of its own between builds.
    Private,
}

/// One release of a component.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Release {
    /// Number.
    pub version: Version,
    /// Archives that hold it; any of them will do.
    #[serde(rename = "file")]
    pub files: Vec<SourceFile>,
}

/// One archive of a release.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SourceFile {
    /// File name; never taken from a response.
    pub name: String,
    /// Addresses, `file:` or `https:`, best first.
    #[serde(default)]
    pub urls: Vec<String>,
    /// SHA-256 of the file, lower-case hex (upper case is read, too).
    pub sha256: String,
    /// SHA-256 of the tar inside, where somebody of us has seen it.
    pub tar_sha256: Option<String>,
    /// Bytes.
    pub size: u64,
    /// The one folder at its top.
    pub folder: String,
    /// Detached OpenPGP signature, where upstream signs.
    pub signature: Option<Signature>,
}

/// A detached signature and whose it may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Signature {
    /// Ending of its address after the archive's, for example `.asc`.
    pub suffix: String,
    /// Fingerprints of primary keys, hex; their files lie in `recipes/keys/`.
    pub keys: Vec<String>,
}

/// An option of a component.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Feature {
    /// One line for people.
    pub summary: String,
    /// On unless told otherwise.
    pub default: bool,
    /// Components that it needs.
    pub needs: Vec<String>,
    /// Arguments when it is on.
    pub with: Vec<String>,
    /// Arguments when it is off.
    pub without: Vec<String>,
    /// Arguments when the machine's own library serves it; `needs` are then
    /// not built. Absent where we offer no such thing.
    pub system: Option<Vec<String>>,
}

/// A change to the source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Patch {
    /// `NNNN-why.patch` in `patches/COMPONENT/`.
    pub file: String,
    /// SHA-256 of the patch, hex.
    pub sha256: String,
    /// Releases that it is for; all when absent.
    #[serde(default)]
    pub versions: Range,
    /// Why.
    pub reason: String,
}

/// How a component is built.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Build {
    /// By its own configure script and make.
    Configure(Configure),
    /// By compiling its C files into one static library.
    Compile(Compile),
}

/// A build by configure and make.
///
/// `{prefix}` in arguments and variables is the placeholder prefix, `{stage}`
/// the tree as built so far, `{dep:NAME}` the artefact of a private component,
/// `{version}` the release, `{cc}` the compiler, `{cflags}` the engine's flags.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Configure {
    /// The script, relative to the source.
    pub program: String,
    /// An interpreter for it other than the one it names, for example `perl`.
    pub interpreter: Option<String>,
    /// Arguments.
    pub arguments: Vec<String>,
    /// Further arguments for some releases.
    #[serde(default)]
    pub extra: Vec<ExtraArguments>,
    /// Variables for configure and make.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Small files that must exist before configure runs: path to text.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// Targets and variables for make.
    pub make: Vec<String>,
    /// Commands of the built source, run after make.
    #[serde(default)]
    pub after: Vec<Vec<String>>,
    /// Changes to what configure wrote, made before make.
    #[serde(default, rename = "edit")]
    pub edits: Vec<Edit>,
    /// Values that templates use as `@name@`, read from the built source.
    #[serde(default)]
    pub values: BTreeMap<String, Value>,
}

/// A change to a file that configure wrote. One that a feature leaves without
/// its text changes nothing.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Edit {
    /// The file, relative to the source.
    pub file: String,
    /// Text, to the letter.
    pub find: String,
    /// What takes its place.
    pub replace: String,
}

/// A line `VARIABLE="value"` of a shell script that configure wrote.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Value {
    /// The file, relative to the source.
    pub file: String,
    /// The variable.
    pub variable: String,
}

/// Arguments that only some releases take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtraArguments {
    /// Those releases.
    pub versions: Range,
    /// The arguments.
    pub arguments: Vec<String>,
}

/// A build by compiling C files into static libraries.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Compile {
    /// The library's file name.
    pub library: String,
    /// C files: globs relative to the source.
    pub sources: Vec<String>,
    /// C files among them that are included by others or for other systems.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Macros, `NAME` or `NAME=VALUE`.
    #[serde(default)]
    pub defines: Vec<String>,
    /// Folders for headers, relative to the source.
    #[serde(default)]
    pub include: Vec<String>,
    /// Files made before compiling: path to what stands in it, with
    /// `{version}` and `{version-hex}` (two digits a part) filled in. A text
    /// that is `@PATH` alone copies that file of the source.
    #[serde(default)]
    pub generate: BTreeMap<String, String>,
}

/// A rule that keeps part of a build.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Install {
    /// Globs relative to the source. Links to a name beside them stay links.
    #[serde(default)]
    pub from: Vec<String>,
    /// Or: a template of ours, filled with the component's values.
    pub template: Option<String>,
    /// File names matched by `from` that are left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where to: a folder for `from`, a file for `template`; relative to the
    /// tree, or to the artefact of a private component.
    pub to: String,
    /// Another file name, for a rule that matches one file.
    pub rename: Option<String>,
    /// Keep the folders below this one of the source instead of flattening.
    pub base: Option<String>,
    /// A template becomes a program.
    #[serde(default)]
    pub executable: bool,
}

/// A question that proves that a component works.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Check {
    /// A command of the tree, and text that it must print.
    Run(RunCheck),
    /// A C program linked against a private component, and what it must print.
    Program(ProgramCheck),
}

/// A command of the tree, and text that it must print.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RunCheck {
    /// Program, relative to the tree, and arguments.
    pub command: Vec<String>,
    /// Part of its standard output; `{version}` is the release.
    pub prints: String,
}

/// A C program linked against a private component.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProgramCheck {
    /// The program.
    pub source: String,
    /// Libraries, in link order.
    pub libraries: Vec<String>,
    /// Part of its standard output; `{version}` is the release.
    pub prints: String,
}

impl Recipe {
    /// The release of that number.
    #[must_use]
    pub fn release(&self, version: &Version) -> Option<&Release> {
        self.releases.iter().find(|release| release.version == *version)
    }

    /// Patches for that release, in order.
    pub fn patches_for(&self, version: &Version) -> impl Iterator<Item = &Patch> {
        self.patches.iter().filter(move |patch| patch.versions.contains(version))
    }
}
