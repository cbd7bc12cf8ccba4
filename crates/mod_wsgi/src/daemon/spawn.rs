//! A daemon process is started: forked, bound to its limits, its root, folder and
//! account, and made the group's own Python.

use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use door::{LogLevel, level};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use wsgi::launch::{self, BOOTSTRAP, Launch, Notice};

/// How the processes of a group are started.
pub(crate) struct Program {
    /// The Python, and where it may lie else.
    pub(crate) pythons: Vec<CString>,
    /// What follows its name.
    pub(crate) arguments: Vec<CString>,
    /// What is set in the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Who it runs as; nobody else where httpd is not root.
    pub(crate) identity: Option<Identity>,
    /// Where it runs; none to stay.
    pub(crate) folder: Option<CString>,
    /// Its root.
    pub(crate) root: Option<CString>,
    pub(crate) umask: Option<u32>,
    pub(crate) priority: i32,
    /// Limits of `setrlimit`: which, soft, hard, and its option.
    pub(crate) limits: Vec<(u32, u64, u64, &'static str)>,
    /// What it is told.
    pub(crate) launch: Launch,
    /// The Python side's library, where its path leads nowhere.
    pub(crate) library: Option<std::fs::File>,
    /// The error log of its server, where that is not the main one.
    pub(crate) log: Option<i32>,
}

/// Who a process runs as.
pub(crate) struct Identity {
    pub(crate) name: CString,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Instead of those of the account.
    pub(crate) groups: Option<Vec<u32>>,
}

/// A process that was started.
pub(crate) struct Started {
    pub(crate) pid: i32,
    /// Our end of its connection with us.
    pub(crate) control: OwnedFd,
}

/// Flags, the bootstrap, and its arguments: the library, the version that it is for,
/// room for a longer title.
pub(crate) fn arguments(flags: &[String], library: &str, version: &str) -> Vec<CString> {
    let room = " ".repeat(TITLE);
    let texts = flags.iter().map(String::as_str).chain(["-c", BOOTSTRAP, library, version, &room]);
    texts.filter_map(|text| CString::new(text).ok()).collect()
}

impl Program {
    /// Starts a process; without a socket to listen on it is a zygote.
    ///
    /// # Errors
    /// Of the system. What goes wrong in the process itself reaches the log by its
    /// connection, and ends it.
    pub(crate) fn start(&self, listener: Option<&OwnedFd>) -> io::Result<Started> {
        let (control, theirs) = connection()?;
        let text = serde_json::to_vec(&self.launch)?;
        let told = std::fs::File::from(memfd_create("mod_wsgi launch", MemfdFlags::CLOEXEC)?);
        std::os::unix::fs::FileExt::write_all_at(&told, &text, 0)?;
        // SAFETY: the supervisor has one thread: its child may do what it could.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let why = self.become_it(&theirs, listener, told.as_raw_fd());
                tell(&theirs, level::CRITICAL, why);
                // SAFETY: no destructor of httpd's may run here.
                unsafe { libc::_exit(78) }
            }
            pid => Ok(Started { pid, control }),
        }
    }

    /// Whether a process of that pid runs as who these processes run as. One that a
    /// zygote tells of may be anything; it is none of our business if it is somebody
    /// else's.
    pub(crate) fn is_of_account(&self, pid: i32) -> bool {
        let Some(identity) = &self.identity else { return true };
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
        // Real, effective, saved, and that for files.
        let mut uids = line.unwrap_or_default().split_whitespace();
        uids.clone().count() == 4 && uids.all(|uid| uid.parse() == Ok(identity.uid))
    }

    /// Makes this process the group's Python. Returns why it cannot.
    fn become_it(&self, control: &OwnedFd, listener: Option<&OwnedFd>, told: i32) -> String {
        let name = &self.launch.options.name;
        let failed = |what: &str| {
            let error = io::Error::last_os_error();
            format!("WSGI0018: {what} for daemon process '{name}': {error}.")
        };
        self.set_environment();
        reset_signals();
        // SAFETY: plain numbers.
        unsafe {
            if self.priority != 0 && libc::setpriority(libc::PRIO_PROCESS, 0, self.priority) != 0 {
                tell(control, level::WARNING, failed("Couldn't set CPU priority"));
            }
            for (which, soft, hard, option) in &self.limits {
                let limit = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
                if libc::setrlimit(*which, &raw const limit) != 0 {
                    tell(control, level::WARNING, failed(&format!("Couldn't set {option}")));
                }
            }
            if let Some(mask) = self.umask {
                libc::umask(mask);
            }
            if let Some(root) = &self.root
                && (libc::chroot(root.as_ptr()) != 0 || libc::chdir(c"/".as_ptr()) != 0)
            {
                return failed(&format!(
                    "Unable to change root directory to '{}'",
                    root.to_string_lossy()
                ));
            }
            if let Some(identity) = &self.identity {
                if libc::setgid(identity.gid) != 0 {
                    return failed(&format!("Unable to set group id to gid={}", identity.gid));
                }
                let is_in_groups = match &identity.groups {
                    Some(groups) => libc::setgroups(groups.len(), groups.as_ptr()) == 0,
                    None => libc::initgroups(identity.name.as_ptr(), identity.gid) == 0,
                };
                if !is_in_groups {
                    return failed(&format!(
                        "Unable to set supplementary groups for uname={}",
                        identity.name.to_string_lossy()
                    ));
                }
                if libc::setuid(identity.uid) != 0 {
                    return failed(&format!("Unable to change to uid={}", identity.uid));
                }
            }
            if let Some(folder) = &self.folder
                && libc::chdir(folder.as_ptr()) != 0
            {
                return failed(&format!(
                    "Unable to change working directory to '{}'",
                    folder.to_string_lossy()
                ));
            }
            let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            // Descriptors are moved out of the way first: one may lie where another is to go.
            let moved = [
                (control.as_raw_fd(), launch::CONTROL),
                (listener.map_or(null, AsRawFd::as_raw_fd), launch::LISTENER),
                (told, launch::LAUNCH),
                (self.library.as_ref().map_or(null, AsRawFd::as_raw_fd), launch::LIBRARY),
            ]
            .map(|(from, to)| (libc::fcntl(from, libc::F_DUPFD_CLOEXEC, 64), to));
            if null >= 0 {
                libc::dup2(null, 0);
                libc::dup2(null, 1);
            }
            if let Some(log) = self.log {
                libc::dup2(log, 2);
            }
            for (from, to) in moved {
                if libc::dup2(from, to) < 0 {
                    return failed("Couldn't pass its descriptors on");
                }
            }
            let first = launch::LIBRARY.cast_unsigned() + 1;
            libc::close_range(first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed());
            for python in &self.pythons {
                let argv: Vec<*const c_char> = std::iter::once(python.as_ptr())
                    .chain(self.arguments.iter().map(|text| text.as_ptr()))
                    .chain([std::ptr::null()])
                    .collect();
                libc::execv(python.as_ptr(), argv.as_ptr());
            }
        }
        let shown: Vec<_> = self.pythons.iter().map(|path| path.to_string_lossy()).collect();
        failed(&format!("Unable to run Python ({})", shown.join(", ")))
    }

    #[expect(unsafe_code, reason = "the environment of a process with one thread")]
    fn set_environment(&self) {
        for (name, value) in &self.environment {
            // SAFETY: this process has one thread.
            unsafe { std::env::set_var(name, value) };
        }
    }
}

/// Our end of a connection with a process, and that process's.
pub(crate) fn connection() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    rustix::io::ioctl_fionbio(&ours, true)?;
    Ok((ours, theirs))
}

/// Logs a line before there is any Python.
fn tell(control: &OwnedFd, level: LogLevel, text: String) {
    let notice = Notice::Log(u8::try_from(level).unwrap_or(u8::MAX), text, String::new(), 0);
    if let Ok(packet) = serde_json::to_vec(&notice) {
        let _unheard = rustix::net::send(control, &packet, rustix::net::SendFlags::NOSIGNAL);
    }
}

/// What httpd ignores or handles is as usual again; nothing is blocked.
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        if [libc::SIGKILL, libc::SIGSTOP].contains(&signal) {
            continue;
        }
        // SAFETY: the default of a signal.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an empty set of this frame's.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Room for the title of the process, which takes the place of its arguments.
const TITLE: usize = 128;

/// A text as C has it.
pub(crate) fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_else(|_| CStr::to_owned(c""))
}
