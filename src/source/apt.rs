//! The distribution's source archive, through the ordinary apt client: a
//! private source list derived from the machine's own suites, private lists
//! and cache, no root needed. apt checks keyring, release file and index; we
//! check our own digest after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder::Scratch;
use crate::place::Work;
use crate::process::Program;
use crate::recipe::SourceFile;
use crate::report::Report;

/// The apt client. Its lists are fetched once a run, when first needed.
pub(super) struct Apt {
    env: Env,
    suites: Vec<String>,
    report: Report,
    lists: Mutex<Option<std::result::Result<Lists, String>>>,
}

/// A package's files, as downloaded.
pub(super) struct Folder {
    pub(super) scratch: Scratch,
    pub(super) archive: PathBuf,
    pub(super) version: String,
}

/// Lists of the source archive.
struct Lists {
    scratch: Work,
    /// Package to its versions, as listed.
    packages: BTreeMap<String, Vec<Listed>>,
}

/// One version of a source package.
#[derive(Debug, PartialEq)]
struct Listed {
    version: String,
    /// SHA-256 and name of each file.
    files: Vec<(String, String)>,
}

impl Apt {
    pub(super) fn new(env: Env, suites: Vec<String>, report: Report) -> Self {
        Self { env, suites, report, lists: Mutex::new(None) }
    }

    /// Downloads the file with that digest; the inner error says why not.
    pub(super) fn fetch(
        &self,
        package: &str,
        file: &SourceFile,
    ) -> Result<std::result::Result<Folder, String>> {
        // One apt at a time: it locks its lists anyway.
        let mut guard =
            self.lists.lock().map_err(|_| Error::new(Kind::Network, "apt failed before"))?;
        if guard.is_none() {
            *guard = Some(self.update()?);
        }
        let lists = match guard.as_mut() {
            Some(Ok(lists)) => lists,
            Some(Err(why)) => return Ok(Err(why.clone())),
            None => return Ok(Err("has no lists".into())),
        };
        if !lists.packages.contains_key(package) {
            let listed = self.show(&lists.scratch, package)?;
            lists.packages.insert(package.to_owned(), listed);
        }
        let listed = lists.packages.get(package).map(Vec::as_slice).unwrap_or_default();
        let holders: Vec<(&str, &str)> = listed
            .iter()
            .filter_map(|entry| Some((entry.version.as_str(), entry.name_of(&file.sha256)?)))
            .collect();
        if holders.is_empty() {
            return Ok(Err(format!("no listed version has {}", file.name)));
        }
        for (version, name) in &holders {
            if let Some(folder) = self.download(lists.scratch.path(), package, version, name)? {
                return Ok(Ok(folder));
            }
        }
        let versions: Vec<&str> = holders.iter().map(|(version, _)| *version).collect();
        Ok(Err(format!("listed as {}, but its file does not arrive", versions.join(", "))))
    }

    /// Fetches the lists; the inner error says why there are none.
    fn update(&self) -> Result<std::result::Result<Lists, String>> {
        if self.env.find_program("apt-get").is_none() {
            return Ok(Err("this machine has no apt".into()));
        }
        let entries = source_entries(Path::new("/etc/apt"), &self.suites);
        if entries.is_empty() {
            return Ok(Err("this machine configures no suite of a distribution".into()));
        }
        let spinner = self.report.spinner("Fetching", "lists of the distribution's source archive");
        let scratch = Work::temporary()?;
        for below in ["lists/partial", "cache/archives/partial", "parts"] {
            let folder = scratch.path().join(below);
            std::fs::create_dir_all(&folder).map_err(Error::io(
                Kind::Network,
                "make folder",
                &folder,
            ))?;
        }
        let list = scratch.path().join("parts/source.sources");
        std::fs::write(&list, entries.join("\n")).map_err(Error::io(
            Kind::Network,
            "write",
            &list,
        ))?;
        let output = self.apt(&scratch, "apt-get").arg("update").output(Kind::Network)?;
        drop(spinner);
        // A single list that fails leaves the others usable.
        let any = std::fs::read_dir(scratch.path().join("lists"))
            .into_iter()
            .flatten()
            .flatten()
            .any(|item| item.file_name().to_string_lossy().contains("_Sources"));
        if any {
            return Ok(Ok(Lists { scratch, packages: BTreeMap::new() }));
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let why =
            text.lines().find(|line| line.starts_with("E:")).unwrap_or("its lists do not arrive");
        Ok(Err(why.to_owned()))
    }

    fn show(&self, scratch: &Work, package: &str) -> Result<Vec<Listed>> {
        let output =
            self.apt(scratch, "apt-cache").args(["showsrc", package]).output(Kind::Network)?;
        Ok(parse_stanzas(&String::from_utf8_lossy(&output.stdout), package))
    }

    /// Downloads one version of a package. Its newest files are sometimes
    /// listed before they can be had; the archive alone is enough for us.
    fn download(
        &self,
        root: &Path,
        package: &str,
        version: &str,
        name: &str,
    ) -> Result<Option<Folder>> {
        self.report.detail(&format!("apt-get source --download-only {package}={version}"));
        let spinner = self.report.spinner("Fetching", &format!("{name} from the distribution"));
        let scratch = Scratch::below(root, "source-")?;
        let output = self
            .apt_in(root, "apt-get")
            .args(["source", "--download-only", &format!("{package}={version}")])
            .folder(scratch.path())
            .output(Kind::Network)?;
        drop(spinner);
        let archive = scratch.path().join(name);
        if archive.is_file() {
            return Ok(Some(Folder { scratch, archive, version: format!("{package}={version}") }));
        }
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            self.report.detail(line);
        }
        Ok(None)
    }

    fn apt(&self, scratch: &Work, program: &str) -> Program {
        self.apt_in(scratch.path(), program)
    }

    fn apt_in(&self, root: &Path, program: &str) -> Program {
        let root = root.display();
        let program = Program::new(program)
            .envs(self.env.for_download())
            .env("DEBIAN_FRONTEND", "noninteractive");
        let settings = [
            "Dir::Etc::sourcelist=/dev/null".to_owned(),
            format!("Dir::Etc::sourceparts={root}/parts"),
            format!("Dir::State::lists={root}/lists"),
            format!("Dir::Cache={root}/cache"),
            "Acquire::Languages=none".to_owned(),
            "Acquire::http::Timeout=10".to_owned(),
            "Acquire::https::Timeout=10".to_owned(),
            "Acquire::Retries=1".to_owned(),
        ];
        settings.iter().fold(program.arg("-q"), |program, setting| program.args(["-o", setting]))
    }
}

impl Listed {
    fn name_of(&self, sha256: &str) -> Option<&str> {
        let held = self.files.iter().find(|(digest, _)| digest.eq_ignore_ascii_case(sha256));
        held.map(|(_, name)| name.as_str())
    }
}

/// Entries of type `deb-src` for the suites that the machine takes its own
/// packages from.
fn source_entries(apt: &Path, extra_suites: &[String]) -> Vec<String> {
    let mut files = vec![apt.join("sources.list")];
    let parts = std::fs::read_dir(apt.join("sources.list.d"));
    files.extend(parts.into_iter().flatten().flatten().map(|item| item.path()));
    files.sort();
    let mut entries = Vec::new();
    for file in files {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("sources") => entries.extend(from_deb822(&text, extra_suites)),
            Some("list") => {
                entries.extend(text.lines().filter_map(|line| from_line(line, extra_suites)))
            }
            _ => {}
        }
    }
    entries.sort();
    entries.dedup();
    entries
}

/// Turns stanzas of a `.sources` file into source entries.
fn from_deb822(text: &str, extra_suites: &[String]) -> Vec<String> {
    let uncommented: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let stanzas = uncommented.split(|line| line.trim().is_empty());
    stanzas
        .filter_map(|lines| {
            let mut fields: Vec<(String, String)> = Vec::new();
            for line in lines {
                if line.starts_with([' ', '\t']) {
                    let (_, value) = fields.last_mut()?;
                    value.push('\n');
                    value.push_str(line);
                } else {
                    let (name, value) = line.split_once(':')?;
                    fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
                }
            }
            let field = |name: &str| {
                fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
            };
            if field("enabled").is_some_and(|enabled| enabled.eq_ignore_ascii_case("no")) {
                return None;
            }
            entry(
                field("uris")?,
                field("suites")?,
                field("components")?,
                field("signed-by"),
                extra_suites,
            )
        })
        .collect()
}

/// Turns a line of a `.list` file into a source entry.
fn from_line(line: &str, extra_suites: &[String]) -> Option<String> {
    let rest = line.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix("-src").unwrap_or(rest);
    let (options, rest) = match rest.trim_start().strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let components: Vec<&str> = words.collect();
    entry(uri, suite, &components.join(" "), signed_by, extra_suites)
}

/// A source entry, for archives with the component that ours are in.
fn entry(
    uris: &str,
    suites: &str,
    components: &str,
    signed_by: Option<&str>,
    extra_suites: &[String],
) -> Option<String> {
    if !components.split_whitespace().any(|component| component == "main") {
        return None;
    }
    let mut suites: Vec<&str> = suites.split_whitespace().collect();
    // Security archives have suites of their own.
    if !suites.iter().any(|suite| suite.ends_with("-security")) {
        suites.extend(extra_suites.iter().map(String::as_str));
    }
    let mut text =
        format!("Types: deb-src\nURIs: {uris}\nSuites: {}\nComponents: main\n", suites.join(" "));
    if let Some(signed_by) = signed_by {
        text.push_str(&format!("Signed-By: {signed_by}\n"));
    }
    Some(text)
}

/// Versions and files of `apt-cache showsrc`.
fn parse_stanzas(text: &str, package: &str) -> Vec<Listed> {
    let mut listed: Vec<Listed> = Vec::new();
    for stanza in text.split("\n\n") {
        let mut name = "";
        let mut entry = Listed { version: String::new(), files: Vec::new() };
        let mut in_checksums = false;
        for line in stanza.lines() {
            if in_checksums && line.starts_with(' ') {
                let mut words = line.split_whitespace();
                if let (Some(sha256), _, Some(file)) = (words.next(), words.next(), words.next()) {
                    entry.files.push((sha256.to_owned(), file.to_owned()));
                }
                continue;
            }
            in_checksums = line.starts_with("Checksums-Sha256:");
            if let Some(value) = line.strip_prefix("Package: ") {
                name = value.trim();
            } else if let Some(value) = line.strip_prefix("Version: ") {
                entry.version = value.trim().to_owned();
            }
        }
        if name == package && !listed.contains(&entry) {
            listed.push(entry);
        }
    }
    listed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_suites_become_source_entries() {
        let text = "Types: deb\n# note\nURIs: https://mirror.invalid/debian\nSuites: s s-updates\nComponents: main contrib\nSigned-By: /k.gpg\n\nTypes: deb\nURIs: https://other.invalid\nSuites: x\nComponents: tool\n";
        let entries = from_deb822(text, &["t".to_owned()]);
        assert_eq!(
            entries,
            [
                "Types: deb-src\nURIs: https://mirror.invalid/debian\nSuites: s s-updates t\nComponents: main\nSigned-By: /k.gpg\n"
            ]
        );
        let line = "deb [arch=amd64 signed-by=/k.gpg] https://mirror.invalid/debian s main";
        assert!(
            from_line(line, &[])
                .is_some_and(|entry| entry.contains("Suites: s\n") && entry.contains("/k.gpg"))
        );
        assert_eq!(from_line("# deb x y main", &[]), None);
        assert_eq!(from_line("deb https://x.invalid y tool", &[]), None);
    }

    #[test]
    fn files_are_found_by_digest() {
        let text = "Package: apr\nVersion: 1.7.2-3\nChecksums-Sha1:\n aa 1 x\nChecksums-Sha256:\n bb 2 apr_1.7.2.orig.tar.bz2\n cc 3 apr.dsc\nHomepage: h\n\nPackage: other\nVersion: 1\n";
        let listed = parse_stanzas(text, "apr");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].name_of("BB"), Some("apr_1.7.2.orig.tar.bz2"));
        assert_eq!(listed[0].name_of("aa"), None);
    }
}
