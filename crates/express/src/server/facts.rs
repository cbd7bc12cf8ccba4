//! What the options name, looked up on this machine: files, programs, accounts, MPMs.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::{Account, Entry, Service};
use crate::caller::{Caller, group_of, user_of};
use crate::capacity::Mode;
use crate::error::{Error, Result};
use crate::options::{Options, Services, pairs};
use crate::programs::Programs;

/// MPMs, the best first.
const MPMS: [&str; 3] = ["event", "worker", "prefork"];

/// Files that options name must be there: httpd would say so without the option's
/// name, or only when a request comes.
pub(super) fn check_files(options: &Options, caller: &Caller) -> Result<()> {
    let (access, content) = (&options.access, &options.content);
    let single = [
        ("--host-access-script", &access.host_access_script),
        ("--auth-user-script", &access.auth_user_script),
        ("--auth-group-script", &access.auth_group_script),
        ("--rewrite-rules", &content.rewrite_rules),
        ("--envvars-script", &options.python.envvars_script),
        ("--ssl-ca-certificate-file", &options.listening.ssl_ca_certificate_file),
        ("--ssl-certificate-chain-file", &options.listening.ssl_certificate_chain_file),
    ];
    let single = single.into_iter().filter_map(|(option, file)| Some((option, file.as_deref()?)));
    let handlers = pairs(&content.add_handler).map(|(_, file)| ("--add-handler", file));
    let includes = content.include_file.iter().map(|file| ("--include-file", file.as_str()));
    for (option, file) in single.chain(handlers).chain(includes) {
        existing(option, &caller.absolute(file))?;
    }
    Ok(())
}

/// Puts the places of programs for their names: where they run the search path, or the
/// working directory, may be another one.
pub(super) fn find_programs(options: &mut Options, caller: &Caller) -> Result<()> {
    let gdb = Some(&mut options.debugging.gdb_executable).filter(|_| options.debugging.enable_gdb);
    let shell = options.files.shell_executable.as_mut();
    for (option, name) in [("--gdb-executable", gdb), ("--shell-executable", shell)] {
        let Some(name) = name else { continue };
        let found = caller.find_program(name).filter(|path| path.is_file());
        let found = found.ok_or_else(|| {
            Error::usage(format!("option {option}: there is no program `{name}`"))
        })?;
        *name = found.to_string_lossy().into_owned();
    }
    Ok(())
}

/// A path that is there.
pub(super) fn existing(option: &str, path: &str) -> Result<String> {
    if Path::new(path).exists() {
        return Ok(path.to_owned());
    }
    Err(Error::usage(format!("option {option}: there is no `{path}`")))
}

/// The folder that is named, else the caller's: modules beside the caller are found. One
/// that the account may not enter would keep its processes from starting.
pub(super) fn working_directory(
    options: &Options,
    caller: &Caller,
    account: &Account,
) -> Result<Option<String>> {
    if let Some(folder) = &options.python.working_directory {
        return existing("--working-directory", &caller.absolute(folder)).map(Some);
    }
    let may_enter = |folder: &Path| match account.switch_to {
        None => true,
        Some((uid, gid)) => folder.metadata().is_ok_and(|meta| {
            let of_others = meta.mode() & 0o001 != 0;
            let of_group = meta.gid() == gid && meta.mode() & 0o010 != 0;
            let of_user = meta.uid() == uid && meta.mode() & 0o100 != 0;
            of_others || of_group || of_user
        }),
    };
    let is_open = caller.folder.ancestors().all(may_enter);
    Ok(is_open.then(|| caller.folder.to_string_lossy().into_owned()))
}

/// `<tmp>/mod_wsgi-HOST:PORT:UID`.
pub(super) fn default_root(caller: &Caller, host: &str, port: u32) -> PathBuf {
    let temporary = caller.variable("TMPDIR").map_or("/tmp", |folder| folder.trim_end_matches('/'));
    let temporary = if temporary.is_empty() { "/" } else { temporary };
    Path::new(&caller.absolute(temporary)).join(format!("mod_wsgi-{host}:{port}:{}", caller.uid))
}

/// The application, which must be there if it is a file.
pub(super) fn entry(options: &Options, caller: &Caller) -> Result<Entry> {
    let kind = options.python.application_type.clone();
    let word = options.python.entry_point.as_deref().or(options.words.first().map(String::as_str));
    let what = match (kind.as_str(), word) {
        (_, None) if kind == "static" => None,
        (_, None) => return Ok(Entry { kind: "script".to_owned(), what: None }),
        ("module", Some(name)) => match name.split_once(':') {
            None => Some(name.to_owned()),
            Some((module, object)) => {
                return Err(Error::usage(format!("there is no module `{name}`"))
                    .hint(format!("say it as {module} --callable-object {object}")));
            }
        },
        (_, Some(path)) => {
            let path = caller.absolute(path);
            if !Path::new(&path).exists() {
                let word = word.unwrap_or_default();
                return Err(Error::usage(format!("there is no application `{path}`"))
                    .hint(format!("a module is served by: --application-type module {word}")));
            }
            if kind == "static" && !Path::new(&path).is_dir() {
                return Err(Error::usage(format!(
                    "option --application-type: static files are served from a folder, and \
                     `{path}` is not a folder"
                )));
            }
            Some(path)
        }
    };
    Ok(Entry { kind, what })
}

/// A normal URL path with a slash before it.
pub(super) fn mount_point(typed: &str) -> String {
    let parts = typed.split('/').filter(|part| !part.is_empty() && *part != ".");
    let mut whole: Vec<&str> = Vec::new();
    for part in parts {
        if part == ".." {
            whole.pop();
        } else {
            whole.push(part);
        }
    }
    format!("/{}", whole.join("/"))
}

/// MPMs that are allowed and there. With none as a file, one is compiled in.
pub(super) fn mpms(
    options: &Options,
    programs: &Programs,
    mode: Mode,
) -> Result<Vec<&'static str>> {
    let there: Vec<&str> =
        MPMS.into_iter().filter(|name| programs.has(&format!("mpm_{name}"))).collect();
    let asked = &options.workers.server_mpm;
    if let Some(stranger) = asked.iter().find(|name| !MPMS.contains(&name.as_str())) {
        return Err(Error::usage(format!(
            "option --server-mpm: invalid choice: '{stranger}' (choose from event, worker, prefork)"
        )));
    }
    let is_allowed = |name: &str| match mode {
        _ if options.content.with_php5 => name == "prefork",
        Mode::Debug => name != "event",
        _ if !asked.is_empty() => asked.iter().any(|asked| asked == name),
        Mode::Embedded => name != "event",
        Mode::Daemon => true,
    };
    let found: Vec<&'static str> =
        MPMS.into_iter().filter(|name| there.contains(name) && is_allowed(name)).collect();
    if found.is_empty() && !there.is_empty() {
        return Err(Error::usage(format!(
            "option --server-mpm: httpd has none of {}; it has {}",
            asked.join(", "),
            there.join(", ")
        )));
    }
    Ok(found)
}

/// The account of processes: the options, else the caller's.
pub(super) fn account(options: &Options, caller: &Caller) -> Result<Account> {
    let (own_user, own_group) = caller.account();
    let identity = &options.identity;
    // Those of the environment win, as the control script of the original has it.
    let chosen = |variables: [&str; 2], option: &Option<String>, own: String| {
        let set = variables.iter().find_map(|name| caller.variable(name)).map(str::to_owned);
        set.or_else(|| option.clone()).unwrap_or(own)
    };
    let user = chosen(["MOD_WSGI_USER", "WSGI_RUN_USER"], &identity.user, own_user);
    let group = chosen(["MOD_WSGI_GROUP", "WSGI_RUN_GROUP"], &identity.group, own_group);
    let ids = (user_of("--user", &user)?, group_of("--group", &group)?);
    let switch_to = (caller.is_root() && ids.0 != 0).then_some(ids);
    Ok(Account { user, group, switch_to })
}

pub(super) fn services(
    options: &Options,
    caller: &Caller,
    account: &Account,
    logs: &Path,
) -> Result<Vec<Service>> {
    let services = &options.services;
    pairs(&services.service_script)
        .map(|(name, script)| {
            let user = Services::of(&services.service_user, name).unwrap_or(&account.user);
            let group = Services::of(&services.service_group, name).unwrap_or(&account.group);
            user_of("--service-user", user)?;
            group_of("--service-group", group)?;
            Ok(Service {
                name: name.to_owned(),
                script: existing("--service-script", &caller.absolute(script))?,
                user: user.to_owned(),
                group: group.to_owned(),
                log: Services::of(&services.service_log_file, name).map(|file| logs.join(file)),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_become_normal() {
        for (typed, normal) in [
            ("/", "/"),
            ("", "/"),
            ("wiki", "/wiki"),
            ("/wiki/", "/wiki"),
            ("//a/./b/../c//", "/a/c"),
            ("/../..", "/"),
        ] {
            assert_eq!(mount_point(typed), normal, "{typed}");
        }
    }
}
