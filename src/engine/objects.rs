//! Compiled objects of earlier builds: found again by the command and the
//! source, taken only if every header that the compiler read then is the same
//! now. A patch to one file so costs one call of the compiler.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use prefix::hash_file;

use super::pool::unpoisoned;
use crate::error::{Error, Kind, Result};
use crate::folder::{make_parent, touch};
use crate::plan::hash_of;

/// The objects in the cache, as one build sees them.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    /// Where they lie.
    store: PathBuf,
    /// What stands for the build's own folder in names.
    work: PathBuf,
    /// Digests of this build's sources and headers.
    digests: Arc<Mutex<HashMap<PathBuf, String>>>,
}

impl Objects {
    pub(super) fn new(store: PathBuf, work: &Path) -> Self {
        Self { store, work: work.to_owned(), digests: Arc::default() }
    }

    /// What a command that compiles `source` to `object` may be spared by.
    pub(super) fn recall(
        &self,
        compiler: &str,
        command: &str,
        folder: &Path,
        source: &Path,
        object: &Path,
    ) -> Recall {
        let at = folder.to_owned();
        let (command, folder) = (self.shown(command), self.shown(&folder.to_string_lossy()));
        let digest = self.digest(source).unwrap_or_default();
        let key = hash_of(&[compiler, &command, &folder, &digest]);
        Recall { objects: self.clone(), key, folder: at, object: object.to_owned() }
    }

    /// A text without the name of the build's folder, which is another each time.
    fn shown(&self, text: &str) -> String {
        text.replace(&*self.work.to_string_lossy(), WORK)
    }

    fn digest(&self, path: &Path) -> Option<String> {
        if let Some(known) = unpoisoned(self.digests.lock()).get(path) {
            return Some(known.clone());
        }
        let digest = hash_file(path).ok()?;
        unpoisoned(self.digests.lock()).insert(path.to_owned(), digest.clone());
        Some(digest)
    }
}

/// One object that may lie in the cache.
#[derive(Debug)]
pub(super) struct Recall {
    objects: Objects,
    key: String,
    /// Where the compiler runs.
    folder: PathBuf,
    object: PathBuf,
}

impl Recall {
    /// Where the compiler is to write what it read (`-MF`).
    pub(super) fn dependencies(object: &Path) -> PathBuf {
        object.with_extension("d")
    }

    /// Puts the object into its place, if it is there and nothing has changed.
    pub(super) fn found(&self) -> bool {
        let Ok(note) = std::fs::read_to_string(self.note()) else { return false };
        let mut lines = note.lines();
        let kept = self.kept();
        let is_whole =
            lines.next().is_some_and(|digest| hash_file(&kept).is_ok_and(|found| found == digest));
        let work = self.objects.work.to_string_lossy();
        let is_same = |line: &str| {
            line.split_once(' ').is_some_and(|(digest, name)| {
                let path = PathBuf::from(name.replace(WORK, &work));
                self.objects.digest(&path).is_some_and(|found| found == digest)
            })
        };
        let found = is_whole && lines.all(is_same) && std::fs::copy(&kept, &self.object).is_ok();
        if found {
            [kept, self.note()].iter().for_each(|path| touch(path));
        }
        found
    }

    /// Keeps the object that was made. A cache that cannot be written costs the
    /// next build some time, not this one its success.
    pub(super) fn keep(&self) -> Result<()> {
        let list = Self::dependencies(&self.object);
        let text =
            std::fs::read_to_string(&list).map_err(Error::io(Kind::Compile, "read", &list))?;
        let mut note = hash_file(&self.object)? + "\n";
        // The compiler names files relative to where it ran.
        for name in dependencies(&text) {
            let path = self.folder.join(&name);
            let Some(digest) = self.objects.digest(&path) else { return Ok(()) };
            let shown = self.objects.shown(&path.to_string_lossy());
            note.push_str(&format!("{digest} {shown}\n"));
        }
        let _kept_or_not = make_parent(&self.kept())
            .map_err(|_| ())
            .and_then(|()| {
                replace(&self.kept(), |fresh| std::fs::copy(&self.object, fresh).map(drop))
            })
            .and_then(|()| replace(&self.note(), |fresh| std::fs::write(fresh, &note)));
        Ok(())
    }

    fn kept(&self) -> PathBuf {
        self.objects.store.join(&self.key[..2]).join(format!("{}.o", self.key))
    }

    fn note(&self) -> PathBuf {
        self.kept().with_extension("d")
    }
}

/// Writes a file beside its place and renames it there.
pub(super) fn replace(
    place: &Path,
    write: impl FnOnce(&Path) -> std::io::Result<()>,
) -> std::result::Result<(), ()> {
    let fresh = place.with_extension(format!("new{}", std::process::id()));
    write(&fresh).and_then(|()| std::fs::rename(&fresh, place)).map_err(drop)
}

/// Files named on the right side of a rule that the compiler wrote.
fn dependencies(rule: &str) -> impl Iterator<Item = String> {
    let names = rule.split_once(": ").map_or("", |(_, names)| names);
    names.split_whitespace().filter(|word| *word != "\\").map(str::to_owned)
}

/// Stands for the build's folder.
const WORK: &str = "{work}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_its_files() {
        let rule = "/w/a.o: a.c /w/b.h \\\n  /usr/include/c.h\n";
        assert_eq!(dependencies(rule).collect::<Vec<_>>(), ["a.c", "/w/b.h", "/usr/include/c.h"]);
        assert_eq!(dependencies("").count(), 0);
    }

    #[test]
    fn an_object_is_taken_as_long_as_its_headers_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, text) in [("a.c", "int a;"), ("a.h", "1"), ("a.o", "object")] {
            std::fs::write(at(name), text).unwrap();
        }
        let rule = format!("a.o: {} {}\n", at("a.c").display(), at("a.h").display());
        std::fs::write(at("a.d"), rule).unwrap();
        let recall = || {
            let objects = Objects::new(at("store"), folder.path());
            objects.recall("cc 1", "cc -c a.c", folder.path(), &at("a.c"), &at("a.o"))
        };
        assert!(!recall().found());
        recall().keep().unwrap();
        std::fs::remove_file(at("a.o")).unwrap();
        assert!(recall().found());
        assert_eq!(std::fs::read_to_string(at("a.o")).unwrap(), "object");
        std::fs::write(at("a.h"), "2").unwrap();
        assert!(!recall().found());
        std::fs::write(at("a.h"), "1").unwrap();
        std::fs::write(at("a.c"), "int b;").unwrap();
        assert!(!recall().found());
    }
}
