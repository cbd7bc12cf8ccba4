//! The sources of the module as they stood when this program was built, laid
//! out as a workspace of their own: its crates without their tests, and the lock
//! file that names every release and checksum of what they depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use crate::digest::hex;
use crate::error::{Error, Kind, Result};
use crate::module::NAME;

/// Licence text of the module.
pub const LICENCE: &str = include_str!("../../LICENSE");

static CRATES: [(&str, Dir<'_>); 8] = [
    ("cpython", include_dir!("$CARGO_MANIFEST_DIR/crates/cpython")),
    ("daemon", include_dir!("$CARGO_MANIFEST_DIR/crates/daemon")),
    ("door", include_dir!("$CARGO_MANIFEST_DIR/crates/door")),
    ("engine", include_dir!("$CARGO_MANIFEST_DIR/crates/engine")),
    ("httpd", include_dir!("$CARGO_MANIFEST_DIR/crates/httpd")),
    ("mod_wsgi", include_dir!("$CARGO_MANIFEST_DIR/crates/mod_wsgi")),
    ("pywsgi", include_dir!("$CARGO_MANIFEST_DIR/crates/pywsgi")),
    ("wsgi", include_dir!("$CARGO_MANIFEST_DIR/crates/wsgi")),
];

/// Manifest of the workspace that the crates come from.
const ROOT: &str = include_str!("../../Cargo.toml");
const LOCK: &str = include_str!("../../Cargo.lock");
const LOCK_FILE: &str = "Cargo.lock";

/// The fastest code that there is, with nothing of the build in it.
const PROFILE: &str = r#"
[profile.release]
opt-level = 3
lto = "fat"
codegen-units = 1
strip = true
panic = "unwind"
"#;

/// SHA-256 over all that the module is built from, save the crates of others,
/// which the lock file names.
///
/// # Errors
/// When a manifest cannot be read.
pub fn digest() -> Result<String> {
    let mut hasher = Sha256::new();
    for (path, bytes) in files()? {
        let name = path.to_string_lossy().into_owned();
        for part in [name.as_bytes(), &bytes] {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// Writes the workspace into a folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    for (name, bytes) in files()? {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).map_err(Error::io(Kind::Install, "make folder", parent))?;
        std::fs::write(&path, bytes).map_err(Error::io(Kind::Install, "write", &path))?;
    }
    Ok(())
}

/// Fails if cargo has chosen a release that the lock file does not name. That
/// it drops what the module does not need is right.
pub(super) fn check_lock(folder: &Path) -> Result<()> {
    let path = folder.join(LOCK_FILE);
    let text = std::fs::read_to_string(&path).map_err(Error::io(Kind::Module, "read", &path))?;
    let known = releases(LOCK)?;
    let strangers: Vec<String> = releases(&text)?.difference(&known).cloned().collect();
    if strangers.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Module, "cargo chose crates that the lock file does not name")
        .detail(format!("found {}", strangers.join(", ")))
        .hint("the crates at hand are not those of this release: run `vendor` again"))
}

/// Name and version of each package of a lock file.
fn releases(lock: &str) -> Result<BTreeSet<String>> {
    let lock = parse(lock, LOCK_FILE)?;
    let packages = lock.get("package").and_then(Value::as_array).into_iter().flatten();
    let text = |package: &Value, key| {
        package.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    Ok(packages.map(|package| text(package, "name") + " " + &text(package, "version")).collect())
}

/// All files of the workspace, by path.
fn files() -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::from([
        (PathBuf::from("Cargo.toml"), root_manifest()?.into_bytes()),
        (PathBuf::from(LOCK_FILE), LOCK.as_bytes().to_vec()),
    ]);
    for (name, folder) in &CRATES {
        add(&mut found, &Path::new("crates").join(name), folder)?;
    }
    Ok(found)
}

fn add(found: &mut BTreeMap<PathBuf, Vec<u8>>, at: &Path, folder: &Dir<'_>) -> Result<()> {
    for file in folder.files() {
        let path = file.path();
        let bytes = match path.to_str() {
            Some("Cargo.toml") => {
                without_tests(file.contents_utf8().unwrap_or_default())?.into_bytes()
            }
            Some("build.rs") => file.contents().to_vec(),
            _ if path.starts_with("src") => file.contents().to_vec(),
            _ => continue,
        };
        found.insert(at.join(path), bytes);
    }
    folder.dirs().try_for_each(|below| add(found, at, below))
}

/// What only tests need would have to be fetched, too.
fn without_tests(manifest: &str) -> Result<String> {
    let mut manifest = parse(manifest, "Cargo.toml of a crate")?;
    manifest.remove("dev-dependencies");
    Ok(manifest.to_string())
}

/// The tables that the crates inherit, and how they are compiled.
fn root_manifest() -> Result<String> {
    let mut root = parse(ROOT, "Cargo.toml")?;
    let mut workspace = root.remove("workspace").unwrap_or_else(|| Table::new().into());
    // Of our own crates only those of the module are there.
    let is_there = |dependency: &Value| {
        let path = dependency.get("path").and_then(Value::as_str);
        path.is_none_or(|path| CRATES.iter().any(|(name, _)| path == format!("crates/{name}")))
    };
    if let Some(Value::Table(dependencies)) = workspace.get_mut("dependencies") {
        dependencies.retain(|_, dependency| is_there(dependency));
    }
    let manifest = Table::from_iter([("workspace".to_owned(), workspace)]);
    Ok(format!("{manifest}{PROFILE}"))
}

fn parse(text: &str, name: &str) -> Result<Table> {
    text.parse().map_err(|source| {
        Error::new(Kind::Module, format!("`{name}` of {NAME} cannot be read")).caused_by(source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_of_ours_that_one_needs_is_there() {
        let files = files().unwrap();
        for (name, _) in &CRATES {
            let manifest = &files[&Path::new("crates").join(name).join("Cargo.toml")];
            let manifest = parse(std::str::from_utf8(manifest).unwrap(), name).unwrap();
            for table in ["dependencies", "build-dependencies"] {
                let needed = manifest.get(table).and_then(Value::as_table).into_iter().flatten();
                for (needed, how) in needed.filter(|(_, how)| how.get("path").is_some()) {
                    assert!(CRATES.iter().any(|(known, _)| known == needed), "{name}: {how}");
                }
            }
        }
    }

    #[test]
    fn nothing_but_sources_travels() {
        for path in files().unwrap().keys() {
            let inside: PathBuf = path.iter().skip(2).collect();
            let is_source = inside.starts_with("src")
                || ["", "Cargo.toml", "build.rs"].map(Path::new).contains(&inside.as_path());
            assert!(is_source, "{}", path.display());
        }
    }

    #[test]
    fn a_release_that_the_lock_file_does_not_name_is_told() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path()).unwrap();
        check_lock(folder.path()).unwrap();
        let text = format!("{LOCK}\n[[package]]\nname = \"libc\"\nversion = \"9.9.9\"\n");
        std::fs::write(folder.path().join(LOCK_FILE), text).unwrap();
        let error = check_lock(folder.path()).unwrap_err();
        assert_eq!(error.details, ["found libc 9.9.9"]);
    }
}
