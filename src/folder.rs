//! Whole folders: scratch ones, copies, plain modes, sizes.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use prefix::Manifest;

use crate::error::{Error, Kind, Result};

/// A scratch folder that is removed on drop, whatever happens short of a kill.
#[derive(Debug)]
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    /// A fresh folder below `parent`, readable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn below(parent: &Path, prefix: &str) -> Result<Self> {
        tempfile::Builder::new()
            .prefix(prefix)
            .tempdir_in(parent)
            .map(|folder| Self { folder })
            .map_err(Error::io(Kind::Install, "make a folder in", parent))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives the folder its place, in one step.
    ///
    /// # Errors
    /// When it cannot be moved there.
    pub fn move_to(self, place: &Path) -> Result<()> {
        std::fs::rename(self.keep(), place).map_err(Error::io(Kind::Install, "move to", place))
    }

    /// Leaves the folder in place.
    #[must_use]
    pub fn keep(self) -> PathBuf {
        self.folder.keep()
    }
}

/// Copies files, links and folders below `from` into `to`, which may exist.
/// Permission bits are kept.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    copy_by(from, to, &|file, target| std::fs::copy(file, target).map(drop))
}

/// The same, with plain files brought over by `bring`.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy_by(
    from: &Path,
    to: &Path,
    bring: &dyn Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::io(Kind::Install, "make folder", to))?;
    for path in items(from)? {
        let target = to.join(path.file_name().unwrap_or_default());
        if let Ok(link) = std::fs::read_link(&path) {
            symlink(link, &target).map_err(Error::io(Kind::Install, "link", &target))?;
        } else if path.is_dir() {
            copy_by(&path, &target, bring)?;
        } else {
            bring(&path, &target).map_err(Error::io(Kind::Install, "copy", &path))?;
        }
    }
    Ok(())
}

/// Makes everything readable by everybody and writable by the owner alone,
/// whatever the umask.
///
/// # Errors
/// When the operating system refuses.
pub fn normalise_modes(folder: &Path) -> Result<()> {
    set_mode(folder, 0o755)?;
    for path in items(folder)? {
        let metadata =
            path.symlink_metadata().map_err(Error::io(Kind::Install, "inspect", &path))?;
        if metadata.is_dir() {
            normalise_modes(&path)?;
        } else if metadata.is_file() {
            let executable = metadata.permissions().mode() & 0o100 != 0;
            set_mode(&path, if executable { 0o755 } else { 0o644 })?;
        }
    }
    Ok(())
}

/// Sets permission bits, whatever the umask.
///
/// # Errors
/// When the operating system refuses.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(Error::io(
        Kind::Install,
        "set the mode of",
        path,
    ))
}

/// The first folder on the way to a path, that itself if it is a folder, which
/// only its owner and group may pass. Links lead the way, too.
#[must_use]
pub fn closed_to_others(path: &Path) -> Option<PathBuf> {
    let is_closed = |folder: &&Path| {
        folder
            .metadata()
            .is_ok_and(|metadata| metadata.is_dir() && metadata.permissions().mode() & 0o001 == 0)
    };
    let real = path.canonicalize().ok();
    let ways = std::iter::once(path).chain(real.as_deref());
    ways.filter_map(|way| way.ancestors().filter(is_closed).last()).map(Path::to_owned).next()
}

/// Fails if a file below a folder has that text in it. One that names the place
/// it was built in would differ from build to build, and lead nowhere.
///
/// # Errors
/// Naming the file.
pub fn refuse_text(folder: &Path, place: &str) -> Result<()> {
    let needle = place.as_bytes();
    for name in Manifest::of(folder)?.entries.keys() {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).map_err(Error::io(Kind::Install, "read", &path))?;
        if bytes.windows(needle.len()).any(|window| window == needle) {
            return Err(Error::new(
                Kind::Install,
                format!("`{name}` names the folder it was built in"),
            )
            .detail(place));
        }
    }
    Ok(())
}

/// Says that something in a cache was used now. One that cannot be told is cleaned
/// away earlier than need be.
pub fn touch(path: &Path) {
    let now = std::time::SystemTime::now();
    let _told_or_not = std::fs::File::open(path).and_then(|file| file.set_modified(now));
}

/// Makes the folder that a file is to lie in.
///
/// # Errors
/// When it cannot be made.
pub fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    std::fs::create_dir_all(parent).map_err(Error::io(Kind::Install, "make folder", parent))
}

/// Bytes of all files below a path, which may be a file itself or not exist.
#[must_use]
pub fn size(path: &Path) -> u64 {
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_dir() => {
            items(path).unwrap_or_default().iter().map(|below| size(below)).sum()
        }
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    }
}

/// What lies in a folder, sorted.
///
/// # Errors
/// When it cannot be listed.
pub fn items(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .and_then(|items| items.map(|item| item.map(|item| item.path())).collect())
        .map_err(Error::io(Kind::Install, "list", folder))?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_closed_folder_is_named_through_links_too() {
        let outer = tempfile::tempdir().unwrap();
        set_mode(outer.path(), 0o755).unwrap();
        let (closed, file) = (outer.path().join("closed"), outer.path().join("closed/in/file"));
        make_parent(&file).unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(closed_to_others(&file), None);
        set_mode(&closed.join("in"), 0o700).unwrap();
        set_mode(&closed, 0o750).unwrap();
        let link = outer.path().join("link");
        symlink(&file, &link).unwrap();
        for path in [&file, &link, &closed] {
            assert_eq!(closed_to_others(path).as_ref(), Some(&closed), "{}", path.display());
        }
    }
}
