//! `mod_wsgi-httpd` as a package has it: the launcher, `apxs`, and the commands that
//! look at what is installed. Nothing that builds is linked into it; that takes the
//! sources, which have the installer.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mod_wsgi_httpd::cli::Look;
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
    #[command(flatten)]
    Look(Look),
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
    end(&report, || match word {
        Word::Look(look) => command::look(&look, &env, &report),
        Word::Other(words) => Err(command::not_in_package(&words)),
    })
}
