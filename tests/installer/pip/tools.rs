//! Others that install packages: uv, pipx, and pip's other ways.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::environment::{Environment, as_nobody, ask, home_in};
use super::{done, workshop};
use crate::real::command;
use crate::sandbox::Outcome;

/// The folder of programs of an environment that has uv and pipx.
fn tools() -> &'static Path {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    TOOLS.get_or_init(|| {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("tools");
        done(command(&workshop().python).args(["-m", "venv"]).arg(&home));
        let mut pip = command(home.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        done(pip.args(["uv", "pipx"]));
        home.join("bin")
    })
}

/// uv with a cache and tools in that folder, and no network.
fn uv(folder: &Path) -> Command {
    let mut uv = command(tools().join("uv"));
    with_places(&mut uv, folder);
    uv
}

fn with_places(command: &mut Command, folder: &Path) {
    for name in ["UV_CACHE_DIR", "UV_TOOL_DIR", "UV_TOOL_BIN_DIR", "PIPX_HOME", "PIPX_BIN_DIR"] {
        command.env(name, folder.join(name));
    }
    command.env("UV_OFFLINE", "1").env("UV_PYTHON", &workshop().python).env("PIP_NO_INDEX", "1");
    // pipx makes environments by uv where it finds one.
    command.env("PIPX_DEFAULT_PYTHON", &workshop().python).env_remove("VIRTUAL_ENV");
}

#[test]
fn uv_installs_it_and_leaves_nothing() {
    let environment = Environment::new(&workshop().python);
    let mut install = uv(environment.folder.path());
    install.args(["pip", "install", "--python"]).arg(environment.bin("python"));
    done(install.arg(workshop().wheel()));
    let verified = done(command(environment.bin("mod_wsgi-httpd")).arg("verify"));
    assert!(verified.stdout.contains("files are as installed"), "{}", verified.stdout);
    let answer = environment.serve(&["mod_wsgi-express"]);
    assert_eq!(home_in(&answer), environment.home.to_str().unwrap());
    let mut uninstall = uv(environment.folder.path());
    uninstall.args(["pip", "uninstall", "--python"]).arg(environment.bin("python"));
    done(uninstall.arg("mod-wsgi-rs"));
    assert_eq!(environment.ours(), Vec::<String>::new(), "left by uv pip uninstall");
}

#[test]
fn it_is_a_tool_of_uv_and_of_pipx() {
    let folder = tempfile::tempdir().unwrap();
    let wheel = workshop().wheel();
    // Before it is installed: uv would run that one.
    let mut run = as_nobody(tools().join("uvx"));
    with_places(&mut run, folder.path());
    run.arg("--from").arg(wheel).arg("mod_wsgi-express");
    let answer = ask(run, &[], folder.path());
    assert!(home_in(&answer).contains("UV_CACHE_DIR"), "{answer}");

    done(uv(folder.path()).args(["tool", "install"]).arg(wheel));
    let launcher = folder.path().join("UV_TOOL_BIN_DIR/mod_wsgi-express");
    let answer = ask(as_nobody(&launcher), &[], folder.path());
    let home = folder.path().join("UV_TOOL_DIR/mod-wsgi-rs");
    assert_eq!(home_in(&answer), home.to_str().unwrap());

    let mut run = as_nobody(tools().join("pipx"));
    with_places(&mut run, folder.path());
    run.args(["run", "--spec"]).arg(wheel).arg("mod_wsgi-express");
    let answer = ask(run, &[], folder.path());
    assert!(home_in(&answer).contains("PIPX_HOME"), "{answer}");
}

#[test]
fn it_may_be_installed_for_a_user() {
    let folder = tempfile::tempdir().unwrap();
    let user = folder.path().join("user");
    // An environment has no packages of a user's: it is the Python itself that is asked.
    let python = super::pythons::first();
    let mut pip = command(&python);
    pip.args(["-m", "pip", "install", "--user", "--no-index", "--break-system-packages"]);
    done(
        pip.arg("--disable-pip-version-check").arg(workshop().wheel()).env("PYTHONUSERBASE", &user),
    );
    let mut launcher = as_nobody(user.join("bin/mod_wsgi-express"));
    launcher.env("PYTHONUSERBASE", &user).env_remove("VIRTUAL_ENV");
    let answer = ask(launcher, &[], folder.path());
    let module = answer.lines().nth(2).unwrap_or_default();
    assert!(module.starts_with(user.to_str().unwrap()), "{answer}");
}

#[test]
fn an_editable_install_says_what_to_do_instead() {
    let mut pip = command(&workshop().python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--no-build-isolation",
        "--no-index",
        "-e",
        env!("CARGO_MANIFEST_DIR"),
    ]);
    let outcome = Outcome::of(pip.output().unwrap()).expect(1);
    let said = outcome.stdout + &outcome.stderr;
    for text in ["an editable install has no httpd to run", "cargo run -- install"] {
        assert!(said.contains(text), "`{text}` is not in:\n{said}");
    }
}
