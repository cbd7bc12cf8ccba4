//! The installer of a private, relocatable Apache httpd: recipes say where the
//! sources come from and how they are built; nothing of the machine's own
//! Apache or development packages is read or linked.

pub mod apxs;
pub mod cli;
pub mod command;
pub mod digest;
pub mod engine;
pub mod env;
pub mod error;
pub mod exit;
pub mod folder;
pub mod lock;
pub mod module;
pub mod names;
#[cfg(feature = "openpgp")]
mod openpgp;
pub mod place;
pub mod plan;
pub mod process;
pub mod python;
pub mod recipe;
pub mod report;
pub mod source;
pub mod stage;
pub mod store;
#[cfg(feature = "network")]
pub mod tls;
