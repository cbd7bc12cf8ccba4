//! Patches: unified diffs of the recipe, applied exactly. A hunk may have
//! moved, but its context must be there to the letter: no fuzz.

use std::path::{Component, Path, PathBuf};

use diffy::patch_set::{FileOperation, ParseOptions, PatchSet};

use crate::error::{Error, Kind, Result};
use crate::recipe::{Recipe, Recipes, Version};
use crate::stage::unpack::Source;

/// A source with all patches of its release applied.
#[derive(Debug)]
pub struct Patched {
    /// Its top folder.
    pub folder: PathBuf,
    /// Names of the patches, in order.
    pub patches: Vec<String>,
}

/// Applies the recipe's patches for that release.
///
/// # Errors
/// When a patch is not the pinned one or does not apply.
pub fn patch(
    source: Source,
    recipes: &Recipes,
    recipe: &Recipe,
    version: &Version,
) -> Result<Patched> {
    let mut names = Vec::new();
    for patch in recipe.patches_for(version) {
        let bytes = recipes.patch(&recipe.name, patch)?;
        apply(&source.folder, &bytes).map_err(|why| {
            Error::new(
                Kind::Unpack,
                format!("patch `{}` does not apply to {} {version}", patch.file, recipe.name),
            )
            .detail(why)
            .detail(format!("its reason: {}", patch.reason))
            .hint("limit its `versions` in the recipe, or renew it for this release")
        })?;
        names.push(patch.file.clone());
    }
    Ok(Patched { folder: source.folder, patches: names })
}

fn apply(folder: &Path, bytes: &[u8]) -> std::result::Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let mut count = 0;
    for file in PatchSet::parse(text, ParseOptions::unidiff()) {
        let file = file.map_err(|error| error.to_string())?;
        let FileOperation::Modify { modified, .. } = file.operation() else {
            return Err("it makes, deletes or renames a file, which no patch here may".into());
        };
        let path = place(folder, modified)?;
        let old = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let text = file.patch().as_text().ok_or("it is a binary patch")?;
        let new = diffy::apply(&old, text).map_err(|error| format!("{modified}: {error}"))?;
        std::fs::write(&path, new).map_err(|error| format!("{}: {error}", path.display()))?;
        count += 1;
    }
    if count == 0 { Err("it changes no file".into()) } else { Ok(()) }
}

/// `b/dir/file` as a path below the source, which must not lead out of it.
fn place(folder: &Path, name: &str) -> std::result::Result<PathBuf, String> {
    let inside = Path::new(name.strip_prefix("b/").unwrap_or(name));
    if inside.components().all(|part| matches!(part, Component::Normal(_))) {
        Ok(folder.join(inside))
    } else {
        Err(format!("it changes `{name}`, which lies outside the source"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATCH: &str = "--- a/x.c\n+++ b/x.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";

    fn source(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.c"), text).unwrap();
        folder
    }

    #[test]
    fn a_moved_hunk_applies() {
        let folder = source("zero\none\ntwo\nthree\n");
        apply(folder.path(), PATCH.as_bytes()).unwrap();
        let text = std::fs::read_to_string(folder.path().join("x.c")).unwrap();
        assert_eq!(text, "zero\none\nTWO\nthree\n");
    }

    #[test]
    fn changed_context_is_refused_and_nothing_written() {
        let folder = source("ONE\ntwo\nthree\n");
        assert!(apply(folder.path(), PATCH.as_bytes()).is_err());
        let text = std::fs::read_to_string(folder.path().join("x.c")).unwrap();
        assert_eq!(text, "ONE\ntwo\nthree\n");
    }

    #[test]
    fn a_patch_outside_the_source_is_refused() {
        let folder = source("one\ntwo\nthree\n");
        let outside = PATCH.replace("b/x.c", "b/../x.c").replace("a/x.c", "a/../x.c");
        let error = apply(folder.path(), outside.as_bytes()).unwrap_err();
        assert!(error.contains("outside"), "{error}");
    }
}
