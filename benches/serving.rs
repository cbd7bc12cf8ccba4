//! The module in embedded mode beside the original mod_wsgi 6.1.1, in turns in
//! the same httpd in one run: processor time, throughput, latency, memory,
//! instructions. No argument measures every row, names of rows measure these;
//! README.md in this folder says what is needed. Daemon processes are not
//! measured here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark that cannot go on stops"
)]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// What is asked of an application, `<name>.wsgi` in the folder beside this file.
struct Row {
    name: &'static str,
    /// Requests of one measurement.
    requests: u32,
    /// Headers of the request besides the four that `ab` sends.
    headers: usize,
    /// Whether a body of 64 KiB is sent.
    posts: bool,
    /// Length of the right answer.
    length: usize,
    /// What our processor time is held against, and the highest share of it.
    most: (Side, f64),
}

const ROWS: [Row; 6] = [
    Row { requests: 20_000, most: (Side::Original, 0.50), ..HELLO },
    Row { name: "body64k", length: 65_536, most: (Side::Original, 0.45), ..HELLO },
    Row { name: "post64k", posts: true, length: 5, most: (Side::Original, 0.60), ..HELLO },
    Row { name: "headers30", headers: 26, most: (Side::Original, 0.50), ..HELLO },
    Row { name: "flask", requests: 6_000, most: (Side::Original, 0.70), ..HELLO },
    Row { name: "file1m", requests: 3_000, length: 1_048_576, most: (Side::Static, 1.10), ..HELLO },
];

const HELLO: Row = Row {
    name: "hello",
    requests: 12_000,
    headers: 0,
    posts: false,
    length: 13,
    most: (Side::Original, 1.0),
};

/// Who answers.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Original,
    Ours,
    /// httpd itself, from the file.
    Static,
}

/// Prefix of the httpd that serves.
const BASE: &str = "MOD_WSGI_HTTPD_BASE";
/// The original's module for it.
const ORIGINAL: &str = "MOD_WSGI_ORIGINAL_SO";
/// The row that counts instructions.
const INSTRUCTIONS: &str = "instructions";
/// Highest number of instructions that a request may take, httpd's own included.
const MOST_INSTRUCTIONS: u64 = 65_000;
/// Requests of the two runs whose difference is counted.
const COUNTED: [u32; 2] = [500, 1_500];
/// Measurements of each side; even, so that each is as often the first.
const ROUNDS: usize = 6;
/// Connections that are kept alive. With as many as the server has threads the
/// event MPM would close idle ones, under the requests on their way.
const CONNECTIONS: u32 = 4;
/// Unit of processor times in `/proc`, the same on all supported machines.
const TICKS_PER_SECOND: f64 = 100.0;
/// Longer than a start or an end takes, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(120);
/// Variables by which one side would build or run otherwise than the other.
const FOREIGN: [&str; 6] = ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "VIRTUAL_ENV"];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("run by `cargo bench`, not by `cargo test`");
        return ExitCode::SUCCESS;
    }
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    let rows = chosen(&names);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let bench = Bench::new(rows.iter().any(|row| row.name == "flask"));
    print_machine(&bench, &load);
    let results: Vec<Measured<'_>> = rows.into_iter().map(|row| bench.measure(row)).collect();
    if !results.is_empty() {
        print_table(&results);
    }
    if names.contains(&INSTRUCTIONS) || names.is_empty() && has_valgrind() {
        print_instructions(&bench);
    }
    if results.iter().all(Measured::is_sound) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn chosen(names: &[&str]) -> Vec<&'static Row> {
    let known: Vec<&str> = ROWS.iter().map(|row| row.name).chain([INSTRUCTIONS]).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        panic!("there is no row `{name}`; known: {}", known.join(", "));
    }
    ROWS.iter().filter(|row| names.is_empty() || names.contains(&row.name)).collect()
}

fn has_valgrind() -> bool {
    command("valgrind").arg("--version").output().is_ok_and(|output| output.status.success())
}

// Both modules and what they serve.

/// Both modules, and a folder with the applications, removed at the end.
struct Bench {
    home: PathBuf,
    base: PathBuf,
    original: PathBuf,
    ours: PathBuf,
    python_path: Option<PathBuf>,
    site: TempDir,
}

impl Bench {
    fn new(with_flask: bool) -> Self {
        let base = std::env::var_os(BASE).map(PathBuf::from);
        let base = base.unwrap_or_else(|| panic!("set {BASE} to the prefix of a private httpd"));
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serving-bench");
        std::fs::create_dir_all(&home).unwrap();
        let original = std::env::var_os(ORIGINAL).map(PathBuf::from);
        Self {
            original: original.unwrap_or_else(|| build_original(&base, &home)),
            ours: build_ours(&base, &home),
            python_path: with_flask.then(|| install_flask(&home)),
            site: make_site(),
            base,
            home,
        }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.site.path().join(below)
    }

    /// Writes the configuration: for both modules the same but for one line.
    fn configure(&self, side: Side, port: u16) -> PathBuf {
        let module = if side == Side::Original { &self.original } else { &self.ours }.display();
        let site = self.site.path().display();
        let mut text = String::new();
        for name in ["mpm_event", "authz_core", "unixd", "mime"] {
            text += &format!("LoadModule {name}_module modules/mod_{name}.so\n");
        }
        text += &format!(
            "LoadModule wsgi_module \"{module}\"\n\
             ServerName localhost\nListen 127.0.0.1:{port}\n\
             StartServers 1\nServerLimit 1\nThreadLimit 8\nThreadsPerChild 8\n\
             MaxRequestWorkers 8\nMinSpareThreads 1\nMaxSpareThreads 8\n\
             KeepAlive On\nMaxKeepAliveRequests 0\nKeepAliveTimeout 30\n\
             PidFile \"{site}/httpd.pid\"\nDefaultRuntimeDir \"{site}\"\n\
             ErrorLog \"{site}/error_log\"\nLogLevel warn\n\
             TypesConfig conf/mime.types\nDocumentRoot \"{site}\"\n\
             <Directory />\nAllowOverride None\nRequire all denied\n</Directory>\n\
             <Directory \"{site}\">\nRequire all granted\n</Directory>\n"
        );
        if let Some(path) = &self.python_path {
            text += &format!("WSGIPythonPath \"{}\"\n", path.display());
        }
        for name in ROWS.iter().map(|row| row.name).chain(["python"]) {
            text += &format!(
                "WSGIScriptAlias /{name} \"{site}/{name}.wsgi\" application-group=%{{GLOBAL}}\n"
            );
        }
        let file = self.path("httpd.conf");
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Measures a row, all sides in turns, every second time the other way
    /// round.
    fn measure(&self, row: &'static Row) -> Measured<'static> {
        let mut sides = vec![Side::Original, Side::Ours];
        if row.most.0 == Side::Static {
            sides.push(Side::Static);
        }
        let mut measured = Measured { row, samples: Vec::new() };
        for _round in 0..ROUNDS {
            for &side in &sides {
                measured.samples.push((side, self.sample(row, side)));
            }
            sides.reverse();
        }
        eprintln!("{}: done", row.name);
        measured
    }

    /// One measurement, by a server that has just been started and warmed up.
    fn sample(&self, row: &Row, side: Side) -> Sample {
        let server = Server::start(self, side, None);
        let warming_up = server.load(row, side, row.requests / 4, CONNECTIONS);
        let cpu = server.cpu();
        let load = server.load(row, side, row.requests, CONNECTIONS);
        let cpu = (server.cpu() - cpu) * 1e6 / f64::from(row.requests);
        let failed = load.failed + warming_up.failed;
        Sample { cpu, memory: server.memory(), load: Load { failed, ..load } }
    }

    /// Instructions of one `hello`.
    fn instructions(&self, side: Side) -> u64 {
        let [few, many] = COUNTED.map(|requests| {
            // The event MPM, run as one process, sometimes aborts at its end.
            let counted = (0..5).find_map(|_| self.count(side, requests));
            counted.expect("a server that ends well under valgrind")
        });
        ((many - few) / f64::from(COUNTED[1] - COUNTED[0])).round() as u64
    }

    /// Instructions of a server that answers so many requests, if it ends well.
    fn count(&self, side: Side, requests: u32) -> Option<f64> {
        let name = if side == Side::Original { "original" } else { "ours" };
        let file = self.home.join(format!("callgrind.{name}.{requests}"));
        let mut server = Server::start(self, side, Some(&file));
        let load = server.load(&HELLO, side, requests, 1);
        assert!(load.failed == 0, "requests failed under valgrind\n{}", server.log());
        let ended_well = server.stop();
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let total = text.lines().find_map(|line| line.strip_prefix("totals:")).map(number);
        total.filter(|_| ended_well)
    }
}

/// Our module, with the profile of a release, both of its files side by side.
fn build_ours(base: &Path, home: &Path) -> PathBuf {
    let target = home.join("ours");
    let mut cargo = command(env!("CARGO"));
    cargo.args(["build", "--release", "--locked", "-p", "mod_wsgi", "-p", "pywsgi"]);
    cargo.arg("--target-dir").arg(&target).env("MOD_WSGI_HTTPD_PREFIX", base.join("current"));
    run(home, "build", cargo.current_dir(env!("CARGO_MANIFEST_DIR")));
    let folder = target.join("modules");
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["mod_wsgi", "mod_wsgi_python"] {
        let library = target.join(format!("release/lib{name}.so"));
        std::fs::copy(library, folder.join(format!("{name}.so"))).unwrap();
    }
    folder.join("mod_wsgi.so")
}

/// The original, built by pip for this httpd at the first run.
fn build_original(base: &Path, home: &Path) -> PathBuf {
    let venv = venv(home, "original");
    let express = venv.join("bin/mod_wsgi-express");
    if !express.exists() {
        let mut pip = command(venv.join("bin/pip"));
        pip.args(["install", "mod_wsgi==6.1.1"]).env("APXS", base.join("bin/apxs"));
        run(home, "original", &mut pip);
    }
    let output = command(express).arg("module-location").output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// Flask, installed at the first run. Answers the folder to import it from.
fn install_flask(home: &Path) -> PathBuf {
    let venv = venv(home, "flask");
    if !venv.join("bin/flask").exists() {
        run(home, "flask", command(venv.join("bin/pip")).args(["install", "flask"]));
    }
    let folders = glob::glob(venv.join("lib/python3*/site-packages").to_str().unwrap());
    folders.unwrap().next().unwrap().unwrap()
}

/// A virtual environment, made if it is not there.
fn venv(home: &Path, name: &str) -> PathBuf {
    let venv = home.join(name);
    if !venv.join("bin/pip").exists() {
        run(home, name, command("python3").args(["-m", "venv"]).arg(&venv));
    }
    venv
}

/// A folder with the applications, the file and the body that are sent.
fn make_site() -> TempDir {
    let site = tempfile::Builder::new().prefix("serving-bench-").tempdir().unwrap();
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/serving");
    for item in std::fs::read_dir(apps).unwrap().flatten() {
        std::fs::copy(item.path(), site.path().join(item.file_name())).unwrap();
    }
    std::fs::write(site.path().join("file1m.bin"), vec![b'x'; 1024 * 1024]).unwrap();
    std::fs::write(site.path().join("body"), vec![b'x'; 64 * 1024]).unwrap();
    site
}

/// Runs a command to its end; stops the benchmark if it fails.
fn run(home: &Path, name: &str, command: &mut Command) {
    let path = home.join(format!("{name}.log"));
    let log = File::create(&path).unwrap();
    let status = command.stdout(log.try_clone().unwrap()).stderr(log).status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "`{name}` failed; see {}", path.display());
}

/// A command that sees nothing of what would change Python or a build.
fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| {
        FOREIGN.iter().any(|foreign| name == foreign)
            || name.to_string_lossy().starts_with("PYTHON")
    }) {
        command.env_remove(name);
    }
    command
}

// Serving.

/// A running server; ended with it.
struct Server<'b> {
    bench: &'b Bench,
    child: Child,
    port: u16,
}

impl<'b> Server<'b> {
    /// Starts a server of one child; or of a single process under callgrind,
    /// which writes that file.
    fn start(bench: &'b Bench, side: Side, callgrind: Option<&Path>) -> Self {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let port = port.port();
        let configuration = bench.configure(side, port);
        let program = bench.base.join("bin/httpd");
        let mut httpd = match callgrind {
            None => command(program),
            Some(file) => {
                let mut valgrind = command("valgrind");
                valgrind.arg("--tool=callgrind");
                valgrind.arg(format!("--callgrind-out-file={}", file.display())).arg(program);
                valgrind
            }
        };
        httpd.arg("-f").arg(configuration);
        httpd.arg(if callgrind.is_some() { "-X" } else { "-DFOREGROUND" });
        let child = httpd.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{httpd:?}: {error}"));
        let mut server = Self { bench, child, port };
        server.wait();
        server
    }

    /// Waits until it listens.
    fn wait(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = self.child.try_wait().unwrap().is_some();
            assert!(!ended && Instant::now() < deadline, "httpd does not start\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.bench.path("error_log")).unwrap_or_default()
    }

    /// The body of a page.
    fn get(&self, name: &str) -> String {
        let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        write!(wire, "GET /{name}/ HTTP/1.0\r\n\r\n").unwrap();
        let mut reply = String::new();
        wire.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap_or_default();
        assert!(head.contains(" 200 "), "{reply}\n{}", self.log());
        body.to_owned()
    }

    /// Sends so many requests by so many connections.
    fn load(&self, row: &Row, side: Side, requests: u32, connections: u32) -> Load {
        let percentiles = self.bench.path("percentiles.csv");
        let mut ab = command(self.bench.base.join("bin/ab"));
        ab.args(["-k", "-q", "-n", &requests.to_string(), "-c", &connections.to_string()]);
        ab.arg("-e").arg(&percentiles);
        for number in 0..row.headers {
            ab.args(["-H", &format!("X-Question-{number}: value of header {number}")]);
        }
        if row.posts {
            ab.args(["-T", "application/octet-stream", "-p"]).arg(self.bench.path("body"));
        }
        let target = if side == Side::Static { "file1m.bin" } else { &format!("{}/", row.name) };
        let output = ab.arg(format!("http://127.0.0.1:{}/{target}", self.port)).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let found = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(number);
        let complete = found("Complete requests:").unwrap_or(0.0);
        assert!(complete > 0.0, "ab: {}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
        let unlike = found("Document Length:") != Some(row.length as f64);
        let failed = if unlike { complete } else { 0.0 }
            + found("Failed requests:").unwrap_or(0.0)
            + found("Non-2xx responses:").unwrap_or(0.0)
            + (f64::from(requests) - complete);
        let percentiles = std::fs::read_to_string(percentiles).unwrap();
        let p99 = percentiles.lines().find_map(|line| line.strip_prefix("99,")).map(number);
        let rate = found("Requests per second:").unwrap();
        Load { rate, p99: p99.unwrap(), failed: failed as u64 }
    }

    /// Its processes: the parent and its children.
    fn processes(&self) -> Vec<u32> {
        let parent = self.child.id();
        let numbers = std::fs::read_dir("/proc").unwrap().flatten();
        let numbers = numbers.filter_map(|item| item.file_name().to_str()?.parse::<u32>().ok());
        numbers
            .filter(|&pid| pid == parent || stat(pid).get(1) == Some(&f64::from(parent)))
            .collect()
    }

    /// Processor seconds of its processes.
    fn cpu(&self) -> f64 {
        // The 14th and 15th field; the third is the first after the name.
        let ticks = |pid| stat(pid).iter().skip(11).take(2).sum::<f64>();
        self.processes().into_iter().map(ticks).sum::<f64>() / TICKS_PER_SECOND
    }

    /// Memory of its processes in MiB, pages that they share counted once.
    fn memory(&self) -> f64 {
        let memory = |pid| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
            let text = text.unwrap_or_default();
            text.lines().find_map(|line| line.strip_prefix("Pss:")).map_or(0.0, number)
        };
        self.processes().into_iter().map(memory).sum::<f64>() / 1024.0
    }

    /// Ends it: whether it ended by itself, without a fault.
    fn stop(&mut self) -> bool {
        if let Ok(Some(status)) = self.child.try_wait() {
            return status.success();
        }
        let processes = self.processes();
        let _ended = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status.success();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        for pid in processes.into_iter().filter_map(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ended = kill_process(pid, Signal::KILL);
        }
        self.child.wait().is_ok_and(|status| status.success())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// What the kernel says of a process, as numbers; the first is the third field.
fn stat(pid: u32) -> Vec<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let (_, fields) = text.rsplit_once(") ").unwrap_or_default();
    fields.split(' ').map(number).collect()
}

/// The number that a text starts with, 0 if there is none.
fn number(text: &str) -> f64 {
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0.0)
}

// Results.

/// One measurement.
struct Sample {
    /// Microseconds of processors a request, user and system, of all processes.
    cpu: f64,
    /// MiB.
    memory: f64,
    load: Load,
}

/// What the client saw.
struct Load {
    /// Requests a second.
    rate: f64,
    /// Milliseconds that 99 of 100 requests stay below.
    p99: f64,
    failed: u64,
}

struct Measured<'r> {
    row: &'r Row,
    samples: Vec<(Side, Sample)>,
}

impl Measured<'_> {
    fn of(&self, side: Side) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |(of, _)| *of == side).map(|(_, sample)| sample)
    }

    fn failed(&self) -> u64 {
        self.samples.iter().map(|(_, sample)| sample.load.failed).sum()
    }

    fn is_sound(&self) -> bool {
        self.failed() == 0
    }

    fn typical(&self, side: Side, figure: fn(&Sample) -> f64) -> f64 {
        median(self.of(side).map(figure).collect())
    }

    /// Our processor time as a share of another side's, round by round.
    fn print(&self, other: Side) {
        let pairs = self.of(Side::Ours).zip(self.of(other));
        let ratios: Vec<f64> = pairs.map(|(ours, other)| ours.cpu / other.cpu).collect();
        let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        let ratio = median(ratios);
        let (against, most) = self.row.most;
        let target = match against == other {
            _ if !self.is_sound() => format!("FAILED: {} requests", self.failed()),
            true => format!("<= {most:.2}: {}", if ratio <= most { "met" } else { "MISSED" }),
            false => "-".to_owned(),
        };
        let name = self.row.name;
        let name = if other == Side::Static { "of httpd's own" } else { name };
        let both = |figure: fn(&Sample) -> f64, digits: usize| {
            let (other, ours) = (self.typical(other, figure), self.typical(Side::Ours, figure));
            format!("{other:.digits$} | {ours:.digits$}")
        };
        println!(
            "| {name} | {} | {ratio:.2} | {lowest:.2}-{highest:.2} | {target} | {} | {} |",
            both(|sample| sample.cpu, 1),
            both(|sample| sample.load.rate, 0),
            both(|sample| sample.load.p99, 2),
        );
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2])
}

/// Says what is compared where; stops if the sides run different Pythons.
fn print_machine(bench: &Bench, load: &str) {
    let [theirs, ours] =
        [Side::Original, Side::Ours].map(|side| Server::start(bench, side, None).get("python"));
    assert_eq!(theirs, ours, "the original and our module run different Pythons");
    let httpd = command(bench.base.join("bin/httpd")).arg("-v").output().unwrap();
    let httpd = String::from_utf8_lossy(&httpd.stdout).into_owned();
    let httpd = httpd.lines().next().unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = load.split(' ').next().unwrap_or_default();
    println!("{processors} processors, load {load} at the start\n{httpd}\n{ours}\n");
    println!("{ROUNDS} rounds, by `ab -k` with {CONNECTIONS} connections\n");
}

fn print_table(results: &[Measured<'_>]) {
    println!("| Row | CPU us | ours | Ratio | Spread | Target | Req/s | ours | p99 ms | ours |");
    println!("| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    for measured in results {
        measured.print(Side::Original);
        if measured.row.most.0 == Side::Static {
            measured.print(Side::Static);
        }
    }
    if let Some(hello) = results.iter().find(|measured| measured.row.name == HELLO.name) {
        let [theirs, ours] =
            [Side::Original, Side::Ours].map(|side| hello.typical(side, |sample| sample.memory));
        println!("\nMemory after `hello`: {theirs:.1} MiB, ours {ours:.1} MiB.");
    }
}

fn print_instructions(bench: &Bench) {
    let [theirs, ours] = [Side::Original, Side::Ours].map(|side| bench.instructions(side));
    let verdict = if ours <= MOST_INSTRUCTIONS { "met" } else { "MISSED" };
    println!(
        "\nInstructions of one `hello`: {theirs}, ours {ours} (<= {MOST_INSTRUCTIONS}: {verdict})."
    );
}
