//! `mod_wsgi-httpd`: reads the command line, runs the command, prints its error.

use std::process::ExitCode;

use clap::Parser as _;
use mod_wsgi_httpd::cli::Cli;
use mod_wsgi_httpd::env::Env;
use mod_wsgi_httpd::report::{Level, Report};
use mod_wsgi_httpd::{command, exit, process};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let env = Env::of_process();
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => Level::Quiet,
        (false, true) => Level::Verbose,
        (false, false) => Level::Normal,
    };
    let report = Report::new(level, cli.json, &env);
    let result = process::catch_signals().and_then(|()| command::run(&cli, &env, &report));
    match result {
        Ok(()) => ExitCode::from(exit::DONE),
        Err(error) => {
            report.error(&error);
            ExitCode::from(error.kind.exit_code())
        }
    }
}
