//! Pythons of several versions, each with a wheel of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use super::environment::{as_nobody, ask, home_in};
use super::{done, other_workshop, workshop};
use crate::real::command;
use crate::sandbox::{Outcome, names_in};
use crate::serving;

/// The Python that the httpd of these tests was installed for.
pub(super) fn first() -> PathBuf {
    let record = std::fs::read(serving::base().join("current/build.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    record["python"]["executable"].as_str().unwrap().into()
}

/// Another one: of the search path, else of those that pyenv keeps.
pub(super) fn second() -> Option<PathBuf> {
    let taken = version_of(&first()).unwrap();
    let pyenv = std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| {
        let home = std::env::var_os("HOME")?;
        Some(PathBuf::from(home).join(".pyenv"))
    });
    let kept = pyenv.map(|folder| folder.join("versions")).unwrap_or_default();
    let found = (10..=13).rev().map(|minor| format!("3.{minor}")).find_map(|version| {
        let name = format!("python{version}");
        let names = names_in(&kept)
            .into_iter()
            .filter(|kept| kept.strip_prefix(&version).is_some_and(|rest| rest.starts_with('.')));
        let candidates = names.map(|folder| kept.join(folder).join("bin").join(&name));
        let usable = |python: &PathBuf| version_of(python).is_some_and(|found| found == version);
        std::iter::once(PathBuf::from(&name))
            .chain(candidates)
            .find(|python| version != taken && usable(python))
    });
    let Some(named) = found else {
        eprintln!(
            "NOT TRIED: there is no second Python of 3.10 to 3.13 beside {taken}, with venv: as \
             `python3.X` in PATH, or in {} (`pyenv install 3.13`)",
            kept.display()
        );
        return None;
    };
    let asked = done(command(named).args(["-c", "import sys; print(sys.executable)"]));
    Some(asked.stdout.trim().into())
}

/// Its version, `3.12`, if it answers and can make environments.
pub(super) fn version_of(python: &Path) -> Option<String> {
    let code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])";
    let mut asked = command(python);
    let output = asked.args(["-c", code]).stderr(Stdio::null()).output().ok()?;
    let answer = Outcome::of(output);
    (answer.status == 0).then(|| answer.stdout.trim().to_owned())
}

/// Notes in a tree's record for which Python its module is.
pub(super) fn record(file: &Path, executable: &str, version: &str) {
    let mut record: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    record["python"] = json!({"executable": executable, "version": format!("{version}.0")});
    std::fs::write(file, serde_json::to_vec_pretty(&record).unwrap()).unwrap();
}

#[test]
fn two_pythons_have_a_wheel_each_and_do_not_meet() {
    let Some(other) = other_workshop() else { return };
    let both = [workshop(), other].map(|workshop| workshop.environment());
    for (environment, another) in [(&both[0], &both[1]), (&both[1], &both[0])] {
        let version = version_of(&environment.bin("python")).unwrap();
        let packages = format!("lib/python{version}/site-packages");
        let httpd = environment.home.join(packages).join("mod_wsgi_packages/httpd");
        let module = httpd.join("modules/mod_wsgi_python.so");
        // Nothing that is set for the other environment leads there.
        let path = format!("{}:{}", another.bin("").display(), std::env::var("PATH").unwrap());
        let mut server = as_nobody(environment.bin("mod_wsgi-express"));
        server.env("PATH", path).env("VIRTUAL_ENV", &another.home);
        let answer = ask(server, &[], environment.folder.path());
        let lines: Vec<&str> = answer.lines().take(3).collect();
        let home = environment.home.to_str().unwrap();
        assert_eq!(lines, [home, &version, module.to_str().unwrap()]);
    }
    let mut pip = command(both[0].bin("python"));
    pip.args(["-m", "pip", "install", "--no-index", "--force-reinstall"]);
    let refused = Outcome::of(pip.arg(other.wheel()).output().unwrap()).expect(1);
    refused.says("not a supported wheel");
}

#[test]
fn a_tree_for_another_python_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    done(command("cp").arg("-a").arg(&workshop().tree).arg(&tree));
    record(&tree.join("build.json"), "/usr/bin/python3.9", "3.9");
    let mut pip = workshop().wheel_into(&folder.path().join("dist"));
    let outcome = Outcome::of(pip.env("MOD_WSGI_HTTPD_TREE", &tree).output().unwrap()).expect(1);
    let said = outcome.stdout + &outcome.stderr;
    let version = version_of(&workshop().python).unwrap();
    assert!(said.contains(&format!("for Python 3.9, expected {version}")), "{said}");
}

/// The module names no place of the Python that it was built with: it runs in the same
/// Python elsewhere, whose shared library embedded mode then finds.
#[test]
fn the_module_finds_the_python_that_it_is_taken_to() {
    let python = first();
    let there = python.parent().unwrap().parent().unwrap();
    for name in ["mod_wsgi.so", "mod_wsgi_python.so"] {
        let bytes = std::fs::read(workshop().tree.join("modules").join(name)).unwrap();
        let place = there.join("bin/python");
        let place = place.to_str().unwrap().as_bytes();
        assert!(!bytes.windows(place.len()).any(|part| part == place), "{name} names {there:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = folder.path().join("els ewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let mut copy = command("sh");
    let code = "tar -C \"$0\" --exclude=site-packages --exclude=test --exclude='*.a' -cf - bin lib \
                | tar -C \"$1\" -xf -";
    done(copy.args(["-c", code]).arg(there).arg(&elsewhere));
    let home = folder.path().join("venv");
    let mut venv = command(elsewhere.join("bin").join(python.file_name().unwrap()));
    done(venv.args(["-m", "venv", "--without-pip"]).arg(&home));
    let mut pip = command(&workshop().python);
    pip.args(["-m", "pip", "--python"]).arg(home.join("bin/python"));
    done(pip.args(["install", "--no-index"]).arg(workshop().wheel()));
    let elsewhere = elsewhere.to_str().unwrap();
    for mode in [&[][..], &["--embedded-mode"]] {
        let server = as_nobody(home.join("bin/mod_wsgi-express"));
        let answer = ask(server, mode, folder.path());
        assert_eq!(home_in(&answer), home.to_str().unwrap());
        assert!(answer.ends_with(elsewhere), "{mode:?}: {answer}");
        // A daemon process is the Python itself, which knows its own library.
        let library = answer.lines().nth(3).unwrap_or_default();
        assert!(mode.is_empty() || library.starts_with(elsewhere), "{answer}");
    }
}
