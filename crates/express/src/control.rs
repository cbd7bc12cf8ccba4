//! The control script `apachectl`, for init systems and people who use it, and what
//! httpd is called with. The launcher itself needs no shell.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::capacity::Mode;
use crate::error::{Error, Result};
use crate::process;
use crate::server::Server;

/// Variables that a program sees.
pub(crate) type Environment = BTreeMap<String, String>;

/// A word of a shell.
#[must_use]
pub(crate) fn word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| "''".to_owned(), std::borrow::Cow::into_owned)
}

/// Variables that httpd, and files that it includes, see.
#[must_use]
pub(crate) fn variables(server: &Server) -> Vec<(&'static str, String)> {
    let port = |port: Option<u32>| port.map_or_else(|| "None".to_owned(), |port| port.to_string());
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "None".to_owned());
    vec![
        ("MOD_WSGI_MODULES_DIRECTORY", server.programs.modules.to_string_lossy().into_owned()),
        ("MOD_WSGI_SERVER_ROOT", server.root.to_string_lossy().into_owned()),
        ("MOD_WSGI_LISTENER_HOST", text(&server.options.listening.host)),
        ("MOD_WSGI_HTTP_PORT", port(Some(server.port))),
        ("MOD_WSGI_HTTPS_PORT", port(server.options.listening.tls_port())),
        ("MOD_WSGI_WORKING_DIRECTORY", text(&server.working_directory)),
    ]
}

/// Arguments of httpd: the configuration, and what cannot be said in it.
#[must_use]
pub(crate) fn arguments(server: &Server) -> Vec<String> {
    let mut arguments =
        vec!["-f".to_owned(), server.path("httpd.conf").to_string_lossy().into_owned()];
    if let Some(file) = startup_log(server) {
        arguments.extend(["-E".to_owned(), file]);
    }
    if server.mode == Mode::Debug {
        arguments.push("-DONE_PROCESS".to_owned());
    }
    arguments
}

fn startup_log(server: &Server) -> Option<String> {
    let logs = &server.options.logs;
    if !logs.startup_log {
        return None;
    }
    if !server.logs_to_terminal() {
        return Some(server.log_file(&logs.startup_log_name).to_string_lossy().into_owned());
    }
    let devices = ["/dev/stderr", "/dev/tty"];
    let opens = |device: &&str| std::fs::OpenOptions::new().append(true).open(device).is_ok();
    devices.iter().find(|device| opens(device)).map(|device| (*device).to_owned())
}

/// The environment of httpd, as the control script makes it.
///
/// # Errors
/// When the file `envvars` fails.
pub(crate) fn environment(server: &Server) -> Result<Environment> {
    let mut all = server.caller.variables.clone();
    for (name, value) in variables(server) {
        all.insert(name.to_owned(), value);
    }
    for (name, value) in [
        ("MOD_WSGI_USER", &server.account.user),
        ("MOD_WSGI_GROUP", &server.account.group),
        ("LANG", &server.locale),
        ("LC_ALL", &server.locale),
    ] {
        all.insert(name.to_owned(), value.clone());
    }
    let envvars = server.path("envvars");
    match envvars.metadata() {
        Ok(meta) if meta.len() > 0 => process::after_script(&envvars, &all),
        _ => Ok(all),
    }
}

/// A command that runs httpd, in the folder where its processes will be.
pub(crate) fn httpd(server: &Server, environment: &Environment) -> Command {
    let mut command = process::command(&server.programs.httpd, environment);
    if let Some(folder) = &server.working_directory {
        command.current_dir(folder);
    }
    command
}

/// Asks httpd whether it accepts a configuration.
///
/// # Errors
/// What httpd says against it.
pub(crate) fn check(server: &Server, environment: &Environment, conf: &Path) -> Result<()> {
    let mut httpd = httpd(server, environment);
    if server.serves_as_root() {
        // Whom it will serve as may be said when the control script is called.
        httpd.args(["-C", "Define MOD_WSGI_USER #65534"]);
    }
    let output = httpd
        .args(["-t", "-f"])
        .arg(conf)
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("run", &server.programs.httpd))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.replace(&*conf.to_string_lossy(), &server.path("httpd.conf").to_string_lossy());
    Err(Error::failed(format!("httpd refuses the configuration:\n{}", said.trim_end())))
}

/// The script.
#[must_use]
pub(crate) fn script(server: &Server) -> String {
    let shell = server.options.files.shell_executable.as_deref().unwrap_or("/bin/sh");
    let line = |words: &[String]| words.iter().map(|text| word(text)).collect::<Vec<_>>().join(" ");
    let mut exports = String::new();
    for (name, value) in variables(server) {
        exports += &format!("export {name}={}\n", word(&value));
    }
    let change = match &server.working_directory {
        Some(folder) => format!("cd {} || exit 1\n", word(folder)),
        None => String::new(),
    };
    let arguments = line(&arguments(server));
    let comment = line(&server.caller.words).replace('\n', " ");
    let httpd = word(&server.programs.httpd.to_string_lossy());
    let envvars = word(&server.path("envvars").to_string_lossy());
    let (user, group, locale) =
        (word(&server.account.user), word(&server.account.group), word(&server.locale));
    let python = word(&server.programs.python().to_string_lossy());
    let status = word(&format!("{}server-status", server.url()));
    format!(
        r#"#!{shell}
# Controls the server that this command has set up; written by it, anew each time:
# mod_wsgi-express {comment}

{exports}
test -n "$WSGI_RUN_USER" || WSGI_RUN_USER={user}
test -n "$WSGI_RUN_GROUP" || WSGI_RUN_GROUP={group}
test -n "$MOD_WSGI_USER" || MOD_WSGI_USER="$WSGI_RUN_USER"
test -n "$MOD_WSGI_GROUP" || MOD_WSGI_GROUP="$WSGI_RUN_GROUP"
export WSGI_RUN_USER MOD_WSGI_USER WSGI_RUN_GROUP MOD_WSGI_GROUP

if test "$(id -u)" = 0 && test "$MOD_WSGI_USER" = root; then
    echo "WARNING: httpd does not serve as root: use --user and --group." >&2
fi

export LANG={locale} LC_ALL={locale}

if test -f {envvars}; then
    . {envvars}
fi

{change}
httpd() {{
    exec {httpd} -C "Define MOD_WSGI_USER \"$MOD_WSGI_USER\"" \
        -C "Define MOD_WSGI_GROUP \"$MOD_WSGI_GROUP\"" {arguments} "$@"
}}

case "$1" in
    start | stop | restart | graceful | graceful-stop) httpd -k "$@" ;;
    configtest) httpd -t ;;
    status) exec {python} -m webbrowser -t {status} ;;
    "") exec {httpd} -h ;;
    *) httpd "$@" ;;
esac
"#
    )
}
