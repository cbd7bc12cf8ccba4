//! Tells the installer which target it was built for, and makes cargo rebuild
//! it when an embedded recipe, patch or template or the module changes.

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() {
    println!("cargo:rustc-env=TARGET={}", std::env::var("TARGET").unwrap_or_default());
    let module = ["cpython", "door", "engine", "httpd", "mod_wsgi", "pywsgi", "wsgi"];
    let module = module.map(|name| format!("crates/{name}"));
    let embedded = ["recipes", "patches", "templates", "Cargo.toml", "Cargo.lock"];
    for folder in embedded.iter().copied().chain(module.iter().map(String::as_str)) {
        println!("cargo:rerun-if-changed={folder}");
    }
}
