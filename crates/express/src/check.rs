//! `--check`: the applications are loaded once by the Python that would serve them,
//! so that a missing module is known before the server is.

use std::process::Stdio;

use crate::error::{Error, Result};
use crate::options::pairs;
use crate::server::Server;
use crate::{process, root};

const SCRIPT: &str = include_str!("python/check.py");

/// Loads all applications; Python prints the traceback of one that fails.
///
/// # Errors
/// When one does not load, or Python cannot be run.
pub(crate) fn run(server: &Server) -> Result<u8> {
    let folder =
        tempfile::tempdir().map_err(Error::io("make a folder in", &std::env::temp_dir()))?;
    root::write_package(&folder.path().join("mod_wsgi"))?;
    let python = server.programs.python();
    for one in server.applications() {
        let Some(what) = one.entry.what.as_ref().filter(|_| one.dispatches()) else { continue };
        let mut variables = one.caller.variables.clone();
        variables.extend(["LANG", "LC_ALL"].map(|name| (name.to_owned(), one.locale.clone())));
        let mut command = process::command(&python, &variables);
        if let Some(folder) = &one.working_directory {
            command.current_dir(folder);
        }
        let status = command
            .args(["-c", SCRIPT])
            .arg(folder.path())
            .arg(root::settings(one).to_string())
            .stdin(Stdio::null())
            .status()
            .map_err(Error::io("run", &python))?;
        if !status.success() {
            return Err(Error::failed(format!("the application `{what}` does not load")));
        }
        crate::say(&format!("{what}: loads"));
    }
    for (_, script) in pairs(&server.options.services.service_script) {
        crate::say(&format!("{script}: a service, which runs when it is loaded; not tried"));
    }
    Ok(0)
}
