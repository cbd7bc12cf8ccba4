//! A tree as one archive: the same tree gives the same bytes.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use prefix::{Difference, Manifest, hash_file};
use tar::{Builder, EntryType, Header};

use super::index::Parts;
use crate::error::{Error, Kind, Result};
use crate::folder;

/// Packs a whole tree below a folder named by its plan hash. Files of others in it
/// stay out.
pub(super) fn pack(tree: &Path, plan: &str, to: &Path) -> Result<Parts> {
    let manifest = Manifest::read(tree)?;
    let mut differences = manifest.differences(tree)?;
    differences.retain(|_, difference| *difference != Difference::Unknown);
    if !differences.is_empty() {
        let text = format!("`{}` is not as it was installed", tree.display());
        let error = Error::new(Kind::Install, text);
        let names = differences.into_iter().map(|(name, what)| format!("{name} {what}"));
        return Err(names.take(5).fold(error, Error::detail).hint("install it anew: --force"));
    }
    let failed = Error::io(Kind::Install, "write", to);
    write(tree, plan, &manifest, to).map_err(failed)?;
    let size = to.metadata().map_err(Error::io(Kind::Install, "inspect", to))?.len();
    Parts::new(hash_file(to)?, size)
}

fn write(tree: &Path, plan: &str, manifest: &Manifest, to: &Path) -> std::io::Result<()> {
    let gzip = GzEncoder::new(BufWriter::new(File::create(to)?), Compression::default());
    let mut archive = Builder::new(gzip);
    let ours = manifest.entries.keys().cloned().chain([Manifest::FILE.to_owned()]);
    // A folder that is empty stands in no manifest.
    let empty = folder::items(tree).unwrap_or_default().into_iter();
    let empty =
        empty.filter(|path| path.is_dir() && folder::items(path).is_ok_and(|i| i.is_empty()));
    let empty = empty.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    let mut names: Vec<String> = ours.chain(empty).collect();
    names.sort();
    for name in names {
        let path = tree.join(&name);
        let metadata = path.symlink_metadata()?;
        let mut header = Header::new_gnu();
        header.set_mtime(0);
        header.set_size(0);
        let inside = Path::new(plan).join(&name);
        if metadata.is_symlink() {
            header.set_entry_type(EntryType::Symlink);
            header.set_mode(0o777);
            archive.append_link(&mut header, inside, std::fs::read_link(&path)?)?;
        } else if metadata.is_dir() {
            header.set_entry_type(EntryType::Directory);
            header.set_mode(0o755);
            archive.append_data(&mut header, inside, std::io::empty())?;
        } else {
            header.set_mode(metadata.permissions().mode() & 0o777);
            header.set_size(metadata.len());
            archive.append_data(&mut header, inside, File::open(&path)?)?;
        }
    }
    archive.into_inner()?.finish()?.flush()
}
