//! The set of recipes: embedded in the binary, or read from a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};

use super::{Recipe, check};
use crate::digest::{hex, same_digest};
use crate::error::{Error, Kind, Result};

static RECIPES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/recipes");
static PATCHES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/patches");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// All recipes by name, with their patches, keys and templates.
#[derive(Debug)]
pub struct Recipes {
    recipes: BTreeMap<String, Recipe>,
    /// Folder given by `--recipes`; patches lie in `patches/`, templates in
    /// `templates/` below it.
    folder: Option<PathBuf>,
    digest: String,
}

impl Recipes {
    /// Reads the embedded recipes, or those of a folder.
    ///
    /// # Errors
    /// When one is not a recipe: the message names file, line and key.
    pub fn load(folder: Option<&Path>) -> Result<Self> {
        let texts = match folder {
            Some(folder) => read_folder(folder)?,
            None => RECIPES
                .files()
                .filter(|file| file.path().extension().is_some_and(|ending| ending == "toml"))
                .filter_map(|file| Some((file.path().to_owned(), file.contents_utf8()?.to_owned())))
                .collect(),
        };
        let mut recipes = BTreeMap::new();
        let mut hasher = Sha256::new();
        for (path, text) in &texts {
            hasher.update(text.as_bytes());
            let recipe = parse(path, text)?;
            recipes.insert(recipe.name.clone(), recipe);
        }
        let set = Self { recipes, folder: folder.map(Path::to_owned), digest: String::new() };
        set.check_needs()?;
        for template in set.templates_used() {
            hasher.update(set.template(&template)?.as_bytes());
        }
        Ok(Self { digest: hex(&hasher.finalize()), ..set })
    }

    /// The recipe of that name.
    ///
    /// # Errors
    /// When there is none; the nearest name is told.
    pub fn find(&self, name: &str) -> Result<&Recipe> {
        self.recipes.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.recipes.keys().map(String::as_str).collect();
            Error::new(Kind::Recipe, format!("there is no recipe `{name}`"))
                .detail(format!("known: {}", known.join(", ")))
        })
    }

    /// All recipes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Recipe> {
        self.recipes.values()
    }

    /// SHA-256 over the text of all recipes and the templates they use.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// Text of a patch, checked against the recipe's digest.
    ///
    /// # Errors
    /// When it is missing or not the pinned one.
    pub fn patch(&self, component: &str, patch: &super::Patch) -> Result<Vec<u8>> {
        let name = format!("{component}/{}", patch.file);
        let bytes = match &self.folder {
            Some(folder) => {
                let path = folder.join("patches").join(&name);
                std::fs::read(&path).map_err(Error::io(Kind::Recipe, "read", &path))?
            }
            None => PATCHES
                .get_file(&name)
                .map(|file| file.contents().to_vec())
                .ok_or_else(|| Error::new(Kind::Recipe, format!("there is no patch `{name}`")))?,
        };
        let found = hex(&Sha256::digest(&bytes));
        if same_digest(&found, &patch.sha256) {
            return Ok(bytes);
        }
        Err(Error::new(Kind::Checksum, format!("checksum of patch `{name}` is wrong"))
            .detail(format!("expected {}", patch.sha256))
            .detail(format!("found    {found}"))
            .hint("a changed patch needs its new digest in the recipe"))
    }

    /// Text of a template: the folder's own, else the embedded one.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn template(&self, name: &str) -> Result<String> {
        if let Some(folder) = &self.folder
            && let Ok(text) = std::fs::read_to_string(folder.join("templates").join(name))
        {
            return Ok(text);
        }
        TEMPLATES
            .get_file(name)
            .and_then(|file| file.contents_utf8())
            .map(str::to_owned)
            .ok_or_else(|| Error::new(Kind::Recipe, format!("there is no template `{name}`")))
    }

    /// Armoured public keys, by file name.
    #[must_use]
    pub fn key(&self, fingerprint: &str) -> Option<Vec<u8>> {
        let name = format!("keys/{}.asc", fingerprint.to_ascii_uppercase());
        match &self.folder {
            Some(folder) => std::fs::read(folder.join(name)).ok(),
            None => RECIPES.get_file(name).map(|file| file.contents().to_vec()),
        }
    }

    fn check_needs(&self) -> Result<()> {
        for recipe in self.iter() {
            let features = recipe.features.values().flat_map(|feature| &feature.needs);
            for need in recipe.needs.iter().chain(features) {
                self.find(need)
                    .map_err(|error| error.detail(format!("needed by `{}`", recipe.name)))?;
            }
        }
        Ok(())
    }

    fn templates_used(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .iter()
            .flat_map(|recipe| &recipe.installs)
            .filter_map(|install| install.template.clone())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

fn read_folder(folder: &Path) -> Result<BTreeMap<PathBuf, String>> {
    let mut texts = BTreeMap::new();
    let items = std::fs::read_dir(folder).map_err(Error::io(Kind::Usage, "list", folder))?;
    for item in items {
        let path = item.map_err(Error::io(Kind::Usage, "list", folder))?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text =
                std::fs::read_to_string(&path).map_err(Error::io(Kind::Recipe, "read", &path))?;
            texts.insert(path, text);
        }
    }
    if texts.is_empty() {
        return Err(Error::new(Kind::Usage, format!("`{}` holds no recipe", folder.display()))
            .hint("a recipe is a file NAME.toml"));
    }
    Ok(texts)
}

fn parse(path: &Path, text: &str) -> Result<Recipe> {
    let wrong = |why: String| {
        let mut lines = why.lines();
        let first = format!("recipe `{}` is wrong", path.display());
        lines.by_ref().fold(Error::new(Kind::Recipe, first), |error, line| error.detail(line))
    };
    let mut recipe: Recipe = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
    for file in recipe.releases.iter_mut().flat_map(|release| &mut release.files) {
        file.sha256.make_ascii_lowercase();
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    match check::broken_rule(&recipe, &stem) {
        Some(rule) => Err(wrong(rule)),
        None => Ok(recipe),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_embedded_recipes_and_all_their_files_are_sound() {
        let recipes = Recipes::load(None).unwrap();
        for recipe in recipes.iter() {
            for patch in &recipe.patches {
                recipes.patch(&recipe.name, patch).unwrap();
            }
            for file in recipe.releases.iter().flat_map(|release| &release.files) {
                for key in file.signature.iter().flat_map(|signature| &signature.keys) {
                    assert!(recipes.key(key).is_some(), "{}: key {key}", recipe.name);
                }
            }
        }
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = parse(Path::new("x.toml"), "name = \"x\"\ncolour = 1\n").unwrap_err();
        let text = error.details.join("\n");
        assert!(text.contains("line 2") && text.contains("colour"), "{text}");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(\\PC|\n|\\[|\\]|=|\"){0,200}") {
            drop(parse(Path::new("x.toml"), &text));
        }
    }
}
