//! Both modules, what they serve, and how httpd is told of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::server::{Mode, Setup, Side};

/// Prefix of the httpd that serves.
const BASE: &str = "MOD_WSGI_HTTPD_BASE";
/// The original's module for it.
const ORIGINAL: &str = "MOD_WSGI_ORIGINAL_SO";
/// The applications, each in a file of this folder.
const APPS: [&str; 11] = [
    "body1m",
    "body64k",
    "chunks1m",
    "file1m",
    "flask",
    "hang",
    "headers30",
    "hello",
    "post64k",
    "python",
    "sleep",
];
/// Variables by which one side would build or run otherwise than the other.
const FOREIGN: [&str; 6] = ["CC", "CFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "VIRTUAL_ENV"];

/// Both modules, and a folder with the applications, removed at the end.
pub(crate) struct Place {
    /// Where things are kept for the next run.
    pub(crate) home: PathBuf,
    /// The prefix of httpd.
    pub(crate) base: PathBuf,
    original: PathBuf,
    ours: PathBuf,
    python_path: Option<PathBuf>,
    site: TempDir,
}

impl Place {
    pub(crate) fn new(with_flask: bool) -> Self {
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

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.site.path().join(below)
    }

    /// The first line of what httpd says about itself.
    pub(crate) fn httpd(&self) -> String {
        let httpd = command(self.base.join("bin/httpd")).arg("-v").output().unwrap();
        let text = String::from_utf8_lossy(&httpd.stdout).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    }

    /// Writes the configuration: for both modules the same but for one line.
    pub(crate) fn configure(&self, setup: Setup<'_>, side: Side, port: u16) -> PathBuf {
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
        let path = self.python_path.as_ref().map(|path| path.display());
        match setup.mode {
            Mode::Embedded => {
                text +=
                    &path.map_or_else(String::new, |path| format!("WSGIPythonPath \"{path}\"\n"));
            }
            Mode::Daemon => {
                let path = path.map_or_else(String::new, |path| format!("python-path=\"{path}\""));
                text += &format!(
                    "WSGIRestrictEmbedded On\n\
                     WSGIDaemonProcess bench processes=1 threads=5 display-name=%{{GROUP}} {path} {}\n\
                     WSGIProcessGroup bench\n",
                    setup.options
                );
            }
        }
        text += &setup.directives.replace("SITE", &site.to_string());
        for app in APPS {
            text += &format!(
                "WSGIScriptAlias /{app} \"{site}/{app}.wsgi\" application-group=%{{GLOBAL}}\n"
            );
        }
        let file = self.path("httpd.conf");
        std::fs::write(&file, text).unwrap();
        file
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
    for name in APPS.map(|app| format!("{app}.wsgi")) {
        std::fs::copy(apps.join(&name), site.path().join(&name)).unwrap();
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
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
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
