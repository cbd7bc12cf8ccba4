//! The installer as its users see it: the real program in a folder of its own,
//! first with a tiny httpd that builds in a moment, then with the real one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod archive;
mod commands;
mod exits;
mod fetch;
mod install;
mod interrupted;
mod sandbox;
mod upstream;
