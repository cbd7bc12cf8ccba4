//! What can go wrong, and the exit code that tells it.

use std::path::Path;

/// Result of a command.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A command that cannot be carried out.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Error {
    text: String,
    /// What to do next.
    pub hint: Option<String>,
    /// Exit code: 2 for what was typed, 1 for all else, as the original has it.
    pub code: u8,
    source: Option<std::io::Error>,
}

impl Error {
    /// What was typed is wrong: exit code 2.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, code: 2, source: None }
    }

    /// The machine does not allow it: exit code 1.
    pub fn failed(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None, code: 1, source: None }
    }

    /// A file or folder that cannot be used: exit code 1.
    pub fn io(action: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let text = format!("failed to {action} `{}`", path.display());
        move |source| Self { text, hint: None, code: 1, source: Some(source) }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
