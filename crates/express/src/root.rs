//! The server root: the folder that holds all that is written for one server. It
//! belongs to the caller alone; each file is written beside its place and moved
//! there, so that nobody ever reads half of one.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use serde_json::{Value, json};

use crate::capacity::Mode;
use crate::control::Environment;
use crate::error::{Error, Result};
use crate::options::pairs;
use crate::server::Server;
use crate::{conf, control};

/// Python's side of the launcher, which the wrapper script imports.
static PACKAGE: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../python/mod_wsgi");

const HANDLER: &str = include_str!("python/handler.wsgi");
const RESOURCE: &str = include_str!("python/resource.wsgi");
const STATUS_PAGE: &str = include_str!("status.html");
const WELCOME: &str = include_str!("python/default.wsgi");

/// The configuration that was in force before.
const BEFORE: &str = ".httpd.conf.before";

/// Writes everything, the configuration last: the environment that httpd is to have.
/// If it has to be `accepted`, httpd is asked first. One that is started at once tells
/// the same, sooner; [`take_back`] is for when it does not start.
///
/// # Errors
/// When a place cannot be used, or httpd refuses the configuration.
pub(crate) fn write(server: &Server, accepted: bool) -> Result<Environment> {
    let text = conf::write(server)?;
    make_root(server)?;
    for folder in folders(server) {
        make_folder(&folder)?;
    }
    for folder in given_away(server) {
        make_folder(&folder)?;
        give_away(server, &folder)?;
    }
    let package = server.path("python/mod_wsgi");
    write_package(&package)?;
    let handlers = server.applications().map(|one| (one.script(), HANDLER, settings(one)));
    let others = [
        ("resource.wsgi".to_owned(), RESOURCE, resources(server)),
        ("default.wsgi".to_owned(), WELCOME, Value::Null),
    ];
    for (name, template, settings) in handlers.chain(others) {
        let script = template
            .replace("@PACKAGE@", &literal(&json!(package.to_string_lossy())))
            .replace("@SETTINGS@", &literal(&settings));
        write_file(&server.path(&name), script.as_bytes(), 0o644)?;
    }
    if server.options.status.status_port.is_some() {
        make_folder(&server.path("status"))?;
        write_file(&server.path("status/index.html"), STATUS_PAGE.as_bytes(), 0o644)?;
    }
    keep_or_make(&server.rewrite_rules())?;
    let envvars = server.path("envvars");
    match &server.options.python.envvars_script {
        Some(script) => {
            let line = format!(". {}\n", control::word(&server.absolute(script)));
            write_file(&envvars, line.as_bytes(), 0o644)?;
        }
        None => keep_or_make(&envvars)?,
    }
    // It tells the words of the command, and the configuration their values: with
    // --setenv there may be secrets among them.
    write_file(&server.path("apachectl"), control::script(server).as_bytes(), 0o700)?;
    let trial = server.path(".httpd.conf.new");
    write_file(&trial, text.as_bytes(), 0o600)?;
    let check = |environment: &Environment| match accepted {
        true => control::check(server, environment, &trial),
        false => Ok(()),
    };
    let environment = control::environment(server)
        .and_then(|environment| check(&environment).map(|()| environment))
        .inspect_err(|_| {
            let _keeps_its_error = std::fs::remove_file(&trial);
        })?;
    let (conf, before) = (server.path("httpd.conf"), server.path(BEFORE));
    let _none_is_there = std::fs::remove_file(&before);
    let _none_was_there = std::fs::hard_link(&conf, &before);
    std::fs::rename(&trial, &conf).map_err(Error::io("write", &conf))?;
    Ok(environment)
}

/// Puts the configuration before the last one back in its place, and the last one
/// aside, for who wants to see it: where it is now.
///
/// # Errors
/// When they cannot be moved.
pub(crate) fn take_back(server: &Server) -> Result<PathBuf> {
    let (conf, before) = (server.path("httpd.conf"), server.path(BEFORE));
    let refused = server.path("httpd.conf.refused");
    std::fs::rename(&conf, &refused).map_err(Error::io("move", &conf))?;
    match std::fs::rename(&before, &conf) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("move", &before)(error))
        }
        _ => Ok(refused),
    }
}

/// A value as Python writes it. JSON's texts and numbers are Python's, too.
fn literal(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(literal).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{}: {}", json!(name), literal(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

/// Makes the root, or takes one that is the caller's own: what lies in a folder of
/// somebody else would be run with the caller's rights.
fn make_root(server: &Server) -> Result<()> {
    let root = &server.root;
    if let Some(parent) = root.parent().filter(|_| server.options.files.server_root.is_some()) {
        std::fs::create_dir_all(parent).map_err(Error::io("make folder", parent))?;
    }
    // A server that root starts serves as somebody else, who reads it.
    let mode = if server.caller.is_root() { 0o755 } else { 0o700 };
    match std::fs::create_dir(root) {
        Ok(()) => return set_mode(root, mode),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("make folder", root)(error)),
    }
    let meta = root.symlink_metadata().map_err(Error::io("inspect", root))?;
    let fault = if !meta.is_dir() {
        "is not a folder".to_owned()
    } else if meta.uid() != server.caller.uid {
        format!("belongs to user {}", meta.uid())
    } else if meta.mode() & 0o022 != 0 {
        format!("can be changed by other users (mode {:o})", meta.mode() & 0o7777)
    } else {
        return Ok(());
    };
    Err(Error::failed(format!("the server root `{}` {fault}", root.display()))
        .hint("remove it, or name another one with --server-root"))
}

/// Folders that are made where they are missing.
fn folders(server: &Server) -> Vec<PathBuf> {
    let mut folders =
        vec![server.path("htdocs"), server.logs.clone(), server.document_root.clone()];
    folders.extend(server.applications().map(Server::mount_folder));
    if let Some(folder) = &server.options.files.socket_prefix {
        folders.push(PathBuf::from(folder));
    }
    folders
}

/// Folders that the application writes to.
fn given_away(server: &Server) -> Vec<PathBuf> {
    let tools = server.tools().into_iter().map(|(_, folder)| folder);
    server.applications().map(Server::eggs).chain(tools).collect()
}

fn give_away(server: &Server, folder: &Path) -> Result<()> {
    match server.account.switch_to {
        Some((user, group)) => std::os::unix::fs::chown(folder, Some(user), Some(group))
            .map_err(Error::io("hand over", folder)),
        None => Ok(()),
    }
}

/// What the wrapper script is told.
pub(crate) fn settings(server: &Server) -> Value {
    let (options, debugging) = (&server.options, &server.options.debugging);
    let entry = server.entry.what.clone();
    json!({
        "entry_point": entry.unwrap_or_else(|| conf::path(&server.path("default.wsgi"))),
        "application_type": server.entry.kind,
        "callable_object": options.python.callable_object,
        "mount_point": server.mount_point,
        "server_name": server.name(),
        "server_aliases": options.listening.server_alias,
        "host": server.host,
        "port": server.port,
        "working_directory": server.working_directory,
        "python_paths": server.python_path.split(':').filter(|path| !path.is_empty()).collect::<Vec<_>>(),
        "disable_reloading": !server.reloads(),
        "reload_on_changes": options.reloading.reload_on_changes && server.mode == Mode::Daemon,
        "debug_mode": server.mode == Mode::Debug,
        "enable_debugger": debugging.enable_debugger,
        "debugger_startup": debugging.debugger_startup,
        "enable_coverage": debugging.enable_coverage,
        "coverage_directory": server.tool_folder(&debugging.coverage_directory, "htmlcov"),
        "enable_profiler": debugging.enable_profiler,
        "profiler_directory": server.tool_folder(&debugging.profiler_directory, "pstats"),
        "enable_recorder": debugging.enable_recorder,
        "recorder_directory": server.tool_folder(&debugging.recorder_directory, "archive"),
        "enable_gdb": debugging.enable_gdb,
        "with_newrelic_agent": options.newrelic.agent(),
        "newrelic_config_file": options.newrelic.newrelic_config_file.as_deref().map(|file| server.absolute(file)),
        "newrelic_environment": options.newrelic.newrelic_environment,
    })
}

fn resources(server: &Server) -> Value {
    let handlers = pairs(&server.options.content.add_handler);
    let resources: Vec<_> =
        handlers.map(|(extension, script)| (extension, server.absolute(script))).collect();
    json!({ "resources": resources })
}

/// Writes Python's side of the launcher, the package `mod_wsgi`.
///
/// # Errors
/// When a file cannot be written.
pub fn write_package(folder: &Path) -> Result<()> {
    write_below(folder, &PACKAGE)
}

fn write_below(folder: &Path, package: &Dir<'_>) -> Result<()> {
    make_folder(folder)?;
    for file in package.files() {
        let Some(name) = file.path().file_name() else { continue };
        if file.path().extension().is_some_and(|ending| ending == "py") {
            write_file(&folder.join(name), file.contents(), 0o644)?;
        }
    }
    for below in package.dirs() {
        if let Some(name) = below.path().file_name().filter(|name| *name != "__pycache__") {
            write_below(&folder.join(name), below)?;
        }
    }
    Ok(())
}

fn make_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder).map_err(Error::io("make folder", folder))?;
    set_mode(folder, 0o755)
}

/// Makes an empty file, unless the user has one there.
fn keep_or_make(path: &Path) -> Result<()> {
    if path.exists() { Ok(()) } else { write_file(path, b"", 0o644) }
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == bytes) {
        return set_mode(path, mode);
    }
    let folder = path.parent().unwrap_or(path);
    let mut file = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(Error::io("write to", folder))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.persist(path).map_err(|error| Error::io("write", path)(error.error))?;
    // The umask has had its say at first.
    set_mode(path, mode)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Error::io("set the mode of", path))
}
