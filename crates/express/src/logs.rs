//! Where logs go: a file, a file that is rotated, or the terminal.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::server::Server;

/// Which log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Stream {
    /// Requests: standard output.
    Access,
    /// All else: standard error.
    Error,
}

impl Server {
    /// The file of a log.
    #[must_use]
    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.logs.join(name)
    }

    /// The target of a log as httpd has it: a file, or a program after `|`.
    #[must_use]
    pub(crate) fn log_target(&self, name: &str, stream: Stream) -> String {
        if self.logs_to_terminal() {
            return terminal(stream);
        }
        let file = self.log_file(name).to_string_lossy().into_owned();
        if !self.options.logs.rotate_logs {
            return file;
        }
        let program = self.programs.rotatelogs.to_string_lossy();
        let size = self.options.logs.max_log_size;
        format!("|{} {} {size}M", word(&program), word(&(file + ".%Y-%m-%d-%H_%M_%S")))
    }
}

/// The terminal, or what stands for it. It is opened for appending: a file that it
/// was redirected to is not emptied. A socket, as under systemd, cannot be opened;
/// then a program passes on what it reads.
fn terminal(stream: Stream) -> String {
    let device = match stream {
        Stream::Access => "/dev/stdout",
        Stream::Error => "/dev/stderr",
    };
    match (OpenOptions::new().append(true).open(device), stream) {
        (Ok(_), _) => device.to_owned(),
        (Err(_), Stream::Access) => "|/bin/cat".to_owned(),
        (Err(_), Stream::Error) => "|$/bin/cat 1>&2".to_owned(),
    }
}

/// A word of a piped log's command: httpd parts them at blanks, save in quotes.
fn word(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
