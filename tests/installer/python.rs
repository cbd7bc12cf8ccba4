//! The Python side by itself: its own tests, run by Python's `unittest`.

use std::ffi::OsStr;
use std::path::Path;

use crate::real::command;
use crate::sandbox::Outcome;
use crate::serving::venv::venv;

#[test]
fn the_python_side_works_in_any_python() {
    unittest("python3", "tests/python", 50);
}

#[test]
fn the_python_side_works_with_packages_of_others() {
    unittest(venv().home.join("bin/python"), "tests/python/packages", 15);
}

/// Runs the tests of a folder; there must be so many of them at least.
fn unittest(python: impl AsRef<OsStr>, folder: &str, count: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut python = command(python.as_ref());
    python.args(["-m", "unittest", "discover", "-s"]).arg(&folder).arg("-t").arg(&folder);
    python.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("PYTHONPATH");
    let said = Outcome::of(python.output().unwrap()).expect(0).stderr;
    let ran = said.split_once("\nRan ").map(|(_, rest)| rest.split(' ').next().unwrap());
    let ran: usize = ran.unwrap_or_else(|| panic!("{said}")).parse().unwrap();
    assert!(ran >= count, "{said}");
}
