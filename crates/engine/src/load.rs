//! The scripts of one interpreter: which are loaded, from which state of their
//! file. One lock a script: a slow import keeps only its own requests waiting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cpython::Attached;

use crate::world::Kept;

/// The scripts of one interpreter.
#[derive(Default)]
pub(crate) struct Scripts {
    all: Mutex<BTreeMap<Vec<u8>, Arc<Mutex<Script>>>>,
}

/// One script.
#[derive(Default)]
pub(crate) struct Script {
    /// Its module, once it is loaded.
    pub(crate) module: Option<Kept>,
    /// Time of its file when it was loaded, in microseconds since 1970.
    pub(crate) time: i64,
    /// It has changed since, and a request for it was handed back.
    pub(crate) is_handed_back: bool,
}

impl Scripts {
    /// The script of that file, loaded or not.
    pub(crate) fn find(&self, path: &[u8]) -> Arc<Mutex<Script>> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(script) = all.get(path) {
            return Arc::clone(script);
        }
        Arc::clone(all.entry(path.to_vec()).or_default())
    }
}

/// Waits for a script without keeping others from Python: whoever loads it may
/// need Python's lock to finish.
pub(crate) fn wait<'s>(py: Attached<'_>, script: &'s Mutex<Script>) -> MutexGuard<'s, Script> {
    match script.try_lock() {
        Ok(guard) => guard,
        Err(_) => py.detached(|| script.lock().unwrap_or_else(PoisonError::into_inner)),
    }
}
