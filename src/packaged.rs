//! `mod_wsgi-httpd` as a package has it: the launcher, `apxs`, and the commands that
//! look at what is installed. Nothing that builds is linked into it; that takes the
//! sources, which have the installer.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mod_wsgi_httpd::cli::{Cli, Command, InfoArgs, PlaceArgs, SbomArgs};
use mod_wsgi_httpd::command;
use mod_wsgi_httpd::env::Env;
use mod_wsgi_httpd::names::{self, end};
use mod_wsgi_httpd::report::{Level, Report};

/// A private Apache httpd for mod_wsgi, as a package.
#[derive(Debug, Parser)]
#[command(name = "mod_wsgi-httpd", version)]
struct Packaged {
    /// What to do.
    #[command(subcommand)]
    word: Word,
    /// One JSON object a line on standard output.
    #[arg(long, global = true)]
    json: bool,
    /// No steps: results, warnings and errors only.
    #[arg(short, long, global = true)]
    quiet: bool,
}

/// The commands of a package.
#[derive(Debug, Subcommand)]
enum Word {
    /// Compare the installed files with their manifest.
    Verify(PlaceArgs),
    /// List the installed trees.
    List(PlaceArgs),
    /// Print facts of the installed httpd, for scripts.
    Info(InfoArgs),
    /// List what the installed httpd is made of, as CycloneDX.
    Sbom(SbomArgs),
    /// Compile and install extension modules; options as of apxs(1).
    #[command(disable_help_flag = true)]
    Apxs {
        /// See `mod_wsgi-httpd apxs -h`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Serve applications: the launcher, also called `mod_wsgi-express`.
    #[command(disable_help_flag = true)]
    Express {
        /// See `mod_wsgi-express --help`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
        arguments: Vec<OsString>,
    },
    /// Those of the installer.
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let env = Env::of_process();
    if let Some(code) = names::by_another_name(&arguments, &env) {
        return code;
    }
    let Packaged { word, json, quiet } = Packaged::parse_from(arguments);
    let report = Report::new(if quiet { Level::Quiet } else { Level::Normal }, json, &env);
    let command = match word {
        Word::Verify(args) => Command::Verify(args),
        Word::List(args) => Command::List(args),
        Word::Info(args) => Command::Info(args),
        Word::Sbom(args) => Command::Sbom(args),
        Word::Apxs { arguments } => Command::Apxs { arguments },
        Word::Express { arguments } => Command::Express { arguments },
        Word::Other(words) => return end(&report, || Err(command::not_in_package(&words))),
    };
    let cli = Cli { command, json, quiet, verbose: false, recipes: None, cache: None };
    end(&report, || command::look(&cli, &env, &report))
}
