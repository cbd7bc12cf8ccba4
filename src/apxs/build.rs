//! `apxs -c`: sources to position-independent objects to `.libs/NAME.so`, with
//! a small `NAME.la` beside it for build systems that hand that name on.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use prefix::BuildVars;

use super::Apxs;
use crate::engine::find_compiler;
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::process::Program;
use crate::report::Report;

/// Compiles and links; returns the `.la` file's path.
pub(super) fn compile(
    apxs: &Apxs,
    files: &[PathBuf],
    vars: &BuildVars,
    env: &Env,
    report: &Report,
) -> Result<PathBuf> {
    let (sources, linked): (Vec<&PathBuf>, Vec<&PathBuf>) =
        files.iter().partition(|file| is_source(file));
    let first = sources.first().or(linked.first()).copied();
    let output = match (&apxs.output, first) {
        (Some(output), _) => output.with_extension("la"),
        (None, Some(first)) => first.with_extension("la"),
        (None, None) => return Err(super::usage("`-c` needs a source")),
    };
    let folder = output.parent().unwrap_or(Path::new("")).join(".libs");
    std::fs::create_dir_all(&folder).map_err(Error::io(Kind::Module, "make folder", &folder))?;
    let stem = output.file_stem().unwrap_or_default().to_owned();
    let build = Build { compiler: compiler(vars, env)?, env, report };
    let flags = compile_flags(apxs, vars);
    let mut objects: Vec<OsString> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let mut name = source.file_stem().unwrap_or_default().to_owned();
        // Two folders may hold sources of one name.
        name.push(format!("-{index}.o"));
        let object = folder.join(name);
        let mut arguments = flags.clone();
        arguments.extend(["-c".into(), source.into(), "-o".into(), object.clone().into()]);
        build.run(arguments)?;
        objects.push(object.into());
    }
    objects.extend(linked.into_iter().map(OsString::from));
    let mut library = stem.clone();
    library.push(".so");
    let mut arguments = vec!["-shared".into(), "-o".into(), folder.join(&library).into()];
    arguments.extend(objects);
    arguments.extend(link_flags(apxs, vars));
    build.run(arguments)?;
    let text = format!(
        "# {} - a libtool library file\n# Written by apxs.\ndlname='{}'\nlibrary_names='{}'\nold_library=''\ninstalled=no\nshouldnotlink=yes\n",
        output.file_name().unwrap_or_default().display(),
        library.display(),
        library.display(),
    );
    std::fs::write(&output, text).map_err(Error::io(Kind::Module, "write", &output))?;
    Ok(output)
}

struct Build<'a> {
    compiler: Vec<String>,
    env: &'a Env,
    report: &'a Report,
}

impl Build<'_> {
    /// The compiler talks to the user itself: its warnings are the author's.
    fn run(&self, arguments: Vec<OsString>) -> Result<()> {
        let mut words = self.compiler.iter();
        let program = Program::new(words.next().map_or("cc", String::as_str))
            .args(words)
            .args(arguments)
            .envs(self.env.for_build())
            .inherit_output();
        self.report.result(program.shown(), serde_json::json!({ "command": program.shown() }));
        let shown = program.shown().to_owned();
        let status = program.start(Kind::Module)?.wait().map_err(|source| {
            Error::new(Kind::Module, "failed to wait for the compiler").caused_by(source)
        })?;
        crate::process::check_interrupted()?;
        if status.success() {
            return Ok(());
        }
        Err(Error::new(Kind::Module, format!("the compiler failed: {status}"))
            .detail(format!("command: {shown}")))
    }
}

/// The compiler that httpd was built with, or the one of this machine when the
/// tree has come from another.
fn compiler(vars: &BuildVars, env: &Env) -> Result<Vec<String>> {
    let words = vars.words("CC");
    match words.first() {
        Some(first) if env.find_program(first).is_some() => Ok(words),
        _ => Ok(vec![find_compiler(None, env)?.to_string_lossy().into_owned()]),
    }
}

fn compile_flags(apxs: &Apxs, vars: &BuildVars) -> Vec<OsString> {
    let mut flags: Vec<OsString> = ["-fPIC", "-DPIC", "-DSHARED_MODULE"].map(Into::into).into();
    let names = ["CPPFLAGS", "EXTRA_CPPFLAGS", "CFLAGS", "EXTRA_CFLAGS", "EXTRA_INCLUDES"];
    flags.extend(names.iter().flat_map(|name| vars.words(name)).map(OsString::from));
    flags.extend(apxs.include.iter().map(|folder| joined("-I", folder)));
    flags.extend(apxs.define.iter().map(|name| format!("-D{name}").into()));
    flags.extend(apxs.flag.iter().filter_map(|flag| flag.strip_prefix("c,")).map(OsString::from));
    flags
}

fn link_flags(apxs: &Apxs, vars: &BuildVars) -> Vec<OsString> {
    let mut flags: Vec<OsString> = Vec::new();
    let names = ["LDFLAGS", "EXTRA_LDFLAGS", "SH_LDFLAGS"];
    flags.extend(names.iter().flat_map(|name| vars.words(name)).map(OsString::from));
    flags.extend(apxs.library_folder.iter().map(|folder| joined("-L", folder)));
    flags.extend(apxs.library.iter().map(|library| joined("-l", library)));
    if apxs.with_apr {
        let folder = vars.value("libdir").unwrap_or_default();
        flags.extend(
            [format!("-L{folder}"), "-lapr-1".into(), "-laprutil-1".into()].map(Into::into),
        );
    }
    // As apxs(1) has it, the rest of `-Wl,FLAG` goes on the link line as it is.
    flags.extend(apxs.flag.iter().filter_map(|flag| flag.strip_prefix("l,")).map(OsString::from));
    flags
}

fn joined(flag: &str, value: &OsString) -> OsString {
    let mut joined = OsString::from(flag);
    joined.push(value);
    joined
}

fn is_source(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ["c", "s", "S"].iter().any(|known| ending == *known))
}
