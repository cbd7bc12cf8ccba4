//! The Apache module `mod_wsgi.so`: its sources, which travel in this program,
//! and the run of cargo that makes it for an httpd and a Python. Where the
//! result goes is not known here.

mod rust;
mod sources;
mod workspace;

pub use rust::Rust;
pub use sources::{LICENCE, digest};
pub use workspace::{Crates, VENDORED, Workspace};

use crate::error::{Error, Kind, Result};
use crate::python::Python;
use crate::recipe::{Range, Version};

/// Component and module name.
pub const NAME: &str = "mod_wsgi";

/// Release of the module: it is that of this program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The files of the built module. The first is httpd's; it looks for the second,
/// Python's, beside itself.
pub const FILES: [&str; 2] = ["mod_wsgi.so", "mod_wsgi_python.so"];

/// What to do when the module cannot be had.
pub const WITHOUT: &str = "`--features=-module` leaves mod_wsgi.so out";

/// Fails unless the module is written for that Python.
///
/// # Errors
/// [`Kind::Usage`], naming its version and those that will do.
pub fn require_supported(python: Python) -> Result<Python> {
    let version = python.version.parse::<Version>();
    let is_supported = PYTHONS
        .parse::<Range>()
        .is_ok_and(|range| version.is_ok_and(|version| range.contains(&version)));
    if is_supported {
        return Ok(python);
    }
    Err(Error::new(
        Kind::Usage,
        format!("mod_wsgi.so cannot be built for `{}`", python.executable.display()),
    )
    .detail(format!("expected Python {PYTHONS}"))
    .detail(format!("found    Python {}", python.version))
    .hint(format!("name another one with --python; {WITHOUT}")))
}

/// The Pythons that the module is written for.
const PYTHONS: &str = ">=3.10, <3.14";
