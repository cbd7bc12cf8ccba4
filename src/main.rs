//! `mod_wsgi-httpd`: reads the command line, runs the command, prints its error.
//! Called as `apxs` or `mod_wsgi-apxs`, or with `apxs` first, it is that tool; called
//! as `mod_wsgi-express`, or with `express` first, it is the launcher.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use mod_wsgi_httpd::cli::Cli;
use mod_wsgi_httpd::command;
use mod_wsgi_httpd::env::Env;
use mod_wsgi_httpd::names::{self, end};
use mod_wsgi_httpd::report::{Level, Report};

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let env = Env::of_process();
    if let Some(code) = names::by_another_name(&arguments, &env) {
        return code;
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
