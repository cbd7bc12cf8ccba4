//! Which compiler builds, and what it says of itself.

use std::path::PathBuf;

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::place::Work;
use crate::plan::Toolchain;
use crate::process::Program;

/// The compiler: `--cc` or `CC`, else what the `cc` crate finds for this target.
///
/// # Errors
/// When there is none that runs.
pub fn find_compiler(chosen: Option<&str>, env: &Env) -> Result<PathBuf> {
    let name = match chosen.filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => cc::Build::new()
            .out_dir(Work::temporary()?.path())
            .target(TARGET)
            .host(TARGET)
            .opt_level(2)
            .cargo_metadata(false)
            .cargo_warnings(false)
            .try_get_compiler()
            .map(|tool| tool.path().to_string_lossy().into_owned())
            .unwrap_or_else(|_| "cc".to_owned()),
    };
    env.find_program(&name).ok_or_else(|| {
        Error::new(Kind::Configure, format!("there is no C compiler `{name}`"))
            .hint("install one: apt install gcc libc6-dev make / dnf install gcc make / apk add build-base")
            .hint("or name one with --cc: the program alone, without arguments")
    })
}

/// Compiler and target, as they enter the plan.
///
/// # Errors
/// When the compiler cannot be found or does not run.
pub fn toolchain(chosen: Option<&str>, env: &Env) -> Result<Toolchain> {
    let cc = find_compiler(chosen, env)?;
    let output =
        Program::new(&cc).arg("--version").envs(env.for_build()).output(Kind::Configure)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let compiler = text.lines().next().unwrap_or_default().trim().to_owned();
    if !output.status.success() || compiler.is_empty() {
        return Err(Error::new(Kind::Configure, format!("`{}` is no C compiler", cc.display()))
            .detail(format!("`--version` printed: {compiler}")));
    }
    Ok(Toolchain { target: TARGET.to_owned(), cc, compiler })
}

/// Target triple that this installer was built for, and builds for.
pub const TARGET: &str = env!("TARGET");
