//! A script that is no application: it runs on Python's main thread until it ends.

use cpython::{Object, Raised, ffi};

use crate::current::{self, level};
use crate::exception;
use crate::script::module_name;
use crate::world::World;

/// Runs a script in the main interpreter: the status that the process ends with.
pub fn run_service(path: &[u8]) -> i32 {
    let Some(world) = World::find(&[]) else { return FAILED };
    let text =
        format!("Loading WSGI script '{}' into {}.", String::from_utf8_lossy(path), world.place());
    current::log(level::INFO, text.as_bytes());
    let name = module_name(path, world.case_sensitivity);
    world.interpreter.attach(|py| {
        let run = || {
            let arguments = [&Object::path(py, path)?, &Object::latin1(py, name.as_bytes())?];
            let status = world.own.serve_alone.get(py)?.call(&arguments)?;
            // SAFETY: S3: a small number, by our own function.
            Ok(unsafe { ffi::PyLong_AsLong(status.raw()) })
        };
        run().map_or_else(
            |Raised| {
                exception::print(py);
                FAILED
            },
            |status| i32::try_from(status).unwrap_or(FAILED),
        )
    })
}

const FAILED: i32 = 1;
