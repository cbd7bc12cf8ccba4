//! A component built by its own configure and make.

use std::collections::BTreeMap;
use std::path::Path;

use super::component::{Component, write};
use super::pool::acquire;
use super::text::{fill, shell_value};
use crate::error::{Error, Kind, Result};
use crate::recipe::Configure;

impl Component<'_> {
    /// Runs the recipe's configure script.
    pub(super) fn configure(&self, rules: &Configure, folder: &Path) -> Result<()> {
        let names = self.names();
        for (path, text) in &rules.files {
            write(&folder.join(path), text)?;
        }
        let variables: Vec<(&String, String)> =
            rules.environment.iter().map(|(name, value)| (name, fill(value, &names))).collect();
        let version = &self.fetched.release.version;
        let extra = rules.extra.iter().filter(|extra| extra.versions.contains(version));
        let arguments: Vec<String> = rules
            .arguments
            .iter()
            .chain(extra.flat_map(|extra| &extra.arguments))
            .chain(&self.step.arguments)
            .map(|argument| fill(argument, &names))
            .collect();
        let _token = acquire(self.machine.jobs)?;
        let script = folder.join(&rules.program);
        let interpreter = rules.interpreter.as_deref().unwrap_or("/bin/sh");
        self.program(interpreter, folder)
            .envs(variables.iter().cloned())
            .arg(script)
            .args(&arguments)
            .run_logged(Kind::Configure, &self.log("configure"))
            .map_err(explain_missing)?;
        for edit in &rules.edits {
            let path = folder.join(&edit.file);
            if let Ok(text) = std::fs::read_to_string(&path) {
                write(&path, &text.replace(&edit.find, &edit.replace))?;
            }
        }
        Ok(())
    }

    /// Reads the values that templates need.
    pub(super) fn values(
        &self,
        rules: &Configure,
        folder: &Path,
    ) -> Result<BTreeMap<String, String>> {
        let mut values = BTreeMap::new();
        for (name, value) in &rules.values {
            let path = folder.join(&value.file);
            let text =
                std::fs::read_to_string(&path).map_err(Error::io(Kind::Compile, "read", &path))?;
            let found = shell_value(&text, &value.variable).ok_or_else(|| {
                Error::new(
                    Kind::Recipe,
                    format!("`{}` does not set {}", path.display(), value.variable),
                )
            })?;
            values.insert(name.clone(), found.trim().to_owned());
        }
        Ok(values)
    }
}

/// Runs the configure script of a recipe, and make.
pub(super) fn configure_and_make(
    component: &Component<'_>,
    rules: &Configure,
    folder: &Path,
) -> Result<()> {
    component.configure(rules, folder)?;
    let names = component.names();
    // make works with the token that it was started under, and takes
    // more from the jobserver as it needs them.
    let _token = acquire(component.machine.jobs)?;
    component
        .program("make", folder)
        .args(rules.make.iter().map(|word| fill(word, &names)))
        .jobs(component.machine.jobs)
        .run_logged(Kind::Compile, &component.log("make"))?;
    for command in &rules.after {
        let mut words = command.iter().map(|word| fill(word, &names));
        let name = words.next().unwrap_or_default();
        component
            .program(&name, folder)
            .args(words)
            .run_logged(Kind::Compile, &component.log("make"))?;
    }
    Ok(())
}

/// Adds the package to install to the most common failures.
fn explain_missing(error: Error) -> Error {
    let text = error.details.join("\n");
    if text.contains("FindBin") || text.contains("Can't locate") {
        error
            .hint("OpenSSL's Configure needs all of Perl: apt install perl / dnf install perl-core")
            .hint("or use the machine's OpenSSL (--tls system), or none (--tls none)")
    } else if text.contains("C compiler cannot create executables") {
        error.hint(
            "install the C library's headers: apt install libc6-dev / dnf install glibc-devel",
        )
    } else {
        error
    }
}
