//! httpd's modules, their sources and what they export, as its own `config.m4`
//! files say. A module that the recipe disables for configure is left out here,
//! too, so both engines build the same ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::unknown_release;
use crate::error::{Error, Kind, Result};

/// A module of httpd.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Module {
    /// Name without `mod_`, for example `mpm_event`.
    pub(super) name: String,
    /// Its folder, relative to the source.
    pub(super) folder: PathBuf,
    /// C files in that folder.
    pub(super) sources: Vec<String>,
    /// The one symbol that it shows; all of them when none is named.
    pub(super) exports: Option<String>,
    /// On unless configure is told otherwise.
    pub(super) is_default: bool,
}

/// What all `config.m4` files together say.
#[derive(Debug, Default)]
pub(super) struct Modules {
    pub(super) all: Vec<Module>,
    /// Folders with headers for all of httpd, relative to the source.
    pub(super) includes: Vec<PathBuf>,
    /// Macros of a folder that a function of a library switches on: folder,
    /// function, flag.
    pub(super) flags: Vec<(PathBuf, String, String)>,
}

impl Modules {
    /// Reads them, without the modules of `arguments` such as `--disable-lua`.
    pub(super) fn read(source: &Path, arguments: &[String]) -> Result<Self> {
        let disabled: BTreeSet<String> = arguments
            .iter()
            .filter_map(|argument| argument.strip_prefix("--disable-"))
            .map(|name| name.replace('-', "_"))
            .collect();
        let mut found = Self::default();
        for path in files(source)? {
            let text = std::fs::read(&path).map_err(Error::io(Kind::Configure, "read", &path))?;
            let folder = path.parent().and_then(|folder| folder.strip_prefix(source).ok());
            found.read_one(folder.unwrap_or(Path::new("")), &String::from_utf8_lossy(&text));
        }
        // One that stands in two branches is on only if both say so.
        let off: BTreeSet<String> = found
            .all
            .iter()
            .filter(|module| !module.is_default)
            .map(|module| module.name.clone())
            .collect();
        let mut seen = BTreeSet::new();
        found.all.retain_mut(|module| {
            module.is_default &= !off.contains(&module.name);
            !disabled.contains(&module.name) && seen.insert(module.name.clone())
        });
        let is_strange = |module: &Module| module.sources.is_empty();
        if found.all.is_empty() || found.all.iter().any(is_strange) {
            let strange = found.all.iter().find(|module| is_strange(module));
            let which = strange.map_or("any module", |module| &module.name);
            return Err(unknown_release(format!(
                "the `config.m4` files of httpd name no sources of {which}"
            )));
        }
        Ok(found)
    }

    fn read_one(&mut self, folder: &Path, text: &str) {
        let text = without_comments(text);
        if text.contains("[-I\\$(top_srcdir)/$modpath_current") {
            self.includes.push(folder.to_owned());
        }
        let variables = assignments(&text);
        for mut arguments in calls(&text, "APACHE_MODULE(") {
            if let Some(variable) = arguments.get(4).and_then(|word| word.strip_prefix('$'))
                && text.contains(&format!("{variable}=yes\n"))
            {
                arguments[4] = "yes".to_owned();
            }
            self.all.extend(module(folder, &arguments, &variables));
        }
        for arguments in calls(&text, "APACHE_MPM_MODULE(") {
            self.all.extend(mpm(folder, &arguments));
        }
        for arguments in calls(&text, "AC_CHECK_FUNCS(") {
            if let [function, action, ..] = &arguments[..]
                && let Some((_, flag)) = action.split_once("MOD_CPPFLAGS, [\"")
                && let Some((flag, _)) = flag.split_once('"')
            {
                self.flags.push((folder.to_owned(), function.clone(), flag.to_owned()));
            }
        }
    }
}

/// `config*.m4` of modules and MPMs, in configure's order.
fn files(source: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for pattern in ["modules/*/config*.m4", "modules/*/*/config*.m4", "server/mpm/*/config*.m4"] {
        found.extend(crate::engine::component::matches(source, pattern)?);
    }
    let foreign = ["win32", "winnt", "mpmt_os2", "os2"];
    found.retain(|path| {
        !path.components().any(|part| foreign.iter().any(|name| part.as_os_str() == *name))
    });
    found.sort_by_key(|path| (path.file_name().map(ToOwned::to_owned), path.clone()));
    Ok(found)
}

fn module(
    folder: &Path,
    arguments: &[String],
    variables: &BTreeMap<String, String>,
) -> Option<Module> {
    let name = arguments.first()?.clone();
    let at = |index: usize| arguments.get(index).map_or("", String::as_str);
    let objects = match at(2).strip_prefix('$') {
        Some(variable) => variables.get(variable).cloned().unwrap_or_default(),
        None => at(2).to_owned(),
    };
    let objects = if objects.trim().is_empty() { format!("mod_{name}.lo") } else { objects };
    let exports = at(5).split_once("-export-symbols-regex ").map(|(_, rest)| {
        rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
    });
    Some(Module {
        sources: sources(&objects),
        exports: exports.map(str::to_owned),
        is_default: at(4) == "yes",
        folder: folder.to_owned(),
        name,
    })
}

fn mpm(folder: &Path, arguments: &[String]) -> Option<Module> {
    let name = arguments.first()?;
    let objects = arguments.get(2).filter(|objects| !objects.is_empty());
    let objects = objects.cloned().unwrap_or_else(|| format!("{name}.lo"));
    Some(Module {
        name: format!("mpm_{name}"),
        folder: folder.to_owned(),
        sources: sources(&objects),
        exports: None,
        is_default: false,
    })
}

/// C files of libtool objects.
fn sources(objects: &str) -> Vec<String> {
    let stems = objects.split_whitespace().filter_map(|word| word.strip_suffix(".lo"));
    stems.map(|stem| format!("{stem}.c")).collect()
}

/// `dnl` takes the rest of its line away, and the line's end.
fn without_comments(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let starts = |(at, _): &(usize, &str)| {
            let before = line[..*at].chars().next_back();
            let after = line[at + 3..].chars().next();
            let is_word =
                |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
            !is_word(before) && !is_word(after)
        };
        match line.match_indices("dnl").find(starts) {
            Some((at, _)) => result.push_str(&line[..at]),
            None => result.push_str(line),
        }
    }
    result
}

/// The first `name="value"` or `name='value'` of each variable; later ones are
/// for other systems.
fn assignments(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some(at) = rest.find("=\"").into_iter().chain(rest.find("='")).min() {
        let name = rest[..at].rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
        let (quote, value_on) = rest[at + 1..].split_at(1);
        let Some(end) = value_on.find(quote) else { break };
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            found.entry(name.to_owned()).or_insert_with(|| value_on[..end].to_owned());
        }
        rest = &value_on[end + 1..];
    }
    found
}

/// Arguments of every call of a macro, without their outer quoting.
fn calls(text: &str, start: &str) -> Vec<Vec<String>> {
    text.match_indices(start).map(|(at, _)| arguments(&text[at + start.len()..])).collect()
}

fn arguments(text: &str) -> Vec<String> {
    let mut arguments = vec![String::new()];
    let (mut quotes, mut parentheses) = (0, 0);
    for c in text.chars() {
        match c {
            '[' => quotes += 1,
            ']' => quotes -= 1,
            '(' if quotes == 0 => parentheses += 1,
            ')' if quotes == 0 && parentheses == 0 => break,
            ')' if quotes == 0 => parentheses -= 1,
            ',' if quotes == 0 && parentheses == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = arguments.last_mut() {
            last.push(c);
        }
    }
    let unquoted = |text: &String| {
        let text = text.trim();
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
        inner.unwrap_or(text).to_owned()
    };
    arguments.iter().map(unquoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "dnl comment, APACHE_MODULE(none)
APACHE_MODPATH_INIT(ssl)
ssl_objs=\"dnl
mod_ssl.lo dnl
ssl_util.lo dnl
\"
APACHE_MODULE(ssl, [TLS (mod_ssl), and more], $ssl_objs, , most, [
    APR_ADDTO(MOD_SSL_LDADD, [-export-symbols-regex ssl_module])
])
env_objects='mod_env.lo'
APACHE_MODULE(env, set (some), $env_objects, , yes)
APACHE_MODULE(asis, as it is)
AC_CHECK_FUNCS([nghttp2_new],
    [APR_ADDTO(MOD_CPPFLAGS, [\"-DH2_NEW\"])], [])
APR_ADDTO(INCLUDES, [-I\\$(top_srcdir)/$modpath_current])
";

    #[test]
    fn a_module_is_what_its_config_file_says() {
        let mut found = Modules::default();
        found.read_one(Path::new("modules/ssl"), TEXT);
        let [ssl, env, asis] = &found.all[..] else { panic!("{found:?}") };
        assert_eq!(ssl.sources, ["mod_ssl.c", "ssl_util.c"]);
        assert_eq!(ssl.exports.as_deref(), Some("ssl_module"));
        assert_eq!((env.sources[0].as_str(), env.is_default), ("mod_env.c", true));
        assert_eq!((asis.sources[0].as_str(), asis.is_default), ("mod_asis.c", false));
        assert_eq!(found.includes, [Path::new("modules/ssl")]);
        assert_eq!(found.flags[0].1, "nghttp2_new");
        assert_eq!(found.flags[0].2, "-DH2_NEW");
    }
}
