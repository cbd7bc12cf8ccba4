//! `apxs`, the extension tool, without Perl and libtool: answers questions
//! about the build, compiles modules against the tree and installs them.
//! Options, answers and what is written follow httpd's own apxs(1).

mod activate;
mod build;
mod query;
mod template;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use prefix::{Base, BuildVars};

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::report::Report;

/// Compiles and installs extension modules for this httpd.
#[derive(Debug, Parser)]
#[command(name = "apxs", version, disable_version_flag = true, override_usage = USAGE)]
pub struct Apxs {
    /// Print build variables; all of them when none is named.
    #[arg(short = 'q')]
    query: bool,
    /// Compile sources and link them to a module.
    #[arg(short = 'c')]
    compile: bool,
    /// Install modules into the modules folder.
    #[arg(short = 'i')]
    install: bool,
    /// Activate installed modules by a LoadModule line in httpd.conf.
    #[arg(short = 'a')]
    activate: bool,
    /// The same, but leave the line commented out.
    #[arg(short = 'A')]
    prepare: bool,
    /// Edit httpd.conf only, with -a or -A; install nothing.
    #[arg(short = 'e')]
    edit: bool,
    /// Make the start of a new module; needs -n.
    #[arg(short = 'g')]
    generate: bool,
    /// Name of the module, without `_module`.
    #[arg(short = 'n', value_name = "NAME")]
    name: Option<String>,
    /// Where the linked module goes.
    #[arg(short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,
    /// Link with APR and APR-util.
    #[arg(short = 'p')]
    with_apr: bool,
    /// Define a macro.
    #[arg(short = 'D', value_name = "NAME[=VALUE]", allow_hyphen_values = true)]
    define: Vec<String>,
    /// Search a folder for headers.
    #[arg(short = 'I', value_name = "DIR")]
    include: Vec<OsString>,
    /// Search a folder for libraries.
    #[arg(short = 'L', value_name = "DIR")]
    library_folder: Vec<OsString>,
    /// Link with a library.
    #[arg(short = 'l', value_name = "LIBRARY")]
    library: Vec<OsString>,
    /// A flag for the compiler (`-Wc,FLAG`) or the linker (`-Wl,FLAG`).
    #[arg(short = 'W', value_name = "c,FLAG|l,FLAG", allow_hyphen_values = true)]
    flag: Vec<String>,
    /// Set a build variable for this call.
    #[arg(short = 'S', value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Names to ask for, sources to compile, or modules to install.
    #[arg(value_name = "NAME|FILE")]
    operands: Vec<OsString>,
}

/// The tree that apxs works for.
#[derive(Debug)]
pub struct Tree {
    /// Where it lies.
    pub folder: PathBuf,
    /// How it is told to others: the base's `current` link where it leads here,
    /// so that what is built outlives an update.
    pub prefix: PathBuf,
}

impl Tree {
    /// The tree that holds this program, if it lies in one.
    #[must_use]
    pub fn of_this_program() -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        let folder = program.parent()?.parent()?;
        folder.join(prefix::Record::FILE).is_file().then(|| Self::at(folder))
    }

    /// The tree at that folder.
    #[must_use]
    pub fn at(folder: &Path) -> Self {
        let name = folder.file_name().and_then(|name| name.to_str());
        let current = Base::around(folder)
            .filter(|base| base.links().current.as_deref() == name)
            .map(|base| base.current());
        Self { folder: folder.to_owned(), prefix: current.unwrap_or_else(|| folder.to_owned()) }
    }

    /// Its build variables.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn build_vars(&self) -> Result<BuildVars> {
        Ok(BuildVars::read(&self.folder, &self.prefix)?)
    }
}

impl Apxs {
    /// Does what was asked.
    ///
    /// # Errors
    /// [`Kind::Usage`] or [`Kind::Module`].
    pub fn run(&self, tree: &Tree, caller: Caller, env: &Env, report: &Report) -> Result<()> {
        let mut vars = tree.build_vars()?;
        for setting in &self.set {
            let (name, value) = setting.split_once('=').ok_or_else(|| {
                usage(format!("`-S {setting}` sets nothing: expected NAME=VALUE"))
            })?;
            vars.set(name, value);
        }
        if self.query {
            return query::answer(&self.operands, &vars, caller, report);
        }
        if self.generate {
            let name = self.name.as_deref().ok_or_else(|| usage("`-g` needs a name: -n NAME"))?;
            return template::generate(name, report);
        }
        let mut modules: Vec<PathBuf> = self.operands.iter().map(PathBuf::from).collect();
        if modules.is_empty() {
            return Err(usage("there is nothing to do: name a file, or ask with -q"));
        }
        if self.compile {
            modules = vec![build::compile(self, &modules, &vars, env, report)?];
        } else if !self.install && !self.edit {
            return Err(usage("say what to do with the files: -c, -i or -e"));
        }
        if self.edit && !self.activate && !self.prepare {
            return Err(usage("`-e` needs -a or -A"));
        }
        if self.install || self.edit {
            activate::install(self, &modules, &vars, report)?;
        }
        Ok(())
    }
}

/// Under which name the tool was called.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Caller {
    /// `apxs`, or `mod_wsgi-httpd apxs`: an unknown name is an error.
    Apxs,
    /// `mod_wsgi-apxs`, as the package mod_wsgi-httpd installs it: an unknown
    /// name is empty text.
    ModWsgiApxs,
}

impl Caller {
    /// The tool that the program was called as, if it is one of these.
    #[must_use]
    pub fn of(program: Option<&OsString>) -> Option<Self> {
        match Path::new(program?).file_name()?.to_str()? {
            "apxs" => Some(Self::Apxs),
            "mod_wsgi-apxs" => Some(Self::ModWsgiApxs),
            _ => None,
        }
    }
}

fn usage(text: impl Into<String>) -> Error {
    Error::new(Kind::Usage, text).hint("`apxs -h` lists the options")
}

const USAGE: &str = "apxs -q [-S NAME=VALUE] [NAME...]
       apxs -c [-i [-a|-A] [-n NAME]] [-o FILE] [-p] [-D NAME[=VALUE]] [-I DIR] [-L DIR] [-l LIBRARY] [-Wc,FLAG] [-Wl,FLAG] FILE...
       apxs -i [-a|-A] [-n NAME] FILE...
       apxs -e [-a|-A] [-n NAME] FILE...
       apxs -g -n NAME";
