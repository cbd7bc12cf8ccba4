//! The names that the program goes by: `apxs` and `mod_wsgi-express` are it, too. And
//! how it ends under each of them.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use crate::apxs::{Apxs, Caller};
use crate::command;
use crate::env::Env;
use crate::error::Result;
use crate::report::{Level, Report};
use crate::{exit, process};

/// Runs the tool that these arguments ask for by name, if it is another one.
pub fn by_another_name(arguments: &[OsString], env: &Env) -> Option<ExitCode> {
    if let Some(words) = as_express(arguments) {
        return Some(express::run(words.iter().cloned(), env.clone().into_all()));
    }
    let (caller, json, words) = as_apxs(arguments)?;
    let apxs = Apxs::parse_from(words);
    let report = Report::new(Level::Normal, json, env);
    Some(end(&report, || command::run_apxs(&apxs, caller, env, &report)))
}

/// Runs a command; shows its error, and gives what the process ends with.
pub fn end(report: &Report, run: impl FnOnce() -> Result<()>) -> ExitCode {
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
