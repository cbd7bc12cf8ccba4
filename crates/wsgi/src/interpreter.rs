//! What holds for one interpreter: directives of the server, and those that a
//! `<WSGIInterpreterOptions>` section narrows down to some groups.

use serde::{Deserialize, Serialize};

/// Directives of one scope. A value that is not given leaves the word to a
/// scope that is less specific.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Options {
    /// `WSGIPythonPath`: folders separated by colons.
    pub path: Option<String>,
    /// `WSGISwitchInterval`, in seconds.
    pub switch_interval: Option<f64>,
    /// `WSGIPerInterpreterGIL`.
    pub per_interpreter_gil: Option<bool>,
    /// `WSGIRestrictStdin`.
    pub restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub restrict_signal: Option<bool>,
}

/// A scope: the server without selectors, or a section.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Section {
    /// `process-group=`; empty for embedded mode.
    pub process_group: Option<String>,
    /// `application-group=`; empty for the main interpreter.
    pub application_group: Option<String>,
    /// What it says.
    pub options: Options,
}

/// What holds for one interpreter.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// Folders for `sys.path`, the most specific scope's first.
    pub path: Vec<String>,
    /// Seconds for `sys.setswitchinterval`.
    pub switch_interval: Option<f64>,
    /// Whether `switch_interval` was given for this application group by name.
    pub is_own_interval: bool,
    /// Whether a sub-interpreter has a lock of its own. Never the main one.
    pub own_gil: bool,
    /// Whether `sys.stdin` is closed to applications. Default: no.
    pub restrict_stdin: bool,
    /// Whether `sys.stdout` is. Default: no.
    pub restrict_stdout: bool,
    /// Whether `signal.signal()` has no effect. Default: it has none.
    pub restrict_signal: bool,
}

/// What holds for an application group in a process group (reference 1.3): for
/// each directive the scope with the most selectors that fit has the word, of
/// equals the later one; paths add up. `sections` stand in the order of the
/// configuration, the server's own first.
#[must_use]
pub fn resolve(sections: &[Section], process_group: &str, application_group: &str) -> Resolved {
    let fits = |selector: &Option<String>, name: &str| {
        selector.as_ref().is_none_or(|selector| selector == name)
    };
    let mut fitting: Vec<&Section> = sections
        .iter()
        .filter(|section| {
            fits(&section.process_group, process_group)
                && fits(&section.application_group, application_group)
        })
        .collect();
    // Stable: equals stay in order.
    fitting.sort_by_key(|section| section.selectors());
    let last = |value: fn(&Options) -> Option<bool>| {
        fitting.iter().rev().find_map(|section| value(&section.options))
    };
    let interval = fitting.iter().rev().find_map(|section| {
        Some((section.options.switch_interval?, section.application_group.is_some()))
    });
    let paths = fitting.iter().rev().filter_map(|section| section.options.path.as_deref());
    Resolved {
        path: paths
            .flat_map(|path| path.split(':'))
            .filter(|folder| !folder.is_empty())
            .map(str::to_owned)
            .collect(),
        switch_interval: interval.map(|(seconds, _)| seconds),
        is_own_interval: interval.is_some_and(|(_, is_own)| is_own),
        own_gil: !application_group.is_empty()
            && last(|options| options.per_interpreter_gil).unwrap_or(false),
        restrict_stdin: last(|options| options.restrict_stdin).unwrap_or(false),
        restrict_stdout: last(|options| options.restrict_stdout).unwrap_or(false),
        restrict_signal: last(|options| options.restrict_signal).unwrap_or(true),
    }
}

impl Section {
    fn selectors(&self) -> usize {
        usize::from(self.process_group.is_some()) + usize::from(self.application_group.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section of `process-group`, `application-group` and a flag.
    fn section(process: Option<&str>, application: Option<&str>, flag: bool) -> Section {
        Section {
            process_group: process.map(str::to_owned),
            application_group: application.map(str::to_owned),
            options: Options { restrict_stdout: Some(flag), ..Options::default() },
        }
    }

    fn restricts(sections: &[Section]) -> bool {
        resolve(sections, "", "named").restrict_stdout
    }

    #[test]
    fn more_selectors_beat_fewer() {
        let all = [
            section(Some(""), Some("named"), true),
            section(None, Some("named"), false),
            section(None, None, false),
        ];
        assert!(restricts(&all));
        assert!(!restricts(&all[1..]));
        assert!(!resolve(&all, "", "other").restrict_stdout);
        assert!(!resolve(&all, "daemons", "named").restrict_stdout);
    }

    #[test]
    fn of_equals_the_later_one_has_the_word() {
        let [on, off] = [true, false].map(|flag| section(None, Some("named"), flag));
        assert!(!restricts(&[on.clone(), off.clone()]));
        assert!(restricts(&[off, on]));
        // Whichever selector it is.
        let by_process = section(Some(""), None, true);
        assert!(restricts(&[section(None, Some("named"), false), by_process]));
    }

    #[test]
    fn what_a_section_does_not_say_is_left_to_the_others() {
        let mut quiet = section(None, Some("named"), true);
        quiet.options = Options::default();
        assert!(restricts(&[section(None, None, true), quiet.clone()]));
        let resolved = resolve(&[quiet], "", "named");
        assert_eq!((resolved.restrict_stdin, resolved.restrict_signal), (false, true));
    }

    #[test]
    fn paths_add_up_before_those_of_less_specific_ones() {
        let with = |process, application, path: &str| {
            let mut section = section(process, application, false);
            section.options.path = Some(path.to_owned());
            section
        };
        let all = [
            with(Some(""), Some("named"), "/d"),
            with(None, None, "/a::/b"),
            with(None, Some("named"), "/c"),
            with(None, Some("other"), "/e"),
        ];
        assert_eq!(resolve(&all, "", "named").path, ["/d", "/c", "/a", "/b"]);
    }

    #[test]
    fn the_main_interpreter_never_has_a_lock_of_its_own() {
        let mut own = section(None, None, false);
        own.options.per_interpreter_gil = Some(true);
        own.options.switch_interval = Some(0.1);
        assert!(resolve(&[own.clone()], "", "named").own_gil);
        assert!(!resolve(&[own.clone()], "", "").own_gil);
        assert!(!resolve(&[own.clone()], "", "named").is_own_interval);
        own.application_group = Some("named".to_owned());
        assert!(resolve(&[own], "", "named").is_own_interval);
    }
}
