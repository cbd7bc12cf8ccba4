//! Text of httpd's configuration. Every argument passes through here, so that
//! blanks, quotes, backslashes and `${…}` in it mean themselves, and a line break
//! in it is refused: it would begin a directive of somebody else's.

use std::fmt::Write as _;
use std::path::Path;

use crate::error::{Error, Result};

/// A configuration that grows line by line.
#[derive(Debug, Default)]
pub(crate) struct Conf {
    text: String,
    depth: usize,
    bad: Option<String>,
}

impl Conf {
    /// Adds a heading.
    pub(crate) fn title(&mut self, words: &str) {
        let _never = writeln!(self.text, "\n# {words}");
    }

    /// Adds a directive.
    pub(crate) fn line<A: AsRef<str>>(
        &mut self,
        directive: &str,
        arguments: impl IntoIterator<Item = A>,
    ) {
        let words: Vec<String> = arguments.into_iter().map(|word| quoted(word.as_ref())).collect();
        self.written(directive, &words.join(" "));
    }

    /// Adds a directive whose arguments are written as they are.
    pub(crate) fn written(&mut self, directive: &str, arguments: &str) {
        if arguments.contains(['\n', '\r', '\0']) && self.bad.is_none() {
            self.bad = Some(format!("{directive} {arguments:?}"));
        }
        let blank = if arguments.is_empty() { "" } else { " " };
        let indent = "    ".repeat(self.depth);
        let _never = writeln!(self.text, "{indent}{directive}{blank}{arguments}");
    }

    /// Adds a section.
    pub(crate) fn section(&mut self, name: &str, argument: &str, inside: impl FnOnce(&mut Self)) {
        match argument {
            "" => self.written(&format!("<{name}>"), ""),
            _ => self.written(&format!("<{name}"), &format!("{}>", quoted(argument))),
        }
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.written(&format!("</{name}>"), "");
    }

    /// The whole text.
    ///
    /// # Errors
    /// When an argument holds a line break.
    pub(crate) fn finish(self) -> Result<String> {
        match self.bad {
            Some(line) => Err(Error::usage(format!("an option has a line break in it: {line}"))),
            None => Ok(self.text),
        }
    }
}

/// A path as an argument.
pub(crate) fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// An argument, in double quotes unless it is plain. httpd replaces `${NAME}` even
/// in quotes; the name `MOD_WSGI_DOLLAR`, which the configuration defines, keeps it
/// from doing so.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:+%,=*@{}()[]|!^".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with('|') {
        return word.to_owned();
    }
    always_quoted(word)
}

/// The same, in quotes in any case, as after `name=`.
pub(crate) fn always_quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", escaped.replace("${", "${MOD_WSGI_DOLLAR}{"))
}

/// A text as a regular expression for itself.
pub(super) fn escaped(text: &str) -> String {
    let mut whole = String::new();
    for character in text.chars() {
        if !character.is_alphanumeric() && !"/_-".contains(character) {
            whole.push('\\');
        }
        whole.push(character);
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_mean_themselves() {
        for (word, text) in [
            ("plain/path.txt", "plain/path.txt"),
            ("", "\"\""),
            ("two words", "\"two words\""),
            ("it's", "\"it's\""),
            ("a\"b\\c", "\"a\\\"b\\\\c\""),
            ("${HOME}", "\"${MOD_WSGI_DOLLAR}{HOME}\""),
            ("<tag>", "\"<tag>\""),
            ("ü", "\"ü\""),
        ] {
            assert_eq!(quoted(word), text, "{word}");
        }
    }

    #[test]
    fn a_line_break_is_refused() {
        let mut conf = Conf::default();
        conf.line("SetEnv", ["A", "b\nInclude /etc/passwd"]);
        assert!(conf.finish().is_err());
    }
}
