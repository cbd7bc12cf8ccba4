//! Option files: `mod_wsgi.toml`, or the table `[tool.mod_wsgi]` of a
//! `pyproject.toml`. Their keys are the options' own names, so they become words of a
//! command line before those that are typed, and the parser stays the only judge.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};
use toml::{Table, Value};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::options::Options;
use crate::{usage, words};

/// Names of such files, the first that is there counts.
const NAMES: [&str; 2] = ["mod_wsgi.toml", PROJECT];

/// A file of many tools, of which one table is ours.
const PROJECT: &str = "pyproject.toml";

/// Options that each of several applications may have for itself; all others belong
/// to the server.
const OF_APPLICATION: [&str; 35] = [
    "entry-point",
    "application-type",
    "callable-object",
    "application-group",
    "process-group",
    "mount-point",
    "working-directory",
    "python-path",
    "python-eggs",
    "locale",
    "processes",
    "threads",
    "switch-interval",
    "maximum-requests",
    "queue-timeout",
    "socket-timeout",
    "connect-timeout",
    "request-timeout",
    "interrupt-timeout",
    "inactivity-timeout",
    "startup-timeout",
    "deadlock-timeout",
    "graceful-timeout",
    "eviction-timeout",
    "restart-interval",
    "cpu-time-limit",
    "shutdown-timeout",
    "daemon-backlog",
    "send-buffer-size",
    "receive-buffer-size",
    "header-buffer-size",
    "response-buffer-size",
    "response-socket-timeout",
    "response-flush-delay",
    "reload-on-changes",
];

/// Options that cannot stand in a file.
const BEFORE: [&str; 3] = ["help", "options-file", "no-options-file"];

/// All that is given: typed, and in a file.
#[derive(Debug)]
pub(crate) struct Given {
    /// Options of the server and its main application.
    pub options: Options,
    /// Further applications by name: the server's options, and their own on top.
    pub others: Vec<(String, Options)>,
    /// The file, if there is one.
    pub file: Option<PathBuf>,
}

impl Given {
    /// Reads what was typed, and the file that goes before it.
    ///
    /// # Errors
    /// What does not fit; also the help that is asked for, as an error with code 0.
    pub(crate) fn read(command: &str, typed: &[String], caller: &Caller) -> Result<Self> {
        let read = |words: &[&[String]]| usage::read_options(command, words.concat());
        let options = read(&[typed])?;
        let file = match options.files.no_options_file {
            true => None,
            false => OptionFile::read(caller, options.files.options_file.as_deref())?,
        };
        let Some(mut file) = file else {
            return Ok(Self { options, others: Vec::new(), file: None });
        };
        let of_application = |own: &Application| {
            let mut options = read(&[&file.words, typed, &own.words])?;
            let python = &mut options.python;
            let own_python = &own.options.python;
            python.mount_point.clone_from(&own_python.mount_point);
            python.entry_point.clone_from(&own_python.entry_point);
            python.process_group =
                Some(own_python.process_group.as_ref().unwrap_or(&own.name).clone());
            python.application_group.clone_from(&own_python.application_group);
            // In processes of the server's, only interpreters keep them apart.
            if options.workers.embedded_mode || options.debugging.is_on() {
                python.application_group.get_or_insert(own.name.clone());
            }
            Ok(options)
        };
        let mut options = read(&[&file.words, typed])?;
        if !options.names_application() && !file.applications.is_empty() {
            let is_at_root = |own: &Application| own.options.python.mount_point == "/";
            let main = file.applications.iter().position(is_at_root).unwrap_or(0);
            options = of_application(&file.applications[main])?;
            file.applications.remove(main);
        }
        let others = file.applications.iter();
        let others = others.map(|own| Ok((own.name.clone(), of_application(own)?)));
        Ok(Self { options, others: others.collect::<Result<_>>()?, file: Some(file.path) })
    }
}

/// What a file says.
struct OptionFile {
    path: PathBuf,
    /// Options of the server, as words.
    words: Vec<String>,
    applications: Vec<Application>,
}

/// One `[[application]]`.
struct Application {
    name: String,
    /// Its own options, as words and read.
    words: Vec<String>,
    options: Options,
}

impl OptionFile {
    /// Reads the file that the caller names, or the one in the caller's folder.
    ///
    /// # Errors
    /// When a named file is missing, or one says what no option can mean.
    fn read(caller: &Caller, named: Option<&str>) -> Result<Option<Self>> {
        if let Some(named) = named {
            let path = PathBuf::from(caller.absolute(named));
            let text = std::fs::read_to_string(&path).map_err(|source| {
                Error::usage(format!("option --options-file: cannot read `{}`", path.display()))
                    .hint(source.to_string())
            })?;
            let table = table_of(&path, &text)?.ok_or_else(|| {
                Error::usage(format!("`{}` has no table [tool.mod_wsgi]", path.display()))
            })?;
            return Self::of_table(path, table, caller).map(Some);
        }
        for name in NAMES {
            let path = caller.folder.join(name);
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    if let Some(table) = table_of(&path, &text)? {
                        return Self::of_table(path, table, caller).map(Some);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Error::io("read", &path)(error)),
            }
        }
        Ok(None)
    }

    fn of_table(path: PathBuf, mut table: Table, caller: &Caller) -> Result<Self> {
        let reader = Reader { path: &path, caller, command: usage::server_command("start-server") };
        let applications = match table.remove("application") {
            None => Vec::new(),
            Some(Value::Array(tables)) => {
                tables.into_iter().map(|table| reader.application(table)).collect::<Result<_>>()?
            }
            Some(_) => return Err(reader.fault("applications are tables [[application]]")),
        };
        let words = reader.words(&table)?;
        // Here the error can name the file.
        usage::read_options("start-server", words.clone())
            .map_err(|error| reader.fault(&error.to_string()))?;
        Ok(Self { words, applications, path })
    }
}

/// The table of ours, if the file has one.
fn table_of(path: &Path, text: &str) -> Result<Option<Table>> {
    let table: Table = text.parse().map_err(|error: toml::de::Error| {
        Error::usage(format!("`{}` is not TOML: {error}", path.display()))
    })?;
    if path.file_name().is_none_or(|name| name != PROJECT) {
        return Ok(Some(table));
    }
    let ours = table.get("tool").and_then(|tool| tool.get("mod_wsgi"));
    Ok(ours.and_then(Value::as_table).cloned())
}

struct Reader<'a> {
    path: &'a Path,
    caller: &'a Caller,
    command: clap::Command,
}

impl Reader<'_> {
    fn fault(&self, what: &str) -> Error {
        Error::usage(format!("`{}`: {what}", self.path.display()))
    }

    fn application(&self, table: Value) -> Result<Application> {
        let Value::Table(mut table) = table else {
            return Err(self.fault("applications are tables [[application]]"));
        };
        let name = match table.remove("name") {
            Some(Value::String(name)) if is_name(&name) => name,
            Some(other) => {
                return Err(self.fault(&format!(
                    "the name {other} of an application must be letters, digits, `-`, `_`, `.`"
                )));
            }
            None => return Err(self.fault("an [[application]] has no `name`")),
        };
        if !table.contains_key("entry-point") {
            return Err(self.fault(&format!("the application `{name}` has no `entry-point`")));
        }
        if let Some(key) = table.keys().find(|key| !OF_APPLICATION.contains(&key.as_str())) {
            self.option(key)?;
            return Err(self
                .fault(&format!("`{key}` of the application `{name}` is an option of the server"))
                .hint("write it above the first [[application]]"));
        }
        let words = self.words(&table)?;
        let options = usage::read_options("start-server", words.clone())
            .map_err(|error| self.fault(&format!("application `{name}`: {error}")))?;
        Ok(Application { name, words, options })
    }

    /// The option of a key; the parser's own error if there is none.
    fn option(&self, key: &str) -> Result<&Arg> {
        let found = self
            .command
            .get_opts()
            .find(|option| option.get_long() == Some(key) && !BEFORE.contains(&key));
        found.ok_or_else(|| {
            let error = usage::unknown(&format!("--{key}"), &self.command);
            let fault = self.fault(&format!("there is no option `{key}`"));
            match &error.hint {
                Some(hint) => fault.hint(hint.clone()),
                None => fault,
            }
        })
    }

    fn words(&self, table: &Table) -> Result<Vec<String>> {
        let mut words = Vec::new();
        for (key, value) in table {
            let option = self.option(key)?;
            let names: Vec<&str> = option
                .get_value_names()
                .into_iter()
                .flatten()
                .map(clap::builder::Str::as_str)
                .collect();
            if !option.get_action().takes_values() {
                match value {
                    Value::Boolean(true) => words.push(format!("--{key}")),
                    Value::Boolean(false) => {}
                    other => return Err(self.unfit(key, "true or false", other)),
                }
            } else if names.len() == 2 {
                for (first, second) in self.pairs(key, value)? {
                    words.push(format!("--{key}"));
                    words.push(self.value(key, names[0], &first)?);
                    words.push(self.value(key, names[1], &second)?);
                }
            } else {
                let values = match (value, option.get_action()) {
                    (Value::Array(values), ArgAction::Append) => values.iter().collect(),
                    _ => vec![value],
                };
                let name = names.first().copied().unwrap_or_default();
                for value in values {
                    words.push(format!("--{key}={}", self.value(key, name, value)?));
                }
            }
        }
        Ok(words)
    }

    /// The values of an option that takes two: a table, or an array of pairs.
    fn pairs(&self, key: &str, value: &Value) -> Result<Vec<(Value, Value)>> {
        let expected = "a table, or an array of pairs";
        match value {
            Value::Table(table) => {
                let pair = |(name, value): (&String, &Value)| (name.clone().into(), value.clone());
                Ok(table.iter().map(pair).collect())
            }
            Value::Array(pairs) => pairs
                .iter()
                .map(|pair| match pair.as_array().map(Vec::as_slice) {
                    Some([first, second]) => Ok((first.clone(), second.clone())),
                    _ => Err(self.unfit(key, expected, pair)),
                })
                .collect(),
            other => Err(self.unfit(key, expected, other)),
        }
    }

    /// One value as a word. A path belongs to the folder of the file.
    fn value(&self, key: &str, name: &str, value: &Value) -> Result<String> {
        let text = match value {
            Value::String(text) => words::expand(text, &self.caller.variables),
            Value::Integer(_) | Value::Float(_) => value.to_string(),
            other => return Err(self.unfit(key, "a text or a number", other)),
        };
        let is_path = name
            .split('|')
            .any(|kind| ["FILE-PATH", "DIRECTORY-PATH", "SCRIPT-PATH"].contains(&kind));
        // What is looked up in `PATH`, and the name of a module, are no paths.
        let may_be_name = key.ends_with("-executable") || name.contains("MODULE");
        let folder = self.path.parent().unwrap_or(self.path);
        let path = folder.join(&text);
        if !is_path || (may_be_name && !text.contains('/') && !path.exists()) {
            return Ok(text);
        }
        Ok(path.to_string_lossy().into_owned())
    }

    fn unfit(&self, key: &str, expected: &str, found: &Value) -> Error {
        self.fault(&format!("option `{key}`: expected {expected}, found {found}"))
    }
}

/// Whether a name can be part of the names of files and of process groups.
fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !name.is_empty() && !name.starts_with('.') && name.chars().all(fits)
}
