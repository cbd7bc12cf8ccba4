//! The build variables (`build/config_vars.mk`) that module builds ask for
//! with `apxs -q`. They are stored with a placeholder for the prefix, which is
//! filled in on reading: that is what makes a moved tree buildable against.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Error, Result};

/// Stands for the prefix in every stored text. No such folder exists.
pub const PLACEHOLDER: &str = "/mod_wsgi-httpd-prefix";

/// The build variables of one tree, as make would see them.
#[derive(Clone, Debug)]
pub struct BuildVars {
    prefix: PathBuf,
    values: BTreeMap<String, String>,
}

impl BuildVars {
    /// Reads the variables of `tree`, naming the prefix as `prefix`: the same
    /// folder, or the stable link that leads to it.
    ///
    /// # Errors
    /// When the tree has no readable `build/config_vars.mk`.
    pub fn read(tree: &Path, prefix: &Path) -> Result<Self> {
        let path = tree.join("build/config_vars.mk");
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        Ok(Self { prefix: prefix.to_owned(), values: parse(&text) })
    }

    /// The prefix that values are told relative to.
    #[must_use]
    pub fn prefix(&self) -> &Path {
        &self.prefix
    }

    /// Sets a variable, as `apxs -S` does.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// Names of all variables, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// A variable with all references in it expanded. Lower-case names are
    /// make's; the upper-case names of httpd's own (`PREFIX`, `LIBEXECDIR`)
    /// stand for the lower-case ones,
    /// and `TARGET` for the server's name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        let raw = self.raw(name)?;
        Some(self.expand(raw, 0).replace(PLACEHOLDER, &self.prefix.to_string_lossy()))
    }

    /// The words of a variable; none when it is not set. Blanks of the prefix
    /// do not part words.
    #[must_use]
    pub fn words(&self, name: &str) -> Vec<String> {
        let prefix = self.prefix.to_string_lossy();
        let text = self.raw(name).map(|raw| self.expand(raw, 0)).unwrap_or_default();
        text.split_whitespace().map(|word| word.replace(PLACEHOLDER, &prefix)).collect()
    }

    fn raw(&self, name: &str) -> Option<&str> {
        let other = if name == "TARGET" { "progname" } else { &name.to_ascii_lowercase() };
        self.values.get(name).or_else(|| self.values.get(other)).map(String::as_str)
    }

    /// Replaces `$(NAME)` and `${NAME}`; an unknown name becomes nothing, as
    /// in make. The depth bounds a variable that names itself.
    fn expand(&self, text: &str, depth: usize) -> String {
        let mut result = String::new();
        let mut rest = text;
        while let Some(start) = rest.find('$') {
            result.push_str(&rest[..start]);
            let reference = &rest[start + 1..];
            let close = match reference.chars().next() {
                Some('(') => ')',
                Some('{') => '}',
                _ => {
                    result.push('$');
                    rest = reference;
                    continue;
                }
            };
            let Some(end) = reference.find(close) else {
                result.push('$');
                rest = reference;
                continue;
            };
            let name = &reference[1..end];
            if let Some(value) = self.raw(name).filter(|_| depth < 16) {
                result.push_str(&self.expand(value, depth + 1));
            }
            rest = &reference[end + 1..];
        }
        result.push_str(rest);
        result
    }
}

/// Reads `name = value` lines; later ones win; all else is passed over.
fn parse(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .filter(|(name, _)| !name.is_empty() && !name.contains(char::is_whitespace))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars(text: &str) -> BuildVars {
        BuildVars { prefix: PathBuf::from("/opt/a b"), values: parse(text) }
    }

    #[test]
    fn references_and_placeholder_are_expanded() {
        let vars = vars(&format!(
            "exec_prefix = {PLACEHOLDER}\nbindir = ${{exec_prefix}}/bin\nloop = $(loop)\nCFLAGS = -O2 $(NOTHING)-g\n"
        ));
        assert_eq!(vars.value("BINDIR").as_deref(), Some("/opt/a b/bin"));
        assert_eq!(vars.value("bindir").as_deref(), Some("/opt/a b/bin"));
        assert_eq!(vars.value("CFLAGS").as_deref(), Some("-O2 -g"));
        assert_eq!(vars.words("bindir"), ["/opt/a b/bin"], "a blank in the prefix parts no words");
        assert_eq!(vars.value("loop").as_deref(), Some(""));
        assert_eq!(vars.value("absent"), None);
    }
}
