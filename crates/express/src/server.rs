//! What follows from the options: names, places, mode, capacity. Everything that
//! is written, said or started takes its facts from here, and only from here.

mod facts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::caller::Caller;
use crate::capacity::{Capacity, Mode};
use crate::error::{Error, Result};
use crate::locale;
use crate::option_file::Given;
use crate::options::{Options, number};
use crate::programs::Programs;

/// A server, fully decided.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Who calls.
    pub caller: Caller,
    /// What was typed.
    pub options: Options,
    /// What it is made of.
    pub programs: Programs,
    /// `--host`, or `localhost`; in brackets if it is an IPv6 address.
    pub host: String,
    /// Port for HTTP.
    pub port: u32,
    /// TLS, if it is on.
    pub tls: Option<Tls>,
    /// Folder that holds all that is written.
    pub root: PathBuf,
    /// Folder of the logs.
    pub logs: PathBuf,
    /// The application.
    pub entry: Entry,
    /// Normal path, with a slash before it.
    pub mount_point: String,
    /// Folder of static files.
    pub document_root: PathBuf,
    /// Daemon process group.
    pub group_name: String,
    /// Title of its processes.
    pub title: String,
    /// Account of processes.
    pub account: Account,
    /// For `LANG` and `LC_ALL`.
    pub locale: String,
    /// Where the application runs.
    pub mode: Mode,
    /// The MPM in use; none when httpd has one compiled in.
    pub mpm: Option<&'static str>,
    /// All MPMs that may be used.
    pub mpms: Vec<&'static str>,
    /// How many workers httpd gets.
    pub capacity: Capacity,
    /// Services, in order.
    pub services: Vec<Service>,
    /// Folders that are searched for modules first.
    pub python_path: String,
    /// Working directory, unless only the caller may enter the one that is meant.
    pub working_directory: Option<String>,
    /// End of the names of what only one of several applications has: its handler and
    /// its script.
    pub suffix: String,
    /// Further applications, each as the server that it would have alone: its entry
    /// point, mount point, process group and limits are its own.
    pub others: Vec<Server>,
    /// File of options, if there is one.
    pub options_file: Option<PathBuf>,
}

/// TLS.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// Its port.
    pub port: u32,
    /// File of the certificate.
    pub certificate: String,
    /// File of its key.
    pub key: String,
}

/// What is served.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    /// `script`, `module`, `paste` or `static`.
    pub kind: String,
    /// Absolute path or module name; nothing for the welcome page.
    pub what: Option<String>,
}

/// The account that processes have.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    /// User name, or `#N`.
    pub user: String,
    /// Group name, or `#N`.
    pub group: String,
    /// The user's number, if root starts the server for another one.
    pub switch_to: Option<(u32, u32)>,
}

/// A service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// Its name.
    pub name: String,
    /// Its script.
    pub script: String,
    /// User that it runs as.
    pub user: String,
    /// Group that it runs as.
    pub group: String,
    /// Its log, if it has one of its own.
    pub log: Option<PathBuf>,
}

impl Server {
    /// Decides.
    ///
    /// # Errors
    /// Options that cannot hold on this machine.
    pub(crate) fn new(given: Given, caller: &Caller) -> Result<Self> {
        let mut server = Self::of_one(given.options, caller, None)?;
        server.options_file = given.file;
        for (name, options) in given.others {
            let mut other = Self::of_one(options, caller, Some(&server))?;
            if !other.dispatches() {
                return Err(Error::usage(format!("the application `{name}` is static"))
                    .hint("files are served beside applications by `url-alias`"));
            }
            other.document_root.clone_from(&server.document_root);
            other.suffix = format!("-{name}");
            server.others.push(other);
        }
        server.check_applications()?;
        server.capacity = Capacity::of(&server.options.workers, server.threads(), server.mode);
        Ok(server)
    }

    /// What two applications cannot share.
    fn check_applications(&self) -> Result<()> {
        let mut seen = BTreeSet::new();
        for one in self.applications() {
            for (what, value) in
                [("mount point", &one.mount_point), ("process group", &one.group_name)]
            {
                if !seen.insert((what, value)) {
                    return Err(Error::usage(format!(
                        "two applications have the {what} `{value}`"
                    ))
                    .hint("give each [[application]] one of its own"));
                }
            }
        }
        Ok(())
    }

    /// The server of one application; what all have in common is that of the main one.
    fn of_one(mut options: Options, caller: &Caller, main: Option<&Self>) -> Result<Self> {
        options.check()?;
        facts::find_programs(&mut options, caller)?;
        facts::check_files(&options, caller)?;
        let listening = &options.listening;
        let host = listening.host.clone().unwrap_or_else(|| "localhost".to_owned());
        let host =
            if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
        number::check_port("--port", listening.port)?;
        let tls = match (listening.tls_port(), listening.certificate()) {
            (Some(port), Some((certificate, key))) => {
                number::check_port("--https-port", port)?;
                if port == listening.port {
                    return Err(Error::usage("option --https-port: it is the port of --port"));
                }
                Some(Tls {
                    port,
                    certificate: facts::existing(
                        "--ssl-certificate",
                        &caller.absolute(&certificate),
                    )?,
                    key: facts::existing("--ssl-certificate", &caller.absolute(&key))?,
                })
            }
            _ => None,
        };
        let rotatelogs = options.logs.rotatelogs_executable.as_deref();
        let programs = match main {
            Some(main) => main.programs.clone(),
            None => Programs::find(caller, &options.files, rotatelogs)?,
        };
        let mode = if options.debugging.is_on() {
            Mode::Debug
        } else if options.workers.embedded_mode {
            Mode::Embedded
        } else {
            Mode::Daemon
        };
        let root = match &options.files.server_root {
            Some(root) => PathBuf::from(caller.absolute(root)),
            None => facts::default_root(caller, &host, listening.port),
        };
        let logs = match &options.logs.log_directory {
            Some(folder) => PathBuf::from(caller.absolute(folder)),
            None => root.clone(),
        };
        let entry = facts::entry(&options, caller)?;
        let document_root = match (&options.content.document_root, &entry) {
            (Some(folder), _) => PathBuf::from(caller.absolute(folder)),
            (None, Entry { kind, what }) if kind == "static" => {
                PathBuf::from(what.clone().unwrap_or_else(|| caller.absolute(".")))
            }
            _ => root.join("htdocs"),
        };
        let mpms = facts::mpms(&options, &programs, mode)?;
        let account = match main {
            Some(main) => main.account.clone(),
            None => facts::account(&options, caller)?,
        };
        let services = match main {
            Some(main) => main.services.clone(),
            None => facts::services(&options, caller, &account, &logs)?,
        };
        let group_name = options.python.process_group.clone();
        Ok(Self {
            title: match &group_name {
                Some(name) => format!("(wsgi:{name})"),
                None => format!("(wsgi:{host}:{}:{})", listening.port, caller.uid),
            },
            group_name: group_name.unwrap_or_else(|| format!("{host}:{}", listening.port)),
            capacity: Capacity::of(&options.workers, options.workers.of_application(), mode),
            locale: locale::choose(
                options.python.locale.as_deref().or(options.python.lang.as_deref()),
                &caller.variables,
            ),
            services,
            python_path: options
                .python
                .python_path
                .iter()
                .map(|folder| caller.absolute(folder))
                .collect::<Vec<_>>()
                .join(":"),
            working_directory: facts::working_directory(&options, caller, &account)?,
            mount_point: facts::mount_point(&options.python.mount_point),
            port: listening.port,
            mpm: mpms.first().copied(),
            host,
            tls,
            programs,
            root,
            logs,
            entry,
            document_root,
            account,
            mode,
            mpms,
            options,
            caller: caller.clone(),
            suffix: String::new(),
            others: Vec::new(),
            options_file: None,
        })
    }

    /// The applications, the main one first.
    pub(crate) fn applications(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.others)
    }

    /// File name of the script that stands for the application.
    #[must_use]
    pub(crate) fn script(&self) -> String {
        format!("handler{}.wsgi", self.suffix)
    }

    /// Processes, and threads in each of them, that httpd's workers serve: where there
    /// are several applications, all threads of all.
    fn threads(&self) -> (u32, u32) {
        let of = |one: &Self| one.options.workers.of_application();
        if self.others.is_empty() {
            return of(self);
        }
        let product = |(processes, threads): (u32, u32)| processes.saturating_mul(threads);
        let all = self.applications().map(|one| product(of(one)));
        match self.mode {
            // All applications are in all processes.
            Mode::Embedded => of(self),
            _ => (1, all.fold(0, u32::saturating_add)),
        }
    }

    /// A place in the server root.
    #[must_use]
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// The name that URLs have.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        self.options.listening.server_name.as_deref().unwrap_or(&self.host)
    }

    /// URL of the server.
    #[must_use]
    pub(crate) fn url(&self) -> String {
        format!("http://{}{}/", self.name(), suffix(self.port, 80))
    }

    /// URL of the server by TLS.
    #[must_use]
    pub(crate) fn tls_url(&self) -> Option<String> {
        let tls = self.tls.as_ref()?;
        Some(format!("https://{}{}/", self.name(), suffix(tls.port, 443)))
    }

    /// Whether a Python script is called for requests.
    #[must_use]
    pub(crate) fn dispatches(&self) -> bool {
        self.entry.kind != "static"
    }

    /// Whether changed scripts are noticed at all.
    #[must_use]
    pub(crate) fn reloads(&self) -> bool {
        !self.options.reloading.disable_reloading && self.mode == Mode::Daemon
    }

    /// Whether root would serve requests, which httpd refuses.
    #[must_use]
    pub(crate) fn serves_as_root(&self) -> bool {
        self.caller.is_root() && self.account.switch_to.is_none()
    }

    /// Whether logs go to the terminal.
    #[must_use]
    pub(crate) fn logs_to_terminal(&self) -> bool {
        self.options.logs.log_to_terminal && self.options.logs.log_directory.is_none()
    }

    /// Whether requests are logged.
    #[must_use]
    pub(crate) fn has_access_log(&self) -> bool {
        self.options.logs.access_log
    }

    /// Whether figures about the server are kept.
    #[must_use]
    pub(crate) fn has_metrics(&self) -> bool {
        let telemetry = &self.options.telemetry;
        telemetry.server_metrics || telemetry.server_status || self.options.newrelic.platform()
    }

    /// Folder of sockets, as a prefix.
    #[must_use]
    pub(crate) fn socket_prefix(&self) -> String {
        let folder =
            self.options.files.socket_prefix.as_deref().map_or(self.root.as_path(), Path::new);
        folder.join("wsgi").to_string_lossy().into_owned()
    }

    /// The folder that the application is mounted on among static files.
    #[must_use]
    pub(crate) fn mount_folder(&self) -> PathBuf {
        match self.mount_point.as_str() {
            "/" => self.document_root.clone(),
            below => self.document_root.join(&below[1..]),
        }
    }

    /// File with httpd's process id.
    #[must_use]
    pub(crate) fn pid_file(&self) -> PathBuf {
        match &self.options.files.pid_file {
            Some(file) => PathBuf::from(self.absolute(file)),
            None => self.path("httpd.pid"),
        }
    }

    /// Folder for eggs.
    #[must_use]
    pub(crate) fn eggs(&self) -> PathBuf {
        match &self.options.python.python_eggs {
            Some(folder) => PathBuf::from(self.absolute(folder)),
            None => self.path("python-eggs"),
        }
    }

    /// File of rewrite rules.
    #[must_use]
    pub(crate) fn rewrite_rules(&self) -> PathBuf {
        match &self.options.content.rewrite_rules {
            Some(file) => PathBuf::from(self.absolute(file)),
            None => self.path("rewrite.conf"),
        }
    }

    /// Where figures are sent to.
    #[must_use]
    pub(crate) fn telemetry_target(&self) -> Option<String> {
        let telemetry = &self.options.telemetry;
        if telemetry.enable_telemetry {
            return Some(format!("unix:{}", self.path("telemetry.sock").display()));
        }
        telemetry.telemetry_service.clone()
    }

    /// A folder of the options' tools, such as the profiler's.
    #[must_use]
    pub(crate) fn tool_folder(&self, option: &Option<String>, name: &str) -> PathBuf {
        match option {
            Some(folder) => PathBuf::from(self.absolute(folder)),
            None => self.path(name),
        }
    }

    /// The tools that are on, with the folders that they write to.
    #[must_use]
    pub(crate) fn tools(&self) -> Vec<(&'static str, PathBuf)> {
        let tools = &self.options.debugging;
        [
            (tools.enable_coverage, "Coverage", &tools.coverage_directory, "htmlcov"),
            (tools.enable_profiler, "Profiler", &tools.profiler_directory, "pstats"),
            (tools.enable_recorder, "Recorder", &tools.recorder_directory, "archive"),
        ]
        .into_iter()
        .filter(|(on, ..)| *on)
        .map(|(_, tool, folder, name)| (tool, self.tool_folder(folder, name)))
        .collect()
    }

    /// A path made absolute as the caller meant it.
    #[must_use]
    pub(crate) fn absolute(&self, path: &str) -> String {
        self.caller.absolute(path)
    }
}

/// `:PORT`, unless it is the scheme's own.
#[must_use]
pub(crate) fn suffix(port: u32, usual: u32) -> String {
    if port == usual { String::new() } else { format!(":{port}") }
}
