//! Engines: how patched sources become a staged tree. `upstream` drives the
//! components' own configure and make; the interface is narrow so that another
//! engine can take its place.

mod component;
mod text;
mod toolchain;
mod upstream;

pub use toolchain::{find_compiler, toolchain};
pub use upstream::Upstream;

use crate::error::{Error, Kind, Result};
use crate::stage::build::Engine;

/// Engine of that name.
///
/// # Errors
/// When there is none.
pub fn by_name(name: &str) -> Result<Box<dyn Engine>> {
    match name {
        "upstream" => Ok(Box::new(Upstream)),
        other => Err(Error::new(Kind::Usage, format!("there is no engine `{other}`"))
            .detail("known: upstream")),
    }
}
