//! Child processes: the one place that starts any. A child sees only the
//! environment that it is given, lives in a process group of its own, writes
//! to a log, and ends when the installer is told to end.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Kind, Result};

/// Signal that asked for the end, or 0.
static INTERRUPTED: AtomicI32 = AtomicI32::new(0);
/// Process groups that run now.
static GROUPS: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// From now on SIGINT, SIGTERM and SIGHUP end the running children and make
/// every step return; a second signal ends the installer at once.
///
/// # Errors
/// When the handlers cannot be set.
pub fn catch_signals() -> Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP])
        .map_err(|source| Error::new(Kind::Install, "failed to watch signals").caused_by(source))?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let again = INTERRUPTED.swap(signal, Ordering::SeqCst) != 0;
            signal_groups(if again { Signal::KILL } else { Signal::TERM });
            if again {
                let _ends_the_process = signal_hook::low_level::emulate_default_handler(signal);
            }
        }
    });
    Ok(())
}

/// Fails once a signal has asked for the end. Long loops call it.
///
/// # Errors
/// [`Kind::Interrupted`].
pub fn check_interrupted() -> Result<()> {
    match INTERRUPTED.load(Ordering::SeqCst) {
        0 => Ok(()),
        signal => {
            Err(Error::new(Kind::Interrupted(signal), format!("interrupted by signal {signal}"))
                .hint("nothing was changed; run again to go on from the last finished step"))
        }
    }
}

/// Takes a file's lock, waiting for others, until a signal asks for the end:
/// then the caller finds it by [`check_interrupted`].
///
/// # Errors
/// When the file cannot be locked.
pub fn lock(file: &File) -> std::io::Result<()> {
    while check_interrupted().is_ok() {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(())
}

fn signal_groups(signal: Signal) {
    let groups = GROUPS.lock().map(|groups| groups.clone()).unwrap_or_default();
    for group in groups {
        end_group(group, signal);
    }
}

/// A group that is already gone is what we want.
fn end_group(group: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(group) {
        let _already_gone = kill_process_group(pid, signal);
    }
}

/// A program to run: path, arguments, environment, folder.
#[derive(Debug)]
pub struct Program {
    command: Command,
    shown: String,
}

impl Program {
    /// A program with an empty environment.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place that makes commands")]
    pub fn new(path: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(&path);
        command.env_clear().stdin(Stdio::null());
        Self { command, shown: quote(path.as_ref()) }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.shown.push(' ');
        self.shown.push_str(&quote(arg.as_ref()));
        self.command.arg(arg);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(self, args: impl IntoIterator<Item = A>) -> Self {
        args.into_iter().fold(self, Self::arg)
    }

    /// Sets variables.
    #[must_use]
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.command.envs(pairs);
        self
    }

    /// Sets one variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs in that folder.
    #[must_use]
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives the child a share in a make jobserver.
    #[must_use]
    pub fn jobs(mut self, jobs: &jobserver::Client) -> Self {
        jobs.configure_make(&mut self.command);
        self
    }

    /// The command line, quoted for a shell.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Runs to the end and keeps what it printed.
    ///
    /// # Errors
    /// When it cannot be started or a signal asked for the end; not when it
    /// fails.
    pub fn output(mut self, kind: Kind) -> Result<Output> {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = self.shown.clone();
        let running = self.start(kind)?;
        let output = running.into_output().map_err(|source| {
            Error::new(kind, format!("failed to read from `{shown}`")).caused_by(source)
        })?;
        check_interrupted()?;
        Ok(output)
    }

    /// Runs to the end, all output appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started, ends with another status than 0 (the error
    /// shows the last lines and the log's path), or a signal asked for the end.
    pub fn run_logged(mut self, kind: Kind, log: &Path) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(log).map_err(Error::io(
            Kind::Install,
            "open",
            log,
        ))?;
        writeln!(file, "+ {}", self.shown).map_err(Error::io(Kind::Install, "write", log))?;
        let twin = file.try_clone().map_err(Error::io(Kind::Install, "open", log))?;
        self.command.stdout(file).stderr(twin);
        let shown = self.shown.clone();
        let status = self.start(kind)?.wait().map_err(|source| {
            Error::new(kind, format!("failed to wait for `{shown}`")).caused_by(source)
        })?;
        check_interrupted()?;
        if status.success() {
            return Ok(());
        }
        Err(failure(kind, &shown, status, log))
    }

    /// Starts it and goes on.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(mut self, kind: Kind) -> Result<Running> {
        check_interrupted()?;
        self.command.process_group(0);
        let child = self.command.spawn().map_err(|source| {
            Error::new(kind, format!("failed to start `{}`", self.command.get_program().display()))
                .caused_by(source)
        })?;
        let group = i32::try_from(child.id()).unwrap_or(0);
        if let Ok(mut groups) = GROUPS.lock() {
            groups.insert(group);
        }
        let running = Running { child: Some(child), group };
        // A signal between the check and the insertion missed this group.
        check_interrupted()?;
        Ok(running)
    }

    /// Lets the child write to a file instead of nowhere.
    #[must_use]
    pub fn output_to(mut self, file: File, twin: File) -> Self {
        self.command.stdout(file).stderr(twin);
        self
    }

    /// Lets the child talk to the user: the caller's own streams.
    #[must_use]
    pub fn inherit_output(mut self) -> Self {
        self.command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        self
    }
}

/// A child that runs; ended with its whole group on drop.
#[derive(Debug)]
pub struct Running {
    child: Option<Child>,
    group: i32,
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn wait(mut self) -> std::io::Result<ExitStatus> {
        match self.child.take() {
            Some(mut child) => {
                let status = child.wait();
                self.forget();
                status
            }
            None => Err(std::io::Error::other("waited for twice")),
        }
    }

    /// Whether it has ended already, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Asks for its end and waits; forces it after `patience`.
    pub fn stop(mut self, patience: Duration) -> Option<ExitStatus> {
        end_group(self.group, Signal::TERM);
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    fn into_output(mut self) -> std::io::Result<Output> {
        let child = self.child.take().ok_or_else(|| std::io::Error::other("waited for twice"))?;
        let output = child.wait_with_output();
        self.forget();
        output
    }

    fn forget(&self) {
        if let Ok(mut groups) = GROUPS.lock() {
            groups.remove(&self.group);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            end_group(self.group, Signal::KILL);
            let _reaped = child.wait();
        }
        self.forget();
    }
}

/// The error of a program that failed, with the end of its log.
fn failure(kind: Kind, shown: &str, status: ExitStatus, log: &Path) -> Error {
    let how = match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(9)) => "was killed (signal 9: out of memory?)".to_owned(),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "failed".to_owned(),
    };
    let name = shown.split(' ').next().unwrap_or(shown);
    let mut error = Error::new(kind, format!("`{name}` {how}")).detail(format!("command: {shown}"));
    for line in last_lines(log, SHOWN_LINES) {
        error = error.detail(format!("| {line}"));
    }
    error.log(log)
}

/// The end of a text file, without reading the whole of a long one.
#[must_use]
pub fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let read = || -> std::io::Result<String> {
        use std::io::{Seek as _, SeekFrom};
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(64 * 1024)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].iter().map(|&line| line.to_owned()).collect()
}

/// An argument as a shell would take it.
fn quote(arg: &OsStr) -> String {
    let text = arg.to_string_lossy();
    shlex::try_quote(&text).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// Lines of a step's log shown when it fails.
const SHOWN_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_shows_its_last_lines_and_log() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("x.log");
        let error = Program::new("/bin/sh")
            .args(["-c", "echo one; echo two >&2; exit 3"])
            .run_logged(Kind::Compile, &log)
            .unwrap_err();
        assert_eq!(error.message, "`/bin/sh` ended with status 3");
        assert_eq!(error.details[2..], ["| one", "| two"]);
        assert_eq!(error.log.as_deref(), Some(log.as_path()));
    }
}
