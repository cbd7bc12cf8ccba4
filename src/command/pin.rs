//! `pin`: fetches a release that no recipe knows, checks its signature by the
//! keys that the recipe pins, and prints the lines that add it to the recipe.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::Context;
use crate::cli::PinArgs;
use crate::digest::hash_reader;
use crate::error::{Error, Kind, Result};
use crate::place::Work;
use crate::recipe::{Recipe, Recipes, Signature, SourceFile};
use crate::source::Sources;
use crate::stage::fetch::Tarball;
use crate::stage::unpack::unpack;
use crate::stage::verify::verify;

/// Prints the release's lines for its recipe.
pub(super) fn pin(context: &Context<'_>, args: &PinArgs) -> Result<()> {
    let recipes = context.recipes()?;
    let recipe = recipes.find(&args.name)?;
    let sources = context.sources(&args.request)?;
    let work = Work::temporary()?;
    let mut file = named_like_the_newest(recipe, &args.version)?;
    let archive = match &args.archive {
        Some(path) => path.clone(),
        None => download(&sources, &file, work.path())?,
    };
    let open = || File::open(&archive).map_err(Error::io(Kind::Network, "open", &archive));
    file.size = open()?.metadata().map_err(Error::io(Kind::Network, "inspect", &archive))?.len();
    file.sha256 = hash_reader(&mut open()?).map_err(Error::io(Kind::Network, "read", &archive))?;
    let signer = match &file.signature {
        Some(signature) if !args.without_signature => {
            Some(check_signature(args, &recipes, &sources, &file, signature, open()?)?)
        }
        None if !args.without_signature => {
            return Err(Error::new(Kind::Checksum, format!("nobody signs `{}`", file.name)).hint(
                "compare its digest with what upstream publishes, then add --without-signature",
            ));
        }
        _ => None,
    };
    // An archive that could not be unpacked has no place in a recipe.
    let tarball = Tarball { path: archive.clone(), origin: String::new() };
    let mut verified = verify(&tarball, &file, work.path())?;
    let tar = hash_reader(&mut verified.tar).map_err(Error::io(Kind::Unpack, "read", &archive))?;
    unpack(verify(&tarball, &file, work.path())?, work.path(), &[])?;
    file.tar_sha256 = Some(tar);
    match &signer {
        Some(signer) => context.report.step("Verified", &format!("signature by {signer}")),
        None => context.report.warn(&format!("nothing vouches for {} but you", file.name)),
    }
    let text = lines(&args.version, &file);
    let value = json!({ "sha256": file.sha256, "size": file.size, "signer": signer, "toml": text });
    context.report.result(&text, value);
    Ok(())
}

/// The newest release's first file with an address, under another number.
fn named_like_the_newest(recipe: &Recipe, version: &str) -> Result<SourceFile> {
    version.parse::<crate::recipe::Version>().map_err(|why| Error::new(Kind::Usage, why))?;
    let (old, file) = recipe
        .releases
        .iter()
        .find_map(|release| {
            Some((&release.version, release.files.iter().find(|file| !file.urls.is_empty())?))
        })
        .ok_or_else(|| {
            Error::new(Kind::Recipe, format!("the recipe `{}` has no address", recipe.name))
        })?;
    // Some write `R_2_8_3` in an address.
    let renamed = |text: &str| {
        text.replace(old.as_str(), version)
            .replace(&old.as_str().replace('.', "_"), &version.replace('.', "_"))
    };
    Ok(SourceFile {
        name: renamed(&file.name),
        urls: file.urls.iter().map(|url| renamed(url)).collect(),
        folder: renamed(&file.folder),
        tar_sha256: None,
        ..file.clone()
    })
}

fn download(sources: &Sources, file: &SourceFile, folder: &Path) -> Result<PathBuf> {
    let bytes =
        file.urls.iter().find_map(|url| sources.unpinned(url, LARGEST).ok()).ok_or_else(|| {
            let error = Error::new(Kind::Network, format!("no source has `{}`", file.name));
            file.urls
                .iter()
                .fold(error, |error, url| error.detail(format!("tried {url}")))
                .hint("name a file of yours with --archive")
        })?;
    let path = folder.join(&file.name);
    std::fs::write(&path, bytes).map_err(Error::io(Kind::Network, "write", &path))?;
    Ok(path)
}

fn check_signature(
    args: &PinArgs,
    recipes: &Recipes,
    sources: &Sources,
    file: &SourceFile,
    signature: &Signature,
    archive: File,
) -> Result<String> {
    let bytes = match &args.signature {
        Some(path) => {
            std::fs::read(path).map_err(Error::io(Kind::Checksum, "read signature", path))?
        }
        None => file
            .urls
            .iter()
            .find_map(|url| sources.unpinned(&format!("{url}{}", signature.suffix), 1 << 16).ok())
            .ok_or_else(|| {
                Error::new(Kind::Checksum, format!("the signature of `{}` is missing", file.name))
                    .hint("name a file of yours with --signature, or add --without-signature")
            })?,
    };
    let keys: Vec<Vec<u8>> = signature.keys.iter().filter_map(|key| recipes.key(key)).collect();
    verdict(archive, &bytes, &keys, &signature.keys).map_err(|why| {
        Error::new(Kind::Checksum, format!("the signature of `{}` proves nothing", file.name))
            .detail(why)
    })
}

#[cfg(feature = "openpgp")]
use crate::openpgp::check as verdict;

/// A build without OpenPGP refuses what it cannot check.
#[cfg(not(feature = "openpgp"))]
fn verdict(
    _archive: File,
    _signature: &[u8],
    _keys: &[Vec<u8>],
    _pinned: &[String],
) -> std::result::Result<String, String> {
    Err("this program was built without OpenPGP: cargo build --features openpgp".into())
}

/// The release as a recipe has it.
fn lines(version: &str, file: &SourceFile) -> String {
    let mut text = format!(
        "[[release]]\nversion = {version:?}\n\n[[release.file]]\nname = {:?}\nurls = [\n",
        file.name
    );
    for url in &file.urls {
        text.push_str(&format!("    {url:?},\n"));
    }
    text.push_str(&format!("]\nsha256 = {:?}\n", file.sha256));
    if let Some(tar) = &file.tar_sha256 {
        text.push_str(&format!("tar-sha256 = {tar:?}\n"));
    }
    text.push_str(&format!("size = {}\nfolder = {:?}\n", file.size, file.folder));
    if let Some(signature) = &file.signature {
        text.push_str(&format!(
            "signature = {{ suffix = {:?}, keys = {:?} }}\n",
            signature.suffix, signature.keys
        ));
    }
    text
}

/// Bytes; OpenSSL's, the largest, has 53 million.
const LARGEST: u64 = 200 << 20;
