//! Where things go: the base folder that is installed into, the cache, and the
//! neutral work folder in which compilers and shell scripts run.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use directories::ProjectDirs;
use prefix::Base;

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder::{self, Scratch, set_mode};
use crate::process::{Program, check_interrupted, lock};
use crate::python::{self, Python};
use crate::report::Report;

/// The base folder, and the Python whose prefix it lies under.
#[derive(Clone, Debug)]
pub struct Place {
    /// The base folder.
    pub base: Base,
    /// Set when the base lies under a Python's prefix: entry points go to its
    /// `bin`.
    pub python: Option<Python>,
}

/// Chooses the base folder: `--prefix`, else the one that this very program is
/// installed in, else under the prefix of the Python, else, when that is not
/// writable, the user's data folder.
///
/// # Errors
/// When a path cannot be used or no Python answers.
pub fn place(prefix: Option<&Path>, python: Option<&str>, env: &Env) -> Result<Place> {
    if let Some(prefix) = prefix {
        return Ok(Place { base: Base::new(absolute(prefix, env)?), python: None });
    }
    if python.is_none()
        && let Some(base) = base_of_this_program()
    {
        let python = python::find(None, env).ok();
        let is_under =
            |python: &Python| python.base().canonicalize().is_ok_and(|under| under == base.root());
        return Ok(Place { python: python.filter(is_under), base });
    }
    let python = python::find(python, env)
        .map_err(|error| error.hint("name one with --python, or a place with --prefix"))?;
    let base = python.base();
    if base.join("current").exists() || python::is_writable(&base) {
        return Ok(Place { base: Base::new(base), python: Some(python) });
    }
    let folders = project_folders()?;
    Ok(Place { base: Base::new(folders.data_dir()), python: None })
}

/// The base folder that this very program is installed in.
#[must_use]
pub fn base_of_this_program() -> Option<Base> {
    let program = std::env::current_exe().ok()?;
    let tree = program.parent()?.parent()?;
    Base::around(tree).or_else(|| Some(Base::new(tree)).filter(Base::is_packed))
}

fn refuse_packed(base: &Base) -> Result<()> {
    if !base.is_packed() {
        return Ok(());
    }
    let text = format!("`{}` came in a package and is not changed", base.root().display());
    Err(Error::new(Kind::Install, text)
        .hint(
            "`pip install --upgrade mod-wsgi-rs` renews it, `pip uninstall mod-wsgi-rs` removes it",
        )
        .hint("name another place with --prefix"))
}

impl Place {
    /// Makes the entry points in the Python's `bin`, and the package `mod_wsgi` of the
    /// launcher importable, by links, relative so that they move with it. What others put there under our names stays.
    ///
    /// # Errors
    /// When a link cannot be made.
    pub fn add_entry_points(&self, report: &Report) -> Result<()> {
        for (link, target) in self.entry_points() {
            if std::fs::read_link(&link).is_ok_and(|old| old == target) {
                continue;
            }
            match symlink(&target, &link) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => report
                    .warn(&format!("{} exists and is not ours; it was left alone", link.display())),
                result => result.map_err(Error::io(Kind::Install, "link", &link))?,
            }
        }
        Ok(())
    }

    /// Removes the entry points that are ours.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn remove_entry_points(&self) -> Result<()> {
        for (link, target) in self.entry_points() {
            if std::fs::read_link(&link).is_ok_and(|old| old == target) {
                std::fs::remove_file(&link).map_err(Error::io(Kind::Install, "remove", &link))?;
            }
        }
        Ok(())
    }

    /// Link and target of each entry point.
    fn entry_points(&self) -> Vec<(PathBuf, PathBuf)> {
        let Some(python) = &self.python else { return Vec::new() };
        let current = Path::new("..").join(Python::BASE).join("current/bin");
        let names = ["mod_wsgi-httpd", "mod_wsgi-apxs", "mod_wsgi-express"];
        let mut links: Vec<_> =
            names.map(|name| (python.bin().join(name), current.join(name))).into();
        let packages = python.site_packages();
        if packages.is_dir() {
            // Out of `lib/pythonX.Y/site-packages`.
            let tree = Path::new("../../..").join(Python::BASE).join("current");
            links.push((packages.join("mod_wsgi"), tree.join(PACKAGE)));
        }
        links
    }
}

/// The cache: `--cache`, else the user's cache folder.
///
/// # Errors
/// When the user has no home folder and none is given.
pub fn cache(chosen: Option<&Path>, env: &Env) -> Result<PathBuf> {
    match chosen {
        Some(folder) => absolute(folder, env),
        None => Ok(project_folders()?.cache_dir().to_owned()),
    }
}

/// Where a tree has the Python side of the launcher.
pub const PACKAGE: &str = "python/mod_wsgi";

fn project_folders() -> Result<ProjectDirs> {
    ProjectDirs::from("", "", "mod_wsgi-httpd").ok_or_else(|| {
        Error::new(Kind::Usage, "this user has no home folder")
            .hint("name the places with --prefix and --cache")
    })
}

/// Makes a path absolute once; a leading `~` that no shell has expanded counts.
fn absolute(path: &Path, env: &Env) -> Result<PathBuf> {
    if path.to_string_lossy().contains('\n') {
        return Err(Error::new(Kind::Usage, format!("{path:?} has a line break in it")));
    }
    let expanded = match (path.strip_prefix("~"), env.path("HOME")) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    let full = std::path::absolute(&expanded).map_err(Error::io(Kind::Usage, "use", path))?;
    if full.as_os_str().len() > LONGEST {
        return Err(Error::new(Kind::Usage, format!("`{}` is too long", full.display()))
            .detail(format!("allowed {LONGEST} bytes")));
    }
    // `..` is resolved by the file system where that part exists.
    Ok(full.canonicalize().unwrap_or(full))
}

/// Makes the base folder, refusing one that cannot hold an install.
///
/// # Errors
/// When it cannot be written, or others could change it.
pub fn prepare_base(base: &Base) -> Result<()> {
    refuse_packed(base)?;
    let root = base.root();
    let is_new = !root.exists();
    std::fs::create_dir_all(base.store()).map_err(|source| {
        Error::io(Kind::Install, "make folder", base.store())(source)
            .hint("name another place with --prefix")
    })?;
    let mode =
        root.metadata().map_err(Error::io(Kind::Install, "inspect", root))?.permissions().mode();
    // A new one is as open as the umask made it, for a moment.
    if !is_new && mode & 0o022 != 0 {
        return Err(Error::new(
            Kind::Install,
            format!(
                "`{}` can be changed by other users (mode {:o})",
                root.display(),
                mode & 0o7777
            ),
        )
        .hint("take their permission away: chmod go-w"));
    }
    // The server's user must be able to read what a strict umask would hide. A
    // folder that was there is as open as its owner wants it.
    if is_new {
        set_mode(root, 0o755)?;
    }
    set_mode(&base.store(), 0o755)?;
    Scratch::below(&base.store(), ".probe-").map(drop)
}

/// Holds the base against other runs; released on drop.
#[derive(Debug)]
pub struct Hold {
    _file: File,
}

/// Takes the base's lock, waiting for another run to finish.
///
/// # Errors
/// When the lock file cannot be used, or a signal asked for the end.
pub fn hold(base: &Base, report: &Report) -> Result<Hold> {
    refuse_packed(base)?;
    let path = base.root().join(LOCK);
    let failed = |action| Error::io(Kind::Install, action, &path);
    loop {
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o644)
            .open(&path)
            .map_err(failed("open"))?;
        if file.try_lock().is_err() {
            let mut holder = String::new();
            let _shown_only = file.read_to_string(&mut holder);
            report.step("Waiting", &format!("for {} to release {}", holder.trim(), path.display()));
            lock(&file).map_err(failed("lock"))?;
        }
        check_interrupted()?;
        // Whoever held it may have removed it: then the name is another file's.
        let ours = file.metadata().map_err(failed("inspect"))?.ino();
        if path.metadata().is_ok_and(|named| named.ino() == ours) {
            let note = format!("process {}\n", std::process::id());
            file.set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| file.write_all(note.as_bytes()))
                .map_err(failed("write"))?;
            return Ok(Hold { _file: file });
        }
    }
}

/// Removes what killed runs left beside the trees. The caller holds the lock.
pub fn remove_leftovers(base: &Base) {
    let items = folder::items(&base.store()).unwrap_or_default();
    for path in items {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with('.') {
            // One that cannot be removed is in nobody's way.
            let _stays = std::fs::remove_dir_all(&path);
        }
    }
}

/// Removes the work folders of runs that are no more.
pub fn remove_dead_work_folders(env: &Env, cache: &Path) {
    for parent in work_parents(env, cache) {
        remove_dead(&parent);
    }
}

/// A work folder is dead when nobody holds its lock any more.
fn remove_dead(parent: &Path) {
    let me = rustix::process::getuid().as_raw();
    for path in folder::items(parent).unwrap_or_default() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_ours =
            path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == me);
        if !name.starts_with(WORK) || !is_ours {
            continue;
        }
        let Ok(folder) = File::open(&path) else { continue };
        // An empty one may have been made a moment ago and not be locked yet.
        let is_empty = folder::items(&path).is_ok_and(|items| items.is_empty());
        if !is_empty && folder.try_lock().is_ok() {
            // One that cannot be removed is in nobody's way.
            let _stays = std::fs::remove_dir_all(&path);
        }
    }
}

fn work_parents(env: &Env, cache: &Path) -> Vec<PathBuf> {
    let temporary = env.path("TMPDIR");
    temporary.into_iter().chain(["/tmp".into(), "/var/tmp".into(), cache.join("work")]).collect()
}

/// A folder of one run alone, locked as long as the run lives.
#[derive(Debug)]
pub struct Work {
    scratch: Scratch,
    _in_use: File,
}

impl Work {
    /// A fresh one below `parent`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn below(parent: &Path) -> Result<Self> {
        let scratch = Scratch::below(parent, WORK)?;
        let path = scratch.path();
        let in_use = File::open(path)
            .and_then(|folder| folder.lock().map(|()| folder))
            .map_err(Error::io(Kind::Install, "lock", path))?;
        Ok(Self { scratch, _in_use: in_use })
    }

    /// One for a moment, in the folder for temporary files.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn temporary() -> Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.scratch.path()
    }
}

/// A work folder with a name that no shell script stumbles over, on a file
/// system that runs programs.
///
/// # Errors
/// When no candidate will do; each is named with its reason.
pub fn work_folder(chosen: Option<&Path>, cache: &Path, env: &Env) -> Result<Work> {
    let candidates: Vec<PathBuf> = match chosen {
        Some(folder) => vec![absolute(folder, env)?],
        None => work_parents(env, cache),
    };
    let mut refused = Vec::new();
    for candidate in candidates {
        match try_work_folder(&candidate, env) {
            Ok(work) => return Ok(work),
            Err(why) => refused.push(format!("{}: {why}", candidate.display())),
        }
    }
    check_interrupted()?;
    let error = Error::new(Kind::Configure, "no folder to build in");
    Err(refused
        .into_iter()
        .fold(error, Error::detail)
        .hint("name one with --work-dir: plain letters, mounted without `noexec`, 2 GB free"))
}

fn try_work_folder(parent: &Path, env: &Env) -> std::result::Result<Work, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !parent.to_string_lossy().chars().all(plain) {
        return Err("its name would confuse configure scripts".into());
    }
    std::fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    remove_dead(parent);
    let work = Work::below(parent)
        .map_err(|error| error.causes().first().cloned().unwrap_or_else(|| error.to_string()))?;
    // Passable, so that the closing check's server can drop its privileges.
    let mode = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(work.path(), mode).map_err(|error| error.to_string())?;
    let script = work.path().join("probe.sh");
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").map_err(|error| error.to_string())?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))
        .map_err(|error| error.to_string())?;
    match Program::new(&script).envs(env.for_build()).output(Kind::Configure) {
        Ok(output) if output.status.success() => Ok(work),
        _ => Err("programs do not run there (mounted `noexec`?)".into()),
    }
}

/// Start of a work folder's name.
const WORK: &str = "mod_wsgi-httpd-work-";
/// Lock file of a base folder.
pub const LOCK: &str = ".lock";
/// Longest base folder: the paths below it must stay usable.
const LONGEST: usize = 1024;
