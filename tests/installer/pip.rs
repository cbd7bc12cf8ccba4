//! The package, as pip and those who use it see it: a wheel of the httpd that these
//! tests have anyway, in virtual environments of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getuid, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::real::{command, free_port};
use crate::sandbox::{Outcome, names_in, program, sha256};
use crate::serving;

/// What builds wheels: a Python with the packages that `pyproject.toml` asks for, and a
/// tree to pack.
struct Workshop {
    folder: TempDir,
    python: PathBuf,
    tree: PathBuf,
}

fn workshop() -> &'static Workshop {
    static WORKSHOP: OnceLock<Workshop> = OnceLock::new();
    WORKSHOP.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("pip-").tempdir().unwrap();
        let current = serving::base().join("current");
        let record = std::fs::read_to_string(current.join("build.json")).unwrap();
        let record: Value = serde_json::from_str(&record).unwrap();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packaging");
        let python = home.join("bin/python");
        let mut venv = command(record["python"]["executable"].as_str().unwrap());
        done(venv.args(["-m", "venv"]).arg(&home));
        let mut pip = command(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        done(pip.args(["hatchling", "packaging", "pyelftools", "setuptools"]));
        // The tree with the program and the module that are under test.
        let tree = folder.path().join("tree");
        done(command("cp").arg("-a").arg(current.canonicalize().unwrap()).arg(&tree));
        std::fs::copy(program(), tree.join("bin/mod_wsgi-httpd")).unwrap();
        let module = serving::module();
        for name in ["mod_wsgi.so", "mod_wsgi_python.so"] {
            std::fs::copy(module.with_file_name(name), tree.join("modules").join(name)).unwrap();
        }
        Workshop { folder, python, tree }
    })
}

fn done(command: &mut Command) -> Outcome {
    Outcome::of(command.output().unwrap()).expect(0)
}

impl Workshop {
    /// A call of pip that makes a wheel of this checkout.
    fn wheel_into(&self, folder: &Path) -> Command {
        let mut pip = command(&self.python);
        pip.args(["-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir"]);
        pip.arg(folder).arg(env!("CARGO_MANIFEST_DIR")).current_dir(self.folder.path());
        pip.env("MOD_WSGI_HTTPD_TREE", &self.tree).env("TMPDIR", self.folder.path());
        pip
    }
}

/// The wheel.
fn wheel() -> &'static Path {
    static WHEEL: OnceLock<PathBuf> = OnceLock::new();
    WHEEL.get_or_init(|| {
        let folder = workshop().folder.path().join("dist");
        done(&mut workshop().wheel_into(&folder));
        only_file(&folder)
    })
}

fn only_file(folder: &Path) -> PathBuf {
    let names = names_in(folder);
    assert_eq!(names.len(), 1, "{names:?}");
    folder.join(&names[0])
}

/// A virtual environment with the wheel in it, installed without a network.
struct Environment {
    folder: TempDir,
    home: PathBuf,
}

impl Environment {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("venv");
        done(command(&workshop().python).args(["-m", "venv"]).arg(&home));
        let new = Self { folder, home };
        new.pip(&["install", "--no-index", wheel().to_str().unwrap()]);
        new
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.home.join("bin").join(name)
    }

    fn pip(&self, words: &[&str]) -> Outcome {
        let mut pip = command(self.bin("python"));
        pip.args(["-m", "pip", "--disable-pip-version-check"]).args(words);
        // The tools of this environment are to be found, as if it were active.
        let path = std::env::var("PATH").unwrap();
        pip.env("PATH", format!("{}:{path}", self.home.join("bin").display()));
        done(&mut pip)
    }

    /// What an application answers that says where it runs.
    fn serve(&self, launcher: &[&str]) -> String {
        let script = self.folder.path().join("app.wsgi");
        std::fs::write(&script, APPLICATION).unwrap();
        let mut server = if getuid().is_root() {
            let mut unshare = command("unshare");
            unshare.args(["--map-user=1", "--map-group=1"]);
            unshare
        } else {
            command("env")
        };
        let port = free_port();
        server.arg(self.bin(launcher[0])).args(&launcher[1..]).arg("start-server");
        server.arg(&script).args(["--port", &port.to_string(), "--server-root", "root"]);
        server.current_dir(self.folder.path()).env_remove("VIRTUAL_ENV");
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        server.stdout(Stdio::null()).stderr(log);
        let mut server = server.spawn().unwrap();
        let begin = Instant::now();
        let answer = loop {
            let mut curl = command("curl");
            curl.args(["--silent", "--fail", &format!("http://127.0.0.1:{port}/")]);
            let answer = Outcome::of(curl.output().unwrap());
            if answer.status == 0 || begin.elapsed() > Duration::from_secs(30) {
                break answer;
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        let pid = Pid::from_child(&server);
        kill_process(pid, Signal::TERM).unwrap();
        server.wait().unwrap();
        let said = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
        assert_eq!(answer.status, 0, "{said}");
        answer.stdout
    }

    /// Files with our names in them, by the name alone.
    fn ours(&self) -> Vec<String> {
        let found = done(command("find").arg(&self.home).args(["-iname", "*wsgi*"]));
        found.stdout.lines().map(str::to_owned).collect()
    }
}

const APPLICATION: &str = "
import sys

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [sys.prefix.encode()]
";

#[test]
fn the_wheel_serves_also_where_it_is_moved_to_and_leaves_nothing() {
    let mut environment = Environment::new();
    let verified = done(command(environment.bin("mod_wsgi-httpd")).arg("verify"));
    assert!(verified.stdout.contains("files are as installed"), "{}", verified.stdout);
    let home = environment.home.display().to_string();
    assert_eq!(environment.serve(&["mod_wsgi-express"]), home);
    // It is pip's: nothing of ours changes it.
    let changers: [&[&str]; 3] =
        [&["install", "--profile", "quick"], &["uninstall"], &["rollback"]];
    for changer in changers {
        let mut tool = command(environment.bin("mod_wsgi-httpd"));
        let outcome = Outcome::of(tool.args(changer).output().unwrap());
        outcome.expect(50).says("came in a package").says("pip");
    }
    let apxs = done(command(environment.bin("mod_wsgi-apxs")).args(["-q", "LIBEXECDIR", "NONE"]));
    assert!(apxs.stdout.trim().ends_with("mod_wsgi_packages/httpd/modules;;"), "{}", apxs.stdout);

    let there = environment.folder.path().join("a møved one");
    std::fs::rename(&environment.home, &there).unwrap();
    environment.home = there;
    let home = environment.home.display().to_string();
    assert_eq!(environment.serve(&["python", "-m", "mod_wsgi.express"]), home);

    assert!(!environment.ours().is_empty());
    environment.pip(&["uninstall", "--yes", "mod-wsgi-rs"]);
    assert_eq!(environment.ours(), Vec::<String>::new(), "left by pip uninstall");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let again = workshop().folder.path().join("again");
    let mut pip = workshop().wheel_into(&again);
    // Neither the place of temporary files nor the umask is an input.
    let elsewhere = workshop().folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    pip.env("TMPDIR", &elsewhere);
    let mut shell = command("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(pip.get_program()).args(pip.get_args());
    shell.envs(pip.get_envs().filter_map(|(name, value)| Some((name, value?))));
    done(shell.current_dir(workshop().folder.path()));
    let digest = |path: &Path| sha256(&std::fs::read(path).unwrap());
    assert_eq!(digest(&only_file(&again)), digest(wheel()));
}

#[test]
fn the_original_builds_against_it() {
    let environment = Environment::new();
    environment.pip(&["install", "--quiet", "setuptools", "wheel"]);
    // One that was built for another httpd may be in the cache.
    let fresh = ["--no-build-isolation", "--no-cache-dir", "--no-deps"];
    environment.pip(&[&["install"], &fresh[..], &["mod_wsgi==6.1.1"]].concat());
    let code = "from mod_wsgi.express import apxs_config as a; print(a.HTTPD)";
    let asked = done(command(environment.bin("python")).args(["-c", code]));
    let httpd = asked.stdout.trim();
    assert!(httpd.ends_with("site-packages/mod_wsgi_packages/httpd/bin/httpd"), "{httpd}");
    let home = environment.home.display().to_string();
    assert_eq!(environment.serve(&["mod_wsgi-express"]), home);
}

#[test]
fn a_build_without_cargo_says_what_to_install() {
    let mut pip = workshop().wheel_into(&workshop().folder.path().join("none"));
    pip.env_remove("MOD_WSGI_HTTPD_TREE").env("CARGO", "/nowhere/cargo");
    let outcome = Outcome::of(pip.output().unwrap()).expect(1);
    let said = outcome.stdout + &outcome.stderr;
    for text in
        ["there is no `/nowhere/cargo`", "rustup", concat!("Rust ", env!("CARGO_PKG_RUST_VERSION"))]
    {
        assert!(said.contains(text), "`{text}` is not in:\n{said}");
    }
}

#[test]
fn the_sdist_has_what_the_build_reads() {
    let folder = workshop().folder.path().join("sdist");
    let mut python = command(&workshop().python);
    python.args([
        "-c",
        "import sys; from hatchling.build import build_sdist; build_sdist(sys.argv[1])",
    ]);
    python.arg(&folder).current_dir(env!("CARGO_MANIFEST_DIR"));
    std::fs::create_dir(&folder).unwrap();
    done(python.env("MOD_WSGI_HTTPD_VENDOR", "none"));
    let listed = done(command("tar").arg("tzf").arg(only_file(&folder))).stdout;
    let has = |below: &str| listed.lines().any(|line| line.split_once('/').unwrap().1 == below);
    for needed in [
        "Cargo.lock",
        "build.rs",
        "src/main.rs",
        "crates/mod_wsgi/src/lib.rs",
        "recipes/httpd.toml",
        "patches/httpd/0001-server-root-from-executable.patch",
        "python/packaging/build_hook.py",
        "pyproject.toml",
        "PKG-INFO",
    ] {
        assert!(has(needed), "{needed} is not in:\n{listed}");
    }
    assert!(!listed.contains("/target/"), "{listed}");
}
