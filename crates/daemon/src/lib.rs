//! The program of a daemon process. Python has started, loaded this as an extension
//! module, and called [`serve`] on its main thread.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one system call and its record are one thought; SAFETY.md has the promises"
)]

mod connection;
mod control;
mod exchange;
mod fork;
mod launch;
mod lock;
mod program;
mod scoreboard;
mod service;
mod signals;
mod state;
mod stop;
mod timers;
mod title;
mod worker;
mod zygote;

pub use program::serve;
