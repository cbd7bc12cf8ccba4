//! The Rust that builds the module: found once, asked what it is.

use std::path::{Path, PathBuf};

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::module::WITHOUT;
use crate::process::Program;
use crate::recipe::Version;

/// Cargo and the compiler that it is to use.
#[derive(Clone, Debug)]
pub struct Rust {
    /// Cargo.
    pub cargo: PathBuf,
    /// The compiler beside it, else that of the search path.
    pub rustc: PathBuf,
    /// What the compiler says of itself, all lines.
    pub text: String,
    /// Its version, for example `1.95.0`.
    pub version: String,
    /// Target triple that it builds for unless told otherwise.
    pub host: String,
    /// Where the sources of the standard library lie, if they do.
    pub std_sources: PathBuf,
    /// What the distributed standard library calls that folder.
    pub std_name: String,
}

impl Rust {
    /// The cargo of `CARGO`, else of the search path.
    ///
    /// # Errors
    /// [`Kind::Module`] when there is none, its compiler does not answer, or it
    /// is too old.
    pub fn find(env: &Env) -> Result<Self> {
        let name = env.text("CARGO").unwrap_or_else(|| "cargo".to_owned());
        let cargo = env.find_program(&name).ok_or_else(|| missing(&name))?;
        // It runs in another folder than this one.
        let cargo = std::path::absolute(&cargo).map_err(Error::io(Kind::Module, "use", &cargo))?;
        let beside = cargo.with_file_name("rustc");
        let rustc = if beside.exists() { beside.as_os_str() } else { "rustc".as_ref() };
        let rustc = env.find_program(&rustc.to_string_lossy()).ok_or_else(|| missing("rustc"))?;
        let text = answer(&rustc, &["-vV"], env)?;
        let line = |key: &str| {
            let value = text.lines().find_map(|line| line.strip_prefix(key));
            value.unwrap_or_default().trim().to_owned()
        };
        let (version, host, commit) = (line("release:"), line("host:"), line("commit-hash:"));
        let is_new_enough = version
            .parse::<Version>()
            .is_ok_and(|found| OLDEST.parse::<Version>().is_ok_and(|oldest| found >= oldest));
        if !is_new_enough {
            return Err(Error::new(
                Kind::Module,
                format!("`{}` is too old to build mod_wsgi.so", rustc.display()),
            )
            .detail(format!("expected Rust {OLDEST} or newer"))
            .detail(format!("found    {}", text.lines().next().unwrap_or_default()))
            .hint(advice()));
        }
        let root = PathBuf::from(answer(&rustc, &["--print", "sysroot"], env)?.trim());
        let name = if commit.is_empty() || commit == "unknown" { &version } else { &commit };
        let std_name = format!("/rustc/{name}");
        let std_sources = root.join("lib/rustlib/src/rust");
        Ok(Self { cargo, rustc, version, host, std_sources, std_name, text })
    }
}

fn answer(rustc: &Path, question: &[&str], env: &Env) -> Result<String> {
    let program =
        Program::new(rustc).args(question).envs(env.for_cargo()).folder(Path::new(NEUTRAL));
    let output = program.output(Kind::Module)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(Error::new(Kind::Module, format!("`{}` does not answer", rustc.display()))
        .detail(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        .hint(advice()))
}

fn missing(name: &str) -> Error {
    Error::new(Kind::Module, format!("there is no `{name}` to build mod_wsgi.so with"))
        .hint(advice())
}

fn advice() -> String {
    format!("install Rust {OLDEST} or newer, for example with rustup; {WITHOUT}")
}

/// Where Rust runs. It reads settings from all folders above its own, and above
/// a work folder lies `/tmp`, in which anybody may write.
pub(super) const NEUTRAL: &str = "/";

/// Oldest Rust that the crates are written for.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");
