//! The rules of serving WSGI that need neither httpd nor Python: what a
//! response head may hold, how environ keys are named, which names and options
//! mean what.
//!
//! Nothing here reads, writes or waits; module and launcher bring the facts.
//! WSGI strings are latin-1, so they are bytes here. Errors carry mod_wsgi
//! 6.1.1's own words, because applications and administrators search for them.

#![forbid(unsafe_code)]

pub mod alias;
pub mod directive;
pub mod environ;
pub mod group;
pub mod head;
pub mod interpreter;
pub mod key;
pub mod launch;
pub mod options;
pub mod proxy;
pub mod reload;
pub mod scoreboard;
pub mod status;
pub mod wire;
