//! The direct engine makes what the upstream engine makes: the same files, names
//! and answers, and the same bytes wherever and whenever it builds.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use mod_wsgi_httpd::stage::link;
use tempfile::TempDir;

use crate::real::{apt_install, command};
use crate::sandbox::{Outcome, names_in, program};
use crate::serving::base;

/// A tree of an engine, of the releases that the other tests' tree has.
struct Built {
    folder: TempDir,
}

impl Built {
    /// Built once for all of these tests, from nothing but kept libraries.
    fn direct() -> &'static Self {
        static DIRECT: OnceLock<Built> = OnceLock::new();
        DIRECT.get_or_init(|| {
            let _kept_by_nobody = std::fs::remove_dir_all(cache().join("objects"));
            Self::by("direct", &[])
        })
    }

    fn upstream() -> &'static Self {
        static UPSTREAM: OnceLock<Built> = OnceLock::new();
        UPSTREAM.get_or_init(|| Self::by("upstream", &[]))
    }

    fn by(engine: &str, arguments: &[&str]) -> Self {
        let built = Self { folder: tempfile::Builder::new().prefix(engine).tempdir().unwrap() };
        let mut install = command(program());
        install.args(["install", "--engine", engine, "--features=-module", "--locked", "--lock"]);
        install.arg(base().join("current/mod_wsgi-httpd.lock")).args(arguments);
        install.arg("--cache").arg(cache()).arg("--prefix").arg(built.folder.path().join("base"));
        install.args(["--allow-vulnerable", "--force"]);
        Outcome::of(install.output().unwrap()).expect(0);
        built
    }

    fn tree(&self) -> PathBuf {
        self.folder.path().join("base/current").canonicalize().unwrap()
    }
}

/// Trees of both engines.
pub(crate) fn both() -> (PathBuf, PathBuf) {
    (Built::direct().tree(), Built::upstream().tree())
}

pub(crate) fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache-of-a-bare-machine")
}

/// What a command of a tree prints, with the tree's place taken out.
fn answer(tree: &Path, name: &str, arguments: &[&str]) -> String {
    let output = command(tree.join("bin").join(name)).args(arguments).output().unwrap();
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // apxs names the link that leads to the tree in use.
    let current = tree.ancestors().nth(2).unwrap().join("current");
    text.replace(&*tree.to_string_lossy(), "TREE").replace(&*current.to_string_lossy(), "TREE")
}

/// Without a configuration, which would bring the module in.
const MPM: &str = "LoadModule mpm_event_module modules/mod_mpm_event.so";

/// Not a note of the build.
fn is_of_the_engine(name: &str) -> bool {
    !["manifest.json", "build.json"].contains(&name)
}

fn files(tree: &Path) -> BTreeSet<String> {
    let manifest = prefix::Manifest::of(tree).unwrap();
    manifest.entries.into_keys().filter(|name| is_of_the_engine(name)).collect()
}

#[test]
fn both_engines_install_the_same_files() {
    let (direct, upstream) = both();
    assert_eq!(files(&direct), files(&upstream));
}

#[test]
fn every_library_module_and_program_shows_the_same_names() {
    let (direct, upstream) = both();
    let mut seen = 0;
    for name in files(&upstream) {
        let Some(theirs) = link::read(&upstream.join(&name)).unwrap() else { continue };
        let ours = link::read(&direct.join(&name)).unwrap().unwrap();
        // Upstream's makefile adds these so that a linker keeps all of archives.
        let api = |names: BTreeSet<String>| -> BTreeSet<String> {
            names.into_iter().filter(|name| !name.starts_with("ap_hack_")).collect()
        };
        assert_eq!(api(ours.defines), api(theirs.defines), "{name}");
        let (mut ours, mut theirs) = (ours.needed, theirs.needed);
        ours.sort();
        theirs.sort();
        assert_eq!(ours, theirs, "{name}");
        seen += 1;
    }
    assert!(seen > 100, "only {seen} files");
}

#[test]
fn both_answer_alike() {
    let (direct, upstream) = both();
    let questions: [(&str, &[&str]); 17] = [
        ("httpd", &["-V"]),
        ("httpd", &["-l"]),
        ("httpd", &["-f", "/dev/null", "-C", MPM, "-L"]),
        ("apr-1-config", &["--cc"]),
        ("apr-1-config", &["--cpp"]),
        ("apr-1-config", &["--cppflags"]),
        ("apr-1-config", &["--ldflags"]),
        ("apr-1-config", &["--libs"]),
        ("apr-1-config", &["--includes"]),
        ("apr-1-config", &["--link-ld"]),
        ("apr-1-config", &["--version"]),
        ("apr-1-config", &["--apr-lib-target"]),
        ("apr-1-config", &["--shlib-path-var"]),
        ("apr-1-config", &["--apr-libtool"]),
        ("apu-1-config", &["--includes"]),
        ("apu-1-config", &["--db-version"]),
        ("apu-1-config", &["--version"]),
    ];
    for (name, arguments) in questions {
        let of = |tree: &Path| {
            let text = answer(tree, name, arguments);
            // The one line that tells when.
            text.lines().filter(|line| !line.contains("built:")).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(of(&direct), of(&upstream), "{name} {arguments:?}");
    }
    // These two name the machine's own programs by configure's idea of them.
    let of = |tree: &Path| -> Vec<String> {
        let text = answer(tree, "apxs", &["-q"]);
        let lines =
            text.lines().filter(|line| !["AWK=", "EGREP="].iter().any(|n| line.starts_with(n)));
        lines.map(|line| line.trim_end().to_owned()).collect()
    };
    assert_eq!(of(&direct), of(&upstream));
}

/// The files name no place: they work where the tree lies.
#[test]
fn pkg_config_leads_into_the_tree() {
    apt_install("pkg-config");
    for tree in <[PathBuf; 2]>::from(both()) {
        let mut ask = command("pkg-config");
        ask.args(["--cflags", "--libs", "apr-util-1"]);
        ask.env("PKG_CONFIG_PATH", tree.join("lib/pkgconfig"));
        let flags = Outcome::of(ask.output().unwrap()).expect(0).stdout;
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("test.c");
        let text = "#include <apu_version.h>\n#include <apr_general.h>\n\
                    int main(void) { return apr_initialize() || !*apu_version_string(); }\n";
        std::fs::write(&source, text).unwrap();
        let mut cc = command("cc");
        cc.arg(&source).args(flags.split_whitespace()).arg("-o").arg(folder.path().join("test"));
        cc.arg(format!("-Wl,-rpath,{}", tree.join("lib").display()));
        Outcome::of(cc.output().unwrap()).expect(0);
        Outcome::of(command(folder.path().join("test")).output().unwrap()).expect(0);
    }
}

/// Macros decide layouts: what every header says is the same, so structs are.
#[test]
fn both_install_the_same_headers() {
    let (direct, upstream) = both();
    let mut seen = 0;
    for name in files(&upstream).into_iter().filter(|name| name.ends_with(".h")) {
        let of = |tree: &Path| {
            let text =
                String::from_utf8_lossy(&std::fs::read(tree.join(&name)).unwrap()).into_owned();
            let is_code =
                |line: &&str| !line.trim_start().starts_with("/*") && !line.trim().is_empty();
            text.lines().filter(is_code).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(of(&direct), of(&upstream), "{name}");
        seen += 1;
    }
    assert!(seen > 100, "only {seen} headers");
}

/// Another folder, another time, and not one object of before.
#[test]
fn two_builds_are_the_same_bytes() {
    let first = Built::direct();
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::remove_dir_all(cache().join("objects")).unwrap();
    let work = elsewhere.path().to_str().unwrap();
    let second = Built::by("direct", &["--work-dir", work, "--jobs", "3"]);
    let (here, there) = (first.tree(), second.tree());
    let manifest = |tree: &Path| prefix::Manifest::of(tree).unwrap().entries;
    let (mut here, mut there) = (manifest(&here), manifest(&there));
    here.retain(|name, _| is_of_the_engine(name));
    there.retain(|name, _| is_of_the_engine(name));
    for (name, file) in &here {
        assert_eq!(Some(file), there.get(name), "{name}");
    }
    assert_eq!(here.len(), there.len());
    assert!(names_in(elsewhere.path()).is_empty(), "something is left of the build");
}
