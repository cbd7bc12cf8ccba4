//! Texts of a build: filling in recipes and templates, and taking the places
//! of the build out of what is installed.

use std::collections::BTreeMap;
use std::path::Path;

use prefix::PLACEHOLDER;

/// Fills `{name}`; an unknown name stays as it is.
pub(super) fn fill(text: &str, values: &BTreeMap<String, String>) -> String {
    fill_between(text, '{', '}', values)
}

/// Fills `@name@` of a template.
pub(super) fn fill_template(text: &str, values: &BTreeMap<String, String>) -> String {
    fill_between(text, '@', '@', values)
}

fn fill_between(text: &str, open: char, close: char, values: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(open) {
        let (before, after) = rest.split_at(start);
        result.push_str(before);
        let name_on = &after[1..];
        match name_on.find(close).and_then(|end| Some((end, values.get(&name_on[..end])?))) {
            Some((end, value)) => {
                result.push_str(value);
                rest = &name_on[end + 1..];
            }
            None => {
                result.push(open);
                rest = name_on;
            }
        }
    }
    result.push_str(rest);
    result
}

/// The value of `VARIABLE="value"` in a shell script.
pub(super) fn shell_value(script: &str, variable: &str) -> Option<String> {
    let start = format!("{variable}=\"");
    let line = script.lines().find_map(|line| line.strip_prefix(&start))?;
    let value = line.strip_suffix('"')?;
    Some(value.replace("\\$", "$").replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// Takes the build's own places and flags out of a text that is installed: the
/// stage becomes the placeholder, flags that name private artefacts or the work
/// folder go.
pub(super) fn without_build_places(text: &str, work: &Path) -> String {
    let work = work.to_string_lossy();
    let stage = format!("{work}/stage");
    let text = text.replace(&stage, PLACEHOLDER);
    if !text.contains(&*work) && !text.contains("--exclude-libs") {
        return text;
    }
    let is_build_flag = |word: &str| {
        word.starts_with("-Wl,--exclude-libs") || (word.starts_with('-') && word.contains(&*work))
    };
    let ends_word = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let end = rest.find(ends_word).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if !is_build_flag(word) {
            result.push_str(word);
        }
        let separator = after.chars().next().map_or(0, char::len_utf8);
        result.push_str(&after[..separator]);
        rest = &after[separator..];
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_stay() {
        let values = BTreeMap::from([("cc".to_owned(), "gcc".to_owned())]);
        assert_eq!(fill("{cc} {x} {", &values), "gcc {x} {");
        assert_eq!(fill_template("a@cc@b@ c@", &values), "agccb@ c@");
    }

    #[test]
    fn shell_values_lose_their_quoting() {
        let script = "A=\"1\"\nLIB=\"-rpath \\$(libdir)\"\n";
        assert_eq!(shell_value(script, "LIB").as_deref(), Some("-rpath $(libdir)"));
        assert_eq!(shell_value(script, "B"), None);
    }

    #[test]
    fn nothing_of_the_build_stays_in_an_installed_text() {
        let text = "CFLAGS = -O2 -ffile-prefix-map=/w/1=/src -I/w/1/deps/zlib/include\nL=\"-Wl,--exclude-libs,libz.a\"\nP = /w/1/stage/bin\n";
        let clean = without_build_places(text, Path::new("/w/1"));
        assert_eq!(clean, format!("CFLAGS = -O2  \nL=\"\"\nP = {PLACEHOLDER}/bin\n"));
    }
}
