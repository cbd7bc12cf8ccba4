//! httpd and APR: `sys` declares what mod_wsgi uses of them, by hand, with
//! tables from which a C compiler checks every declaration against the
//! headers; the other rooms are safe views for the length of one call.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "reading a field of a raw record to call with it is one thought; SAFETY.md has the promises"
)]

mod config;
mod door;
mod log;
mod pool;
mod regex;
mod request;
pub mod scoreboard;
pub mod sys;
mod table;
pub mod tls;
mod transfer;

pub use config::{
    Command, Directive, Scope, Server, is_configured, is_defined, setting_text, words,
};
pub use door::{Failed, enter};
pub use log::{
    Level, Source, log_level_of, log_level_of_main, log_to, log_to_from, log_to_main,
    log_to_main_from, log_to_process,
};
pub use pool::Pool;
pub use regex::Regex;
pub use request::{ClientGone, Request};
pub use table::{Table, text};
pub use transfer::{BodyError, Read, Reading, Then};
