//! Compiles the checks of every declaration against the headers of the httpd
//! that the module is built for: `MOD_WSGI_HTTPD_PREFIX` names it. Without one
//! nothing is checked, and the result must not be loaded anywhere.

#[path = "src/sys/mod.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "only the tables are used here")]
pub mod sys;

#[expect(
    clippy::disallowed_methods,
    reason = "cargo speaks to build scripts through the environment"
)]
fn main() {
    println!("cargo:rerun-if-env-changed={PREFIX}");
    println!("cargo:rerun-if-changed=src/sys");
    let (Some(prefix), Some(out)) = (std::env::var_os(PREFIX), std::env::var_os("OUT_DIR")) else {
        return;
    };
    let prefix = std::path::PathBuf::from(prefix);
    let source = std::path::Path::new(&out).join("checks.c");
    if let Err(error) = std::fs::write(&source, sys::c_checks()) {
        println!("cargo:error=failed to write {}: {error}", source.display());
        return;
    }
    cc::Build::new()
        .file(source)
        .include(prefix.join("include"))
        .include(prefix.join("include/apr-1"))
        .define("LINUX", None)
        .define("_REENTRANT", None)
        .define("_GNU_SOURCE", None)
        .cargo_metadata(false)
        .warnings(false)
        .compile("httpd_checks");
}

const PREFIX: &str = "MOD_WSGI_HTTPD_PREFIX";
