//! The closing check of a staged tree: every module loads, and httpd serves a
//! page over HTTP/1.1, HTTP/2 and TLS on a loopback port, and a WSGI application
//! when it has the module for it. Without the feature `network` nobody here speaks
//! HTTP/2 and TLS: their modules are then loaded, and pages are asked for over HTTP/1.1.

mod plain;
#[cfg(feature = "network")]
mod secure;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder::{closed_to_others, set_mode};
use crate::process::{Program, Running, check_interrupted};
use crate::python::Python;
use crate::recipe::{Check, Recipe, RunCheck};
use crate::report::Report;
use crate::stage::build::expect_output;
use crate::stage::link::{self, Linkage};

/// How far the check came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Proof {
    /// Pages were served over each protocol.
    Served,
    /// Every module loads, and pages were served over HTTP/1.1.
    Plain,
    /// Every module loads; this machine has no loopback to serve on.
    Configuration,
}

impl Proof {
    /// Name in the build record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Plain => "served-http1",
            Self::Configuration => "configuration",
        }
    }
}

/// Runs the checks of a tree's parts, each a recipe and the release, where the tree
/// will stay; serves from it as [`serve`] does, if it has a server.
///
/// # Errors
/// Of the first check that fails.
pub fn prove<'p>(
    tree: &Path,
    parts: impl Iterator<Item = (&'p Recipe, &'p str)>,
    scratch: &Path,
    python: Option<&Python>,
    env: &Env,
    report: &Report,
) -> Result<Proof> {
    let mut proof = Proof::Configuration;
    for (recipe, version) in parts {
        for check in &recipe.checks {
            if let Check::Run(check) = check {
                run_check(tree, check, version, env)?;
            }
        }
        if recipe.serves {
            let application = if python.is_some() { ", and a WSGI application" } else { "" };
            let others = if SPEAKS_ALL { ", HTTP/2 and TLS" } else { "" };
            let what = format!("pages over HTTP/1.1{others}{application}");
            report.step("Checking", &what);
            proof = serve(tree, scratch, python, env, report)?;
        }
    }
    Ok(proof)
}

/// Runs a recipe's command of the tree.
///
/// # Errors
/// When it fails or prints something else.
pub fn run_check(tree: &Path, check: &RunCheck, version: &str, env: &Env) -> Result<()> {
    let mut words = check.command.iter();
    let name = words.next().cloned().unwrap_or_default();
    let output =
        Program::new(tree.join(&name)).args(words).envs(env.for_build()).output(Kind::Install)?;
    expect_output(&format!("`{name}`"), &output, &check.prints.replace("{version}", version))
}

/// Starts the tree's httpd and fetches pages, and the answer of an application
/// that runs in `python`. `scratch` takes its configuration and logs.
///
/// # Errors
/// When a module does not load or a page is not served; the server's own words
/// are shown.
pub fn serve(
    tree: &Path,
    scratch: &Path,
    python: Option<&Python>,
    env: &Env,
    report: &Report,
) -> Result<Proof> {
    let files = link::read_tree(tree)?;
    let modules = Modules::of(tree, &files);
    let site = Site::new(tree, scratch, &modules)?;
    let rounds = rounds(tree, python, report);
    for mpm in &modules.mpms {
        site.check_configuration(mpm, &modules, env)?;
    }
    report.detail(&format!(
        "{} modules load under {} MPMs",
        modules.others.len(),
        modules.mpms.len()
    ));
    if let Err(why) = loopback_works() {
        report.warn(&format!(
            "this machine has no usable loopback interface ({why}): every module loads, but no page was served"
        ));
        return Ok(Proof::Configuration);
    }
    let mpm = modules.mpms.iter().find(|mpm| mpm.name == "mpm_event").or(modules.mpms.first());
    let mpm = mpm.ok_or_else(|| Error::new(Kind::Install, "the tree has no MPM"))?;
    rounds.iter().try_for_each(|round| site.serve(mpm, &modules, round, env))?;
    Ok(if SPEAKS_ALL { Proof::Served } else { Proof::Plain })
}

/// What one start of the server has to serve.
#[derive(Clone, Debug, Default)]
struct Round {
    pages: bool,
    /// What the application answers, if it is there.
    application: Option<String>,
    /// The Python home, for a module that names none.
    home: Option<PathBuf>,
    /// A server that root starts goes on as root.
    keeps_user: bool,
}

/// One start for all, or, where the user that root's server becomes cannot run
/// this Python, one more for the application. What cannot be served is told.
fn rounds(tree: &Path, python: Option<&Python>, report: &Report) -> Vec<Round> {
    let pages = Round { pages: true, ..Round::default() };
    let Some(python) = python else { return vec![pages] };
    let version = &python.version;
    if python.shared_library().is_none() {
        report.warn(&format!(
            "{} has no shared library, so no application was served: embedded mode needs a \
             Python built with --enable-shared",
            python.executable.display()
        ));
        return vec![pages];
    }
    let application = Some(application_answer(version));
    let home = python.portable.then(|| python.prefix.clone());
    let closed = python
        .closed_to_others()
        .map(|folder| (format!("Python {version}"), folder))
        .or_else(|| Some(("this httpd".to_owned(), closed_to_others(tree)?)));
    match closed.filter(|_| rustix::process::geteuid().is_root()) {
        None => vec![Round { application, home, ..pages }],
        Some((what, folder)) => {
            report.warn(&format!(
                "{what} lies in `{}`, which is closed to others: an httpd that root starts to serve \
                 as another user cannot run applications with it; take another place (--python, \
                 --prefix), or start httpd as the owner",
                folder.display()
            ));
            vec![pages, Round { application, home, keeps_user: true, ..Round::default() }]
        }
    }
}

/// What [`APPLICATION`] answers in a Python of that version.
fn application_answer(version: &str) -> String {
    format!("served by Python {version}\n")
}

/// A module file and the name of its record.
#[derive(Clone, Debug)]
struct Module {
    name: String,
    file: String,
}

/// The modules of a tree, in an order in which each finds the names it wants.
struct Modules {
    mpms: Vec<Module>,
    others: Vec<Module>,
}

impl Modules {
    fn of(tree: &Path, files: &BTreeMap<PathBuf, Linkage>) -> Self {
        let folder = tree.join("modules");
        let ours: BTreeMap<&PathBuf, &Linkage> =
            files.iter().filter(|(path, _)| path.starts_with(&folder)).collect();
        let mut ordered = Vec::new();
        let mut seen = BTreeSet::new();
        for path in ours.keys() {
            add_in_order(path, &ours, &mut seen, &mut ordered);
        }
        let module = |path: &PathBuf| -> Option<Module> {
            let stem = path.file_stem()?.to_str()?;
            let name = stem.strip_prefix("mod_")?;
            let file = path.file_name()?.to_str()?.to_owned();
            // The record is called after the file, unless it is called otherwise.
            let symbol = format!("{name}_module");
            let defines = &ours.get(path)?.defines;
            let record = if defines.contains(&symbol) {
                name.to_owned()
            } else {
                defines.iter().find_map(|symbol| symbol.strip_suffix("_module"))?.to_owned()
            };
            Some(Module { name: record, file })
        };
        let all: Vec<Module> = ordered.iter().filter_map(module).collect();
        let (mpms, others) = all.into_iter().partition(|module| module.name.starts_with("mpm_"));
        Self { mpms, others }
    }

    fn has(&self, name: &str) -> bool {
        self.others.iter().any(|module| module.name == name)
    }
}

fn add_in_order(
    path: &PathBuf,
    all: &BTreeMap<&PathBuf, &Linkage>,
    seen: &mut BTreeSet<PathBuf>,
    ordered: &mut Vec<PathBuf>,
) {
    if !seen.insert(path.clone()) {
        return;
    }
    if let Some(linkage) = all.get(path) {
        for (other, theirs) in all {
            if !linkage.wants.is_disjoint(&theirs.defines) {
                add_in_order(other, all, seen, ordered);
            }
        }
    }
    ordered.push(path.clone());
}

/// A throw-away site: configuration, document, certificate and logs.
struct Site<'a> {
    tree: &'a Path,
    folder: PathBuf,
    certificate: Option<String>,
}

impl<'a> Site<'a> {
    fn new(tree: &'a Path, scratch: &Path, modules: &Modules) -> Result<Self> {
        let folder = scratch.join("site");
        let write = |name: &str, text: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, text).map_err(Error::io(Kind::Install, "write", &path))
        };
        for below in ["htdocs", "logs", "wsgi"] {
            let path = folder.join(below);
            std::fs::create_dir_all(&path).map_err(Error::io(
                Kind::Install,
                "make folder",
                &path,
            ))?;
        }
        write("htdocs/index.html", PAGE.as_bytes())?;
        write("wsgi/application.wsgi", APPLICATION.as_bytes())?;
        let mut certificate = None;
        if modules.has("ssl")
            && let Some(made) = make_certificate()?
        {
            write("certificate.pem", made.pem.as_bytes())?;
            write("key.pem", made.key.as_bytes())?;
            certificate = Some(made.pem);
        }
        let site = Self { tree, folder, certificate };
        site.let_everyone_read()?;
        Ok(site)
    }

    /// A strict umask must not keep the server's user out.
    fn let_everyone_read(&self) -> Result<()> {
        for folder in ["", "htdocs", "wsgi"] {
            set_mode(&self.folder.join(folder), 0o755)?;
        }
        set_mode(&self.folder.join("htdocs/index.html"), 0o644)?;
        set_mode(&self.folder.join("wsgi/application.wsgi"), 0o644)
    }

    /// A configuration that loads everything under that MPM.
    fn write_configuration(
        &self,
        mpm: &Module,
        modules: &Modules,
        round: &Round,
        ports: [u16; 2],
    ) -> Result<PathBuf> {
        let folder = self.folder.display();
        let [plain, secure] = ports;
        let mut text = String::new();
        for module in std::iter::once(mpm).chain(&modules.others) {
            text.push_str(&format!(
                "LoadModule {}_module \"modules/{}\"\n",
                module.name, module.file
            ));
        }
        text.push_str(&format!(
            "ServerName localhost\nListen 127.0.0.1:{plain}\nPidFile \"{folder}/logs/httpd.pid\"\n\
             DefaultRuntimeDir \"{folder}/logs\"\nErrorLog \"{folder}/logs/error_log\"\nLogLevel warn\n\
             DocumentRoot \"{folder}/htdocs\"\n<Directory \"{folder}/htdocs\">\nRequire all granted\n</Directory>\n\
             <IfModule mime_module>\nTypesConfig conf/mime.types\n</IfModule>\n\
             <IfModule cgid_module>\nScriptSock \"{folder}/logs/cgisock\"\n</IfModule>\n\
             <IfModule heartmonitor_module>\nHeartbeatStorage \"{folder}/logs/hb.dat\"\n</IfModule>\n\
             <IfModule brotli_module>\nAddOutputFilterByType BROTLI_COMPRESS text/html\n</IfModule>\n"
        ));
        if !round.keeps_user {
            text.push_str("<IfModule unixd_module>\nUser nobody\nGroup #65534\n</IfModule>\n");
        }
        if modules.has("http2") {
            text.push_str("Protocols h2 h2c http/1.1\n");
        }
        if round.application.is_some() {
            text.push_str(&format!(
                "WSGIDontWriteBytecode On\nWSGIApplicationGroup %{{GLOBAL}}\n\
                 WSGIScriptAlias {APPLICATION_AT} \"{folder}/wsgi/application.wsgi\"\n\
                 <Directory \"{folder}/wsgi\">\nRequire all granted\n</Directory>\n"
            ));
            if let Some(home) = &round.home {
                text.push_str(&format!("WSGIPythonHome \"{}\"\n", home.display()));
            }
        } else if modules.has("wsgi") {
            text.push_str("WSGIRestrictEmbedded On\n");
        }
        if self.certificate.is_some() {
            text.push_str(&format!(
                "Listen 127.0.0.1:{secure}\n<VirtualHost 127.0.0.1:{secure}>\nSSLEngine on\n\
                 SSLCertificateFile \"{folder}/certificate.pem\"\nSSLCertificateKeyFile \"{folder}/key.pem\"\n</VirtualHost>\n"
            ));
        }
        let path = self.folder.join("httpd.conf");
        std::fs::write(&path, text).map_err(Error::io(Kind::Install, "write", &path))?;
        Ok(path)
    }

    /// httpd without `-d`: it must find its own place.
    fn httpd(&self, configuration: &Path, env: &Env) -> Program {
        Program::new(self.tree.join("bin/httpd")).envs(env.for_build()).arg("-f").arg(configuration)
    }

    fn check_configuration(&self, mpm: &Module, modules: &Modules, env: &Env) -> Result<()> {
        let round = Round::default();
        let configuration = self.write_configuration(mpm, modules, &round, [8080, 8443])?;
        let output = self.httpd(&configuration, env).arg("-t").output(Kind::Install)?;
        if output.status.success() {
            return Ok(());
        }
        let error =
            Error::new(Kind::Install, format!("httpd refuses its own modules under {}", mpm.name));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(text.lines().chain(self.log().lines()).fold(error, Error::detail))
    }

    fn serve(&self, mpm: &Module, modules: &Modules, round: &Round, env: &Env) -> Result<()> {
        let mut attempts = 1..3;
        loop {
            match self.serve_once(mpm, modules, round, env) {
                // Somebody else may take a port between our look and the start.
                Err(error)
                    if error.details.iter().any(|line| line.contains("Address already in use"))
                        && attempts.next().is_some() => {}
                result => return result,
            }
        }
    }

    fn serve_once(&self, mpm: &Module, modules: &Modules, round: &Round, env: &Env) -> Result<()> {
        let ports = [free_port()?, free_port()?];
        let configuration = self.write_configuration(mpm, modules, round, ports)?;
        let output = std::fs::File::create(self.folder.join("logs/output")).map_err(Error::io(
            Kind::Install,
            "make",
            &self.folder,
        ))?;
        let twin = output.try_clone().map_err(Error::io(Kind::Install, "open", &self.folder))?;
        let mut server = self
            .httpd(&configuration, env)
            .arg("-DFOREGROUND")
            .output_to(output, twin)
            .start(Kind::Install)?;
        let result =
            self.wait(&mut server, ports[0]).and_then(|()| self.fetch(modules, round, ports));
        server.stop(Duration::from_secs(10));
        result.map_err(|error| {
            self.log().lines().map(|line| format!("| {line}")).fold(error, Error::detail)
        })
    }

    fn wait(&self, server: &mut Running, port: u16) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            check_interrupted()?;
            if TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok() {
                return Ok(());
            }
            if let Some(status) = server.ended() {
                return Err(Error::new(Kind::Install, format!("httpd ended at once: {status}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Error::new(Kind::Install, "httpd does not listen within 20 seconds"))
    }

    fn fetch(&self, modules: &Modules, round: &Round, ports: [u16; 2]) -> Result<()> {
        if round.pages {
            self.fetch_pages(modules, ports)?;
        }
        let Some(answer) = &round.application else { return Ok(()) };
        plain::expect(ports[0], APPLICATION_AT, answer)
    }

    fn fetch_pages(&self, modules: &Modules, ports: [u16; 2]) -> Result<()> {
        plain::expect(ports[0], "/", PAGE)?;
        #[cfg(feature = "network")]
        secure::expect(ports, self.certificate.as_deref(), modules.has("http2"), PAGE)?;
        #[cfg(not(feature = "network"))]
        let _nobody_asks = modules;
        Ok(())
    }

    fn log(&self) -> String {
        let read = |name: &str| {
            std::fs::read_to_string(self.folder.join("logs").join(name)).unwrap_or_default()
        };
        read("output") + &read("error_log")
    }
}

/// A certificate of the site, and its key.
struct Certificate {
    pem: String,
    key: String,
}

#[cfg(feature = "network")]
fn make_certificate() -> Result<Option<Certificate>> {
    secure::make_certificate().map(Some)
}

/// Nobody would ask for the page.
#[cfg(not(feature = "network"))]
fn make_certificate() -> Result<Option<Certificate>> {
    Ok(None)
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|source| Error::new(Kind::Install, "no loopback port is free").caused_by(source))
}

fn loopback_works() -> std::io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    TcpStream::connect_timeout(&listener.local_addr()?, Duration::from_secs(2)).map(drop)
}

/// Whether this program speaks HTTP/2 and TLS itself.
const SPEAKS_ALL: bool = cfg!(feature = "network");

const PAGE: &str = "<!DOCTYPE html><title>mod_wsgi-httpd</title><p>served by a private httpd";

/// Where the application is served.
const APPLICATION_AT: &str = "/wsgi";

const APPLICATION: &str = r#"import sys


def application(environ, start_response):
    body = ("served by Python %d.%d.%d\n" % sys.version_info[:3]).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Level;

    #[test]
    fn a_python_without_a_library_runs_no_application() {
        let folder = tempfile::tempdir().unwrap();
        let python = |library: Option<&str>| Python {
            executable: "/usr/bin/python3".into(),
            prefix: "/usr".into(),
            base_prefix: "/usr".into(),
            stdlib: "/usr".into(),
            version: "3.12.1".to_owned(),
            include: "/usr".into(),
            library_folder: Some(folder.path().to_owned()),
            library: library.map(str::to_owned),
            portable: false,
        };
        let report = Report::new(Level::Quiet, false, &Env::default());
        let rounds = |library| rounds(Path::new("/usr"), Some(&python(library)), &report);
        // Named, but in a package that is not installed.
        for missing in [rounds(None), rounds(Some("libpython.so"))] {
            assert!(missing.len() == 1 && missing[0].application.is_none(), "{missing:?}");
        }
        std::fs::write(folder.path().join("libpython.so"), "").unwrap();
        set_mode(folder.path(), 0o700).unwrap();
        let found = rounds(Some("libpython.so"));
        let last = found.last().unwrap();
        assert_eq!(last.application.as_deref(), Some("served by Python 3.12.1\n"));
        // Nobody but root and its owner may pass that folder.
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!((found.len(), last.keeps_user), (if is_root { 2 } else { 1 }, is_root));
        assert!(found[0].pages);
    }
}
