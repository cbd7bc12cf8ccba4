//! Other programs: the one place that makes a command.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};

/// A command whose environment is exactly the one given.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn command(program: impl AsRef<OsStr>, variables: &BTreeMap<String, String>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs(variables);
    command
}

/// What a program of the machine prints, if it is there and ends well.
#[expect(clippy::disallowed_methods, reason = "the one place")]
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The environment after a shell script has been read into it.
///
/// # Errors
/// When the script fails.
pub(crate) fn after_script(
    script: &Path,
    variables: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>> {
    let failed = Error::io("run", script);
    let output = command("/bin/sh", variables)
        .args(["-c", ". \"$0\" >&2 && exec env -0"])
        .arg(script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(failed)?;
    if !output.status.success() {
        return Err(Error::failed(format!("`{}` ends with {}", script.display(), output.status)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text
        .split('\0')
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}
