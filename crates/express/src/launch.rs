//! The running server: httpd as a child in a process group of its own, so that the
//! terminal's signals reach the launcher alone. It passes on those that mean
//! something, and ends as httpd ends.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::net::{Shutdown, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGWINCH};
use signal_hook::iterator::Signals;

use crate::capacity::Mode;
use crate::control::{self, Environment};
use crate::error::{Error, Result};
use crate::pid_file::PidFile;
use crate::root;
use crate::server::Server;

/// How much of the error log is shown when httpd does not start.
const SHOWN: u64 = 4000;
/// How much of it is searched for why an application has not loaded.
const SEARCHED: u64 = 1 << 20;
/// What the module says of a script that does not load.
const NOT_LOADED: &[u8] = b"WSGI0109";
/// How often the log is looked at for that, and the time between.
const FIRST_LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Runs the server until it ends; its exit code.
///
/// # Errors
/// When httpd cannot be started.
pub(crate) fn run(server: &Server, environment: &Environment) -> Result<u8> {
    if server.mode == Mode::Debug {
        return Err(become_httpd(server, environment));
    }
    // Before httpd starts, so that no signal is missed.
    let mut signals = Signals::new([SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGWINCH])
        .map_err(|source| Error::io("watch signals of", &server.programs.httpd)(source))?;
    let names = &server.options.logs;
    let mut logs = vec![server.log_file(&names.error_log_name)];
    if names.startup_log {
        // What would else be on the terminal.
        logs.push(server.log_file(&names.startup_log_name));
    }
    let logs: Vec<Log> = logs.into_iter().map(Log::now).collect();
    let mut command = foreground(server, environment);
    command.process_group(0);
    let pid_file = PidFile::watch(server.pid_file());
    let child = command.spawn().map_err(Error::io("start", &server.programs.httpd))?;
    let ready = Arc::new(AtomicBool::new(false));
    announce(server, pid_file, child.id(), Arc::clone(&ready), logs.first().cloned());
    let code = wait(&child, &mut signals);
    if code != 0 && !ready.load(Ordering::Acquire) {
        if !server.logs_to_terminal() {
            logs.iter().for_each(Log::show);
        }
        let refused = root::take_back(server)?;
        let hint = port_trouble(server)
            .unwrap_or_else(|| format!("its configuration is now `{}`", refused.display()));
        crate::command::tell(
            &Error::failed("httpd has not started, for what it has said above").hint(hint),
        );
    }
    Ok(code)
}

/// What keeps httpd from listening, if that is it.
fn port_trouble(server: &Server) -> Option<String> {
    let any = "::".to_owned();
    let host = server.options.listening.host.clone().unwrap_or(any);
    let of_tls = server.tls.as_ref().map(|tls| ("--https-port", tls.port, host.clone()));
    let of_page = server.options.status.status_port;
    let of_page = of_page.map(|port| ("--status-port", port, "127.0.0.1".to_owned()));
    let ports = [Some(("--port", server.port, host)), of_tls, of_page];
    ports.into_iter().flatten().find_map(|(option, port, host)| {
        let host = host.trim_matches(['[', ']']);
        let kind = TcpListener::bind((host, u16::try_from(port).ok()?)).err()?.kind();
        let why = match kind {
            ErrorKind::AddrInUse => "is another program's",
            ErrorKind::PermissionDenied => "is for root to listen on",
            _ => return None,
        };
        Some(format!("port {port} {why}: {option} takes another one"))
    })
}

/// httpd would refuse root, less clearly.
///
/// # Errors
/// When root starts the server, and names nobody else to serve as.
pub(crate) fn refuse_root(server: &Server) -> Result<()> {
    if server.serves_as_root() {
        return Err(Error::failed("httpd does not serve requests as the user root")
            .hint("name the account that serves them with --user and --group"));
    }
    Ok(())
}

/// The httpd that runs from the server root.
///
/// # Errors
/// When none does.
pub(crate) fn running(server: &Server) -> Result<Pid> {
    let (root, file) = (server.root.display(), server.pid_file());
    let none = |why: String| {
        Err(Error::failed(format!("no server runs from the server root `{root}`: {why}"))
            .hint("start one without --graceful"))
    };
    let Ok(text) = std::fs::read_to_string(&file) else {
        return none(format!("there is no `{}`", file.display()));
    };
    // The number may have become somebody else's.
    let conf = server.path("httpd.conf");
    let is_ours = |pid: &i32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|word| word == conf.as_os_str().as_bytes())
    };
    match text.trim().parse().ok().filter(is_ours).and_then(Pid::from_raw) {
        Some(pid) => Ok(pid),
        None => none(format!("`{}` is of one that has ended", file.display())),
    }
}

/// Has it read its configuration anew, without losing a request.
///
/// # Errors
/// When none runs, or it is somebody else's.
pub(crate) fn reload(server: &Server) -> Result<u8> {
    let pid = running(server)?;
    kill_process(pid, Signal::USR1)
        .map_err(|error| Error::io("signal", &server.pid_file())(error.into()))?;
    Ok(0)
}

fn foreground(server: &Server, environment: &Environment) -> Command {
    let mut command = control::httpd(server, environment);
    command.arg0(&server.options.files.process_name);
    command.args(control::arguments(server)).arg("-DFOREGROUND");
    command
}

/// Debug mode: httpd, or gdb with it, has the terminal.
fn become_httpd(server: &Server, environment: &Environment) -> Error {
    let command = match server.options.debugging.enable_gdb {
        true => under_gdb(server, environment),
        false => Ok(foreground(server, environment)),
    };
    match command {
        Ok(mut command) => {
            let source = command.exec();
            Error::io("start", Path::new(command.get_program()))(source)
        }
        Err(error) => error,
    }
}

fn under_gdb(server: &Server, environment: &Environment) -> Result<Command> {
    let words = control::arguments(server);
    let words: Vec<String> = words.iter().map(|text| control::word(text)).collect();
    let commands = server.path("gdb.cmds");
    std::fs::write(&commands, format!("run {} -DFOREGROUND\n", words.join(" ")))
        .map_err(Error::io("write", &commands))?;
    let gdb = &server.options.debugging.gdb_executable;
    let mut command = crate::process::command(gdb, environment);
    command.arg("-x").arg(&commands).arg(&server.programs.httpd);
    Ok(command)
}

/// Waits for httpd, passes signals on, and, as the first process of a container,
/// reaps whoever was left.
fn wait(child: &Child, signals: &mut Signals) -> u8 {
    let httpd = Pid::from_child(child);
    loop {
        for signal in signals.wait() {
            match signal {
                // Of the terminal; to httpd it would mean a graceful stop.
                SIGWINCH => {}
                SIGCHLD => {
                    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                        if pid == httpd {
                            let status = std::process::ExitStatus::from_raw(status.as_raw());
                            return code_of(status);
                        }
                    }
                }
                other => {
                    if let Some(signal) = Signal::from_named_raw(other) {
                        let _has_ended = kill_process(httpd, signal);
                    }
                }
            }
        }
    }
}

/// httpd's own, or 128 and the signal that ended it, as shells have it.
fn code_of(status: std::process::ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// Waits beside until the server takes connections, and says so: on a terminal, and
/// to a service manager that has asked for it.
fn announce(
    server: &Server,
    pid_file: PidFile,
    httpd: u32,
    ready: Arc<AtomicBool>,
    log: Option<Log>,
) {
    let log = log.filter(|_| !server.logs_to_terminal());
    let host = match server.options.listening.host.as_deref() {
        None | Some("0.0.0.0") => "127.0.0.1".to_owned(),
        Some("::") => "::1".to_owned(),
        Some(host) => host.trim_matches(['[', ']']).to_owned(),
    };
    let port = u16::try_from(server.port).unwrap_or_default();
    let url = server.tls_url().unwrap_or_else(|| server.url());
    std::thread::spawn(move || {
        // Another server may have the port: then httpd gets no further than before.
        pid_file.wait_for(httpd);
        while !answers(&host, port) {
            std::thread::sleep(Duration::from_millis(20));
        }
        ready.store(true, Ordering::Release);
        let _no_manager = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        if std::io::stderr().is_terminal() {
            crate::say(&format!("ready: {url}"));
            if let Some(log) = log {
                log.show_failed_load();
            }
        }
    });
}

/// Whether a process of httpd, and not only the system, takes connections: it closes
/// one that asks for nothing.
fn answers(host: &str, port: u16) -> bool {
    let ask = || {
        let address = (host, port).to_socket_addrs()?.next().ok_or(ErrorKind::NotFound)?;
        let mut connection = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        connection.shutdown(Shutdown::Write)?;
        connection.set_read_timeout(Some(Duration::from_secs(5)))?;
        connection.read(&mut [0])
    };
    ask().is_ok_and(|count| count == 0)
}

/// A log, of which what is written from now on is shown.
#[derive(Clone)]
struct Log {
    path: PathBuf,
    /// Its length before.
    before: u64,
}

impl Log {
    fn now(path: PathBuf) -> Self {
        let before = path.metadata().map_or(0, |meta| meta.len());
        Self { path, before }
    }

    /// What it has got since, at most so many bytes of its end.
    fn since(&self, most: u64) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        let start = if end < self.before { 0 } else { self.before };
        file.seek(SeekFrom::Start(start.max(end.saturating_sub(most))))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Shows that.
    fn show(&self) {
        let text = self.since(SHOWN).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            crate::say(&format!("{}\nlog: {}", text.trim_end(), self.path.display()));
        }
    }

    /// Shows why the application has not loaded, if the log says so soon: otherwise
    /// whoever sits at the terminal learns nothing but that pages fail.
    fn show_failed_load(&self) {
        for _look in 0..FIRST_LOOKS {
            let since = self.since(SEARCHED).unwrap_or_default();
            if since.windows(NOT_LOADED.len()).any(|part| part == NOT_LOADED) {
                // The traceback comes behind it, a line at a time.
                std::thread::sleep(BETWEEN_LOOKS);
                return self.show();
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }
}
