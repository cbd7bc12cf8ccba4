//! Where archives come from, in order: a vendor folder, the cache, the user's
//! mirrors, upstream, the distribution's source archive. Each origin either
//! has an archive with the pinned digest or says why not; none can change what
//! the digest is.

mod apt;
mod cache;
#[cfg(not(feature = "network"))]
mod closed;
#[cfg(feature = "network")]
mod http;
mod local;
mod sniff;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prefix::hash_file;

pub use cache::Cache;
pub use sniff::looks_like;

use crate::digest::{same_digest, wrong_digest};
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder;
use crate::lock;
use crate::module;
use crate::recipe::{Recipe, SourceFile};
use crate::report::Report;
use crate::source::apt::Apt;
#[cfg(not(feature = "network"))]
use crate::source::closed::Http;
#[cfg(feature = "network")]
use crate::source::http::Http;
use crate::source::local::{Fault, copy_local};

/// A kind of origin.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, clap::ValueEnum)]
pub enum Origin {
    /// A folder of archives given with `--vendor`.
    Vendor,
    /// The cache, keyed by digest.
    Cache,
    /// Addresses given with `--mirror`.
    Mirror,
    /// The addresses of the recipe.
    Upstream,
    /// The distribution's source archive, through apt.
    Distribution,
}

impl Origin {
    /// All, in the order in which they are asked.
    pub const ORDER: [Self; 5] =
        [Self::Vendor, Self::Cache, Self::Mirror, Self::Upstream, Self::Distribution];

    /// Whether asking it may touch the network.
    #[must_use]
    pub fn is_remote(self) -> bool {
        matches!(self, Self::Mirror | Self::Upstream | Self::Distribution)
    }
}

/// What the user says about origins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of archives.
    pub vendor: Option<PathBuf>,
    /// Mirrors: `<mirror>/<sha256>`, then `<mirror>/<file name>`.
    pub mirrors: Vec<String>,
    /// Origins that may be asked.
    pub allowed: BTreeSet<Origin>,
    /// Never touch the network.
    pub offline: bool,
    /// Suites of the distribution to ask besides the machine's own.
    pub suites: Vec<String>,
    /// Longest wait for the next byte.
    pub stall: Duration,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Vendor => "vendor",
            Self::Cache => "cache",
            Self::Mirror => "mirror",
            Self::Upstream => "upstream",
            Self::Distribution => "distribution",
        })
    }
}

/// An archive found, not yet verified by the stage that unpacks it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where it lies.
    pub path: PathBuf,
    /// Where it came from, for the record: `vendor`, `cache`, an address.
    pub origin: String,
}

impl Found {
    /// Whether it comes, or came once, from the distribution's archive.
    #[must_use]
    pub fn is_of_distribution(&self) -> bool {
        self.origin.starts_with(DISTRIBUTION)
    }
}

/// The file of this machine that a `file:` address names.
fn local(url: &str) -> Option<&Path> {
    url.strip_prefix("file://").map(Path::new)
}

/// Start of the origin of what apt brought.
const DISTRIBUTION: &str = "distribution:";

/// What an origin says.
pub enum Answer {
    /// Here it is.
    Found(Found),
    /// Not here; why.
    Absent(String),
    /// It gave other bytes than the pinned ones.
    Wrong(Error),
}

/// All origins of one run.
pub struct Sources {
    settings: Settings,
    cache: Cache,
    http: Http,
    apt: Apt,
    report: Report,
}

impl Sources {
    /// Prepares the origins; nothing is asked yet.
    #[must_use]
    pub fn new(settings: Settings, cache: Cache, env: &Env, report: &Report) -> Self {
        let http = Http::new(settings.stall, report.clone());
        let apt = Apt::new(env.clone(), settings.suites.clone(), report.clone());
        Self { settings, cache, http, apt, report: report.clone() }
    }

    /// Origins that may be asked, in order.
    pub fn allowed(&self) -> impl Iterator<Item = Origin> {
        Origin::ORDER.into_iter().filter(|origin| {
            self.settings.allowed.contains(origin) && !(self.settings.offline && origin.is_remote())
        })
    }

    /// Whether the user named any mirror.
    #[must_use]
    pub fn has_mirrors(&self) -> bool {
        !self.settings.mirrors.is_empty()
    }

    /// Where an archive would come from without asking the network: the vendor
    /// folder or the cache.
    #[must_use]
    pub fn at_hand(&self, file: &SourceFile) -> Option<&'static str> {
        let allowed = |origin| self.allowed().any(|known| known == origin);
        if allowed(Origin::Vendor) && self.vendored(file).is_some_and(|path| path.is_file()) {
            Some("vendor")
        } else if allowed(Origin::Cache) && self.cache.archive(&file.sha256).is_file() {
            Some("cache")
        } else {
            None
        }
    }

    /// Says which files of the vendor folder no recipe of these knows.
    pub fn note_strangers<'r>(&self, recipes: impl Iterator<Item = &'r Recipe>) {
        let Some(folder) = &self.settings.vendor else { return };
        let files = recipes.flat_map(|recipe| &recipe.releases).flat_map(|release| &release.files);
        let known: BTreeSet<String> = files
            .flat_map(|file| {
                let suffix = file.signature.as_ref().map_or("", |signature| &signature.suffix);
                let name = &file.name;
                [name.clone(), format!("{name}{suffix}"), file.sha256.clone()]
            })
            .chain([lock::FILE.to_owned(), module::VENDORED.to_owned()])
            .collect();
        let strangers: Vec<String> = folder::items(folder)
            .unwrap_or_default()
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .filter(|name| !known.contains(name))
            .collect();
        if !strangers.is_empty() {
            self.report.step("Ignored", &format!("in the vendor folder: {}", strangers.join(", ")));
        }
    }

    /// Asks one origin for one archive.
    ///
    /// # Errors
    /// When going on would be wrong: a vendored file that is not the pinned
    /// one, a full disk, a signal.
    pub fn ask(&self, origin: Origin, recipe: &Recipe, file: &SourceFile) -> Result<Answer> {
        match origin {
            Origin::Vendor => self.ask_vendor(file),
            Origin::Cache => self.ask_cache(file),
            Origin::Mirror => {
                let mirrors = self.settings.mirrors.iter().map(|url| url.trim_end_matches('/'));
                let urls: Vec<String> = mirrors
                    .flat_map(|url| {
                        [format!("{url}/{}", file.sha256), format!("{url}/{}", file.name)]
                    })
                    .collect();
                self.download(&urls, file)
            }
            Origin::Upstream => self.download(&file.urls, file),
            Origin::Distribution => self.ask_distribution(recipe, file),
        }
    }

    /// Fetches a signature from beside the archive, for a vendor folder. There
    /// may be none; it proves nothing that the digest does not.
    #[must_use]
    pub fn signature(&self, file: &SourceFile) -> Option<Vec<u8>> {
        let signature = file.signature.as_ref()?;
        let name = format!("{}{}", file.name, signature.suffix);
        if let Some(vendor) = &self.settings.vendor
            && let Ok(bytes) = std::fs::read(vendor.join(&name))
        {
            return Some(bytes);
        }
        let kept = self.cache.signature(&file.sha256);
        if let Ok(bytes) = std::fs::read(&kept) {
            return Some(bytes);
        }
        if self.settings.offline || !self.settings.allowed.contains(&Origin::Upstream) {
            return None;
        }
        file.urls
            .iter()
            .find_map(|url| self.whole(&format!("{url}{}", signature.suffix), 1 << 16).ok())
    }

    /// The cache behind these origins.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Fetches a file that no recipe pins, of at most so many bytes.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn unpinned(&self, url: &str, most: u64) -> std::result::Result<Vec<u8>, String> {
        if self.settings.offline && local(url).is_none() {
            return Err("--offline was asked for".into());
        }
        self.whole(url, most)
    }

    fn whole(&self, url: &str, most: u64) -> std::result::Result<Vec<u8>, String> {
        match local(url) {
            Some(path) => std::fs::read(path).map_err(|error| error.to_string()),
            None => self.http.whole(url, most),
        }
    }

    /// Fetches a file whose digest is known into the cache.
    ///
    /// # Errors
    /// When it cannot be had, or is another one.
    pub fn pinned(&self, url: &str, file: &SourceFile) -> Result<PathBuf> {
        match self.download(&[url.to_owned()], file)? {
            Answer::Found(found) => Ok(found.path),
            Answer::Wrong(error) => Err(error),
            Answer::Absent(why) => {
                Err(Error::new(Kind::Network, format!("`{url}` cannot be had")).detail(why))
            }
        }
    }

    fn vendored(&self, file: &SourceFile) -> Option<PathBuf> {
        let folder = self.settings.vendor.as_ref()?;
        let by_digest = folder.join(&file.sha256);
        Some(if by_digest.exists() { by_digest } else { folder.join(&file.name) })
    }

    fn ask_vendor(&self, file: &SourceFile) -> Result<Answer> {
        let Some(path) = self.vendored(file) else {
            return Ok(Answer::Absent("no --vendor folder is given".into()));
        };
        let Ok(metadata) = path.symlink_metadata() else {
            return Ok(Answer::Absent(format!("`{}` does not exist", path.display())));
        };
        if !metadata.is_file() {
            return Err(Error::new(
                Kind::Checksum,
                format!("`{}` in the vendor folder is not a plain file", path.display()),
            )
            .hint("replace it by the archive itself"));
        }
        match hash_file(&path)? {
            found if same_digest(&found, &file.sha256) => {
                Ok(Answer::Found(Found { path, origin: "vendor".into() }))
            }
            found => Err(wrong_digest(&path.display().to_string(), &file.sha256, &found)),
        }
    }

    fn ask_cache(&self, file: &SourceFile) -> Result<Answer> {
        let Some(path) = self.cache.whole_archive(file, &self.report)? else {
            return Ok(Answer::Absent("not in the cache".into()));
        };
        let origin = self.cache.origin(&file.sha256).unwrap_or_else(|| "cache".into());
        Ok(Answer::Found(Found { path, origin }))
    }

    fn download(&self, urls: &[String], file: &SourceFile) -> Result<Answer> {
        let mut why = Vec::new();
        let mut wrong = None;
        for url in urls {
            self.report.detail(&format!("trying {url}"));
            let got = match local(url) {
                Some(path) => copy_local(path, file, &self.cache, &self.report),
                None => self.http.download(url, file, &self.cache),
            };
            match got {
                Ok(path) => return Ok(Answer::Found(Found { path, origin: url.clone() })),
                Err(Fault::Stop(error)) => return Err(*error),
                Err(Fault::Wrong(error)) => {
                    self.report.warn(&format!("{url} gives other bytes than the recipe pins"));
                    wrong = Some(error.detail(format!("from {url}")));
                }
                Err(Fault::Absent(text)) => why.push(format!("{url}: {text}")),
            }
        }
        if why.is_empty() && wrong.is_none() {
            why.push("no address is known".into());
        }
        Ok(wrong.map_or_else(|| Answer::Absent(why.join("\n")), Answer::Wrong))
    }

    fn ask_distribution(&self, recipe: &Recipe, file: &SourceFile) -> Result<Answer> {
        let Some(package) = &recipe.debian else {
            return Ok(Answer::Absent("the recipe names no source package".into()));
        };
        let folder = match self.apt.fetch(package, file)? {
            Ok(folder) => folder,
            Err(why) => return Ok(Answer::Absent(format!("source package {package}: {why}"))),
        };
        let origin = format!("{DISTRIBUTION}{}", folder.version);
        for signature in std::fs::read_dir(folder.scratch.path()).into_iter().flatten().flatten() {
            if signature.path().extension().is_some_and(|ending| ending == "asc") {
                self.cache.keep_signature(&signature.path(), &file.sha256)?;
            }
        }
        let path = self.cache.adopt(&folder.archive, &file.sha256, &origin)?;
        Ok(Answer::Found(Found { path, origin }))
    }
}
