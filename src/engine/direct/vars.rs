//! What makefiles of upstream say: object lists and variables.

use super::unknown_release;
use crate::error::Result;

/// Words of `NAME = a b \` with the lines that it goes on over.
pub(super) fn words(makefile: &str, name: &str) -> Vec<String> {
    let joined = makefile.replace("\\\n", " ");
    let value = joined.lines().find_map(|line| {
        let (left, right) = line.split_once('=')?;
        (left.trim() == name).then_some(right)
    });
    value.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// C files of a list of libtool objects; `$(OTHER)` in it is another list.
pub(super) fn sources(makefile: &str, name: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for word in words(makefile, name) {
        if let Some(other) = word.strip_prefix("$(").and_then(|word| word.strip_suffix(')')) {
            found.extend(sources(makefile, other)?);
        } else if let Some(stem) = word.strip_suffix(".lo") {
            found.push(format!("{stem}.c"));
        } else if word.ends_with(".c") {
            found.push(word);
        }
    }
    if found.is_empty() {
        return Err(unknown_release(format!("upstream's makefile has no `{name}`")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_other_lists() {
        let text = "A_all = a/b.lo c.lo\nA_unix = $(A_all) \\\n  d.lo\n";
        assert_eq!(sources(text, "A_unix").unwrap(), ["a/b.c", "c.c", "d.c"]);
        assert!(sources(text, "B").is_err());
    }
}
