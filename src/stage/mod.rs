//! The stages from a plan to an installed tree. Each hands on a type of
//! its own: `fetch` a [`fetch::Tarball`], `verify` a [`verify::Verified`],
//! `unpack` a [`unpack::Source`], `patch` a [`patch::Patched`], the engine a
//! staged tree, `install` a switched prefix.

pub mod build;
pub mod fetch;
pub mod install;
pub mod link;
pub mod module;
pub mod patch;
pub mod smoke;
pub mod unpack;
pub mod verify;
