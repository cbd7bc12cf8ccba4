//! Tells the installer which target it was built for, and makes cargo rebuild
//! it when an embedded recipe, patch, template or crate changes.

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() {
    println!("cargo:rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
    for embedded in ["recipes", "patches", "templates", "crates", "Cargo.toml", "Cargo.lock"] {
        println!("cargo:rerun-if-changed={embedded}");
    }
}
