//! The sockets that daemon processes listen on: made by httpd's parent, so that a
//! process can die and be replaced while requests wait.

use std::fs::FileType;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, chown};
use std::path::{Path, PathBuf};

use httpd::{Level, log_to_main};
use rustix::fs::Mode;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, sockopt,
};
use wsgi::options::daemon::DaemonOptions;

/// How the sockets of one start of the server are named.
pub(crate) struct Names {
    /// `WSGISocketPrefix`.
    pub(crate) prefix: String,
    /// Counts graceful restarts; none with `WSGISocketRotation Off`.
    pub(crate) generation: Option<i32>,
    /// The account of httpd's processes.
    pub(crate) uid: u32,
}

impl Names {
    /// The socket of a process, counted from 0, of a group, counted from 1
    /// (reference 6.2).
    pub(crate) fn path(&self, group: usize, process: usize) -> PathBuf {
        let (prefix, pid) = (&self.prefix, std::process::id());
        let age = match self.generation {
            Some(generation) => generation.to_string(),
            None => format!("u{}", self.uid),
        };
        let number = match process {
            0 => String::new(),
            further => format!(".{}", further + 1),
        };
        PathBuf::from(format!("{prefix}.{pid}.{age}.{group}{number}.sock"))
    }

    /// The file that supervisors lock which start the processes of a service: the same
    /// for all generations, so it is named after the group itself.
    pub(crate) fn gate(&self, group: &str) -> PathBuf {
        let (prefix, pid) = (&self.prefix, std::process::id());
        let plain = |byte: u8| byte.is_ascii_alphanumeric();
        let name: String = group
            .bytes()
            .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02x}") })
            .collect();
        PathBuf::from(format!("{prefix}.{pid}.{name}.lock"))
    }
}

/// Makes a socket at a path and listens on it.
///
/// # Errors
/// What keeps it from that, in words.
pub(crate) fn make(
    path: &Path,
    options: &DaemonOptions,
    owner: Option<u32>,
) -> Result<OwnedFd, String> {
    let shown = path.display();
    if path.as_os_str().len() > LONGEST_PATH {
        return Err(format!(
            "WSGI0064: Length of path for daemon process socket exceeds maximum allowed value of {LONGEST_PATH}: '{shown}'; set WSGISocketPrefix to a shorter path."
        ));
    }
    // Others must not find it before it is theirs to use, and those who connect to
    // one of the same name must not miss it.
    let fresh = path.with_extension("new");
    if fresh.exists() {
        log_to_main(
            crate::index(),
            Level::Warning,
            &format!("WSGI0065: Removing stale unix domain socket '{shown}'."),
        );
        let _gone = std::fs::remove_file(&fresh);
    }
    let made = (|| -> io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let size = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
        for (wanted, set) in [
            (options.send_buffer_size, sockopt::set_socket_send_buffer_size as fn(_, _) -> _),
            (options.receive_buffer_size, sockopt::set_socket_recv_buffer_size),
        ] {
            if let Some(wanted) = wanted
                && let Err(error) = set(&socket, size(wanted))
            {
                let error: rustix::io::Errno = error;
                log_to_main(
                    crate::index(),
                    Level::Warning,
                    &format!(
                        "WSGI0066: Buffer size {wanted} of daemon process socket '{shown}' is refused: {error}."
                    ),
                );
            }
        }
        let mask = rustix::process::umask(Mode::from(0o077));
        let bound = SocketAddrUnix::new(&fresh).and_then(|address| bind(&socket, &address));
        rustix::process::umask(mask);
        bound?;
        listen(&socket, i32::try_from(options.listen_backlog).unwrap_or(i32::MAX))?;
        if owner.is_some() {
            chown(&fresh, owner, None)?;
        }
        std::fs::rename(&fresh, path)?;
        Ok(socket)
    })();
    made.map_err(|error| {
        let _gone = std::fs::remove_file(&fresh);
        format!(
            "WSGI0067: Couldn't bind unix domain socket '{shown}': {error}; set WSGISocketPrefix to a place that httpd may write to."
        )
    })
}

/// Removes what servers left that are gone.
pub(crate) fn sweep(prefix: &str) {
    let prefix = Path::new(prefix);
    let (Some(folder), Some(name)) = (prefix.parent(), prefix.file_name()) else { return };
    let Ok(files) = folder.read_dir() else { return };
    for file in files.flatten() {
        let file_name = file.file_name();
        let pid = file_name
            .to_str()
            .and_then(|text| text.strip_prefix(name.to_str()?)?.strip_prefix('.'))
            .filter(|rest| rest.ends_with(".sock") || rest.ends_with(".lock"))
            .and_then(|rest| rest.split('.').next()?.parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        let is_gone = |pid| rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH);
        let is_ours = |kind: FileType| kind.is_socket() || kind.is_file();
        if file.file_type().is_ok_and(is_ours) && pid.is_some_and(is_gone) {
            let _gone = std::fs::remove_file(file.path());
        }
    }
}

/// Bytes of the longest path of a socket: those of `sockaddr_un`, less a NUL.
const LONGEST_PATH: usize = 107;
