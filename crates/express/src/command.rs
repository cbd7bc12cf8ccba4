//! The commands.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::capacity::Mode;
use crate::error::{Error, Result};
use crate::option_file::Given;
use crate::programs::Programs;
use crate::server::Server;
use crate::usage::{self, COMMANDS, PROGRAM};
use crate::{check, conf, json_log, launch, root, summary, unit, words};

/// Name of the program.
pub const NAME: &str = PROGRAM;

/// Runs the command that the words after the program's name are.
pub fn run(
    typed: impl IntoIterator<Item = OsString>,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let done = Caller::of_process(typed, variables).and_then(|caller| carry_out(&caller));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            tell(&error);
            ExitCode::from(error.code)
        }
    }
}

fn carry_out(caller: &Caller) -> Result<u8> {
    let mut caller = caller.clone();
    let Some(name) = caller.words.first().cloned() else {
        crate::say(&usage::overview());
        return Err(Error::usage("No command was specified."));
    };
    for word in &mut caller.words[1..] {
        *word = words::expand(word, &caller.variables);
    }
    let rest = caller.words[1..].to_vec();
    match name.as_str() {
        "-h" | "--help" | "help" => print(&usage::overview()),
        "start-server" | "setup-server" => serve(&name, rest, &caller),
        "module-location" => {
            no_more(&rest)?;
            print(&format!("{}\n", programs(&caller)?.module.display()))
        }
        "module-config" => {
            no_more(&rest)?;
            let programs = programs(&caller)?;
            print(&module_config(&programs, &programs.module))
        }
        "install-module" => install_module(rest, &caller),
        "completions" => completions(&rest),
        "man" => no_more(&rest).and_then(|()| man()),
        "version" | "--version" => no_more(&rest).and_then(|()| version(&caller)),
        // For httpd, which pipes its logs through it.
        "json-log" => json_log::run(&rest),
        // For the Django command, which offers the same options.
        "options" => print(&format!("{}\n", options_of_server())),
        _ => {
            crate::say(&usage::overview());
            Err(usage::unknown_command(&name))
        }
    }
}

fn serve(name: &str, rest: Vec<String>, caller: &Caller) -> Result<u8> {
    let command = usage::server_command(name);
    let rest = words::split_pairs(rest, &command);
    let given = match Given::read(name, &rest, caller) {
        Ok(given) => given,
        Err(help) if help.code == 0 => return print(&help.to_string()),
        Err(error) => {
            crate::say(&format!("Usage: {PROGRAM} {name} script [options]\n"));
            return Err(error);
        }
    };
    for name in words::twice(&rest, &command) {
        crate::say(&format!("{PROGRAM}: warning: --{name} is given twice; the last one counts"));
    }
    for idle in given.options.idle() {
        crate::say(&format!("{PROGRAM}: warning: {idle}"));
    }
    let setup = name == "setup-server" || given.options.debugging.setup_only;
    let server = Server::new(given, caller)?;
    let shown = &server.options.shown;
    if shown.print_config {
        return print(&conf::write(&server)?);
    }
    if shown.print_unit {
        return print(&unit::text(&server));
    }
    if shown.dry_run {
        return print(&summary::text(&server, setup));
    }
    if shown.check {
        return check::run(&server);
    }
    if !setup {
        launch::refuse_root(&server)?;
    }
    if server.options.reloading.graceful {
        launch::running(&server)?;
    }
    warn(&server);
    let at_once = !setup && !server.options.reloading.graceful && server.mode != Mode::Debug;
    let environment = root::write(&server, !at_once)?;
    print(&summary::text(&server, setup))?;
    if server.options.reloading.graceful {
        return launch::reload(&server);
    }
    if setup { Ok(0) } else { launch::run(&server, &environment) }
}

/// Things that are not as they seem.
fn warn(server: &Server) {
    let services = &server.options.services;
    let named = !services.service_user.is_empty() || !services.service_group.is_empty();
    if named && !server.caller.is_root() {
        crate::say(&format!(
            "{PROGRAM}: warning: only root can run a service as another user; all run as `{}`",
            server.account.user
        ));
    }
}

fn programs(caller: &Caller) -> Result<Programs> {
    let options = usage::read_options("setup-server", Vec::new())?;
    Programs::find(caller, &options.files, None)
}

fn no_more(words: &[String]) -> Result<()> {
    if words.is_empty() { Ok(()) } else { Err(Error::usage("Incorrect number of arguments.")) }
}

/// Lines for a configuration of the user's own.
fn module_config(programs: &Programs, module: &Path) -> String {
    let mut lines = format!("LoadModule wsgi_module \"{}\"\n", module.display());
    if let Some(home) = &programs.python_home {
        lines += &format!("WSGIPythonHome \"{}\"\n", home.display());
    }
    lines
}

fn install_module(rest: Vec<String>, caller: &Caller) -> Result<u8> {
    let command = clap::Command::new("install-module")
        .bin_name(format!("{PROGRAM} install-module"))
        .no_binary_name(true)
        .args_override_self(true)
        .arg(
            Arg::new("modules-directory")
                .long("modules-directory")
                .value_name("DIRECTORY-PATH")
                .action(ArgAction::Set)
                .help("Folder to copy the module to [default: that of httpd's modules]"),
        );
    let matches = match command.try_get_matches_from(rest) {
        Ok(matches) => matches,
        Err(help) if help.kind() == clap::error::ErrorKind::DisplayHelp => {
            return print(&help.render().to_string());
        }
        Err(error) if error.kind() == clap::error::ErrorKind::UnknownArgument => {
            return Err(Error::usage("Incorrect number of arguments."));
        }
        Err(error) => return Err(Error::usage(error.to_string())),
    };
    let programs = programs(caller)?;
    let folder = matches.get_one::<String>("modules-directory");
    let folder = folder
        .map_or_else(|| programs.modules.clone(), |folder| PathBuf::from(caller.absolute(folder)));
    // The module finds Python's side beside itself.
    for name in ["mod_wsgi.so", "mod_wsgi_python.so"] {
        let (from, to) = (programs.module.with_file_name(name), folder.join(name));
        if from.canonicalize().ok() != to.canonicalize().ok() {
            std::fs::copy(&from, &to).map_err(Error::io("write", &to))?;
        }
    }
    print(&module_config(&programs, &folder.join("mod_wsgi.so")))
}

fn completions(rest: &[String]) -> Result<u8> {
    let shell = match rest {
        [shell] => shell.parse::<clap_complete::Shell>().ok(),
        _ => None,
    };
    let shell = shell.ok_or_else(|| {
        Error::usage("`completions` takes a shell: bash, elvish, fish, powershell or zsh")
    })?;
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut whole(), PROGRAM, &mut text);
    print(&String::from_utf8_lossy(&text))
}

fn man() -> Result<u8> {
    let mut page = Vec::new();
    let failed = Error::io("write", Path::new("the page"));
    clap_mangen::Man::new(whole()).render(&mut page).map_err(failed)?;
    let failed = Error::io("write", Path::new("the page"));
    clap_mangen::Man::new(usage::server_command("start-server"))
        .render_options_section(&mut page)
        .map_err(failed)?;
    print(&String::from_utf8_lossy(&page))
}

/// All commands, for completions and the page.
fn whole() -> clap::Command {
    let mut whole = clap::Command::new(PROGRAM)
        .about("Serves WSGI applications by a private Apache httpd")
        .disable_help_subcommand(true);
    for (name, about) in COMMANDS {
        let command = match name {
            "start-server" | "setup-server" => usage::server_command(name).name(name),
            _ => clap::Command::new(name).about(about),
        };
        whole = whole.subcommand(command);
    }
    whole
}

/// Versions of this program and what it would use.
fn version(caller: &Caller) -> Result<u8> {
    let mut text = format!("{PROGRAM} {}\n", env!("CARGO_PKG_VERSION"));
    if let Ok(programs) = programs(caller) {
        let record = programs.httpd.canonicalize().ok();
        let tree = record.as_deref().and_then(Path::parent).and_then(Path::parent);
        if let Some(record) = tree.and_then(|tree| prefix::Record::read(tree).ok()) {
            for part in &record.components {
                text += &format!("{} {}\n", part.name, part.version);
            }
            if let Some(python) = &record.python {
                text += &format!("Python {} ({})\n", python.version, python.executable.display());
            }
        }
    }
    print(&text)
}

/// The options of a server as data.
fn options_of_server() -> Value {
    let command = usage::server_command("start-server");
    let options = command.get_opts().filter(|option| option.get_id() != "help").map(|option| {
        let values: Vec<&str> = if option.get_action().takes_values() {
            option.get_value_names().into_iter().flatten().map(clap::builder::Str::as_str).collect()
        } else {
            Vec::new()
        };
        let kind = option.get_value_parser().type_id();
        let kind = if values.is_empty() {
            "flag"
        } else if kind == std::any::TypeId::of::<u32>() {
            "int"
        } else if kind == std::any::TypeId::of::<f64>() {
            "float"
        } else {
            "text"
        };
        let default = option.get_default_values().first().filter(|_| !values.is_empty());
        json!({
            "name": option.get_long().map(|name| format!("--{name}")),
            "values": values,
            "type": kind,
            "list": matches!(option.get_action(), ArgAction::Append),
            "default": default.map(|text| text.to_string_lossy()),
            "help": option.get_help().map(ToString::to_string),
            "hidden": option.is_hide_set(),
        })
    });
    options.collect()
}

/// Prints to standard output. A reader that has gone (`| head`) is no error.
fn print(text: &str) -> Result<u8> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::io("write to", Path::new("standard output"))(error))
        }
        _ => Ok(0),
    }
}

/// Prints an error as `optparse` has it, its causes and its hint below.
pub(crate) fn tell(error: &Error) {
    crate::say(&format!("{PROGRAM}: error: {error}"));
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        crate::say(&format!("  caused by: {source}"));
        cause = source.source();
    }
    if let Some(hint) = &error.hint {
        crate::say(&format!("  hint: {hint}"));
    }
}
