//! `doctor`: whether this machine can build and run a private httpd, and which
//! package to install where it cannot. `install` asks the same questions first,
//! so that a missing compiler shows in the first second.

use std::path::Path;

use serde_json::json;

use super::Context;
use crate::cli::DoctorArgs;
use crate::engine;
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::module::{self, Rust};
use crate::place::{self, Place, Work};
use crate::plan::{Plan, Tls};
use crate::process::Program;
use crate::python::{self, Python};
use crate::report::size;

/// How a question was answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Good,
    /// The install works, something later will not.
    Poor,
    /// The install will fail.
    Bad,
}

impl State {
    /// The mark in the table, and the name in JSON.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Good => ("ok", "good"),
            Self::Poor => ("poor", "poor"),
            Self::Bad => ("BAD", "bad"),
        }
    }
}

/// One question and its answer.
struct Finding {
    state: State,
    subject: &'static str,
    text: String,
    /// What to do about it.
    hint: Option<String>,
}

impl Finding {
    fn new(state: State, subject: &'static str, text: impl Into<String>) -> Self {
        Self { state, subject, text: text.into(), hint: None }
    }

    fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }
}

/// Asks all questions and prints the answers.
pub(super) fn doctor(context: &Context<'_>, args: &DoctorArgs) -> Result<()> {
    if args.probe {
        return probe(context);
    }
    let args = &args.request;
    let env = context.env;
    let family = Family::of_machine();
    let mut findings = Vec::new();
    match engine::toolchain(args.cc.as_deref(), env) {
        Ok(toolchain) => {
            findings.push(Finding::new(State::Good, "compiler", toolchain.compiler.clone()));
            findings.push(links(&toolchain.cc, env, family));
            findings.push(tls(args.tls.unwrap_or(Tls::Private), &toolchain.cc, env, family));
        }
        Err(error) => findings.push(
            Finding::new(State::Bad, "compiler", error.message.clone())
                .hint(family.install(Package::Compiler)),
        ),
    }
    let recipes = context.recipes()?;
    let needs_make = context.make_plan(&recipes, args).map_or(true, |plan| plan.needs_make());
    findings.extend(programs(needs_make, env, family));
    let builds_module = context.builds_module(args)?;
    if builds_module {
        findings.push(rust(env));
    }
    let chosen = super::chosen_python(args);
    findings.extend(python(chosen.as_deref(), builds_module, env, family));
    match context.place(&args.place) {
        Ok(place) => findings.push(base_folder(&place)),
        Err(error) => findings.push(Finding::new(State::Bad, "prefix", error.to_string())),
    }
    findings.push(build_folder(context, env)?);
    findings.push(loopback());
    findings.push(locale(env));
    tell(context, &findings)
}

/// Prints what the direct engine's templates were filled with.
fn probe(context: &Context<'_>) -> Result<()> {
    let answers = engine::last_answers(&context.cache()?);
    if answers.is_empty() {
        return Err(Error::new(Kind::Usage, "the direct engine has asked nothing yet")
            .hint("`mod_wsgi-httpd install` asks; the answers are kept with the cache"));
    }
    let mut text = String::new();
    for (component, answers) in &answers {
        text.push_str(&format!("{component}\n"));
        for (name, answer) in answers {
            let value = answer.value.as_deref().unwrap_or("undefined");
            text.push_str(&format!("  {name:<40} {value:<12} {}\n", answer.how));
        }
    }
    context.report.result(&text, json!({ "probes": answers }));
    Ok(())
}

fn tell(context: &Context<'_>, findings: &[Finding]) -> Result<()> {
    let mut text = String::new();
    for finding in findings {
        let (mark, _) = finding.state.words();
        text.push_str(&format!("{mark:<5}{:<11}{}\n", finding.subject, finding.text));
        if let Some(hint) = &finding.hint {
            text.push_str(&format!("{:<16}{hint}\n", ""));
        }
    }
    let rows: Vec<_> = findings
        .iter()
        .map(|finding| {
            let (_, state) = finding.state.words();
            json!({
                "subject": finding.subject, "state": state, "text": finding.text, "hint": finding.hint,
            })
        })
        .collect();
    context.report.result(&text, json!({ "findings": rows }));
    let bad: Vec<&Finding> =
        findings.iter().filter(|finding| finding.state == State::Bad).collect();
    if bad.is_empty() {
        return Ok(());
    }
    let error = Error::new(Kind::Configure, "this machine cannot build httpd yet");
    Err(bad.into_iter().fold(error, with_finding))
}

fn with_finding(error: Error, finding: &Finding) -> Error {
    let error = error.detail(format!("{}: {}", finding.subject, finding.text));
    match &finding.hint {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    }
}

/// The questions that a build cannot do without, asked before anything is
/// fetched.
///
/// # Errors
/// [`Kind::Configure`], naming all that is missing.
pub(super) fn require(plan: &Plan<'_>, env: &Env) -> Result<()> {
    let family = Family::of_machine();
    let mut findings = vec![links(&plan.toolchain.cc, env, family)];
    findings.extend(programs(plan.needs_make(), env, family));
    findings.push(tls(plan.tls, &plan.toolchain.cc, env, family));
    if plan.python.is_some() {
        findings.push(rust(env));
    }
    findings.retain(|finding| finding.state == State::Bad);
    if findings.is_empty() {
        return Ok(());
    }
    // Whoever can do without the module can go on.
    let module_alone = findings.iter().all(|finding| finding.subject == RUST);
    let kind = if module_alone { Kind::Module } else { Kind::Configure };
    let error = Error::new(kind, "this machine lacks what the build needs");
    Err(findings.iter().fold(error, with_finding))
}

/// Whether Rust can build the module.
fn rust(env: &Env) -> Finding {
    match Rust::find(env) {
        Ok(found) => Finding::new(
            State::Good,
            RUST,
            format!("{} {}, to build mod_wsgi.so", found.cargo.display(), found.version),
        ),
        Err(error) => {
            let text = [&[error.message], error.details.as_slice()].concat().join("; ");
            let finding = Finding::new(State::Bad, RUST, text);
            error.hints.iter().fold(finding, |finding, hint| finding.hint(hint))
        }
    }
}

/// Whether the compiler makes a program with the C library.
fn links(cc: &Path, env: &Env, family: Family) -> Finding {
    match compile(cc, env, C_PROGRAM, &[]) {
        Ok(None) => Finding::new(State::Good, "C library", "headers are there, programs link"),
        Ok(Some(why)) => {
            Finding::new(State::Bad, "C library", format!("no program can be made: {why}"))
                .hint(family.install(Package::Compiler))
        }
        Err(error) => Finding::new(State::Bad, "C library", error.to_string()),
    }
}

/// Compiles and links a program; answers the compiler's complaint, if any.
fn compile(cc: &Path, env: &Env, source: &str, libraries: &[&str]) -> Result<Option<String>> {
    let work = Work::temporary()?;
    let path = work.path().join("test.c");
    std::fs::write(&path, source).map_err(Error::io(Kind::Configure, "write", &path))?;
    let output = Program::new(cc)
        .args(["test.c", "-o", "test"])
        .args(libraries)
        .envs(env.for_build())
        .folder(work.path())
        .output(Kind::Configure)?;
    if output.status.success() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().find(|line| line.contains("error")).or(text.lines().next());
    Ok(Some(line.unwrap_or("it says nothing").to_owned()))
}

const C_PROGRAM: &str =
    "#include <stdio.h>\n#include <pthread.h>\nint main(void) { return puts(\"works\") < 0; }\n";
const OPENSSL_PROGRAM: &str =
    "#include <openssl/ssl.h>\nint main(void) { return SSL_CTX_new(TLS_method()) == 0; }\n";

fn programs(needs_make: bool, env: &Env, family: Family) -> Vec<Finding> {
    let make = needs_make.then_some(("make", Package::Make));
    let others = [("ar", Package::Binutils), ("strip", Package::Binutils)];
    make.into_iter()
        .chain(others)
        .map(|(name, package)| match env.find_program(name) {
            Some(path) => Finding::new(State::Good, name, path.display().to_string()),
            None => Finding::new(State::Bad, name, "is not there").hint(family.install(package)),
        })
        .collect()
}

/// OpenSSL is configured by Perl modules that a minimal Perl lacks; the
/// machine's own needs its headers.
fn tls(tls: Tls, cc: &Path, env: &Env, family: Family) -> Finding {
    match tls {
        Tls::None => Finding::new(State::Good, "tls", "off"),
        Tls::System => match compile(cc, env, OPENSSL_PROGRAM, &["-lssl", "-lcrypto"]) {
            Ok(None) => Finding::new(State::Good, "tls", "the machine's own OpenSSL"),
            Ok(Some(why)) => Finding::new(
                State::Bad,
                "tls",
                format!("nothing can be linked with the machine's OpenSSL: {why}"),
            )
            .hint(family.install(Package::OpenSsl)),
            Err(error) => Finding::new(State::Bad, "tls", error.to_string()),
        },
        Tls::Private => {
            let modules = ["-MFindBin", "-MFile::Compare", "-MIPC::Cmd", "-MPod::Usage", "-e", "1"];
            let works = env.find_program("perl").is_some_and(|perl| {
                Program::new(perl)
                    .args(modules)
                    .envs(env.for_build())
                    .output(Kind::Configure)
                    .is_ok_and(|output| output.status.success())
            });
            if works {
                return Finding::new(State::Good, "Perl", "has the modules that configure OpenSSL");
            }
            Finding::new(State::Bad, "Perl", "OpenSSL's Configure needs all of Perl").hint(format!(
                "{}, or use the machine's OpenSSL (--tls system), or none (--tls none)",
                family.install(Package::Perl)
            ))
        }
    }
}

/// The interpreter that applications run in, and what extensions of others need.
fn python(chosen: Option<&str>, builds_module: bool, env: &Env, family: Family) -> Vec<Finding> {
    let needed = if builds_module { State::Bad } else { State::Poor };
    let supported =
        |python| if builds_module { module::require_supported(python) } else { Ok(python) };
    let found = match python::find(chosen, env).and_then(supported) {
        Ok(found) => found,
        Err(error) => {
            let text = [&[error.message], error.details.as_slice()].concat().join("; ");
            return vec![
                Finding::new(needed, "Python", text)
                    .hint(format!("name one with --python; {}", module::WITHOUT)),
            ];
        }
    };
    let what = format!("{} {}", found.executable.display(), found.version);
    let mut findings = vec![Finding::new(State::Good, "Python", what)];
    findings.push(shared_library(&found, family));
    findings.extend(closed_to_others(&found));
    findings.push(python_headers(&found, family));
    findings
}

fn shared_library(found: &Python, family: Family) -> Finding {
    match found.shared_library() {
        Some(library) => Finding::new(State::Good, "libpython", library.display().to_string()),
        None => Finding::new(
            State::Poor,
            "libpython",
            "this Python has no shared library: embedded mode cannot run it",
        )
        .hint(format!(
            "take a Python built with --enable-shared, or {}",
            family.install(Package::Python)
        )),
    }
}

/// A Python below the home folder of root, say.
fn closed_to_others(found: &Python) -> Option<Finding> {
    let folder = found.closed_to_others().filter(|_| rustix::process::geteuid().is_root())?;
    let text = format!(
        "`{}` is closed to others: an httpd that root starts to serve as another user cannot run it",
        folder.display()
    );
    Some(Finding::new(State::Poor, "as root", text).hint("name another Python with --python"))
}

fn python_headers(found: &Python, family: Family) -> Finding {
    let header = found.include.join("Python.h");
    if header.is_file() {
        return Finding::new(State::Good, "headers", header.display().to_string());
    }
    let text = format!(
        "{} is not there: mod_wsgi.so needs none, extensions of others do",
        header.display()
    );
    Finding::new(State::Poor, "headers", text).hint(family.install(Package::Python))
}

fn base_folder(place: &Place) -> Finding {
    let root = place.base.root();
    if !python::is_writable(root) {
        return Finding::new(State::Bad, "prefix", format!("{} cannot be written", root.display()))
            .hint("name another place with --prefix");
    }
    match free_space(root) {
        Some(free) if free < NEEDED_TO_INSTALL => Finding::new(
            State::Bad,
            "prefix",
            format!(
                "{} has {} free, and {} are needed",
                root.display(),
                size(free),
                size(NEEDED_TO_INSTALL)
            ),
        ),
        free => Finding::new(
            State::Good,
            "prefix",
            format!("{} ({} free)", root.display(), size(free.unwrap_or(0))),
        ),
    }
}

fn build_folder(context: &Context<'_>, env: &Env) -> Result<Finding> {
    let cache = context.cache()?;
    match place::work_folder(None, cache.root(), env) {
        Err(error) => Ok(Finding::new(State::Bad, "build in", error.details.join("; "))
            .hint(error.hints.first().cloned().unwrap_or_default())),
        Ok(work) => {
            let parent = work.path().parent().unwrap_or(work.path());
            let free = free_space(parent).unwrap_or(0);
            let text = format!("{} ({} free)", parent.display(), size(free));
            if free < NEEDED_TO_BUILD {
                return Ok(Finding::new(State::Bad, "build in", text).hint(format!(
                    "{} are needed; name another folder with --work-dir",
                    size(NEEDED_TO_BUILD)
                )));
            }
            Ok(Finding::new(State::Good, "build in", text))
        }
    }
}

fn loopback() -> Finding {
    match std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)) {
        Ok(_) => Finding::new(State::Good, "loopback", "127.0.0.1 can be listened on"),
        Err(error) => Finding::new(
            State::Poor,
            "loopback",
            format!("127.0.0.1 cannot be listened on ({error}): no page can be served as a check"),
        ),
    }
}

/// Builds run in the C locale whatever this says; applications will not.
fn locale(env: &Env) -> Finding {
    let name = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| env.text(name));
    match name {
        Some(name) if name.to_ascii_lowercase().replace('-', "").ends_with("utf8") => {
            Finding::new(State::Good, "locale", name)
        }
        other => Finding::new(
            State::Poor,
            "locale",
            format!("{} is not UTF-8", other.unwrap_or_else(|| "C".into())),
        )
        .hint("Python applications expect UTF-8: set LANG=C.UTF-8"),
    }
}

fn free_space(folder: &Path) -> Option<u64> {
    let existing = folder.ancestors().find(|above| above.exists())?;
    let numbers = rustix::fs::statvfs(existing).ok()?;
    Some(numbers.f_bavail.saturating_mul(numbers.f_frsize))
}

/// What has to be installed, whatever it is called here.
#[derive(Clone, Copy)]
enum Package {
    Compiler,
    Make,
    Binutils,
    Perl,
    Python,
    OpenSsl,
}

/// Distributions by the names of their packages.
#[derive(Clone, Copy)]
enum Family {
    Debian,
    RedHat,
    Suse,
    Alpine,
    Arch,
    Unknown,
}

impl Family {
    fn of_machine() -> Self {
        Self::of_release(&std::fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn of_release(text: &str) -> Self {
        let names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim_matches('"').split_whitespace())
            .collect();
        let is = |known: &[&str]| names.iter().any(|name| known.contains(name));
        if is(&["debian", "ubuntu"]) {
            Self::Debian
        } else if is(&["fedora", "rhel", "centos"]) {
            Self::RedHat
        } else if names.iter().any(|name| name.contains("suse")) {
            Self::Suse
        } else if is(&["alpine"]) {
            Self::Alpine
        } else if is(&["arch"]) {
            Self::Arch
        } else {
            Self::Unknown
        }
    }

    fn install(self, package: Package) -> String {
        let (command, [compiler, make, binutils, perl, python, openssl]) = match self {
            Self::Debian => (
                "apt install",
                ["gcc libc6-dev", "make", "binutils", "perl", "python3-dev", "libssl-dev"],
            ),
            Self::RedHat => (
                "dnf install",
                [
                    "gcc glibc-devel",
                    "make",
                    "binutils",
                    "perl-core",
                    "python3-devel",
                    "openssl-devel",
                ],
            ),
            Self::Suse => (
                "zypper install",
                [
                    "gcc glibc-devel",
                    "make",
                    "binutils",
                    "perl",
                    "python3-devel",
                    "libopenssl-devel",
                ],
            ),
            Self::Alpine => (
                "apk add",
                ["gcc musl-dev", "make", "binutils", "perl", "python3-dev", "openssl-dev"],
            ),
            Self::Arch => ("pacman -S", ["gcc", "make", "binutils", "perl", "python", "openssl"]),
            Self::Unknown => (
                "install",
                [
                    "a C compiler and the C library's headers",
                    "GNU make",
                    "binutils",
                    "Perl with its standard modules",
                    "Python's headers",
                    "OpenSSL's headers",
                ],
            ),
        };
        let name = match package {
            Package::Compiler => compiler,
            Package::Make => make,
            Package::Binutils => binutils,
            Package::Perl => perl,
            Package::Python => python,
            Package::OpenSsl => openssl,
        };
        format!("{command} {name}")
    }
}

const RUST: &str = "Rust";
/// Bytes of an installed tree, twice: the old one stays.
const NEEDED_TO_INSTALL: u64 = 100 << 20;
/// Bytes of all sources, objects and artefacts at the widest moment.
const NEEDED_TO_BUILD: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_is_told_its_own_package() {
        let told = |text: &str| Family::of_release(text).install(Package::Perl);
        assert_eq!(told("ID=ubuntu\nID_LIKE=debian\n"), "apt install perl");
        assert_eq!(told("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"), "dnf install perl-core");
        assert_eq!(told("ID=\"opensuse-leap\"\n"), "zypper install perl");
        assert_eq!(told(""), "install Perl with its standard modules");
    }
}
