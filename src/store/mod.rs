//! The store of finished trees, by plan hash: in the cache, from which any prefix
//! on this machine gets them by link, and in places that a fleet shares: a folder,
//! what a web server shows of it, or an OCI registry. A shared store is an OCI image
//! layout whose index is signed with minisign; what an index does not name by digest
//! is not looked at.

mod index;
mod layout;
mod local;
mod pack;
#[cfg(feature = "registry")]
mod registry;
mod sign;

use std::path::{Path, PathBuf};
use std::time::Duration;

use prefix::{Base, Manifest, Record};

use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder::Scratch;
use crate::python;
use crate::recipe::Recipes;
use crate::report::Report;
use crate::source::Sources;
use crate::stage::fetch::Tarball;
use crate::stage::smoke;
use crate::stage::unpack::unpack;
use crate::stage::verify::verify;

pub use index::Entry;
use index::{Index, Parts, Signed};
pub use local::{FOLDER, Trees};
pub use sign::{Signer, Trust};

/// A place that many machines share.
trait Shelf {
    /// The index with its signature; nothing where nothing was pushed yet.
    fn index(&self) -> Result<Option<Signed>>;
    /// A small blob, by its digest.
    fn small(&self, digest: &str) -> Result<Vec<u8>>;
    /// The archive of a tree, as a file that `scratch` may hold.
    fn archive(&self, parts: &Parts, scratch: &Path) -> Result<PathBuf>;
    /// Takes a tree in, under its plan hash.
    fn put(&self, parts: &Parts, plan: &str, archive: &Path) -> Result<()>;
    /// Replaces the index.
    fn put_index(&self, index: &Signed) -> Result<()>;
    /// Keeps others of this machine from replacing the index meanwhile.
    fn hold(&self) -> Result<Option<std::fs::File>>;
}

/// A shared store.
pub struct Store<'s> {
    shelf: Box<dyn Shelf + 's>,
    location: String,
}

impl<'s> Store<'s> {
    /// The store at a location: a folder, `https://…` (or `http`, `file`), or
    /// `oci://HOST/NAME`. Nothing is asked yet.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn open(location: &str, sources: &'s Sources) -> Result<Self> {
        let shelf: Box<dyn Shelf> = match location.split_once("://") {
            Some(("oci", name)) => registry(name)?,
            Some(("http" | "https" | "file", _)) => Box::new(layout::Site::new(location, sources)),
            Some((scheme, _)) => {
                return Err(Error::new(Kind::Usage, format!("`{location}` is no store"))
                    .detail("expected a folder, https://…, or oci://HOST/NAME")
                    .detail(format!("found    {scheme}://")));
            }
            None => Box::new(layout::Folder::new(location, sources)?),
        };
        Ok(Self { shelf, location: location.to_owned() })
    }

    /// The trees that are there, by those whom one trusts.
    ///
    /// # Errors
    /// When nothing is there, or the signature is wrong.
    pub fn entries(&self, trust: &Trust) -> Result<Vec<Entry>> {
        match self.index(trust)? {
            Some(index) => index.entries(),
            None => Err(Error::new(Kind::Network, format!("`{}` holds no trees", self.location))
                .hint("`mod_wsgi-httpd push` fills a store")),
        }
    }

    /// A reader between two writes sees an index with another's signature, once.
    fn index(&self, trust: &Trust) -> Result<Option<Index>> {
        let read = || match self.shelf.index()? {
            Some(signed) => {
                trust.check(&signed, &self.location)?;
                Index::parse(&signed.bytes, &self.location).map(Some)
            }
            None => Ok(None),
        };
        read().or_else(|error| {
            if error.kind != Kind::Checksum {
                return Err(error);
            }
            std::thread::sleep(Duration::from_millis(300));
            read()
        })
    }

    /// Brings a tree into the cache, checked file by file.
    ///
    /// # Errors
    /// When something differs from what the index names; nothing is kept then.
    pub fn pull(&self, entry: &Entry, trees: &Trees, report: &Report) -> Result<()> {
        let fresh = trees.scratch()?;
        let parts = Parts::parse(&self.shelf.small(&entry.digest)?, entry)?;
        let file = parts.file(&entry.plan);
        let path = self.shelf.archive(&parts, fresh.path())?;
        let tarball = Tarball { path, origin: self.location.clone() };
        let source = unpack(verify(&tarball, &file, fresh.path())?, fresh.path(), &[])?;
        let record = Record::read(&source.folder)?;
        let differences = Manifest::read(&source.folder)?.differences(&source.folder)?;
        if record.plan != entry.plan || !differences.is_empty() {
            let names = differences.into_iter().map(|(name, what)| format!("{name} {what}"));
            let error = Error::new(Kind::Checksum, format!("`{}` is no whole tree", file.name));
            return Err(names.take(5).fold(error, Error::detail));
        }
        trees.adopt(&source.folder, &entry.plan)?;
        report.step("Pulled", &format!("{} from {}", entry.plan, self.location));
        Ok(())
    }

    /// Shares a tree. Answers whether it was not there yet.
    ///
    /// # Errors
    /// When the store cannot be written, or others have signed what is there.
    pub fn push(&self, tree: &Path, signer: Option<&Signer>, scratch: &Path) -> Result<bool> {
        let _hold = self.shelf.hold()?;
        if signer.is_none() && self.shelf.index()?.is_some_and(|index| index.signature.is_some()) {
            return Err(Error::new(Kind::Usage, format!("`{}` is signed", self.location))
                .hint("name the key that it is signed with: --key FILE"));
        }
        let trust = signer.map_or(Ok(Trust::Everybody), Signer::trust)?;
        let mut index = self.index(&trust)?.unwrap_or_default();
        let record = Record::read(tree)?;
        let archive = scratch.join("tree.tar.gz");
        let parts = pack::pack(tree, &record.plan, &archive)?;
        let entry = Entry::of(&record, &parts);
        if index.entries()?.contains(&entry) {
            return Ok(false);
        }
        self.shelf.put(&parts, &record.plan, &archive)?;
        index.add(&entry);
        let bytes = index.to_bytes()?;
        let signature = signer.map(|signer| signer.sign(&bytes)).transpose()?;
        self.shelf.put_index(&Signed { bytes, signature })?;
        Ok(true)
    }
}

#[cfg(feature = "registry")]
fn registry(name: &str) -> Result<Box<dyn Shelf>> {
    Ok(Box::new(registry::Registry::new(name)?))
}

#[cfg(not(feature = "registry"))]
fn registry(name: &str) -> Result<Box<dyn Shelf>> {
    Err(Error::new(Kind::Usage, format!("this program was built without registries: `{name}`"))
        .hint("build it with them: cargo run --features registry -- …, or share a folder"))
}

/// Proves a tree that was built elsewhere, in a base's store, and moves it to its
/// place there.
///
/// # Errors
/// When it does not work on this machine; it is removed again then.
pub fn install(
    trees: &Trees,
    plan: &str,
    base: &Base,
    recipes: &Recipes,
    env: &Env,
    report: &Report,
) -> Result<()> {
    let place = Scratch::below(&base.store(), ".staging-")?;
    let tree = place.path();
    trees.place(plan, tree)?;
    let record = Record::read(tree)?;
    let chosen = record.python.as_ref().map(|python| python.executable.to_string_lossy());
    let python = chosen
        .map(|name| {
            python::find(Some(&name), env)
                .map_err(|error| error.hint("the tree's mod_wsgi.so is for that Python alone"))
        })
        .transpose()?;
    let scratch = crate::place::Work::temporary()?;
    let parts = record.components.iter().filter_map(|part| {
        let recipe = recipes.find(&part.name).ok()?;
        Some((recipe, part.version.as_str()))
    });
    smoke::prove(tree, parts, scratch.path(), python.as_ref(), env, report)?;
    place.move_to(&base.tree(plan))
}
