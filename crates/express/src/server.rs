//! What follows from the options: names, places, mode, capacity. Everything that
//! is written, said or started takes its facts from here, and only from here.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::caller::{Caller, group_of, user_of};
use crate::capacity::{Capacity, Mode};
use crate::error::{Error, Result};
use crate::locale;
use crate::option_file::Given;
use crate::options::{Options, Services, number, pairs};
use crate::programs::Programs;

/// MPMs, the best first.
const MPMS: [&str; 3] = ["event", "worker", "prefork"];

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
        find_programs(&mut options, caller)?;
        check_files(&options, caller)?;
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
                    certificate: existing("--ssl-certificate", &caller.absolute(&certificate))?,
                    key: existing("--ssl-certificate", &caller.absolute(&key))?,
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
            None => default_root(caller, &host, listening.port),
        };
        let logs = match &options.logs.log_directory {
            Some(folder) => PathBuf::from(caller.absolute(folder)),
            None => root.clone(),
        };
        let entry = entry(&options, caller)?;
        let document_root = match (&options.content.document_root, &entry) {
            (Some(folder), _) => PathBuf::from(caller.absolute(folder)),
            (None, Entry { kind, what }) if kind == "static" => {
                PathBuf::from(what.clone().unwrap_or_else(|| caller.absolute(".")))
            }
            _ => root.join("htdocs"),
        };
        let mpms = mpms(&options, &programs, mode)?;
        let account = match main {
            Some(main) => main.account.clone(),
            None => account(&options, caller)?,
        };
        let services = match main {
            Some(main) => main.services.clone(),
            None => services(&options, caller, &account, &logs)?,
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
            working_directory: working_directory(&options, caller, &account)?,
            mount_point: mount_point(&options.python.mount_point),
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

/// Files that options name must be there: httpd would say so without the option's
/// name, or only when a request comes.
fn check_files(options: &Options, caller: &Caller) -> Result<()> {
    let (access, content) = (&options.access, &options.content);
    let single = [
        ("--host-access-script", &access.host_access_script),
        ("--auth-user-script", &access.auth_user_script),
        ("--auth-group-script", &access.auth_group_script),
        ("--rewrite-rules", &content.rewrite_rules),
        ("--envvars-script", &options.python.envvars_script),
        ("--ssl-ca-certificate-file", &options.listening.ssl_ca_certificate_file),
        ("--ssl-certificate-chain-file", &options.listening.ssl_certificate_chain_file),
    ];
    let single = single.into_iter().filter_map(|(option, file)| Some((option, file.as_deref()?)));
    let handlers = pairs(&content.add_handler).map(|(_, file)| ("--add-handler", file));
    let includes = content.include_file.iter().map(|file| ("--include-file", file.as_str()));
    for (option, file) in single.chain(handlers).chain(includes) {
        existing(option, &caller.absolute(file))?;
    }
    Ok(())
}

/// Puts the places of programs for their names: where they run the search path, or the
/// working directory, may be another one.
fn find_programs(options: &mut Options, caller: &Caller) -> Result<()> {
    let gdb = Some(&mut options.debugging.gdb_executable).filter(|_| options.debugging.enable_gdb);
    let shell = options.files.shell_executable.as_mut();
    for (option, name) in [("--gdb-executable", gdb), ("--shell-executable", shell)] {
        let Some(name) = name else { continue };
        let found = caller.find_program(name).filter(|path| path.is_file());
        let found = found.ok_or_else(|| {
            Error::usage(format!("option {option}: there is no program `{name}`"))
        })?;
        *name = found.to_string_lossy().into_owned();
    }
    Ok(())
}

/// A path that is there.
fn existing(option: &str, path: &str) -> Result<String> {
    if Path::new(path).exists() {
        return Ok(path.to_owned());
    }
    Err(Error::usage(format!("option {option}: there is no `{path}`")))
}

/// The folder that is named, else the caller's: modules beside the caller are found. One
/// that the account may not enter would keep its processes from starting.
fn working_directory(
    options: &Options,
    caller: &Caller,
    account: &Account,
) -> Result<Option<String>> {
    if let Some(folder) = &options.python.working_directory {
        return existing("--working-directory", &caller.absolute(folder)).map(Some);
    }
    let may_enter = |folder: &Path| match account.switch_to {
        None => true,
        Some((uid, gid)) => folder.metadata().is_ok_and(|meta| {
            let of_others = meta.mode() & 0o001 != 0;
            let of_group = meta.gid() == gid && meta.mode() & 0o010 != 0;
            let of_user = meta.uid() == uid && meta.mode() & 0o100 != 0;
            of_others || of_group || of_user
        }),
    };
    let is_open = caller.folder.ancestors().all(may_enter);
    Ok(is_open.then(|| caller.folder.to_string_lossy().into_owned()))
}

/// `<tmp>/mod_wsgi-HOST:PORT:UID`.
fn default_root(caller: &Caller, host: &str, port: u32) -> PathBuf {
    let temporary = caller.variable("TMPDIR").map_or("/tmp", |folder| folder.trim_end_matches('/'));
    let temporary = if temporary.is_empty() { "/" } else { temporary };
    Path::new(&caller.absolute(temporary)).join(format!("mod_wsgi-{host}:{port}:{}", caller.uid))
}

/// The application, which must be there if it is a file.
fn entry(options: &Options, caller: &Caller) -> Result<Entry> {
    let kind = options.python.application_type.clone();
    let word = options.python.entry_point.as_deref().or(options.words.first().map(String::as_str));
    let what = match (kind.as_str(), word) {
        (_, None) if kind == "static" => None,
        (_, None) => return Ok(Entry { kind: "script".to_owned(), what: None }),
        ("module", Some(name)) => match name.split_once(':') {
            None => Some(name.to_owned()),
            Some((module, object)) => {
                return Err(Error::usage(format!("there is no module `{name}`"))
                    .hint(format!("say it as {module} --callable-object {object}")));
            }
        },
        (_, Some(path)) => {
            let path = caller.absolute(path);
            if !Path::new(&path).exists() {
                let word = word.unwrap_or_default();
                return Err(Error::usage(format!("there is no application `{path}`"))
                    .hint(format!("a module is served by: --application-type module {word}")));
            }
            if kind == "static" && !Path::new(&path).is_dir() {
                return Err(Error::usage(format!(
                    "option --application-type: static files are served from a folder, and \
                     `{path}` is not a folder"
                )));
            }
            Some(path)
        }
    };
    Ok(Entry { kind, what })
}

/// A normal URL path with a slash before it.
fn mount_point(typed: &str) -> String {
    let parts = typed.split('/').filter(|part| !part.is_empty() && *part != ".");
    let mut whole: Vec<&str> = Vec::new();
    for part in parts {
        if part == ".." {
            whole.pop();
        } else {
            whole.push(part);
        }
    }
    format!("/{}", whole.join("/"))
}

/// MPMs that are allowed and there. With none as a file, one is compiled in.
fn mpms(options: &Options, programs: &Programs, mode: Mode) -> Result<Vec<&'static str>> {
    let there: Vec<&str> =
        MPMS.into_iter().filter(|name| programs.has(&format!("mpm_{name}"))).collect();
    let asked = &options.workers.server_mpm;
    if let Some(stranger) = asked.iter().find(|name| !MPMS.contains(&name.as_str())) {
        return Err(Error::usage(format!(
            "option --server-mpm: invalid choice: '{stranger}' (choose from event, worker, prefork)"
        )));
    }
    let is_allowed = |name: &str| match mode {
        _ if options.content.with_php5 => name == "prefork",
        Mode::Debug => name != "event",
        _ if !asked.is_empty() => asked.iter().any(|asked| asked == name),
        Mode::Embedded => name != "event",
        Mode::Daemon => true,
    };
    let found: Vec<&'static str> =
        MPMS.into_iter().filter(|name| there.contains(name) && is_allowed(name)).collect();
    if found.is_empty() && !there.is_empty() {
        return Err(Error::usage(format!(
            "option --server-mpm: httpd has none of {}; it has {}",
            asked.join(", "),
            there.join(", ")
        )));
    }
    Ok(found)
}

/// The account of processes: the options, else the caller's.
fn account(options: &Options, caller: &Caller) -> Result<Account> {
    let (own_user, own_group) = caller.account();
    let identity = &options.identity;
    // Those of the environment win, as the control script of the original has it.
    let chosen = |variables: [&str; 2], option: &Option<String>, own: String| {
        let set = variables.iter().find_map(|name| caller.variable(name)).map(str::to_owned);
        set.or_else(|| option.clone()).unwrap_or(own)
    };
    let user = chosen(["MOD_WSGI_USER", "WSGI_RUN_USER"], &identity.user, own_user);
    let group = chosen(["MOD_WSGI_GROUP", "WSGI_RUN_GROUP"], &identity.group, own_group);
    let ids = (user_of("--user", &user)?, group_of("--group", &group)?);
    let switch_to = (caller.is_root() && ids.0 != 0).then_some(ids);
    Ok(Account { user, group, switch_to })
}

fn services(
    options: &Options,
    caller: &Caller,
    account: &Account,
    logs: &Path,
) -> Result<Vec<Service>> {
    let services = &options.services;
    pairs(&services.service_script)
        .map(|(name, script)| {
            let user = Services::of(&services.service_user, name).unwrap_or(&account.user);
            let group = Services::of(&services.service_group, name).unwrap_or(&account.group);
            user_of("--service-user", user)?;
            group_of("--service-group", group)?;
            Ok(Service {
                name: name.to_owned(),
                script: existing("--service-script", &caller.absolute(script))?,
                user: user.to_owned(),
                group: group.to_owned(),
                log: Services::of(&services.service_log_file, name).map(|file| logs.join(file)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_become_normal() {
        for (typed, normal) in [
            ("/", "/"),
            ("", "/"),
            ("wiki", "/wiki"),
            ("/wiki/", "/wiki"),
            ("//a/./b/../c//", "/a/c"),
            ("/../..", "/"),
        ] {
            assert_eq!(mount_point(typed), normal, "{typed}");
        }
    }
}
