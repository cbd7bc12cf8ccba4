//! Tells the installer which target it was built for, and makes cargo rebuild
//! it when an embedded recipe, patch or template changes.

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() {
    println!("cargo:rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
    for folder in ["recipes", "patches", "templates"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
