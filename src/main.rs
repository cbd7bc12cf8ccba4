//! `mod_wsgi-httpd`: reads the command line, runs the command, prints its error.
//! Called as `apxs` or `mod_wsgi-apxs`, or with `apxs` first, it is that tool; called
//! as `mod_wsgi-express`, or with `express` first, it is the launcher.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use mod_wsgi_httpd::apxs::{Apxs, Caller};
use mod_wsgi_httpd::cli::Cli;
use mod_wsgi_httpd::env::Env;
use mod_wsgi_httpd::error::Result;
use mod_wsgi_httpd::report::{Level, Report};
use mod_wsgi_httpd::{command, exit, process};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let env = Env::of_process();
    if let Some(words) = as_express(&arguments) {
        return express::run(words.iter().cloned(), env.into_all());
    }
    if let Some((caller, json, words)) = as_apxs(&arguments) {
        let apxs = Apxs::parse_from(words);
        let report = Report::new(Level::Normal, json, &env);
        return end(&report, || command::run_apxs(&apxs, caller, &env, &report));
    }
    let cli = Cli::parse_from(arguments);
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => Level::Quiet,
        (false, true) => Level::Verbose,
        (false, false) => Level::Normal,
    };
    let report = Report::new(level, cli.json, &env);
    end(&report, || command::run(&cli, &env, &report))
}

fn end(report: &Report, run: impl FnOnce() -> Result<()>) -> ExitCode {
    match process::catch_signals().and_then(|()| run()) {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}

/// The arguments of the launcher, without its name, if that is the tool asked for.
fn as_express(arguments: &[OsString]) -> Option<&[OsString]> {
    let program = Path::new(arguments.first()?).file_name()?;
    if program == express::NAME {
        return Some(&arguments[1..]);
    }
    (arguments.get(1)? == "express").then(|| &arguments[2..])
}

/// The arguments of apxs, its own name first, if that is the tool asked for;
/// and whether `--json` stands before it.
fn as_apxs(arguments: &[OsString]) -> Option<(Caller, bool, &[OsString])> {
    if let Some(caller) = Caller::of(arguments.first()) {
        return Some((caller, false, arguments));
    }
    let name = arguments.iter().skip(1).position(|word| word != "--json")? + 1;
    (arguments[name] == "apxs").then(|| (Caller::Apxs, name > 1, &arguments[name..]))
}
