//! Headers that configure would write, made from what the releases themselves
//! ship for it: `#undef NAME` lines become answers, `@name@` values.

use std::collections::{BTreeMap, BTreeSet};

use super::probe::Answers;
use super::unknown_release;
use crate::error::Result;

/// Names that a template of autoheader asks for.
pub(super) fn asked(template: &str) -> BTreeSet<String> {
    template.lines().filter_map(undef).map(|(_, name)| name.to_owned()).collect()
}

/// Names that the `#define APR_HAVE_X @x@` lines of a template ask for.
pub(super) fn asked_by_fill(template: &str) -> BTreeSet<String> {
    template.lines().filter_map(macro_of_fill).map(|(name, _)| name).collect()
}

/// An autoheader template with every answer in it.
pub(super) fn config(template: &str, answers: &Answers) -> String {
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        match undef(line) {
            None => text.push_str(line),
            Some((start, name)) => match answers.get(name).and_then(|answer| answer.value.as_ref())
            {
                Some(value) => text.push_str(&format!("{start}define {name} {value}")),
                None => text.push_str(&format!("/* {start}undef {name} */")),
            },
        }
        text.push('\n');
    }
    text
}

/// A template with `@name@` in it, filled: by name, else by the answer for the
/// macro that its line defines.
pub(super) fn fill(
    template: &str,
    values: &BTreeMap<String, String>,
    answers: &Answers,
) -> Result<String> {
    let mut text = String::with_capacity(template.len());
    for line in template.lines() {
        let mut rest = line;
        while let Some((before, name, after)) = placeholder(rest) {
            text.push_str(before);
            let by_macro = || {
                let (name, _) = macro_of_fill(line)?;
                let answer = answers.get(&name)?;
                Some(if answer.value.is_some() { "1" } else { "0" })
            };
            let value =
                values.get(name).map(String::as_str).or_else(by_macro).ok_or_else(|| {
                    unknown_release(format!("nothing is known for `@{name}@`"))
                        .detail(format!("in the line: {}", line.trim()))
                })?;
            text.push_str(value);
            rest = after;
        }
        text.push_str(rest);
        text.push('\n');
    }
    Ok(text)
}

/// `#undef NAME`: what stands before `undef`, and the name.
fn undef(line: &str) -> Option<(&str, &str)> {
    let at = line.find("undef ")?;
    let (start, rest) = line.split_at(at);
    if !start.trim_start().starts_with('#') || !start.trim_start()[1..].trim().is_empty() {
        return None;
    }
    Some((start, rest["undef ".len()..].trim()))
}

fn placeholder(line: &str) -> Option<(&str, &str, &str)> {
    let start = line.find('@')?;
    let length = line[start + 1..].find('@')?;
    let name = &line[start + 1..start + 1 + length];
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(is_word) {
        return None;
    }
    Some((&line[..start], name, &line[start + length + 2..]))
}

/// `#define APR_HAVE_X @x@`: the question `HAVE_X`, and `x`.
fn macro_of_fill(line: &str) -> Option<(String, &str)> {
    let rest = line.strip_prefix("#define APR_HAVE_")?;
    let (word, _) = rest.split_once(char::is_whitespace)?;
    let (_, name, _) = placeholder(line)?;
    Some((format!("HAVE_{word}"), name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::direct::probe::Answer;

    fn answers() -> Answers {
        let answer = |value: Option<&str>| Answer {
            value: value.map(str::to_owned),
            how: "test".to_owned(),
        };
        Answers::from([
            ("HAVE_POLL_H".to_owned(), answer(Some("1"))),
            ("HAVE_OS_H".to_owned(), answer(None)),
        ])
    }

    #[test]
    fn a_config_header_says_what_was_found() {
        let template = "/* undef x */\n#undef HAVE_POLL_H\n# undef HAVE_OS_H\n#undef NEW\n";
        let expected =
            "/* undef x */\n#define HAVE_POLL_H 1\n/* # undef HAVE_OS_H */\n/* #undef NEW */\n";
        assert_eq!(config(template, &answers()), expected);
        assert_eq!(asked(template).len(), 3);
    }

    #[test]
    fn what_is_not_known_is_no_guess() {
        let values = BTreeMap::from([("oc".to_owned(), "1".to_owned())]);
        let template = "#define APR_HAVE_OS_H @osh@\n#define APR_HAS_OTHER_CHILD @oc@\n";
        let text = fill(template, &values, &answers()).unwrap();
        assert_eq!(text, "#define APR_HAVE_OS_H 0\n#define APR_HAS_OTHER_CHILD 1\n");
        let error = fill("#define APR_HAS_X @new@\n", &values, &answers()).unwrap_err();
        assert!(error.message.contains("@new@"), "{}", error.message);
    }
}
