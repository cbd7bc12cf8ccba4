//! Links: shared libraries, modules and programs that find what they need
//! beside themselves, and show nothing of what is inside them.

use std::ffi::OsString;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::unknown_release;
use crate::engine::component::Component;
use crate::engine::pool::Work;
use crate::error::{Error, Kind, Result};
use crate::folder::make_parent;

/// Where programs and libraries of a tree find the libraries of the tree. Given
/// as an argument, so that no shell reads the dollar.
const RUN_PATH: &str = "-Wl,-rpath,$ORIGIN/../lib";

/// What is linked.
pub(super) struct Link<'l> {
    pub(super) objects: &'l [PathBuf],
    pub(super) output: PathBuf,
    pub(super) flags: Vec<OsString>,
    /// Archives and `-l` flags.
    pub(super) libraries: Vec<OsString>,
}

impl Link<'_> {
    /// The work of linking it.
    pub(super) fn work(self, component: &Component<'_>) -> Result<Work> {
        make_parent(&self.output)?;
        let name = self.output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let cc = component.job.plan.toolchain.cc.to_string_lossy();
        let program = component
            .program(&cc, component.job.work)
            .arg("-o")
            .arg(&self.output)
            .args([RUN_PATH, "-Wl,--as-needed", "-Wl,--exclude-libs,ALL"])
            .args(&self.flags)
            .args(self.objects)
            .args(&self.libraries);
        Ok(Work {
            weight: LINK_WEIGHT,
            program,
            log: component.log(&format!("link-{name}")),
            recall: None,
        })
    }
}

/// A library of the tree with the names that libtool would give it.
pub(super) fn shared_library(
    component: &Component<'_>,
    folder: &Path,
    objects: &[PathBuf],
    (stem, version): (&str, &Version),
    libraries: Vec<OsString>,
) -> Result<()> {
    let libs = folder.join(".libs");
    let soname = format!("{stem}.so.0");
    let file = format!("{soname}.{}.{}", version.minor, version.patch);
    let flags = vec!["-shared".into(), format!("-Wl,-soname,{soname}").into()];
    let link = Link { objects, output: libs.join(&file), flags, libraries };
    component.machine.pool.run(vec![link.work(component)?])?;
    for name in [soname, format!("{stem}.so")] {
        let place = libs.join(name);
        symlink(&file, &place).map_err(Error::io(Kind::Compile, "link", &place))?;
    }
    Ok(())
}

/// A release as its own header numbers it.
pub(super) struct Version {
    pub(super) minor: String,
    pub(super) patch: String,
}

impl Version {
    /// `#define PREFIX_MINOR_VERSION 7` and its like.
    pub(super) fn read(header: &str, prefix: &str) -> Result<Self> {
        let number = |part: &str| {
            let name = format!("{prefix}_{part}_VERSION");
            let value = header.lines().find_map(|line| {
                let mut words = line.strip_prefix("#define")?.split_whitespace();
                (words.next()? == name).then(|| words.next())?
            });
            value
                .map(str::to_owned)
                .ok_or_else(|| unknown_release(format!("the release's headers do not say {name}")))
        };
        Ok(Self { minor: number("MINOR")?, patch: number("PATCH")? })
    }
}

/// Links come after all objects, and each takes little time.
const LINK_WEIGHT: u64 = 1;
