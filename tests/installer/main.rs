//! The installer as its users see it: the real program in a folder of its own,
//! first with a tiny httpd that builds in a moment, then with the real one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test is the caller: it starts programs, and fails when it cannot go on"
)]

mod archive;
mod browser;
mod commands;
mod compiling;
mod docs;
mod engine_suites;
mod engines;
mod exits;
mod express;
mod fetch;
mod house;
mod install;
mod interrupted;
mod module;
mod pin;
mod pip;
mod python;
mod real;
mod sandbox;
mod serving;
mod store;
mod upstream;
