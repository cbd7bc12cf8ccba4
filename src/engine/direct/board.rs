//! What the components of a build tell each other: whose headers may be read,
//! whose library may be linked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex};

use crate::engine::pool::{stopped, unpoisoned};
use crate::error::Result;

#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
    news: Condvar,
    of_machine: Mutex<Option<Vec<String>>>,
}

#[derive(Default)]
struct State {
    headers: BTreeMap<String, PathBuf>,
    libraries: BTreeSet<String>,
    is_stopped: bool,
}

impl Board {
    /// Libraries of the machine that APR and what uses it are linked with; the
    /// first who asks finds them.
    pub(super) fn of_machine(
        &self,
        find: impl FnOnce() -> Result<Vec<String>>,
    ) -> Result<Vec<String>> {
        let mut known = unpoisoned(self.of_machine.lock());
        match &*known {
            Some(flags) => Ok(flags.clone()),
            None => Ok(known.insert(find()?).clone()),
        }
    }

    /// The headers of a component lie in that folder.
    pub(super) fn tell_headers(&self, name: &str, folder: PathBuf) {
        unpoisoned(self.state.lock()).headers.entry(name.to_owned()).or_insert(folder);
        self.news.notify_all();
    }

    /// The library of a component lies at its place.
    pub(super) fn tell_library(&self, name: &str) {
        unpoisoned(self.state.lock()).libraries.insert(name.to_owned());
        self.news.notify_all();
    }

    /// Nobody needs to wait any more.
    pub(super) fn stop(&self) {
        unpoisoned(self.state.lock()).is_stopped = true;
        self.news.notify_all();
    }

    /// Waits for a component's headers.
    pub(super) fn headers(&self, name: &str) -> Result<PathBuf> {
        self.wait(|state| state.headers.get(name).cloned())
    }

    /// Waits for a component's library.
    pub(super) fn library(&self, name: &str) -> Result<()> {
        self.wait(|state| state.libraries.contains(name).then_some(()))
    }

    fn wait<T>(&self, look: impl Fn(&State) -> Option<T>) -> Result<T> {
        let mut state = unpoisoned(self.state.lock());
        loop {
            if let Some(found) = look(&state) {
                return Ok(found);
            }
            if state.is_stopped {
                return Err(stopped());
            }
            state = unpoisoned(self.news.wait(state));
        }
    }
}
