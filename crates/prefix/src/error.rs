//! What can be wrong with an installed prefix.

use std::path::PathBuf;

/// Result of reading or changing a prefix.
pub type Result<T> = std::result::Result<T, Error>;

/// A prefix that cannot be read or changed as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused.
    #[error("failed to {action} `{path}`", path = path.display())]
    Io {
        /// The verb, for example "read".
        action: &'static str,
        /// What was read or written.
        path: PathBuf,
        /// The refusal.
        source: std::io::Error,
    },
    /// A file of the prefix is there, but not in the form that we write.
    #[error("`{path}` is not readable as {what}", path = path.display())]
    Malformed {
        /// The form, for example "a build record".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Where it goes wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No httpd is installed at this place.
    #[error("no private httpd is installed in `{path}`", path = path.display())]
    NotInstalled {
        /// The base folder that was searched.
        path: PathBuf,
    },
    /// There is no earlier tree to go back to.
    #[error("`{path}` keeps no earlier httpd to go back to", path = path.display())]
    NoPrevious {
        /// The base folder.
        path: PathBuf,
    },
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
