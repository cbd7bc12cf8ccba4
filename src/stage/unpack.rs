//! Unpacking: every entry is judged before the first one is written, and then
//! written by us, not by the archive: plain files and folders with plain modes
//! below one folder, links only to places inside it. Owners, times, special
//! bits and special files of the archive never reach the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tar::{Archive, Entry, EntryType};

use crate::error::{Error, Kind, Result};
use crate::process::check_interrupted;
use crate::stage::verify::Verified;

/// An unpacked source.
#[derive(Debug)]
pub struct Source {
    /// Its top folder.
    pub folder: PathBuf,
}

/// Unpacks into a fresh folder below `parent`, without what `skip` matches.
///
/// # Errors
/// [`Kind::Unpack`], naming the entry.
pub fn unpack(mut verified: Verified, parent: &Path, skip: &[String]) -> Result<Source> {
    let skip = Skip::new(skip)?;
    let name = verified.name.clone();
    let judge = Judge::new(&verified.folder);
    let items = judge.read(&mut verified.tar).map_err(|error| error.in_archive(&name))?;
    let source = Source { folder: parent.join(&verified.folder) };
    verified.tar.seek(SeekFrom::Start(0)).map_err(Error::io(Kind::Unpack, "rewind", &name))?;
    write(&mut verified.tar, &items, &source.folder, &skip)?;
    Ok(source)
}

/// Why an entry is refused.
#[derive(Debug)]
struct Refusal {
    entry: String,
    why: String,
}

impl Refusal {
    fn new(entry: &str, why: impl Into<String>) -> Self {
        Self { entry: entry.to_owned(), why: why.into() }
    }

    fn in_archive(self, archive: &str) -> Error {
        let shown: String = self.entry.chars().take(120).flat_map(char::escape_default).collect();
        let why: String = self.why.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        Error::new(Kind::Unpack, format!("`{archive}` was refused: {why}"))
            .detail(format!("entry: {shown}"))
            .hint("nothing was written; get the archive from another source")
    }
}

/// What an entry becomes on disk.
#[derive(Clone, Debug, PartialEq)]
enum Item {
    Folder,
    File {
        executable: bool,
    },
    Link {
        target: String,
    },
    /// Metadata of the archive itself, or the top folder.
    Nothing,
}

/// Reads all entries and judges them together.
struct Judge<'a> {
    top: &'a str,
    /// What each path is to be.
    seen: BTreeMap<String, Item>,
    /// Paths in a form that a careless file system would confuse.
    folded: BTreeMap<String, String>,
    total: u64,
}

impl<'a> Judge<'a> {
    fn new(top: &'a str) -> Self {
        Self { top, seen: BTreeMap::new(), folded: BTreeMap::new(), total: 0 }
    }

    /// One item an entry, in the archive's order.
    fn read(mut self, tar: &mut File) -> std::result::Result<Vec<(String, Item)>, Refusal> {
        let broken =
            |error: std::io::Error| Refusal::new("", format!("it is no sound tar: {error}"));
        let mut archive = Archive::new(tar);
        archive.set_ignore_zeros(false);
        let mut items = Vec::new();
        for entry in archive.entries().map_err(broken)? {
            let mut entry = entry.map_err(broken)?;
            let judged = self.judge(&mut entry)?;
            items.push(judged);
            if items.len() > MOST_ENTRIES {
                return Err(Refusal::new("", format!("it has more than {MOST_ENTRIES} entries")));
            }
        }
        self.judge_links()?;
        if self.seen.is_empty() {
            return Err(Refusal::new("", format!("it has no folder `{}`", self.top)));
        }
        Ok(items)
    }

    fn judge<R: Read>(
        &mut self,
        entry: &mut Entry<'_, R>,
    ) -> std::result::Result<(String, Item), Refusal> {
        let kind = entry.header().entry_type();
        let raw = entry.path_bytes().into_owned();
        let lossy = String::from_utf8_lossy(&raw).into_owned();
        let refuse = |why: &str| Err(Refusal::new(&lossy, why));
        check_sizes(entry, &lossy)?;
        self.total = self.total.saturating_add(entry.size());
        if self.total > MOST_BYTES {
            return refuse("its files are larger than any source");
        }
        if kind == EntryType::XGlobalHeader {
            return Ok((String::new(), Item::Nothing));
        }
        let Ok(path) = String::from_utf8(raw) else { return refuse("a name is not UTF-8") };
        let path = match plain_path(&path) {
            Ok(path) => path,
            Err(why) => return refuse(why),
        };
        let below = match path.strip_prefix(self.top) {
            Some("") if kind.is_dir() => return Ok((String::new(), Item::Nothing)),
            Some(below) if below.starts_with('/') => below[1..].to_owned(),
            _ => {
                return Err(Refusal::new(
                    &path,
                    format!("it is not below the folder `{}`", self.top),
                ));
            }
        };
        let item = match kind {
            EntryType::Regular | EntryType::Continuous => {
                let mode = entry.header().mode().unwrap_or(0o644);
                Item::File { executable: mode & 0o111 != 0 }
            }
            EntryType::Directory => Item::Folder,
            EntryType::Symlink => {
                let target = entry.link_name_bytes().unwrap_or_default().into_owned();
                let Ok(target) = String::from_utf8(target) else {
                    return refuse("a link's target is not UTF-8");
                };
                Item::Link { target }
            }
            EntryType::Link => return refuse("it is a hard link"),
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                return refuse("it is a device");
            }
            EntryType::GNUSparse => return refuse("it is a sparse file"),
            _ => return refuse("it is of an unknown kind"),
        };
        self.add(&below, item.clone())?;
        Ok((below, item))
    }

    /// Each path once, and nothing below a path that is not a folder.
    fn add(&mut self, path: &str, item: Item) -> std::result::Result<(), Refusal> {
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            match self.seen.get(parent) {
                None => self.add_new(parent, Item::Folder)?,
                Some(Item::Folder) => {}
                Some(_) => return Err(Refusal::new(path, "it lies below a file or link")),
            }
        }
        match self.seen.get(path) {
            Some(Item::Folder) if item == Item::Folder => Ok(()),
            Some(_) => Err(Refusal::new(path, "its name stands twice")),
            None => self.add_new(path, item),
        }
    }

    fn add_new(&mut self, path: &str, item: Item) -> std::result::Result<(), Refusal> {
        let folded = path.to_lowercase();
        if let Some(other) = self.folded.get(&folded) {
            let why = format!("its name differs from `{other}` in case alone");
            return Err(Refusal::new(path, why));
        }
        self.folded.insert(folded, path.to_owned());
        self.seen.insert(path.to_owned(), item);
        Ok(())
    }

    /// Every link must lead to something of the archive, by way of folders of
    /// the archive alone: no chain can then leave it.
    fn judge_links(&self) -> std::result::Result<(), Refusal> {
        for (path, item) in &self.seen {
            if let Item::Link { target } = item {
                match resolve(path, target) {
                    Some(end)
                        if matches!(
                            self.seen.get(&end),
                            Some(Item::File { .. } | Item::Folder)
                        ) => {}
                    _ => {
                        let why =
                            format!("it links to `{target}`, which is no file or folder inside");
                        return Err(Refusal::new(path, why));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where a relative link of `path` leads, as a path below the top.
fn resolve(path: &str, target: &str) -> Option<String> {
    if target.is_empty() || target.starts_with('/') || target.contains(['\\', '\0', '\n']) {
        return None;
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    let mut named = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            // After a name it would go up from where a link of that name leads.
            ".." if named => return None,
            ".." => drop(parts.pop()?),
            part => {
                named = true;
                parts.push(part);
            }
        }
    }
    Some(parts.join("/"))
}

/// The extended header's size must not contradict the plain one: readers that
/// believe different ones see different entries (CVE-2025-62518).
fn check_sizes<R: Read>(entry: &mut Entry<'_, R>, name: &str) -> std::result::Result<(), Refusal> {
    let Ok(plain) = entry.header().entry_size() else {
        return Err(Refusal::new(name, "its size is not a number"));
    };
    // Of a binary number the reader takes the last 64 bits only.
    let field = entry.header().as_old().size;
    if field[0] & 0x80 != 0 && field[..4] != [0x80, 0, 0, 0] {
        return Err(Refusal::new(name, "its size is not a number"));
    }
    let plain_text = plain.to_string();
    let unreadable = |_| Refusal::new(name, "its extended header cannot be read");
    if let Some(pairs) = entry.pax_extensions().map_err(unreadable)? {
        for pair in pairs {
            let pair = pair.map_err(unreadable)?;
            match pair.key_bytes() {
                b"size" if pair.value_bytes() != plain_text.as_bytes() => {
                    return Err(Refusal::new(name, "its two headers give different sizes"));
                }
                key if key.starts_with(b"GNU.sparse") => {
                    return Err(Refusal::new(name, "it is a sparse file"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// A relative path of plain parts, without its trailing slash.
fn plain_path(path: &str) -> std::result::Result<String, &'static str> {
    let trimmed = path.strip_suffix('/').unwrap_or(path);
    let trimmed = trimmed.strip_prefix("./").unwrap_or(trimmed);
    if trimmed.starts_with('/') {
        return Err("its path is absolute");
    }
    if trimmed.contains('\\') || trimmed.get(1..2) == Some(":") {
        return Err("its path is one of another system");
    }
    if trimmed.chars().any(char::is_control) {
        return Err("its name has a control character");
    }
    if trimmed.len() > LONGEST_PATH || trimmed.split('/').any(|part| part.len() > LONGEST_NAME) {
        return Err("its path is too long");
    }
    if trimmed.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("its path is not plain");
    }
    Ok(trimmed.to_owned())
}

/// Paths that are judged like all others but not written.
struct Skip {
    patterns: Vec<glob::Pattern>,
}

impl Skip {
    fn new(patterns: &[String]) -> Result<Self> {
        let patterns = patterns
            .iter()
            .map(|text| glob::Pattern::new(text))
            .collect::<std::result::Result<_, _>>()
            .map_err(|source| {
                Error::new(Kind::Recipe, "a `skip` pattern is wrong").caused_by(source)
            })?;
        Ok(Self { patterns })
    }

    fn matches(&self, path: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }
}

/// Writes what was judged. `items` are the entries in order, so the second
/// reading needs no judgement of its own.
fn write(tar: &mut File, items: &[(String, Item)], top: &Path, skip: &Skip) -> Result<()> {
    let mut made = BTreeSet::new();
    make_folder(top, &mut made)?;
    let broken = |source| Error::io(Kind::Unpack, "read the tar of", top)(source);
    let mut links = Vec::new();
    let mut archive = Archive::new(tar);
    for (entry, (path, item)) in archive.entries().map_err(broken)?.zip(items) {
        check_interrupted()?;
        let mut entry = entry.map_err(broken)?;
        if skip.matches(path) {
            continue;
        }
        let place = top.join(path);
        match item {
            Item::Nothing => {}
            Item::Folder => make_folder(&place, &mut made)?,
            Item::File { executable } => {
                make_folder(place.parent().unwrap_or(top), &mut made)?;
                let mode = if *executable { 0o755 } else { 0o644 };
                File::options()
                    .write(true)
                    .create_new(true)
                    .mode(mode)
                    .open(&place)
                    .and_then(|mut file| {
                        std::io::copy(&mut entry, &mut file)?;
                        file.set_modified(UNIX_EPOCH + FILE_TIME)
                    })
                    .map_err(Error::io(Kind::Unpack, "unpack", &place))?;
            }
            Item::Link { target } => links.push((place, target)),
        }
    }
    // Last, so that no file is ever written by way of a link.
    for (place, target) in links {
        make_folder(place.parent().unwrap_or(top), &mut made)?;
        symlink(target, &place).map_err(Error::io(Kind::Unpack, "link", &place))?;
    }
    Ok(())
}

fn make_folder(path: &Path, made: &mut BTreeSet<PathBuf>) -> Result<()> {
    if made.contains(path) {
        return Ok(());
    }
    std::fs::create_dir_all(path).map_err(Error::io(Kind::Unpack, "make folder", path))?;
    made.insert(path.to_owned());
    Ok(())
}

/// Every file's time, 2000-01-01: make sees sources of one age, whatever the
/// archive and the machine's clock say.
const FILE_TIME: Duration = Duration::from_secs(946_684_800);
const MOST_ENTRIES: usize = 100_000;
const MOST_BYTES: u64 = 1 << 30;
const LONGEST_NAME: usize = 255;
const LONGEST_PATH: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_paths_pass() {
        for path in ["/x", "//x", "a/../b", "..", "a//b", "a\\b", "C:x", "a\nb", "a/./b", ""] {
            assert!(plain_path(path).is_err(), "{path:?}");
        }
        assert_eq!(plain_path("./a/b/").as_deref(), Ok("a/b"));
    }

    #[test]
    fn links_resolve_inside_or_not_at_all() {
        assert_eq!(resolve("a/b", "../c").as_deref(), Some("c"));
        assert_eq!(resolve("a/b", "../../c"), None);
        assert_eq!(resolve("a/b", "/etc"), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2048)) {
            let mut file = tempfile::tempfile().unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
            file.seek(SeekFrom::Start(0)).unwrap();
            drop(Judge::new("top").read(&mut file));
        }

        #[test]
        fn a_path_that_passes_stays_inside(path in "[a./\\\\:]{0,12}") {
            if let Ok(plain) = plain_path(&path) {
                prop_assert!(Path::new(&plain).components().all(|part| matches!(part, std::path::Component::Normal(_))));
            }
        }
    }
}
