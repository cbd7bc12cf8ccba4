//! A folder for one test, with recipes for a tiny httpd: a shell script that is
//! configured, made, installed and checked like the real one, within a second.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// A folder for one test; gone with it.
pub(crate) struct Sandbox {
    folder: TempDir,
}

/// How a run of the program ended.
pub(crate) struct Outcome {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// One release of the tiny httpd: what the recipe pins.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) version: String,
    pub(crate) file: String,
    pub(crate) folder: String,
    pub(crate) urls: Vec<String>,
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Sandbox {
    /// An empty sandbox: no recipe yet.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::Builder::new().prefix("sandbox-").tempdir().unwrap();
        for below in ["recipes", "upstream", "home", "tmp"] {
            std::fs::create_dir(folder.path().join(below)).unwrap();
        }
        Self { folder }
    }

    /// A sandbox whose upstream has release 1.0 of the tiny httpd.
    pub(crate) fn new() -> Self {
        let sandbox = Self::empty();
        let release = sandbox.publish("1.0", &tiny_httpd("1.0"));
        sandbox.recipe(&[release], "");
        sandbox
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub(crate) fn prefix(&self) -> PathBuf {
        self.path("prefix")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path("cache")
    }

    /// Puts an archive where a `file:` address finds it.
    pub(crate) fn publish(&self, version: &str, archive: &[u8]) -> Release {
        let mut release = Release::of(version, archive);
        let path = self.path("upstream").join(&release.file);
        std::fs::write(&path, archive).unwrap();
        release.urls = vec![format!("file://{}", path.display())];
        release
    }

    /// Writes the recipe of the tiny httpd; `extra` goes before the releases.
    pub(crate) fn recipe(&self, releases: &[Release], extra: &str) {
        let text: String = releases.iter().map(Release::toml).collect();
        let path = self.path("recipes/httpd.toml");
        std::fs::write(path, format!("{RECIPE}\n{extra}\n{text}")).unwrap();
    }

    /// The program in the sandbox: its recipes, its cache, an environment of
    /// nothing but the search path and folders of its own.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(args)
            .arg("--recipes")
            .arg(self.path("recipes"))
            .arg("--cache")
            .arg(self.cache())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .stdin(Stdio::null())
            .current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.command(args).output().unwrap())
    }

    /// Runs a command for this sandbox's prefix.
    pub(crate) fn at_prefix(&self, command: &str, args: &[&str]) -> Outcome {
        let prefix = self.prefix();
        let mut all = vec![command, "--prefix", prefix.to_str().unwrap()];
        all.extend(args);
        self.run(&all)
    }

    pub(crate) fn install(&self, args: &[&str]) -> Outcome {
        self.at_prefix("install", args)
    }

    /// Arguments of an install into this sandbox's prefix.
    pub(crate) fn install_args(&self) -> [&'static str; 3] {
        ["install", "--prefix", "prefix"]
    }

    /// Runs the program by way of another one.
    pub(crate) fn through(&self, wrapper: &[&str], args: &[&str]) -> Outcome {
        let inner = self.command(args);
        let mut outer = Command::new(wrapper[0]);
        outer.args(&wrapper[1..]).arg(inner.get_program()).args(inner.get_args()).env_clear();
        for (name, value) in inner.get_envs() {
            outer.env(name, value.unwrap_or_default());
        }
        outer.stdin(Stdio::null()).current_dir(self.folder.path());
        Outcome::of(outer.output().unwrap())
    }

    /// Runs the program with file systems of its own; nothing, with a word, on
    /// a machine that allows no such thing.
    pub(crate) fn with_mounts(&self, mounts: &str, args: &[&str]) -> Option<Outcome> {
        self.with_mounts_then(mounts, args, "true")
    }

    /// The same, with a last command inside.
    pub(crate) fn with_mounts_then(
        &self,
        mounts: &str,
        args: &[&str],
        last: &str,
    ) -> Option<Outcome> {
        if !may_unshare() {
            eprintln!("not tested: this user may not mount file systems");
            return None;
        }
        let script = format!("{mounts} || exit 99; \"$@\"; status=$?; {last}; exit $status");
        Some(self.through(&["unshare", "--mount", "sh", "-c", &script, "sh"], args))
    }

    /// A virtual environment of the machine's Python.
    pub(crate) fn venv(&self, name: &str) -> PathBuf {
        let folder = self.path(name);
        let status = Command::new("python3")
            .args(["-m", "venv", "--without-pip"])
            .arg(&folder)
            .status()
            .unwrap();
        assert!(status.success(), "python3 makes no virtual environment");
        folder
    }

    /// Starts an install and goes on.
    pub(crate) fn start_install(&self, args: &[&str]) -> Child {
        let prefix = self.prefix();
        let mut all = vec!["install", "--prefix", prefix.to_str().unwrap()];
        all.extend(args);
        self.command(&all).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// What the installed tiny httpd says its version is.
    pub(crate) fn installed_version(&self) -> String {
        let output = Command::new(self.prefix().join("bin/httpd")).arg("-v").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Fails unless nothing is left of an install that failed: no tree, no
    /// staging folder, no work folder.
    pub(crate) fn assert_nothing_installed(&self) {
        let store = self.prefix().join("store");
        assert_eq!(names_in(&store), Vec::<String>::new(), "in the store");
        assert!(!self.prefix().join("current").exists(), "a tree is in use");
        assert_eq!(names_in(&self.path("tmp")), Vec::<String>::new(), "in the temporary folder");
    }
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        let status = output.status;
        Self {
            status: status.code().unwrap_or_else(|| -status.signal().unwrap_or(0)),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Fails unless the run ended with that status.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(
            self.status, status,
            "status\n--- stdout\n{}--- stderr\n{}",
            self.stdout, self.stderr
        );
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self
    }

    /// Fails unless standard error has that text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "`{text}` is not in:\n{}", self.stderr);
        self
    }

    /// Fails unless standard output has that text.
    #[track_caller]
    pub(crate) fn prints(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "`{text}` is not in:\n{}", self.stdout);
        self
    }

    /// Fails if standard error has that text.
    #[track_caller]
    pub(crate) fn says_nothing_of(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text), "`{text}` is in:\n{}", self.stderr);
        self
    }
}

impl Release {
    /// The release that an archive is, without any address.
    pub(crate) fn of(version: &str, archive: &[u8]) -> Self {
        Self {
            version: version.to_owned(),
            file: format!("httpd-{version}.tar.gz"),
            folder: format!("httpd-{version}"),
            urls: Vec::new(),
            sha256: sha256(archive),
            size: archive.len() as u64,
        }
    }

    pub(crate) fn at(mut self, urls: &[&str]) -> Self {
        self.urls = urls.iter().map(|&url| url.to_owned()).collect();
        self
    }

    pub(crate) fn toml(&self) -> String {
        format!(
            "[[release]]\nversion = {:?}\n[[release.file]]\nname = {:?}\nurls = {:?}\nsha256 = {:?}\nsize = {}\nfolder = {:?}\n",
            self.version, self.file, self.urls, self.sha256, self.size, self.folder
        )
    }
}

/// The program under test.
pub(crate) fn program() -> &'static str {
    env!("CARGO_BIN_EXE_mod_wsgi-httpd")
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Names in a folder, sorted; none when it does not exist.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let items = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        items.map(|item| item.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Whether this user may have mounts and networks of its own.
pub(crate) fn may_unshare() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "true"]).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The archive of a tiny httpd.
pub(crate) fn tiny_httpd(version: &str) -> Vec<u8> {
    tiny_httpd_with(version, CONFIGURE, "")
}

/// The same with another configure script and more lines in its makefile.
pub(crate) fn tiny_httpd_with(version: &str, configure: &str, recipe_of_make: &str) -> Vec<u8> {
    let makefile = format!(
        "all:\n\tsed 's/@VERSION@/{version}/' httpd.in > httpd\n\tchmod 755 httpd\n{recipe_of_make}"
    );
    archive(version, &[("configure", configure.as_bytes()), ("makefile.in", makefile.as_bytes())])
}

/// The same with further files.
pub(crate) fn tiny_httpd_and(version: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let makefile =
        format!("all:\n\tsed 's/@VERSION@/{version}/' httpd.in > httpd\n\tchmod 755 httpd\n");
    let plain: [(&str, &[u8]); 2] =
        [("configure", CONFIGURE.as_bytes()), ("makefile.in", makefile.as_bytes())];
    archive(version, &[&plain, files].concat())
}

fn archive(version: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let same: [(&str, &[u8]); 2] =
        [("httpd.in", b"#!/bin/sh\necho Apache/@VERSION@\n"), ("LICENSE", b"Do as you like.\n")];
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in [files, &same].concat() {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(if name == "configure" { 0o755 } else { 0o644 });
        header.set_cksum();
        tar.append_data(&mut header, format!("httpd-{version}/{name}"), bytes).unwrap();
    }
    gzip(&tar.into_inner().unwrap())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) const CONFIGURE: &str = "#!/bin/sh\ncp makefile.in Makefile\n";

/// All of the tiny recipe but its releases.
const RECIPE: &str = r#"
name = "httpd"
summary = "a tiny httpd"
licence = "Apache-2.0"
licence-files = ["LICENSE"]
homepage = "https://httpd.invalid"
placement = "tree"
minimum-safe = "1.0"

[features.tls]
summary = "nothing"
default = true
needs = []
with = []
without = []

[build.configure]
program = "configure"
arguments = ["--prefix={prefix}"]
make = []

[[install]]
from = ["httpd"]
to = "bin"

[[check]]
run = { command = ["bin/httpd", "-v"], prints = "Apache/{version}" }
"#;
