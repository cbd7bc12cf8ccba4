//! The command line: commands, their help, and what is said about words that do
//! not fit. Wordings are those of Python's `optparse`, which scripts and people
//! know from the original (reference 1.2).

use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Args as _, Command, FromArgMatches as _};

use crate::error::{Error, Result};
use crate::options::{Options, number::Refusal};

/// Name of the program.
pub(crate) const PROGRAM: &str = "mod_wsgi-express";

/// Commands and what they are for, in the order of their help.
pub(crate) const COMMANDS: [(&str, &str); 8] = [
    ("start-server", "Start a server for an application, in the foreground"),
    ("setup-server", "Write the files of such a server, and its control script, only"),
    ("module-config", "Print the lines that load the module into an httpd"),
    ("module-location", "Print where the module lies"),
    ("install-module", "Copy the module into a folder of modules"),
    ("completions", "Print completions for bash, elvish, fish, powershell or zsh"),
    ("man", "Print the manual page"),
    ("version", "Print the versions of all parts"),
];

/// What most people want, at the end of the help.
const EXAMPLES: &str = "\
Examples:
  mod_wsgi-express start-server wsgi.py
  mod_wsgi-express start-server wsgi.py --processes 4 --threads 10 --reload-on-changes
  mod_wsgi-express start-server --application-type module project.wsgi --callable-object app
  mod_wsgi-express start-server wsgi.py --port 80 --user www-data --group www-data \\
      --https-port 443 --ssl-certificate /etc/ssl/site --server-name www.example.org";

/// Options of old that are gone, and what to use.
const RENAMED: [(&str, &str); 3] = [
    ("--proxy-buffer-size", "it is --response-buffer-size since release 4.4.7"),
    ("--profiler-output-file", "it is --profiler-directory since release 4.4.1"),
    ("--with-wdb", "it is gone since release 4.4.0; --enable-debugger has another debugger"),
];

/// What is printed when no command is named.
#[must_use]
pub(crate) fn overview() -> String {
    let mut text = format!("Usage: {PROGRAM} command [params]\n\nCommands:\n");
    for (name, about) in COMMANDS {
        let _never = writeln!(text, "    {name:<16}  {about}");
    }
    text + &format!("\n`{PROGRAM} COMMAND --help` lists the options of a command.\n")
}

/// The parser of `start-server` and `setup-server`.
#[must_use]
pub fn server_command(name: &str) -> Command {
    let about = COMMANDS.iter().find(|(known, _)| *known == name).map_or("", |(_, about)| about);
    let command = Command::new(format!("{PROGRAM} {name}"))
        .bin_name(format!("{PROGRAM} {name}"))
        .override_usage(format!("{PROGRAM} {name} script [options]"))
        .args_override_self(true)
        .infer_long_args(true)
        .disable_help_flag(true)
        .max_term_width(100)
        .arg(
            Arg::new("help")
                .short('h')
                .long("help")
                .action(ArgAction::Help)
                .help("Print this help"),
        );
    // What a group of options says of itself is not about the command.
    let command = Options::augment_args(command).about(about.to_owned()).after_help(EXAMPLES);
    // `optparse` takes the next word as the value, whatever it looks like.
    command.mut_args(|arg| {
        if arg.get_long().is_some() && arg.get_action().takes_values() {
            arg.allow_hyphen_values(true)
        } else {
            arg
        }
    })
}

/// Reads the options of a server.
///
/// # Errors
/// What does not fit; also the help that is asked for, as an error with code 0.
pub(crate) fn read_options(name: &str, words: Vec<String>) -> Result<Options> {
    let command = server_command(name);
    let matches = command.clone().no_binary_name(true).try_get_matches_from(words);
    let options = matches.and_then(|matches| Options::from_arg_matches(&matches));
    options.map_err(|error| translate(&error, &command))
}

/// What clap says, in the words of `optparse`.
fn translate(error: &clap::Error, command: &Command) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    };
    let option = text(ContextKind::InvalidArg);
    let name = option.split([' ', '=']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::DisplayHelp => {
            let mut help = Error::usage(error.render().to_string());
            help.code = 0;
            help
        }
        ErrorKind::UnknownArgument => unknown(name, command),
        ErrorKind::TooManyValues => Error::usage(format!("{name} option does not take a value")),
        ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            Error::usage(format!("{name} option requires 2 arguments"))
        }
        ErrorKind::InvalidValue if value.is_empty() => {
            let count = command
                .get_opts()
                .find(|known| {
                    Some(name) == known.get_long().map(|long| format!("--{long}")).as_deref()
                })
                .and_then(Arg::get_num_args)
                .map_or(1, |count| count.min_values());
            let plural =
                if count == 1 { "1 argument".to_owned() } else { format!("{count} arguments") };
            Error::usage(format!("{name} option requires {plural}"))
        }
        ErrorKind::InvalidValue => Error::usage(format!(
            "option {name}: invalid choice: '{value}' (choose from {})",
            text(ContextKind::ValidValue)
        )),
        ErrorKind::ValueValidation => {
            match std::error::Error::source(error).and_then(|why| why.downcast_ref::<Refusal>()) {
                Some(why @ Refusal::Share) => Error::usage(format!("{name} option {why}")),
                Some(why) => Error::usage(format!("option {name}: {why}")),
                None => Error::usage(format!("option {name}: invalid value: '{value}'")),
            }
        }
        _ => Error::usage(error.to_string().trim_start_matches("error: ").to_owned()),
    }
}

/// An option that nobody knows: of old, ambiguous, or mistyped.
pub(crate) fn unknown(name: &str, command: &Command) -> Error {
    let known = || {
        let visible = command.get_opts().filter(|option| !option.is_hide_set());
        visible.filter_map(|option| Some(format!("--{}", option.get_long()?)))
    };
    let mut candidates: Vec<String> = known().filter(|known| known.starts_with(name)).collect();
    if name.len() > 2 && candidates.len() > 1 {
        candidates.sort();
        return Error::usage(format!("ambiguous option: {name} ({}?)", candidates.join(", ")));
    }
    let error = Error::usage(format!("no such option: {name}"));
    if let Some((_, successor)) = RENAMED.iter().find(|(old, _)| *old == name) {
        return error.hint(*successor);
    }
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let nearest = known().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    match nearest.filter(|known| likeness(known) > 0.9) {
        Some(nearest) => error.hint(format!("did you mean {nearest}?")),
        None => error.hint(format!("`{} --help` lists the options", command.get_name())),
    }
}

/// The error about a command that there is not.
pub(crate) fn unknown_command(name: &str) -> Error {
    let error = Error::usage("Invalid command was specified.");
    let likeness = |known: &str| strsim::jaro_winkler(name, known);
    let known = COMMANDS.iter().map(|(known, _)| *known);
    match known.max_by(|one, other| likeness(one).total_cmp(&likeness(other))) {
        Some(nearest) if likeness(nearest) > 0.85 => error.hint(format!("did you mean {nearest}?")),
        _ => error,
    }
}

/// The page that lists all options, made from their records.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(PREFACE);
    let command = server_command("start-server");
    let mut heading = None;
    for option in command.get_opts().filter(|option| option.get_id() != "help") {
        let Some(name) = option.get_long() else { continue };
        let values: Vec<&str> = option
            .get_value_names()
            .into_iter()
            .flatten()
            .map(clap::builder::Str::as_str)
            .collect();
        let takes_values = option.get_action().takes_values();
        let typed = if takes_values { format!(" {}", values.join(" ")) } else { String::new() };
        let default = option
            .get_default_values()
            .first()
            .filter(|_| takes_values)
            .map_or_else(String::new, |value| format!("`{}`", value.to_string_lossy()));
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        let of_old = if option.is_hide_set() { " (not shown by `--help`)" } else { "" };
        let mut line = String::new();
        if option.get_help_heading() != heading {
            heading = option.get_help_heading();
            let title = heading.unwrap_or("Options");
            line = format!("\n## {title}\n\n| Option | Default | |\n| --- | --- | --- |\n");
        }
        let typed = typed.replace('|', "\\|");
        let _never = writeln!(page, "{line}| `--{name}{typed}` | {default} | {help}{of_old} |");
    }
    page
}

const PREFACE: &str = "# Options of mod_wsgi-express\n\n\
Made from the records in `crates/express/src/options` (`just docs`).\n\n\
`start-server` and `setup-server` take the same options, in any order, before or\n\
after the application. `--name VALUE` and `--name=VALUE` are the same, a name may be\n\
cut short as long as it is the only one that begins so, and of an option that is\n\
given twice the last one counts, unless it may be repeated. `$NAME` is replaced by a\n\
variable of the environment. Whole numbers may be written as `0x1f`, `0b11` or `017`.\n\
A usage error has exit code 2, a server that cannot start 1.\n\n\
## Option files\n\n\
A file `mod_wsgi.toml` in the current folder, or the table `[tool.mod_wsgi]` of its\n\
`pyproject.toml`, holds options under the same names; what is typed counts more.\n\
`--options-file` names another file, `--no-options-file` reads none. Paths belong to\n\
the folder of the file. Flags are `true` or `false`, options that may be repeated\n\
take an array, those of two values a table or an array of pairs.\n\n\
```toml\n\
port = 8080\n\
access-log = true\n\
url-alias = { \"/static\" = \"static\" }\n\n\
[[application]]\n\
name = \"shop\"\n\
entry-point = \"shop/wsgi.py\"\n\
processes = 2\n\n\
[[application]]\n\
name = \"blog\"\n\
mount-point = \"/blog\"\n\
entry-point = \"blog.wsgi\"\n\
application-type = \"module\"\n\
```\n\n\
Each `[[application]]` has daemon processes of its own, under its name, and may have\n\
its own Python path, working directory, processes, threads, timeouts and buffers;\n\
what it does not say itself, the options above it, or typed, say for all.\n";
