//! The one error of the installer.
//!
//! A struct instead of an enum with a variant per case: everything that the
//! printer shows (what, expected, found, hint, log) is a field, so that text,
//! JSON and exit code cannot disagree, and a new case needs no new type.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::exit;

/// Result of a step of the installer.
pub type Result<T> = std::result::Result<T, Error>;

/// Whose fault it is, which decides the exit code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The command line.
    Usage,
    /// A recipe or lock file.
    Recipe,
    /// No source answered.
    Network,
    /// Bytes are not the pinned ones, or a signature is wrong.
    Checksum,
    /// An archive was refused or a patch does not apply.
    Unpack,
    /// The machine lacks something, or a configure step failed.
    Configure,
    /// A compile step failed.
    Compile,
    /// Staging, checking, switching or verifying failed.
    Install,
    /// A module could not be built or installed.
    Module,
    /// A signal asked for the end.
    Interrupted(i32),
}

impl Kind {
    /// Exit code, from [`exit`].
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => exit::USAGE,
            Self::Recipe => exit::RECIPE,
            Self::Network => exit::NETWORK,
            Self::Checksum => exit::CHECKSUM,
            Self::Unpack => exit::UNPACK,
            Self::Configure => exit::CONFIGURE,
            Self::Compile => exit::COMPILE,
            Self::Install => exit::INSTALL,
            Self::Module => exit::MODULE,
            Self::Interrupted(signal) => {
                exit::SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(0))
            }
        }
    }

    /// Name in JSON events.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Recipe => "recipe",
            Self::Network => "network",
            Self::Checksum => "checksum",
            Self::Unpack => "unpack",
            Self::Configure => "configure",
            Self::Compile => "compile",
            Self::Install => "install",
            Self::Module => "module",
            Self::Interrupted(_) => "interrupted",
        }
    }
}

/// What went wrong, which thing, what was expected and found, what to do next.
#[derive(Debug)]
pub struct Error {
    /// Whose fault.
    pub kind: Kind,
    /// One line, lower case, no full stop, things in backticks.
    pub message: String,
    /// Further lines under the message, for example `expected …`, `found …`.
    pub details: Vec<String>,
    /// What to do next.
    pub hints: Vec<String>,
    /// Full output of the failed step.
    pub log: Option<PathBuf>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without anything but its message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            details: Vec::new(),
            hints: Vec::new(),
            log: None,
            source: None,
        }
    }

    /// A refusal of the operating system: `failed to {action} {path}`.
    pub fn io(
        kind: Kind,
        action: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let message = format!("failed to {action} `{}`", path.as_ref().display());
        move |source| {
            let full = source.kind() == std::io::ErrorKind::StorageFull;
            let error = Self::new(kind, message).caused_by(source);
            if full {
                error.hint("free some space on that file system and run again")
            } else {
                error
            }
        }
    }

    /// Adds a line under the message.
    #[must_use]
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds advice.
    #[must_use]
    pub fn hint(mut self, line: impl Into<String>) -> Self {
        self.hints.push(line.into());
        self
    }

    /// Names the log that holds the whole story.
    #[must_use]
    pub fn log(mut self, path: impl Into<PathBuf>) -> Self {
        self.log = Some(path.into());
        self
    }

    /// Chains the error beneath.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Messages of the chained errors, outermost first.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let mut causes: Vec<String> = Vec::new();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Many libraries repeat the inner message in the outer one.
            if !causes.last().is_some_and(|outer| outer.contains(&text)) {
                causes.push(text);
            }
            next = cause.source();
        }
        causes
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<prefix::Error> for Error {
    fn from(source: prefix::Error) -> Self {
        let kind = match source {
            prefix::Error::NotInstalled { .. } | prefix::Error::NoPrevious { .. } => Kind::Usage,
            _ => Kind::Install,
        };
        let error = Self::new(kind, source.to_string());
        match (&source, std::error::Error::source(&source)) {
            (prefix::Error::NotInstalled { .. }, _) => {
                error.hint("run `mod_wsgi-httpd install`, or name another place with --prefix")
            }
            (_, Some(cause)) => error.detail(format!("caused by {cause}")),
            _ => error,
        }
    }
}
