//! The package beside mod_wsgi-httpd and mod_wsgi, all from their source packages by
//! pip, on the same machine in the same run; then the wheels that came out: their sizes,
//! and how long pip takes to install ours. README.md in this folder says what is needed.
//! Nothing is downloaded within a measured time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "common/children.rs"]
mod children;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use children::cpu_of_children;

/// Source packages: the original's httpd, and ours.
const SDISTS: [&str; 2] = ["MOD_WSGI_HTTPD_SDIST", "MOD_WSGI_RS_SDIST"];
/// The original module, which pip fetches.
const ORIGINAL: &str = "mod_wsgi==6.1.1";
/// Highest share of the originals' time.
const SHARE: f64 = 0.25;
/// Longest install of the wheel, beyond pip's own time, in seconds.
const INSTALL: f64 = 3.0;
/// Installs of each wheel, of which the fastest counts.
const INSTALLS: u32 = 3;
/// What a build for size would leave out of the original's wheels.
const STRIP: &str = "for wheel in \"$1\"/*.whl; do rm -rf \"$2\"; mkdir \"$2\"; \
     python3 -m zipfile -e \"$wheel\" \"$2\"; \
     find \"$2\" -type f -exec strip --strip-unneeded {} + 2> /dev/null || :; \
     (cd \"$2\" && python3 -m zipfile -c \"$wheel.stripped\" *); done";

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run by `cargo bench`, not by `cargo test`");
        return;
    }
    let bench = Bench::new();
    let [httpd, ours] = SDISTS.map(|name| {
        let path = std::env::var_os(name).unwrap_or_else(|| panic!("{name} names no file"));
        PathBuf::from(path).canonicalize().unwrap()
    });
    let load = std::fs::read_to_string("/proc/loadavg").unwrap();
    let original = bench.original(&httpd);
    let built = bench.ours(&ours);
    println!("load {} at the start\n", load.split(' ').next().unwrap());
    println!("| What | Original | Ours | Ratio | Target |\n| --- | ---: | ---: | ---: | --- |");
    row("wall time from the source packages, s", original.wall, built.wall, SHARE);
    row("processor time, s", original.cpu, built.cpu, SHARE);
    let size = |name: &str, ending: &str| bench.size(name, ending) / 1e6;
    bench.run("strip", Command::new("sh").args(["-euc", STRIP, "sh"]).args(bench.two("original")));
    row(
        "wheels, MB; the original's stripped",
        size("original", "stripped"),
        size("ours", "whl"),
        1.0,
    );
    println!("| the original's as built, MB | {:.1} | | | |", size("original", "whl"));
    let [empty, wheel] =
        [bench.empty_wheel(), bench.wheel("ours")].map(|wheel| bench.install(&wheel));
    let beyond = wheel - empty;
    println!(
        "| `pip install` of the wheel, s | {empty:.2} (an empty one) | {wheel:.2} | | {beyond:.2} more, at most {INSTALL}: {} |",
        verdict(beyond <= INSTALL)
    );
}

fn row(what: &str, original: f64, ours: f64, most: f64) {
    let ratio = ours / original;
    println!(
        "| {what} | {original:.1} | {ours:.1} | {ratio:.2} | {most}: {} |",
        verdict(ratio <= most)
    );
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "MISSED" }
}

#[derive(Clone, Copy)]
struct Cost {
    wall: f64,
    cpu: f64,
}

/// Where everything lies; logs are kept.
struct Bench {
    home: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pip-bench");
        if home.exists() {
            std::fs::remove_dir_all(&home).unwrap();
        }
        std::fs::create_dir_all(&home).unwrap();
        Self { home }
    }

    /// httpd, then the module against it, whose source package asks that httpd when it is
    /// only fetched.
    fn original(&self, httpd: &Path) -> Cost {
        let python = self.venv("original", &["setuptools", "wheel"]);
        let first = self.build("original", &python, httpd);
        let mut fetch = pip(&python, "download");
        fetch.args(["--no-deps", "--no-binary=:all:", "--no-build-isolation", ORIGINAL, "-d"]);
        self.run("original-fetch", fetch.arg(self.home.join("module")));
        let module = only(&self.home.join("module"), "gz");
        let second = self.build("original", &python, &module);
        Cost { wall: first.wall + second.wall, cpu: first.cpu + second.cpu }
    }

    fn ours(&self, sdist: &Path) -> Cost {
        let python = self.venv("ours", &["hatchling", "packaging", "pyelftools"]);
        self.build("ours", &python, sdist)
    }

    /// Builds and installs a source package with cold caches.
    fn build(&self, name: &str, python: &Path, sdist: &Path) -> Cost {
        let mut install = pip(python, "wheel");
        install.args(["--no-deps", "--no-build-isolation", "--no-cache-dir", "--no-index", "-w"]);
        install.arg(self.wheels(name).join("new")).arg(sdist);
        install.env("XDG_CACHE_HOME", self.home.join(name).join("cache"));
        install.env_remove("CARGO_TARGET_DIR").env_remove("MOD_WSGI_HTTPD_PREFIX");
        let built = self.run(&format!("{name}-build"), &mut install);
        let wheel = only(&self.wheels(name).join("new"), "whl");
        let kept = self.wheels(name).join(wheel.file_name().unwrap());
        std::fs::rename(wheel, &kept).unwrap();
        let mut install = pip(python, "install");
        let installed =
            self.run(&format!("{name}-install"), install.args(["--no-index"]).arg(kept));
        Cost { wall: built.wall + installed.wall, cpu: built.cpu + installed.cpu }
    }

    /// The fastest install of a wheel into an empty environment.
    fn install(&self, wheel: &Path) -> f64 {
        let costs = (0..INSTALLS).map(|_| {
            let python = self.venv("install", &[]);
            self.run("install", pip(&python, "install").arg("--no-index").arg(wheel)).wall
        });
        costs.fold(f64::INFINITY, f64::min)
    }

    /// A wheel with nothing in it: what pip takes for itself.
    fn empty_wheel(&self) -> PathBuf {
        let project = self.home.join("empty");
        std::fs::create_dir_all(&project).unwrap();
        let text = "[build-system]\nrequires = [\"hatchling\"]\nbuild-backend = \"hatchling.build\"\n\
                    [project]\nname = \"empty\"\nversion = \"1\"\n\
                    [tool.hatch.build.targets.wheel]\nbypass-selection = true\n";
        std::fs::write(project.join("pyproject.toml"), text).unwrap();
        let mut wheel = pip(&self.home.join("ours/venv/bin/python"), "wheel");
        wheel.args(["--no-build-isolation", "--no-deps", "--no-index", "-w"]);
        self.run("empty", wheel.arg(self.wheels("empty")).arg(&project));
        self.wheel("empty")
    }

    fn wheels(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}-wheels"))
    }

    fn wheel(&self, name: &str) -> PathBuf {
        only(&self.wheels(name), "whl")
    }

    fn two(&self, name: &str) -> [PathBuf; 2] {
        [self.wheels(name), self.home.join("unpacked")]
    }

    fn size(&self, name: &str, ending: &str) -> f64 {
        let files = with_ending(&self.wheels(name), ending);
        assert!(!files.is_empty(), "nothing ends in {ending}");
        files.iter().map(|file| file.metadata().unwrap().len() as f64).sum()
    }

    /// A new environment with these packages; gives its Python.
    fn venv(&self, name: &str, packages: &[&str]) -> PathBuf {
        let home = self.home.join(name).join("venv");
        if home.exists() {
            std::fs::remove_dir_all(&home).unwrap();
        }
        self.run("venv", Command::new("python3").args(["-m", "venv"]).arg(&home));
        let python = home.join("bin/python");
        if !packages.is_empty() {
            self.run("packages", pip(&python, "install").args(packages));
        }
        python
    }

    /// Runs a command to its end, and measures it with all that it starts.
    fn run(&self, log: &str, command: &mut Command) -> Cost {
        let path = self.home.join(format!("{log}.log"));
        let file = File::create(&path).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let (begin, before) = (Instant::now(), cpu_of_children());
        let status = command.status().unwrap();
        assert!(status.success(), "{command:?}: {status}, see {}", path.display());
        Cost { wall: begin.elapsed().as_secs_f64(), cpu: cpu_of_children() - before }
    }
}

fn pip(python: &Path, word: &str) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "--disable-pip-version-check", word]);
    pip
}

fn with_ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == ending)).collect()
}

fn only(folder: &Path, ending: &str) -> PathBuf {
    let mut found = with_ending(folder, ending);
    assert_eq!(found.len(), 1, "{}", folder.display());
    found.remove(0)
}
