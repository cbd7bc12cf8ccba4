//! `completions` and `man`: made from the same records as the parser.

use std::path::Path;

use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::Cli;
use crate::error::{Error, Kind, Result};
use crate::report::Report;

/// Prints a completion script.
pub(super) fn completions(shell: Shell) -> Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut text);
    print(&text)
}

/// Prints the manual page, or writes one page a command into a folder.
pub(super) fn man(folder: Option<&Path>, report: &Report) -> Result<()> {
    let command = Cli::command().name(NAME);
    let Some(folder) = folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page).map_err(Error::io(
            Kind::Install,
            "write",
            "the page",
        ))?;
        return print(&page);
    };
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .map_err(Error::io(Kind::Install, "write to", folder))?;
    report.result(&format!("pages are in {}", folder.display()), json!({ "folder": folder }));
    Ok(())
}

/// A reader that has gone (`| head`) is no error.
fn print(bytes: &[u8]) -> Result<()> {
    match std::io::Write::write_all(&mut std::io::stdout().lock(), bytes) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io(Kind::Install, "write to", "standard output")(error))
        }
        _ => Ok(()),
    }
}

const NAME: &str = "mod_wsgi-httpd";
