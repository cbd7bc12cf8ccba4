//! Engines: how patched sources become a staged tree. `upstream` drives the
//! components' own configure and make, `direct` compiles their C files itself;
//! what both do alike stands beside them.

mod compile;
mod component;
mod configure;
mod direct;
mod objects;
mod pool;
mod text;
mod toolchain;
mod upstream;

pub use direct::{Answer, Answers, Direct, last_answers};
pub use toolchain::{TARGET, find_compiler, toolchain};
pub use upstream::Upstream;

use objects::Objects;
use pool::Pool;

use crate::error::{Error, Kind, Result};
use crate::stage::build::Engine;

/// The engine where none is named: the quick one wherever it builds.
pub const DEFAULT: &str = if cfg!(all(
    target_os = "linux",
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64"),
)) {
    "direct"
} else {
    "upstream"
};

/// Engine of that name.
///
/// # Errors
/// When there is none.
pub fn by_name(name: &str) -> Result<Box<dyn Engine>> {
    match name {
        "direct" => Ok(Box::new(Direct)),
        "upstream" => Ok(Box::new(Upstream)),
        other => Err(Error::new(Kind::Usage, format!("there is no engine `{other}`"))
            .detail("known: direct, upstream")),
    }
}

/// What builds: the pool of processes, its jobserver, and objects of earlier
/// builds.
struct Machine<'m> {
    jobs: &'m jobserver::Client,
    pool: &'m Pool<'m>,
    objects: &'m Objects,
}

impl Machine<'_> {
    /// Makes the folders of a build and runs `story` with a machine for it.
    fn with<T>(
        job: &crate::stage::build::Job<'_>,
        story: impl FnOnce(&Machine<'_>) -> Result<T>,
    ) -> Result<T> {
        for folder in [job.stage(), job.work.join("tmp")] {
            std::fs::create_dir_all(&folder).map_err(Error::io(
                Kind::Install,
                "make folder",
                &folder,
            ))?;
        }
        let jobs = jobserver::Client::new(job.jobs).map_err(|source| {
            Error::new(Kind::Configure, "failed to start a jobserver").caused_by(source)
        })?;
        let objects = Objects::new(job.cache.root().join("objects"), job.work);
        Pool::with(&jobs, job.jobs, |pool| {
            let result = story(&Machine { jobs: &jobs, pool, objects: &objects });
            // What has failed first is the reason, not what it has stopped.
            result.map_err(|error| pool.failure().unwrap_or(error))
        })
    }
}
