//! Rules of the house that no lint knows: who may know whom, and that every
//! file says what it is for.

use std::path::{Path, PathBuf};

/// The rooms of the installer: each may know those before it.
const ROOMS: [&str; 23] = [
    "exit", "openpgp", "tls", "env", "error", "digest", "folder", "report", "process", "recipe",
    "lock", "python", "module", "place", "plan", "source", "stage", "engine", "store", "apxs",
    "cli", "command", "names",
];

#[test]
fn a_room_knows_only_those_before_it() {
    for file in rust_files(Path::new("src")) {
        let inside = file.strip_prefix("src").unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
        let room = first.trim_end_matches(".rs");
        let Some(place) = ROOMS.iter().position(|known| *known == room) else {
            assert!(
                ["lib", "main", "packaged"].contains(&room),
                "{room} has no place among the rooms"
            );
            continue;
        };
        let text = std::fs::read_to_string(&file).unwrap();
        for used in text.split("crate::").skip(1) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
            if let Some(other) = ROOMS.iter().position(|known| *known == used) {
                assert!(other <= place, "{}: {room} reaches up to {used}", file.display());
            }
        }
    }
}

/// Whom of ours each crate of the module may know.
const CRATES: [(&str, &[&str]); 10] = [
    ("prefix", &[]),
    ("express", &["prefix"]),
    ("wsgi", &[]),
    ("door", &[]),
    ("httpd", &[]),
    ("cpython", &[]),
    ("engine", &["cpython", "door", "wsgi"]),
    ("daemon", &["door", "engine", "wsgi"]),
    ("pywsgi", &["cpython", "daemon", "door", "engine"]),
    ("mod_wsgi", &["door", "httpd", "wsgi"]),
];

#[test]
fn a_crate_knows_only_lower_ones() {
    let mut seen = 0;
    for item in std::fs::read_dir("crates").unwrap().flatten() {
        let name = item.file_name().into_string().unwrap();
        let (_, allowed) = CRATES.iter().find(|(known, _)| *known == name).unwrap();
        let manifest = std::fs::read_to_string(item.path().join("Cargo.toml")).unwrap();
        for line in manifest.lines().filter(|line| line.contains("path = \"../")) {
            let other = line.split_once(' ').unwrap().0;
            assert!(allowed.contains(&other), "{name} reaches up to {other}");
        }
        seen += 1;
    }
    assert_eq!(seen, CRATES.len());
}

/// Of two programs `cargo run` takes neither, unless it is told.
#[test]
fn cargo_run_is_the_installer() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest: toml::Table = std::fs::read_to_string(manifest).unwrap().parse().unwrap();
    assert_eq!(manifest["package"]["default-run"].as_str(), Some("mod_wsgi-httpd"));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    for folder in ["src", "crates", "tests", "benches"] {
        for file in rust_files(Path::new(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("//! "), "{}", file.display());
        }
    }
    for folder in ["python", "tests/python", "crates/express/src/python"] {
        let files = [files_of(Path::new(folder), "py"), files_of(Path::new(folder), "wsgi")];
        for file in files.concat() {
            let text = std::fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("\"\"\""), "{}", file.display());
        }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    files_of(folder, "rs")
}

/// The files below a folder whose names have this ending.
fn files_of(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = item.path();
        if path.is_dir() {
            found.extend(files_of(&path, ending));
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
    found
}
