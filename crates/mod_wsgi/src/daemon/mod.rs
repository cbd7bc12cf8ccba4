//! Daemon mode, httpd's side of it (decision 0007).

mod account;
mod answer;
mod board;
mod body;
mod client;
mod gate;
mod owner;
mod place;
mod reader;
mod relay;
mod scoreboard;
mod setup;
mod sockets;
mod spawn;
mod supervisor;
mod team;
mod zygote;

use std::ffi::c_int;
use std::path::PathBuf;
use std::time::Duration;

use httpd::{Request, Server, sys};
use wsgi::options::daemon::DaemonOptions;

use self::board::Board;
pub(crate) use self::board::{Slot, State};
use self::client::Idle;
pub(crate) use self::client::cut_off;
pub(crate) use self::relay::Target;
pub(crate) use self::setup::{all, declare, enter_child, find, is_any, start, start_waiting};
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

/// A group as it is configured, with accounts in the place of their names.
#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) options: DaemonOptions,
    /// Its number, counted from 1 in the order of the configuration.
    pub(crate) number: usize,
    /// The server that declares it.
    pub(crate) server: Server,
    pub(crate) account: Option<account::Account>,
    pub(crate) gid: Option<u32>,
    /// `supplementary-groups`.
    pub(crate) groups: Vec<u32>,
    /// `socket-user`.
    pub(crate) socket_owner: Option<u32>,
    /// `script-user` or `script-group`.
    pub(crate) script_owner: Option<owner::Owner>,
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
