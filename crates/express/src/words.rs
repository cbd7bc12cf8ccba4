//! The command line before it is parsed: `$NAME` is replaced, and options that
//! take two values may have the first after an equals sign.

use std::collections::BTreeMap;

/// Replaces `$NAME` and `${NAME}` by variables of the environment; an unknown name
/// stays as typed.
#[must_use]
pub(crate) fn expand(word: &str, variables: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, length) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
                let length = after.find(|c| !is_name(c)).unwrap_or(after.len());
                (&after[..length], length)
            }
        };
        match variables.get(name) {
            Some(value) => text.push_str(value),
            None => text.push_str(&rest[at..=at + length]),
        }
        rest = &after[length..];
    }
    text + rest
}

/// Makes two words of `--name=A` where the option takes two values, `A` and the
/// word after it. What stands after `--` is left alone.
#[must_use]
pub(crate) fn split_pairs(words: Vec<String>, command: &clap::Command) -> Vec<String> {
    let takes_two = |name: &str| {
        command.get_opts().any(|option| {
            option.get_long() == Some(name)
                && option.get_num_args().is_some_and(|count| count.min_values() == 2)
        })
    };
    let mut split = Vec::new();
    let mut words = words.into_iter();
    for word in words.by_ref() {
        if word == "--" {
            split.push(word);
            break;
        }
        match word.strip_prefix("--").and_then(|word| word.split_once('=')) {
            Some((name, value)) if takes_two(name) => {
                split.extend([format!("--{name}"), value.to_owned()]);
            }
            _ => split.push(word),
        }
    }
    split.extend(words);
    split
}

/// Options that count once alone and stand there more than once.
#[must_use]
pub(crate) fn twice(words: &[String], command: &clap::Command) -> Vec<String> {
    let counts_once = |option: &&clap::Arg| {
        matches!(option.get_action(), clap::ArgAction::Set | clap::ArgAction::SetTrue)
    };
    let count = |name: &str| {
        let options = words.iter().take_while(|word| *word != "--");
        let names = options.filter_map(|word| word.strip_prefix("--"));
        names.filter(|word| word.split('=').next() == Some(name)).count()
    };
    let names = command.get_opts().filter(counts_once).filter_map(clap::Arg::get_long);
    names.filter(|name| count(name) > 1).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_where_they_are_known() {
        let variables = BTreeMap::from([("HOME".to_owned(), "/h".to_owned())]);
        for (word, text) in [
            ("$HOME/a", "/h/a"),
            ("x${HOME}y", "x/hy"),
            ("$OTHER", "$OTHER"),
            ("${OTHER}$HOME", "${OTHER}/h"),
            ("a$", "a$"),
            ("$$HOME", "$/h"),
            ("${HOME", "${HOME"),
            ("ü$HOMEü", "ü/hü"),
        ] {
            assert_eq!(expand(word, &variables), text, "{word}");
        }
    }
}
