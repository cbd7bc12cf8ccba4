//! The installer beside `pip install` of mod_wsgi-httpd from its source
//! package, on the same machine in the same run: time, processor time, memory.
//! No argument measures every row, names of rows measure these; README.md in
//! this folder says what is needed. Nothing is downloaded within a measured
//! time, and both start from the same archives.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

#[path = "../common/children.rs"]
mod children;
mod compiles;
mod cost;
mod table;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use children::cpu_of_children;
use cost::{Cost, peak_until_end};
use flate2::read::GzDecoder;
use mod_wsgi_httpd::python::Python;
use table::{Row, Target, components, modules, print_floor, print_modules, print_table};

/// What can be measured, by the name that picks it.
const ROWS: [(&str, Measure); 6] = [
    ("pip", pip),
    ("same", same),
    ("launcher", launcher),
    ("openssl", openssl),
    ("everything", everything),
    ("idle", idle),
];

type Measure = fn(&Bench) -> Vec<Row>;

/// Source package of the original.
const SDIST: &str = "MOD_WSGI_HTTPD_SDIST";
/// Runs of the installer when there is nothing to do.
const IDLE_RUNS: u32 = 20;
/// Variables by which one side would build otherwise than the other.
const FOREIGN: [&str; 6] = ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "VIRTUAL_ENV"];
/// Rows that compile.
const COLD: [&str; 4] = ["same", "launcher", "openssl", "everything"];
/// Modules that a configuration of the launcher can load besides its
/// `BASE_MODULES`, whatever its options.
const OF_LAUNCHER: [&str; 18] = [
    "http2",
    "autoindex",
    "deflate",
    "auth_basic",
    "auth_digest",
    "authz_user",
    "proxy",
    "proxy_http",
    "status",
    "cgi",
    "cgid",
    "log_config",
    "socache_shmcb",
    "ssl",
    "mpm_event",
    "mpm_worker",
    "mpm_prefork",
    "wsgi",
];
/// The nearest to the original on a machine with OpenSSL's headers.
// The original has no module in that package.
const SAME: [&str; 3] = ["--tls", "system", "--features=-http2,-module"];

fn main() {
    compiles::launch();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run by `cargo bench`, not by `cargo test`");
        return;
    }
    let chosen = chosen(&arguments);
    let bench = Bench::new();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let (mut rows, mut walls) = (Vec::new(), Vec::new());
    for (name, measure) in &chosen {
        let measured = measure(&bench);
        walls.extend(measured.first().map(|row| (*name, row.cost.wall)));
        rows.extend(measured);
    }
    print_table(&rows, &load);
    for (name, wall) in walls.into_iter().filter(|(name, _)| COLD.contains(name)) {
        print_floor(name, &bench, wall);
    }
    for name in ["same", "everything"].into_iter().filter(|name| is_in(name, &chosen)) {
        println!("\nBuilt in `{name}`: {}.", components(&bench.base(name)));
    }
    if is_in("pip", &chosen) && is_in("same", &chosen) {
        print_modules(&bench);
    }
}

fn chosen(arguments: &[String]) -> Vec<(&'static str, Measure)> {
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    let known = ROWS.map(|(name, _)| name);
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        panic!("there is no row `{name}`; known: {}", known.join(", "));
    }
    ROWS.into_iter().filter(|(name, _)| names.is_empty() || names.contains(name)).collect()
}

fn is_in(name: &str, chosen: &[(&str, Measure)]) -> bool {
    chosen.iter().any(|(known, _)| *known == name)
}

// The rows.

/// The original: everything is compiled while pip prepares its metadata.
/// What pip needs for that is installed before, so that no network is timed.
fn pip(bench: &Bench) -> Vec<Row> {
    let sdist = sdist();
    let venv = bench.fresh_venv("pip");
    let python = venv.join("bin/python");
    let mut tools = command(&python);
    tools.args(["-m", "pip", "install", "setuptools", "wheel"]);
    bench.run("pip-tools", &mut tools);
    let mut install = command(&python);
    install.args(["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-cache-dir"]);
    let cost = bench.run("pip", install.arg(sdist));
    vec![Row { what: "`pip install` of mod_wsgi-httpd".into(), cost, target: Target::Yardstick }]
}

/// The packages that the original builds, and expat, which it takes from the
/// machine.
fn same(bench: &Bench) -> Vec<Row> {
    let cost = bench.install_cold("same", &bench.same());
    vec![Row { what: "the same four packages".into(), cost, target: Target::OfOriginal(0.167) }]
}

/// Of those only the modules that the launcher can ask for.
fn launcher(bench: &Bench) -> Vec<Row> {
    let mut options = bench.same();
    let recipes = bench.recipes_for_launcher();
    options.extend(["--recipes".to_owned(), recipes.to_string_lossy().into_owned()]);
    let cost = bench.install_cold("launcher", &options);
    let what = "the same, with the launcher's modules".into();
    vec![Row { what, cost, target: Target::OfOriginal(0.125) }]
}

/// All that belongs to httpd: the original has no module in that package.
fn openssl(bench: &Bench) -> Vec<Row> {
    bench.fill_vendor();
    let cost = bench.install_cold("openssl", &["--features=-module".to_owned()]);
    let what = "all but the module, private OpenSSL".into();
    vec![Row { what, cost, target: Target::OfOriginal(0.4) }]
}

/// What `install` builds unless told otherwise.
fn everything(bench: &Bench) -> Vec<Row> {
    bench.fill_vendor();
    let cost = bench.install_cold("everything", &[]);
    let what = "everything, private OpenSSL too".into();
    vec![Row { what, cost, target: Target::OfOriginal(0.4) }]
}

/// Installs again what `everything` has left, which is built if it is not
/// there; by its prefix, then by its virtual environment.
fn idle(bench: &Bench) -> Vec<Row> {
    if !bench.base("everything").join("current").exists() {
        everything(bench);
    }
    let by_prefix = || bench.install("everything", Some(&bench.base("everything")));
    let by_environment = || bench.install("everything", None);
    let mut rows = vec![bench.idle_row("nothing to do, `--prefix`", by_prefix)];
    rows.push(bench.idle_row("nothing to do, `VIRTUAL_ENV`", by_environment));
    rows
}

/// Where everything lies: kept until `cargo clean`, so that the archives and
/// the last trees can be used again.
struct Bench {
    home: PathBuf,
}

impl Bench {
    fn new() -> Self {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("installer-bench");
        std::fs::create_dir_all(&home).unwrap();
        Self { home }
    }

    fn venv(&self, name: &str) -> PathBuf {
        self.home.join(name).join("venv")
    }

    /// Base folder of the tree that a row installs.
    fn base(&self, name: &str) -> PathBuf {
        self.venv(name).join(Python::BASE)
    }

    fn vendor(&self) -> PathBuf {
        self.home.join("vendor")
    }

    fn log(&self, name: &str) -> PathBuf {
        self.home.join(format!("{name}.log"))
    }

    /// A new virtual environment in an otherwise empty folder.
    fn fresh_venv(&self, name: &str) -> PathBuf {
        let folder = self.home.join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).unwrap();
        }
        std::fs::create_dir(&folder).unwrap();
        let venv = self.venv(name);
        self.run(&format!("{name}-venv"), command("python3").args(["-m", "venv"]).arg(&venv));
        venv
    }

    /// Unpacks the original's archives into the vendor folder and adds what is
    /// missing for a full install. Answers the original's releases.
    fn fill_vendor(&self) -> Vec<String> {
        let vendor = self.vendor();
        std::fs::create_dir_all(&vendor).unwrap();
        let releases = unpack_archives(&sdist(), &vendor);
        let fill = || {
            let mut fill = command(PROGRAM);
            fill.arg("vendor").arg(&vendor).arg("--vendor").arg(&vendor);
            fill.arg("--cache").arg(self.home.join("downloads"));
            fill
        };
        if self.try_run("vendor", fill().arg("--offline")).is_none() {
            self.run("vendor", &mut fill());
        }
        releases
    }

    /// Options for what the original builds.
    fn same(&self) -> Vec<String> {
        let mut options: Vec<String> = SAME.map(str::to_owned).into();
        for release in self.fill_vendor() {
            options.extend(["--release".to_owned(), release]);
        }
        options
    }

    /// The recipes, with all modules off that the launcher never loads.
    fn recipes_for_launcher(&self) -> PathBuf {
        let folder = self.home.join("recipes-for-launcher");
        std::fs::create_dir_all(&folder).unwrap();
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut copy = command("cp");
        copy.arg("-a").args([own.join("recipes/."), own.join("patches")]).arg(&folder);
        self.run("recipes", &mut copy);
        let all = modules(&self.base("same").join("current/modules"));
        assert!(!all.is_empty(), "measure `same` first");
        let off = all
            .iter()
            .filter_map(|name| name.strip_prefix("mod_"))
            .filter(|name| !OF_LAUNCHER.contains(name) && !express::BASE_MODULES.contains(name));
        let lines: String =
            off.map(|name| format!("    \"--disable-{}\",\n", name.replace('_', "-"))).collect();
        let recipe = folder.join("httpd.toml");
        let text = std::fs::read_to_string(&recipe).unwrap();
        let place = "    \"--disable-authnz-ldap\",\n";
        assert!(text.contains(place), "the recipe has changed");
        std::fs::write(recipe, text.replace(place, &format!("{place}{lines}"))).unwrap();
        folder
    }

    /// `install` from the vendor folder, with a cache of the row's own: into a
    /// prefix, or the row's virtual environment as if that was active.
    fn install(&self, name: &str, prefix: Option<&Path>) -> Command {
        let mut install = command(PROGRAM);
        install.args(["install", "--offline", "--vendor"]).arg(self.vendor());
        install.arg("--cache").arg(self.home.join(name).join("cache"));
        match prefix {
            Some(prefix) => install.arg("--prefix").arg(prefix),
            None => install.env("VIRTUAL_ENV", self.venv(name)),
        };
        install
    }

    /// Installs under a new virtual environment with an empty cache.
    fn install_cold(&self, name: &str, options: &[String]) -> Cost {
        self.fresh_venv(name);
        let launcher = compiles::launcher(&self.home.join(name));
        let mut install = self.install(name, Some(&self.base(name)));
        self.run(name, install.arg("--launcher").arg(launcher).args(options))
    }

    /// The median wall time of runs that find nothing to do; a first run, not
    /// measured, warms up.
    fn idle_row(&self, what: &str, install: impl Fn() -> Command) -> Row {
        self.run("idle", &mut install());
        let costs: Vec<Cost> = (0..IDLE_RUNS)
            .map(|_| {
                let cost = self.run("idle", &mut install());
                let said = std::fs::read_to_string(self.log("idle")).unwrap();
                assert!(said.contains("nothing to do"), "there was something to do: {said}");
                cost
            })
            .collect();
        Row { what: what.into(), cost: Cost::typical(&costs), target: Target::Seconds(0.2) }
    }

    /// Runs a command to its end; stops the benchmark if it fails.
    fn run(&self, name: &str, command: &mut Command) -> Cost {
        self.try_run(name, command)
            .unwrap_or_else(|| panic!("`{name}` failed; see {}", self.log(name).display()))
    }

    /// Runs a command and measures it. `None` when it fails.
    fn try_run(&self, name: &str, command: &mut Command) -> Option<Cost> {
        let log = File::create(self.log(name)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let cpu = cpu_of_children();
        let begin = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let peak = peak_until_end(child.id());
        let wall = begin.elapsed().as_secs_f64();
        let status = child.wait().unwrap();
        let cpu = cpu_of_children() - cpu;
        if name != "idle" {
            eprintln!("{name}: {wall:.1} s, {status}");
        }
        status.success().then_some(Cost { wall, cpu, peak })
    }
}

/// The installer, built with the profile of benchmarks: that of a release.
const PROGRAM: &str = env!("CARGO_BIN_EXE_mod_wsgi-httpd");

/// A command that sees what a user who sets nothing would let it see.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in FOREIGN {
        command.env_remove(name);
    }
    command
}

fn sdist() -> PathBuf {
    let path = std::env::var_os(SDIST).map(PathBuf::from);
    let path = path.unwrap_or_else(|| panic!("set {SDIST} to mod_wsgi_httpd-2.4.69.1.tar.gz"));
    assert!(path.is_file(), "{SDIST} names `{}`, which is no file", path.display());
    path.canonicalize().unwrap()
}

/// Unpacks the archives inside the source package; answers `name=version` of
/// each. The installer checks their digests.
fn unpack_archives(sdist: &Path, vendor: &Path) -> Vec<String> {
    let mut package = tar::Archive::new(GzDecoder::new(File::open(sdist).unwrap()));
    let mut releases = Vec::new();
    for entry in package.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().into_owned();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !path.parent().is_some_and(|folder| folder.ends_with("upstream")) {
            continue;
        }
        let Some((part, version)) =
            name.strip_suffix(".tar.gz").and_then(|stem| stem.rsplit_once('-'))
        else {
            continue;
        };
        std::io::copy(&mut entry, &mut File::create(vendor.join(&*name)).unwrap()).unwrap();
        releases.push(format!("{part}={version}"));
    }
    assert!(!releases.is_empty(), "{} holds no archives", sdist.display());
    releases
}
