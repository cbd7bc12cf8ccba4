//! Who calls, from where, with what around it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};

use crate::error::{Error, Result};

/// The caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Words after the program's name.
    pub words: Vec<String>,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// The current folder.
    pub folder: PathBuf,
    /// This program.
    pub program: PathBuf,
    /// The caller's account.
    pub uid: u32,
}

impl Caller {
    /// The caller of this process.
    ///
    /// # Errors
    /// When a word or the current folder is not text in UTF-8, which httpd's
    /// configuration could not hold.
    pub fn of_process(
        words: impl IntoIterator<Item = OsString>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self> {
        let text = |word: OsString| {
            word.into_string().map_err(|word| {
                Error::usage(format!("`{}` is not text in UTF-8", word.to_string_lossy()))
            })
        };
        let here = Path::new(".");
        Ok(Self {
            words: words.into_iter().map(text).collect::<Result<_>>()?,
            variables: variables
                .into_iter()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            folder: std::env::current_dir().map_err(Error::io("find", here))?,
            program: std::env::current_exe().map_err(Error::io("find", here))?,
            uid: Uid::current().as_raw(),
        })
    }

    /// Whether root calls.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.uid == 0
    }

    /// A variable that is set to something.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A path made absolute against the caller's folder; `.` and `..` at its start
    /// are resolved, links are not.
    #[must_use]
    pub fn absolute(&self, path: &str) -> String {
        let mut whole = self.folder.clone();
        for part in Path::new(path).components() {
            match part {
                std::path::Component::ParentDir => drop(whole.pop()),
                std::path::Component::CurDir => {}
                part => whole.push(part),
            }
        }
        whole.to_string_lossy().into_owned()
    }

    /// A program by its path, or by name in `PATH` and then `/usr/sbin`.
    #[must_use]
    pub fn find_program(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(self.absolute(name)));
        }
        let path = self.variable("PATH").unwrap_or_default();
        path.split(':')
            .chain(["/usr/sbin"])
            .filter(|folder| !folder.is_empty())
            .map(|folder| Path::new(folder).join(name))
            .find(|program| is_program(program))
    }

    /// The caller's user and primary group, by name where they have one.
    #[must_use]
    pub fn account(&self) -> (String, String) {
        let user = User::from_uid(Uid::from_raw(self.uid)).ok().flatten();
        let gid = Gid::current();
        let group = Group::from_gid(gid).ok().flatten();
        (
            user.map_or_else(|| format!("#{}", self.uid), |user| user.name),
            group.map_or_else(|| format!("#{gid}"), |group| group.name),
        )
    }
}

/// A user by name, or by number as httpd has it, `#N`.
///
/// # Errors
/// When the machine does not know the name.
pub(crate) fn user_of(option: &str, name: &str) -> Result<u32> {
    if let Some(id) = number_of(name) {
        return Ok(id);
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        _ => Err(Error::usage(format!("option {option}: bad user name `{name}`"))
            .hint("the machine has no such account; `getent passwd` lists those it has")),
    }
}

/// A group by name, or by number as httpd has it, `#N`.
///
/// # Errors
/// When the machine does not know the name.
pub(crate) fn group_of(option: &str, name: &str) -> Result<u32> {
    if let Some(id) = number_of(name) {
        return Ok(id);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        _ => Err(Error::usage(format!("option {option}: bad group name `{name}`"))
            .hint("the machine has no such group; `getent group` lists those it has")),
    }
}

/// The number of an account that has no name.
fn number_of(name: &str) -> Option<u32> {
    name.strip_prefix('#')?.parse().ok()
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
