//! The locale of applications: one that the machine has. The original guesses
//! `en_US.UTF-8` where there is none; shell and Python then complain (reference
//! 3.6, 9.1 item 14).

use std::collections::BTreeMap;

use crate::process;

/// What to use if nobody says: every machine has it.
const DEFAULT: &str = "C.UTF-8";

/// The locale that is asked for by option, or by the environment if it is a real one
/// that is installed.
#[must_use]
pub(crate) fn choose(asked: Option<&str>, variables: &BTreeMap<String, String>) -> String {
    if let Some(name) = asked {
        return name.to_owned();
    }
    let set = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| variables.get(*name).filter(|value| !value.is_empty()));
    match set {
        Some(name) if same(name, DEFAULT) => DEFAULT.to_owned(),
        Some(name) if !matches!(name.as_str(), "C" | "POSIX") && is_installed(name) => name.clone(),
        _ => DEFAULT.to_owned(),
    }
}

/// Whether the machine has a locale.
#[must_use]
pub(crate) fn is_installed(name: &str) -> bool {
    matches!(name, "C" | "POSIX")
        || same(name, DEFAULT)
        || process::output("locale", &["-a"])
            .is_some_and(|list| list.lines().any(|known| same(known, name)))
}

/// `C.utf8` and `C.UTF-8` are one.
fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.to_ascii_lowercase().replace("utf-8", "utf8");
    plain(one) == plain(other)
}
