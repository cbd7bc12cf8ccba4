//! Makefiles that a configure script has written: variables without conditions,
//! and rules that name their targets.

use std::collections::BTreeMap;

use super::unknown_release;
use crate::error::Result;

#[derive(Default)]
pub(super) struct Makefile {
    variables: BTreeMap<String, String>,
    rules: BTreeMap<String, Rule>,
}

/// How a target is made.
#[derive(Default)]
pub(super) struct Rule {
    pub(super) needs: Vec<String>,
    /// Commands of a shell, each of them whole, with variables in them.
    pub(super) commands: Vec<String>,
}

impl Makefile {
    pub(super) fn read(text: &str) -> Self {
        let mut makefile = Self::default();
        let mut target = None;
        for line in text.replace("\\\n", " ").lines() {
            if let Some(command) = line.strip_prefix('\t') {
                let rule = target.as_ref().and_then(|name| makefile.rules.get_mut(name));
                if let Some(rule) = rule {
                    rule.commands.push(command.trim_start_matches(['@', '-']).to_owned());
                }
                continue;
            }
            let at = line.find(['=', ':', '#']).unwrap_or(line.len());
            let (name, rest) = (line[..at].trim(), line.get(at + 1..).unwrap_or_default());
            match line[at..].chars().next() {
                Some('=') => {
                    makefile.variables.insert(name.to_owned(), rest.trim().to_owned());
                }
                Some(':') => {
                    let needs = makefile.expand(rest, name).unwrap_or_default();
                    let rule = makefile.rules.entry(name.to_owned()).or_default();
                    rule.needs.extend(needs.split_whitespace().map(str::to_owned));
                    target = Some(name.to_owned());
                }
                _ => {}
            }
        }
        makefile
    }

    pub(super) fn rule(&self, target: &str) -> Option<&Rule> {
        self.rules.get(target)
    }

    /// A text with the values of its variables; `$@` is the target.
    pub(super) fn expand(&self, text: &str, target: &str) -> Result<String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            result.push_str(before);
            let (name, after) = match after.strip_prefix('(') {
                Some(inside) => inside.split_once(')').unwrap_or((inside, "")),
                None => after.split_at(after.chars().next().map_or(0, char::len_utf8)),
            };
            match name {
                "@" => result.push_str(target),
                "$" => result.push('$'),
                // make's own meaning of a variable that is not set is nothing.
                _ if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') => {
                    let value = self.variables.get(name).map_or("", String::as_str);
                    result.push_str(&self.expand(value, target)?);
                }
                _ => {
                    return Err(unknown_release(format!(
                        "`$({name})` in the makefile for `{target}` is not understood"
                    )));
                }
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_makefile_is_read_as_make_reads_it() {
        let text = "CC=$(CROSS)gcc\nFLAGS= -O2 \\\n  -DX=\"1\"\n# note: none\nALL=a.o \\\n b.o\n\
                    lib.a: $(ALL) c.o\n\tar $@\na.o: a.c a.h\n\t@$(CC) $(FLAGS) -c -o $@ a.c\n\
                    \t@if x; then \\\n\t\ty; fi\nlib.a: d.o\n";
        let makefile = Makefile::read(text);
        let rule = makefile.rule("lib.a").unwrap();
        assert_eq!(rule.needs, ["a.o", "b.o", "c.o", "d.o"]);
        let rule = makefile.rule("a.o").unwrap();
        assert_eq!(rule.commands.len(), 2);
        let command = makefile.expand(&rule.commands[0], "a.o").unwrap();
        assert_eq!(command, "gcc -O2    -DX=\"1\" -c -o a.o a.c");
        assert!(makefile.rule("x").is_none());
        assert!(makefile.expand("$(patsubst %.c,%.o,a)", "x").is_err());
    }
}
