//! CPython over `pyo3-ffi`: a token for the thread that is attached to an
//! interpreter, objects that are owned, interpreters and their threads.
//! Nothing of Python is kept in a static: what belongs to an interpreter hangs
//! on its record.

#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "reading a field of a raw record to call with it is one thought; SAFETY.md has the promises"
)]

mod bytes;
mod interpreter;
mod object;
mod waits;

pub use bytes::GrowingBytes;
pub use interpreter::{
    Attached, Config, Interpreter, Start, adopt, forking, give_back, start, stop,
};
pub use object::{Object, Raised, Result};
pub use pyo3_ffi as ffi;
pub use waits::{Waits, measure_waits, take_waits};
