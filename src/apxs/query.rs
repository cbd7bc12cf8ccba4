//! `apxs -q`: values of build variables, several of them joined by `;;`.

use std::ffi::OsString;
use std::fmt::Write as _;

use prefix::BuildVars;
use serde_json::Value;

use super::Caller;
use crate::error::{Error, Kind, Result};
use crate::report::Report;

pub(super) fn answer(
    names: &[OsString],
    vars: &BuildVars,
    caller: Caller,
    report: &Report,
) -> Result<()> {
    if names.is_empty() {
        let all: Vec<(&str, String)> =
            vars.names().filter_map(|name| Some((name, vars.value(name)?))).collect();
        let text = all.iter().fold(String::new(), |mut text, (name, value)| {
            // Writing to a string cannot fail.
            let _infallible = writeln!(text, "{name}={value}");
            text
        });
        let values = all.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value)));
        report.result(&text, Value::Object(values.collect()));
        return Ok(());
    }
    let mut values = Vec::new();
    for name in names {
        let name = name.to_string_lossy();
        values.push(match (vars.value(&name), caller) {
            (Some(value), _) => value,
            (None, Caller::ModWsgiApxs) => String::new(),
            (None, Caller::Apxs) => {
                return Err(Error::new(Kind::Usage, format!("invalid query string `{name}`"))
                    .hint("`apxs -q` lists all build variables"));
            }
        });
    }
    let text = values.join(";;");
    let all = names.iter().map(|name| name.to_string_lossy().into_owned());
    let object = Value::Object(all.zip(values.into_iter().map(Value::from)).collect());
    // An empty answer is an empty line, not nothing.
    report.result(if text.is_empty() { "\n" } else { &text }, object);
    Ok(())
}
