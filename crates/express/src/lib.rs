//! `mod_wsgi-express`: options become a decided server (`server`), which becomes a
//! configuration (`conf`), a folder (`root`) and a running httpd (`launch`).

mod caller;
mod capacity;
mod check;
mod command;
mod conf;
mod control;
mod error;
mod json_log;
mod launch;
mod locale;
mod logs;
mod option_file;
pub mod options;
mod pid_file;
mod process;
mod programs;
mod root;
mod server;
mod summary;
mod unit;
mod usage;
mod words;

pub use caller::Caller;
pub use command::{NAME, run};
pub use conf::BASE as BASE_MODULES;
pub use error::Error;
pub use root::write_package;
pub use usage::{page, server_command};

/// Says something to whoever started the program.
#[expect(clippy::print_stderr, reason = "the one place that does")]
fn say(text: &str) {
    eprintln!("{text}");
}
