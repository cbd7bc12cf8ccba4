//! `mod_wsgi.so` as part of an install: with a tiny httpd, and with a cargo, a
//! compiler and Pythons that only say that they are. What the real ones make
//! is in `real.rs`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;

use crate::sandbox::{Outcome, Sandbox, names_in, tiny_httpd_and};

/// A sandbox whose recipe has the module, and in whose `bin` lie the programs
/// that build it.
struct Workshop {
    sandbox: Sandbox,
}

impl Workshop {
    fn new() -> Self {
        let sandbox = Sandbox::empty();
        std::fs::create_dir(sandbox.path("bin")).unwrap();
        let release =
            sandbox.publish("1.0", &tiny_httpd_and("1.0", &[("httpd.h", b"/* 1.0 */\n")]));
        sandbox.recipe(&[release], FEATURE);
        let workshop = Self { sandbox };
        workshop.program("rustc", &rustc("1.95.0"));
        workshop.program("cargo", &format!("{NOTE}{CARGO}"));
        workshop.python("python3", "3.12.1");
        workshop
    }

    /// A script in `bin`; `FOLDER` in it is the sandbox.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.sandbox.path("bin").join(name);
        let folder = self.sandbox.path("");
        let script = script.replace("FOLDER", folder.to_str().unwrap().trim_end_matches('/'));
        std::fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// A Python of that version, without a shared library.
    fn python(&self, name: &str, version: &str) -> PathBuf {
        let path = self.sandbox.path("bin").join(name);
        let answer = serde_json::json!({
            "executable": path, "prefix": "/usr", "base_prefix": "/usr", "stdlib": "/usr",
            "version": version, "include": "/usr", "library_folder": null, "library": null,
        });
        self.program(name, &format!("cat <<'END'\n{answer}\nEND\n"))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.sandbox.command(args);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.sandbox.path("bin")).chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(folders).unwrap()).args(["--prefix", "prefix"]);
        command
    }

    fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.command(args).output().unwrap())
    }

    /// The arguments of each run of cargo so far.
    fn runs(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.sandbox.path("runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// How often it was told to do that.
    fn count(&self, command: &str) -> usize {
        self.runs().iter().filter(|run| run.starts_with(command)).count()
    }

    fn record(&self) -> Value {
        let path = self.sandbox.prefix().join("current/build.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn modules(&self) -> Vec<String> {
        names_in(&self.sandbox.prefix().join("current/modules"))
    }
}

#[test]
fn an_install_has_the_module_and_says_so() {
    let workshop = Workshop::new();
    workshop.run(&["install"]).expect(0).says("Built mod_wsgi");
    assert_eq!(workshop.modules(), ["mod_wsgi.so", "mod_wsgi_python.so"]);
    let module = workshop.sandbox.prefix().join("current/modules/mod_wsgi.so");
    assert_eq!(module.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    let record = workshop.record();
    let python = workshop.sandbox.path("bin/python3");
    assert_eq!(record["python"]["executable"], python.to_str().unwrap());
    assert_eq!(record["python"]["version"], "3.12.1");
    let part = &record["components"][1];
    assert_eq!((&part["name"], &part["origin"]), (&"mod_wsgi".into(), &"built in".into()));
    workshop.run(&["verify"]).expect(0);
    assert!(workshop.run(&["sbom"]).expect(0).stdout.contains("\"mod_wsgi@"));
    assert_eq!(workshop.run(&["info", "python-version"]).expect(0).stdout, "3.12.1\n");
    assert_eq!(workshop.run(&["info", "modules"]).expect(0).stdout, "wsgi\n");
    std::fs::write(&module, "something else").unwrap();
    workshop.run(&["verify"]).expect(50).says("mod_wsgi.so");
}

#[test]
fn cargo_gets_what_it_needs_and_nothing_else_of_the_caller() {
    let workshop = Workshop::new();
    let mut install = workshop.command(&["install", "--jobs", "3"]);
    install.env("CARGO_HOME", "/the/home/of/cargo").env("RUSTUP_TOOLCHAIN", "chosen");
    install.env("RUSTFLAGS", "-Cevil").env("CARGO_BUILD_TARGET", "evil").env("PYTHONPATH", "evil");
    Outcome::of(install.output().unwrap()).expect(0);
    let runs = workshop.runs();
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs[0].starts_with("vendor ") && !runs[0].contains("--offline"), "{}", runs[0]);
    for argument in ["--locked", "--offline", "--jobs 3", "--release"] {
        assert!(runs[1].contains(argument), "{argument}: {}", runs[1]);
    }
    let seen = std::fs::read_to_string(workshop.sandbox.path("environment")).unwrap();
    let python = format!("PYO3_PYTHON={}", workshop.sandbox.path("bin/python3").display());
    for line in ["CARGO_HOME=/the/home/of/cargo", "RUSTUP_TOOLCHAIN=chosen", python.as_str()] {
        assert!(seen.lines().any(|seen| seen == line), "{line}: {seen}");
    }
    let httpd = seen.lines().find_map(|line| line.strip_prefix("MOD_WSGI_HTTPD_PREFIX=")).unwrap();
    assert!(httpd.contains("prefix/store/.staging-"), "{httpd}");
    assert!(!seen.contains("evil"), "{seen}");
    // Above a work folder lies /tmp, and in it settings of anybody.
    assert!(seen.lines().any(|line| line == "PWD=/"), "{seen}");
}

#[test]
fn a_module_is_built_again_when_something_that_it_is_made_of_changed() {
    let workshop = Workshop::new();
    workshop.run(&["install"]).expect(0);
    assert!(workshop.run(&["install"]).expect(0).stdout.contains("nothing to do"));
    workshop.run(&["install", "--force"]).expect(0).says("Reused mod_wsgi");
    assert_eq!(workshop.count("build"), 1);
    workshop.program("rustc", &rustc("1.96.0"));
    workshop.run(&["install", "--force"]).expect(0).says("Built mod_wsgi");
    assert_eq!(workshop.count("build"), 2);
    workshop.python("python3.13", "3.13.0");
    workshop.run(&["install", "--python", "python3.13"]).expect(0).says("Built mod_wsgi");
    assert_eq!(
        (workshop.count("build"), workshop.record()["python"]["version"].clone()),
        (3, "3.13.0".into())
    );
    let header = tiny_httpd_and("1.1", &[("httpd.h", b"/* 1.1 */\n")]);
    let releases = [workshop.sandbox.publish("1.1", &header)];
    workshop.sandbox.recipe(&releases, FEATURE);
    workshop.run(&["install", "--python", "python3.13"]).expect(0).says("Built mod_wsgi");
    assert_eq!(workshop.count("build"), 4);
}

#[test]
fn an_update_is_for_the_python_of_the_last_install() {
    let workshop = Workshop::new();
    workshop.python("python3.13", "3.13.0");
    workshop.run(&["install", "--python", "python3.13"]).expect(0);
    assert!(workshop.run(&["update", "--check"]).expect(0).stdout.contains("nothing would change"));
    let other = workshop.run(&["update", "--check", "--python", "python3"]).expect(0).stdout;
    assert!(other.contains("python: ") && other.contains("python3 3.12.1"), "{other}");
}

#[test]
fn an_installed_program_is_for_the_python_that_it_was_installed_for() {
    let workshop = Workshop::new();
    let python = workshop.python("python3.13", "3.13.0");
    workshop.run(&["install", "--python", "python3.13"]).expect(0);
    let ours = workshop.sandbox.command(&["install"]);
    let mut again = Command::new(workshop.sandbox.prefix().join("bin/mod_wsgi-httpd"));
    again.args(ours.get_args()).env_clear().current_dir(workshop.sandbox.path(""));
    for (name, value) in ours.get_envs() {
        again.env(name, value.unwrap());
    }
    let outcome = Outcome::of(again.output().unwrap()).expect(0);
    assert!(outcome.stdout.contains("nothing to do"), "{}", outcome.stdout);
    // Where it was is all that it knows.
    std::fs::remove_file(&python).unwrap();
    Outcome::of(again.output().unwrap()).expect(2).says("bin/python3.13").says("--python");
}

#[test]
fn without_the_feature_neither_rust_nor_a_python_is_needed() {
    let workshop = Workshop::new();
    workshop.program("cargo", "exit 1\n");
    workshop.run(&["install", "--features=-module", "--python", "nowhere"]).expect(0);
    assert_eq!(workshop.modules(), Vec::<String>::new());
    assert_eq!(workshop.record()["python"], Value::Null);
    workshop.run(&["update", "--python", "nowhere"]).expect(0);
    workshop.run(&["vendor", "vendored", "--features=-module"]).expect(0);
    let names = names_in(&workshop.sandbox.path("vendored"));
    assert_eq!(names, ["httpd-1.0.tar.gz", "mod_wsgi-httpd.lock"]);
}

#[test]
fn a_python_that_the_module_is_not_for_is_refused_at_once() {
    let workshop = Workshop::new();
    for version in ["3.9.18", "3.14.0", "2.7.18"] {
        workshop.python("other", version);
        let refused = workshop.run(&["install", "--python", "other"]).expect(2);
        let refused = refused.says("expected Python >=3.10, <3.14").says("--features=-module");
        refused.says(&format!("found    Python {version}")).says("--python");
    }
    for version in ["3.10.0", "3.13.99"] {
        workshop.python("other", version);
        workshop.run(&["plan", "--python", "other"]).expect(0);
    }
    let missing = workshop.run(&["install", "--python", "nowhere"]).expect(2);
    missing.says("there is no Python `nowhere`").says("--python").says("--features=-module");
    assert!(!workshop.sandbox.prefix().exists() && workshop.runs().is_empty());
}

#[test]
fn a_missing_or_old_rust_shows_in_the_first_second() {
    let workshop = Workshop::new();
    let bad = |outcome: Outcome, text: &str| {
        outcome.expect(60).says(text).says("install Rust").says("--features=-module");
        assert!(!workshop.sandbox.cache().join("sources").exists(), "something was fetched");
    };
    let mut install = workshop.command(&["install"]);
    let outcome = Outcome::of(install.env("CARGO", "/nowhere/cargo").output().unwrap());
    bad(outcome, "there is no `/nowhere/cargo`");
    workshop.program("rustc", &rustc("1.63.0"));
    bad(workshop.run(&["install"]), "expected Rust 1.95 or newer; found    rustc 1.63.0");
    workshop.program("rustc", "echo 'no toolchain' >&2\nexit 1\n");
    bad(workshop.run(&["install"]), "no toolchain");

    let doctor = workshop.run(&["doctor"]).expect(40).says("Rust: ").says("--features=-module");
    assert!(doctor.stdout.contains("BAD  Rust"), "{}", doctor.stdout);
    let without = workshop.run(&["doctor", "--features=-module"]).expect(0).stdout;
    assert!(!without.contains("Rust"), "{without}");
}

#[test]
fn doctor_asks_about_rust_and_the_python_of_the_module() {
    let workshop = Workshop::new();
    let doctor = workshop.run(&["doctor"]).expect(0).stdout;
    assert!(doctor.contains("bin/cargo 1.95.0, to build mod_wsgi.so"), "{doctor}");
    assert!(doctor.contains("poor libpython") && doctor.contains("--enable-shared"), "{doctor}");
    workshop.python("python3", "3.9.18");
    let doctor = workshop.run(&["doctor"]).expect(40);
    assert!(doctor.stdout.contains("BAD  Python"), "{}", doctor.stdout);
}

#[test]
fn a_cargo_that_fails_leaves_all_as_it_was() {
    let workshop = Workshop::new();
    for (failing, log) in [("vendor", "crates"), ("build", "build")] {
        let script =
            format!("[ $1 = {failing} ] && {{ echo 'error: it is {failing}' >&2; exit 101; }}\n");
        workshop.program("cargo", &format!("{script}{NOTE}{CARGO}"));
        let failed = workshop.run(&["install"]).expect(60).says("ended with status 101");
        let failed = failed.says(&format!("| error: it is {failing}")).says("--features=-module");
        failed.says(&format!("mod_wsgi-{log}.log"));
        workshop.sandbox.assert_nothing_installed();
    }
    workshop.run(&["install", "--offline"]).expect(60);
    // One that says nothing is wrong and builds nothing.
    workshop.program("cargo", &format!("[ $1 = build ] && exit 0\n{NOTE}{CARGO}"));
    workshop.run(&["install"]).expect(60).says("libmod_wsgi.so");
    workshop.sandbox.assert_nothing_installed();

    workshop.run(&["install", "--features=-module"]).expect(0);
    let before = workshop.record();
    workshop.run(&["install"]).expect(60);
    assert_eq!(workshop.record(), before);
    workshop.run(&["verify"]).expect(0);
}

#[test]
fn a_crate_that_the_lock_file_does_not_name_is_refused() {
    let workshop = Workshop::new();
    let stranger =
        r#"printf '[[package]]\nname = "stranger"\nversion = "6.6.6"\n' > "${3%.toml}.lock""#;
    workshop.program("cargo", &format!("{NOTE}{stranger}\n{CARGO}"));
    workshop.run(&["install"]).expect(60).says("found stranger 6.6.6");
    workshop.sandbox.assert_nothing_installed();
}

#[test]
fn a_vendor_folder_has_the_crates_and_nothing_else_is_asked() {
    let workshop = Workshop::new();
    workshop.run(&["vendor", "vendored"]).expect(0);
    assert!(workshop.runs()[0].starts_with("vendor ") && !workshop.runs()[0].contains("--offline"));
    let names = ["crates", "httpd-1.0.tar.gz", "mod_wsgi-httpd.lock"];
    assert_eq!(names_in(&workshop.sandbox.path("vendored")), names);
    let outcome = workshop.run(&["install", "--vendor", "vendored"]).expect(0);
    outcome.says("crates of mod_wsgi (vendor)").says_nothing_of("Ignored");
    let vendored = workshop.sandbox.path("vendored/crates").canonicalize().unwrap();
    let from = format!("source.vendored.directory=\"{}\"", vendored.display());
    let run = &workshop.runs()[1];
    assert!(run.contains("--offline") && run.contains(&from), "{run}");
    // An old folder goes as a whole.
    std::fs::write(vendored.join("old"), "").unwrap();
    workshop.run(&["vendor", "vendored"]).expect(0);
    assert_eq!(names_in(&workshop.sandbox.path("vendored")), names);
    assert_eq!(names_in(&vendored), ["libc-0.2.0"]);
    // One without any leaves it to what cargo has kept.
    std::fs::remove_dir_all(&vendored).unwrap();
    workshop.run(&["install", "--force", "--offline", "--vendor", "vendored"]).expect(0);
    let run = workshop.runs().into_iter().rfind(|run| run.starts_with("vendor ")).unwrap();
    assert!(run.contains("--offline") && !run.contains("source."), "{run}");
}

#[test]
fn fetching_fills_the_cache_of_cargo_too() {
    let workshop = Workshop::new();
    workshop.run(&["fetch"]).expect(0).says("crates of mod_wsgi (cargo)");
    assert_eq!(workshop.runs().len(), 1);
    workshop.run(&["fetch", "--sources", "cache"]).expect(0);
    assert!(workshop.runs()[1].contains("--offline"), "no remote origin was allowed");
}

#[test]
fn a_signal_ends_cargo_and_leaves_nothing() {
    let workshop = Workshop::new();
    workshop.program(
        "cargo",
        &format!("[ $1 = build ] && {{ echo $$ > FOLDER/stopped; exec sleep 30; }}\n{NOTE}{CARGO}"),
    );
    let mut install = workshop.command(&["install"]);
    let run = install.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let cargo = loop {
        let text = std::fs::read_to_string(workshop.sandbox.path("stopped")).unwrap_or_default();
        if let Some(pid) = text.trim().parse().ok().and_then(Pid::from_raw) {
            break pid;
        }
        assert!(Instant::now() < deadline, "cargo was never started");
        std::thread::sleep(Duration::from_millis(10));
    };
    kill_process(Pid::from_child(&run), Signal::TERM).unwrap();
    Outcome::of(run.wait_with_output().unwrap()).expect(143);
    assert!(test_kill_process(cargo).is_err(), "cargo goes on");
    workshop.sandbox.assert_nothing_installed();
}

/// Lines that a real recipe has.
const FEATURE: &str = r#"
[features.module]
summary = "the module"
default = true
needs = []
with = []
without = []

[[install]]
from = ["httpd.h"]
to = "include"
"#;

/// Writes down how it was called.
const NOTE: &str = "echo \"$@\" >> FOLDER/runs\nenv > FOLDER/environment\n";

/// Makes what cargo would have made, from arguments where they are put.
const CARGO: &str = r#"
case $1 in
vendor)
    for last; do :; done
    mkdir -p "$last/libc-0.2.0" ;;
build)
    while [ "$1" != --target-dir ]; do shift; done
    mkdir -p "$2/x86_64-unknown-linux-gnu/release"
    for name in mod_wsgi mod_wsgi_python; do
        echo "$name" > "$2/x86_64-unknown-linux-gnu/release/lib$name.so"
    done ;;
esac
"#;

fn rustc(version: &str) -> String {
    format!(
        "case $1 in\n-vV) echo 'rustc {version}'; echo 'release: {version}'\n\
         echo 'host: x86_64-unknown-linux-gnu'; echo 'commit-hash: 0123' ;;\n*) echo /usr ;;\nesac\n"
    )
}
