//! Where logs go: a file, a file that is rotated, or the terminal.

use std::fs::OpenOptions;
use std::path::PathBuf;

use crate::server::Server;
use crate::{control, json_log};

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
        if self.options.logs.json_logs {
            return self.json_target(name, stream);
        }
        if self.logs_to_terminal() {
            return terminal(stream);
        }
        let file = self.log_file(name).to_string_lossy().into_owned();
        if !self.options.logs.rotate_logs {
            return file;
        }
        format!("|{}", self.rotation(&file, word))
    }

    /// Command of the program that begins a new file now and then.
    fn rotation(&self, file: &str, word: impl Fn(&str) -> String) -> String {
        let program = word(&self.programs.rotatelogs.to_string_lossy());
        let file = word(&format!("{file}.%Y-%m-%d-%H_%M_%S"));
        format!("{program} {file} {}M", self.options.logs.max_log_size)
    }

    /// The target of a log in JSON: a pipe through the program that makes it. What it
    /// prints is all it has: httpd gives such programs no standard error of their own.
    fn json_target(&self, name: &str, stream: Stream) -> String {
        let writer = json_log::command(self, stream);
        let file = self.log_file(name).to_string_lossy().into_owned();
        if self.logs_to_terminal() {
            return format!("|$exec {writer}");
        }
        match self.options.logs.rotate_logs {
            true => format!("|${writer} | {}", self.rotation(&file, control::word)),
            false => format!("|$exec {writer} >> {}", control::word(&file)),
        }
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
