//! What the programs and libraries of a tree are linked to: nothing outside it
//! but libc and its kin, and nothing of a private component visible from
//! outside the file that it is linked into.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, FileHeader64};
use object::read::elf::{ElfFile64, FileHeader as _};
use object::{Endianness, Object as _, ObjectSymbol as _};

use crate::error::{Error, Kind, Result};

/// What the dynamic linker sees of a file.
#[derive(Debug, Default)]
pub struct Linkage {
    /// Libraries needed, by soname.
    pub needed: Vec<String>,
    /// RPATH or RUNPATH.
    pub run_path: Option<String>,
    /// Dynamic symbols that it defines.
    pub defines: BTreeSet<String>,
    /// Dynamic symbols that it wants.
    pub wants: BTreeSet<String>,
}

/// Reads a file; `None` when it is no ELF file.
///
/// # Errors
/// When the file cannot be read or is a broken ELF file.
pub fn read(path: &Path) -> Result<Option<Linkage>> {
    let bytes = std::fs::read(path).map_err(Error::io(Kind::Install, "read", path))?;
    if !bytes.starts_with(b"\x7fELF") {
        return Ok(None);
    }
    parse(&bytes).map(Some).map_err(|source| {
        Error::new(Kind::Install, format!("`{}` is no sound ELF file", path.display()))
            .caused_by(source)
    })
}

fn parse(bytes: &[u8]) -> object::read::Result<Linkage> {
    let file: ElfFile64<'_, Endianness> = ElfFile64::parse(bytes)?;
    let header = FileHeader64::<Endianness>::parse(bytes)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, bytes)?;
    let mut linkage = Linkage::default();
    if let Some((entries, strings)) = sections.dynamic(endian, bytes)? {
        let strings = sections.strings(endian, bytes, strings)?;
        let text = |offset: u64| {
            let name = u32::try_from(offset).ok().and_then(|offset| strings.get(offset).ok());
            String::from_utf8_lossy(name.unwrap_or_default()).into_owned()
        };
        for entry in entries {
            let value = entry.d_val.get(endian);
            let tag = entry.d_tag.get(endian);
            if tag == DT_NEEDED {
                linkage.needed.push(text(value));
            } else if tag == DT_RPATH || tag == DT_RUNPATH {
                linkage.run_path = Some(text(value));
            }
        }
    }
    for symbol in file.dynamic_symbols() {
        let name = symbol.name()?.to_owned();
        if symbol.is_undefined() {
            linkage.wants.insert(name);
        } else {
            linkage.defines.insert(name);
        }
    }
    Ok(linkage)
}

/// All ELF files of a tree, by path.
///
/// # Errors
/// When one cannot be read.
pub fn read_tree(tree: &Path) -> Result<BTreeMap<PathBuf, Linkage>> {
    let mut found = BTreeMap::new();
    for folder in ["bin", "lib", "modules"] {
        let Ok(items) = std::fs::read_dir(tree.join(folder)) else { continue };
        for item in items.flatten() {
            let path = item.path();
            let is_file = path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
            if is_file && let Some(linkage) = read(&path)? {
                found.insert(path, linkage);
            }
        }
    }
    Ok(found)
}

/// Checks a tree. `hidden` are the first letters of names that private
/// components define; `allowed` are further libraries of the machine.
///
/// # Errors
/// Naming the file and what is wrong with it.
pub fn check(
    files: &BTreeMap<PathBuf, Linkage>,
    tree: &Path,
    hidden: &[String],
    allowed: &[&str],
) -> Result<()> {
    for (path, linkage) in files {
        let wrong = |text: String| {
            Err(Error::new(Kind::Install, format!("`{}` is linked wrongly", path.display()))
                .detail(text))
        };
        let mut needs_ours = false;
        for name in &linkage.needed {
            let ours = tree.join("lib").join(name).exists();
            needs_ours |= ours;
            let kin = KIN.iter().chain(allowed).any(|start| name.starts_with(start));
            if !ours && !kin {
                return wrong(format!(
                    "it needs `{name}`, which is neither in the prefix nor of libc's kin"
                ));
            }
        }
        match linkage.run_path.as_deref() {
            Some(RUN_PATH) => {}
            None if !needs_ours => {}
            found => return wrong(format!("expected run path `{RUN_PATH}`, found {found:?}")),
        }
        let shows = |name: &&String| hidden.iter().any(|start| name.starts_with(start.as_str()));
        if let Some(name) = linkage.defines.iter().find(shows) {
            return wrong(format!("it shows `{name}`, which must be hidden in it"));
        }
    }
    Ok(())
}

/// Where a program of the tree finds its libraries, wherever the tree lies.
const RUN_PATH: &str = "$ORIGIN/../lib";

/// Starts of sonames that every system with a C compiler has.
const KIN: [&str; 11] = [
    "libc.so",
    "libc.musl",
    "libm.so",
    "libdl.so",
    "libpthread.so",
    "librt.so",
    "libcrypt.so",
    "libresolv.so",
    "libgcc_s.so",
    "ld-linux",
    "ld64.so",
];
