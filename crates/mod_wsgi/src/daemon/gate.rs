//! A service has no two processes at a time, not even while httpd restarts gracefully:
//! each supervisor locks a file before it starts one, and keeps it until that has ended.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What one supervisor at a time passes.
#[derive(Debug)]
pub(crate) struct Gate {
    path: PathBuf,
    lock: Option<File>,
}

impl Gate {
    /// The gate of that path, not passed yet.
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, lock: None }
    }

    /// Passes it, if nobody is behind it. One that cannot be made is no obstacle: the
    /// two would not even meet for long.
    pub(crate) fn pass(&mut self) -> bool {
        if self.lock.is_some() {
            return true;
        }
        let mut options = File::options();
        options.write(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let Ok(file) = options.open(&self.path) else { return true };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => true,
            Ok(()) => {
                self.lock = Some(file);
                true
            }
        }
    }

    /// Its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Lets others pass.
    pub(crate) fn leave(&mut self) {
        self.lock = None;
    }
}
