//! `WSGIDispatchScript`: a script chooses group, interpreter and callable of each
//! request. One that fails is a 500: the original goes on with what is
//! configured, and so may run the wrong application.

use std::ffi::c_int;

use door::{Answer, Answers};
use httpd::sys;

use crate::question::Asked;

/// What the script chose; nothing leaves what is configured.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    pub(crate) process_group: Option<String>,
    pub(crate) application_group: Option<String>,
    pub(crate) callable: Option<String>,
}

impl Choice {
    /// Asks the script.
    ///
    /// # Errors
    /// 500 when it fails; the log has the reason.
    pub(crate) fn of(asked: &Asked<'_>) -> Result<Self, c_int> {
        Ok(Self {
            process_group: name(asked, "process_group", "Process group must be a byte string")?,
            application_group: name(
                asked,
                "application_group",
                "Application group must be a string object",
            )?,
            callable: name(asked, "callable_object", "Callable object must be a string object")?,
        })
    }
}

fn name(asked: &Asked<'_>, function: &str, wrong: &str) -> Result<Option<String>, c_int> {
    let mut name = None;
    let answer = asked.ask(function, &[], Answers::Bytes, |text| {
        let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
        name = Some(String::from_utf8_lossy(&text[..end]).into_owned());
    });
    match answer {
        Answer::Texts => return Ok(name),
        Answer::Nothing | Answer::NoFunction => return Ok(None),
        Answer::Other => {
            let path = asked.path();
            asked.log(&format!("TypeError: {wrong} (result of '{function}' in '{path}')"));
        }
        _ => {}
    }
    Err(sys::HTTP_INTERNAL_SERVER_ERROR)
}
