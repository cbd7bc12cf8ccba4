//! The build out of sources, and what an sdist has of them.

use super::{done, only_file, workshop};
use crate::real::command;
use crate::sandbox::Outcome;

#[test]
fn a_build_without_cargo_says_what_to_install() {
    let mut pip = workshop().wheel_into(&workshop().folder.path().join("none"));
    pip.env_remove("MOD_WSGI_HTTPD_TREE").env("CARGO", "/nowhere/cargo");
    let outcome = Outcome::of(pip.output().unwrap()).expect(1);
    let said = outcome.stdout + &outcome.stderr;
    for text in
        ["there is no `/nowhere/cargo`", "rustup", concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"))]
    {
        assert!(said.contains(text), "`{text}` is not in:\n{said}");
    }
}

#[test]
fn the_sdist_has_what_the_build_reads() {
    let folder = workshop().folder.path().join("sdist");
    let mut python = command(&workshop().python);
    python.args([
        "-c",
        "import sys; from hatchling.build import build_sdist; build_sdist(sys.argv[1])",
    ]);
    python.arg(&folder).current_dir(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir(&folder).unwrap();
    done(python.env("MOD_WSGI_HTTPD_VENDOR", "none"));
    let listed = done(command("tar").arg("tzf").arg(only_file(&folder))).stdout;
    let has = |below: &str| listed.lines().any(|line| line.split_once('/').unwrap().1 == below);
    for needed in [
        "Cargo.lock",
        "build.rs",
        "src/main.rs",
        "crates/mod_wsgi/src/lib.rs",
        "recipes/httpd.toml",
        "patches/httpd/0001-server-root-from-executable.patch",
        "python/packaging/build_hook.py",
        "pyproject.toml",
        "PKG-INFO",
    ] {
        assert!(has(needed), "{needed} is not in:\n{listed}");
    }
    assert!(!listed.contains("/target/"), "{listed}");
}
