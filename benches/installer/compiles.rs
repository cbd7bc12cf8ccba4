//! What each compilation of a build takes. The benchmark itself is the launcher
//! that the installer starts the compiler by: under another name it runs the
//! command and notes its time.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::children::cpu_of_children;

/// Runs as a launcher, if this process was started as one.
pub(crate) fn launch() {
    let mut words = std::env::args_os();
    let Some(own) = words.next().map(PathBuf::from).filter(|own| own.ends_with(NAME)) else {
        return;
    };
    let words: Vec<_> = words.collect();
    let (program, arguments) = words.split_first().unwrap();
    let status = Command::new(program).args(arguments).status().unwrap();
    let seconds = cpu_of_children() + ROUNDED_AWAY;
    let at = words.iter().position(|word| word == "-c").unwrap();
    // The source may be named relative to the folder that the compiler runs in.
    let source = std::env::current_dir().unwrap().join(&words[at + 1]);
    let mut notes = File::options().create(true).append(true).open(notes(&own)).unwrap();
    notes.write_all(format!("{seconds} {}\n", source.display()).as_bytes()).unwrap();
    #[expect(clippy::exit, reason = "the compiler's own status is what the installer reads")]
    std::process::exit(status.code().unwrap_or(1));
}

/// The launcher in a row's folder.
pub(crate) fn launcher(folder: &Path) -> PathBuf {
    let launcher = folder.join(NAME);
    let _earlier = std::fs::remove_file(notes(&launcher));
    let _not_there = std::fs::remove_file(&launcher);
    std::os::unix::fs::symlink(std::env::current_exe().unwrap(), &launcher).unwrap();
    launcher
}

/// What the compilers of a build took.
pub(crate) struct Compiles {
    /// Seconds of processors by file.
    files: Vec<(f64, PathBuf)>,
}

impl Compiles {
    pub(crate) fn read(folder: &Path) -> Self {
        let text = std::fs::read_to_string(notes(&folder.join(NAME))).unwrap();
        let pairs = text.lines().map(|line| line.split_once(' ').unwrap());
        let files = pairs.map(|(seconds, file)| (seconds.parse().unwrap(), PathBuf::from(file)));
        Self { files: files.collect() }
    }

    /// No build with these compilations is faster than this.
    pub(crate) fn floor(&self) -> f64 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.files.iter().map(|(seconds, _)| seconds).sum::<f64>() / cores as f64
    }

    /// The longest chain of compilations that wait for each other: what includes
    /// OpenSSL's headers waits for its library, nothing else for anything.
    pub(crate) fn chain(&self) -> String {
        let longest = |is_in: fn(&Path) -> bool| {
            let files = self.files.iter().filter(|(_, file)| is_in(file));
            files.max_by(|one, other| one.0.total_cmp(&other.0))
        };
        let openssl = |file: &Path| has(file, "openssl");
        let includes = |file: &Path| has(file, "ssl") || file.ends_with("support/ab.c");
        let alone: Vec<_> = longest(|_| true).into_iter().collect();
        let both: Vec<_> = longest(openssl).into_iter().chain(longest(includes)).collect();
        let is_built = longest(openssl).is_some();
        let sum = |files: &[&(f64, PathBuf)]| files.iter().map(|file| file.0).sum::<f64>();
        let chain = if is_built && sum(&both) > sum(&alone) { both } else { alone };
        let names: Vec<_> =
            chain.iter().map(|file| file.1.file_name().unwrap().to_string_lossy()).collect();
        format!("{:.1} s ({})", sum(&chain), names.join(", then "))
    }

    pub(crate) fn count(&self) -> usize {
        self.files.len()
    }
}

/// Whether a folder on the way to a file has that name.
fn has(file: &Path, name: &str) -> bool {
    file.parent().is_some_and(|folder| folder.iter().any(|part| part == name))
}

fn notes(launcher: &Path) -> PathBuf {
    launcher.with_extension("notes")
}

const NAME: &str = "compile-and-note";

/// Times of processes come in hundredths of seconds, user and system, cut off.
const ROUNDED_AWAY: f64 = 0.01;
