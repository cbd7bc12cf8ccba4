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
    pub(crate) process_group: Option<Vec<u8>>,
    pub(crate) application_group: Option<Vec<u8>>,
    pub(crate) callable: Option<Vec<u8>>,
}

impl Choice {
    /// Asks the script.
    ///
    /// # Errors
    /// 500 when it fails; the log has the reason.
    pub(crate) fn of(asked: &Asked<'_>) -> Result<Self, c_int> {
        let mut names = [None, None, None];
        let functions = FUNCTIONS.map(|(name, _, _)| name);
        let answered = asked.ask_all(&functions, &[], Answers::Bytes, |number, text| {
            let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
            if let Some(name) = names.get_mut(number) {
                *name = Some(text[..end].to_vec());
            }
        });
        let [process_group, application_group, callable] = names;
        if answered.answer.lets_go_on() {
            return Ok(Self { process_group, application_group, callable });
        }
        let (function, thing, kind) = FUNCTIONS[answered.number];
        let wrong = match answered.answer {
            Answer::Other => format!("TypeError: {thing} must be a {kind}"),
            Answer::NotLatin1 => format!(
                "TypeError: {thing} must be a byte string, value containing non 'latin-1' characters found"
            ),
            _ => return Err(sys::HTTP_INTERNAL_SERVER_ERROR),
        };
        asked.log(&format!("{wrong} (result of '{function}' in '{}')", asked.path()));
        Err(sys::HTTP_INTERNAL_SERVER_ERROR)
    }
}

/// Functions of the script, what each names, and what its answer must be.
const FUNCTIONS: [(&str, &str, &str); 3] = [
    ("process_group", "Process group", "byte string"),
    ("application_group", "Application group", "string object"),
    ("callable_object", "Callable object", "string object"),
];
