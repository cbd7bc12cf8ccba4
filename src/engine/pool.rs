//! One pool of compiler processes for a whole build: the longest work first,
//! each under a token of the jobserver. A failure stops all that waits.

use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::objects::Recall;
use crate::error::{Error, Kind, Result};
use crate::process::{Program, check_interrupted};

/// One process to run.
#[derive(Debug)]
pub(super) struct Work {
    /// How long it takes, in a unit of its own: bytes of source.
    pub(super) weight: u64,
    pub(super) program: Program,
    pub(super) log: PathBuf,
    /// Where the result may be found without running anything.
    pub(super) recall: Option<Recall>,
}

pub(super) struct Pool<'p> {
    jobs: &'p jobserver::Client,
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Task>,
    is_closed: bool,
    is_stopped: bool,
    failure: Option<Error>,
}

impl<'p> Pool<'p> {
    /// Runs `story` with a pool of `count` workers.
    pub(super) fn with<T>(
        jobs: &'p jobserver::Client,
        count: usize,
        story: impl FnOnce(&Self) -> T,
    ) -> T {
        let pool = Self { jobs, state: Mutex::default(), wake: Condvar::new() };
        std::thread::scope(|scope| {
            for _ in 0..count.max(1) {
                scope.spawn(|| pool.work());
            }
            let result = story(&pool);
            pool.lock().is_closed = true;
            pool.wake.notify_all();
            result
        })
    }

    /// Runs all of it and waits for the end.
    ///
    /// # Errors
    /// [`stopped`] when any work of the pool fails; the failure itself is
    /// [`Pool::failure`].
    pub(super) fn run(&self, works: Vec<Work>) -> Result<()> {
        let batch = Arc::new(Batch { left: Mutex::new(works.len()), done: Condvar::new() });
        {
            let mut state = self.lock();
            if !state.is_stopped {
                let tasks = works.into_iter().map(|work| Task { work, batch: Arc::clone(&batch) });
                state.waiting.extend(tasks);
                self.wake.notify_all();
            } else {
                return Err(stopped());
            }
        }
        let mut left = unpoisoned(batch.left.lock());
        while *left > 0 {
            left = unpoisoned(batch.done.wait(left));
        }
        if self.lock().is_stopped { Err(stopped()) } else { Ok(()) }
    }

    /// Starts nothing more.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopped = true;
        for task in state.waiting.drain() {
            task.batch.count_down();
        }
    }

    /// What has failed first.
    pub(super) fn failure(&self) -> Option<Error> {
        self.lock().failure.take()
    }

    fn work(&self) {
        loop {
            let task = {
                let mut state = self.lock();
                loop {
                    if let Some(task) = state.waiting.pop() {
                        break task;
                    }
                    if state.is_closed {
                        return;
                    }
                    state = unpoisoned(self.wake.wait(state));
                }
            };
            if let Err(error) = self.run_one(task.work) {
                self.lock().failure.get_or_insert(error);
                self.stop();
            }
            task.batch.count_down();
        }
    }

    fn run_one(&self, work: Work) -> Result<()> {
        let _token = acquire(self.jobs)?;
        if work.recall.as_ref().is_some_and(Recall::found) {
            return Ok(());
        }
        work.program.run_logged(Kind::Compile, &work.log)?;
        work.recall.as_ref().map_or(Ok(()), Recall::keep)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

/// Waits for a place among the processes of this build.
pub(super) fn acquire(jobs: &jobserver::Client) -> Result<jobserver::Acquired> {
    check_interrupted()?;
    jobs.acquire()
        .map_err(|source| Error::new(Kind::Compile, "the jobserver failed").caused_by(source))
}

/// What is told to work that another's failure has ended.
pub(super) fn stopped() -> Error {
    Error::new(Kind::Compile, "another step of the build has failed")
}

struct Task {
    work: Work,
    batch: Arc<Batch>,
}

struct Batch {
    left: Mutex<usize>,
    done: Condvar,
}

impl Batch {
    fn count_down(&self) {
        *unpoisoned(self.left.lock()) -= 1;
        self.done.notify_all();
    }
}

impl PartialEq for Task {
    fn eq(&self, other: &Self) -> bool {
        self.work.weight == other.work.weight
    }
}

impl Eq for Task {}

impl PartialOrd for Task {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Task {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.work.weight.cmp(&other.work.weight)
    }
}

/// No thread of ours leaves a lock's data in halves.
pub(super) fn unpoisoned<T>(result: std::result::Result<T, PoisonError<T>>) -> T {
    result.unwrap_or_else(PoisonError::into_inner)
}
