//! The WSGI side of a request (PEP 3333), for a host that reads bodies and sends
//! answers. What kind of server that is, is not known here.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "reading a field of a raw record to call with it is one thought; SAFETY.md has the promises"
)]
#![allow(
    deprecated,
    reason = "exceptions are taken and set in three parts: what is to follow is there from Python 3.12 on"
)]

mod adapter;
mod call;
mod current;
mod environ;
mod events;
mod exception;
mod functions;
mod input;
mod load;
mod metrics;
mod question;
mod response;
mod script;
mod send;
mod service;
mod setup;
mod template;
mod timeout;
mod tls;
mod types;
mod world;

pub use call::{handle, load};
pub use question::ask;
pub use script::has_loaded;
pub use service::run_service;
pub use timeout::{interrupt, log_stacks, take_lock};
pub use world::{adopt, fork, freeze, give_back, start, stop, tell_end, tell_signal};
