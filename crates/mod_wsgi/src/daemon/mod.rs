//! Daemon mode, httpd's side of it (decision 0007).

mod answer;
mod board;
mod body;
mod client;
mod owner;
mod reader;
mod relay;

use std::ffi::c_int;
use std::path::PathBuf;
use std::time::Duration;

use httpd::{Request, sys};
use wsgi::options::daemon::DaemonOptions;

use self::board::Board;
use self::client::Idle;
pub(crate) use self::relay::Target;
use crate::config::DirectoryConfig;
use crate::environ::{Environ, below};
use crate::question::log;

/// A group of daemon processes at work.
pub(crate) struct Group {
    pub(crate) options: DaemonOptions,
    /// Name of the virtual host that declares it; none for the main server.
    pub(crate) host: Option<String>,
    pub(crate) board: Board,
    /// The socket of each process.
    pub(crate) sockets: Vec<PathBuf>,
    /// For each read and write between httpd and a process.
    pub(crate) socket_timeout: Duration,
    /// For each write to a client.
    pub(crate) response_socket_timeout: Duration,
    /// Who must own scripts.
    pub(crate) script_owner: Option<owner::Owner>,
    pub(crate) idle: Idle,
}

pub(crate) fn find(_name: &str) -> Option<&'static Group> {
    None
}

/// Has a request answered by a group: the handler's status.
///
/// # Errors
/// The status to give up with; the log has the reason.
pub(crate) fn serve<'r>(
    request: Request<'r>,
    config: &DirectoryConfig,
    group: &Group,
    mut target: Target<'_>,
    mut environ: Environ<'r>,
) -> Result<c_int, c_int> {
    if let Some(owner) = &group.script_owner {
        owner.check(target.script).map_err(|why| {
            log(request, &why);
            sys::HTTP_FORBIDDEN
        })?;
    }
    if let Some(root) = group.options.chroot.as_deref() {
        let Some(script) = below(root, target.script) else {
            let script = String::from_utf8_lossy(target.script);
            log(
                request,
                &format!(
                    "WSGI0081: WSGI script '{script}' is not located within chroot directory '{root}'; rejecting request."
                ),
            );
            return Err(sys::HTTP_BAD_GATEWAY);
        };
        target.script = script;
        environ.change_root(root);
    }
    Ok(relay::serve(request, config, group, &target, &environ))
}
