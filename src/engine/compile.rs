//! C files to objects and static libraries, by the pool of the build.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::component::{Component, matches, write};
use super::objects::Recall;
use super::pool::{Work, acquire};
use super::text::fill;
use crate::error::{Error, Kind, Result};
use crate::folder::make_parent;
use crate::recipe::Compile;

/// One C file to compile.
pub(super) struct Unit<'u> {
    /// Folder that the compiler runs in.
    pub(super) folder: &'u Path,
    /// The file, as the compiler is told: relative to the folder, it is what
    /// `__FILE__` says.
    pub(super) source: &'u str,
    pub(super) object: &'u Path,
    pub(super) flags: &'u [OsString],
}

impl Component<'_> {
    /// Writes the files that the recipe makes before anything is compiled.
    pub(super) fn generate(&self, rules: &Compile, folder: &Path) -> Result<()> {
        let names = self.names();
        for (path, text) in &rules.generate {
            let text = match text.strip_prefix('@') {
                Some(from) => {
                    let from = folder.join(from);
                    std::fs::read_to_string(&from).map_err(Error::io(
                        Kind::Compile,
                        "read",
                        &from,
                    ))?
                }
                None => fill(text, &names),
            };
            write(&folder.join(path), &text)?;
        }
        Ok(())
    }

    /// Compiles the recipe's files into its library.
    pub(super) fn compile(&self, rules: &Compile, folder: &Path) -> Result<()> {
        let mut sources = Vec::new();
        for pattern in &rules.sources {
            sources.extend(matches(folder, pattern)?);
        }
        sources.retain(|path| !rules.exclude.iter().any(|name| path.ends_with(name)));
        let mut flags: Vec<OsString> =
            ["-fPIC", "-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", "-w"]
                .map(OsString::from)
                .into();
        flags.extend(rules.defines.iter().map(|name| format!("-D{name}").into()));
        let folders = rules.include.iter().map(|below| folder.join(below));
        flags.extend(
            folders.filter(|path| path.is_dir()).map(|path| format!("-I{}", path.display()).into()),
        );
        let objects: Vec<PathBuf> =
            (0..sources.len()).map(|index| folder.join(format!("{index:03}.o"))).collect();
        let works = sources.iter().zip(&objects).map(|(source, object)| {
            let source = source.to_string_lossy();
            self.unit(&Unit { folder, source: &source, object, flags: &flags })
        });
        self.machine.pool.run(works.collect())?;
        let library = self.place.join("lib").join(&rules.library);
        make_parent(&library)?;
        let _token = acquire(self.machine.jobs)?;
        self.archive(&library, folder, &objects)
    }

    /// Makes a static library.
    pub(super) fn archive(&self, library: &Path, folder: &Path, objects: &[PathBuf]) -> Result<()> {
        self.program("ar", folder)
            .arg("rcsD")
            .arg(library)
            .args(objects)
            .run_logged(Kind::Compile, &self.log("archive"))
    }

    /// The work of compiling one file.
    pub(super) fn unit(&self, unit: &Unit<'_>) -> Work {
        let path = unit.folder.join(unit.source);
        let toolchain = &self.job.plan.toolchain;
        let program = match &self.job.launcher {
            Some(launcher) => {
                self.program(&launcher.to_string_lossy(), unit.folder).arg(&toolchain.cc)
            }
            None => self.program(&toolchain.cc.to_string_lossy(), unit.folder),
        };
        let program = program
            .arg(self.job.plan.profile.flag())
            .arg(self.prefix_map())
            .args(unit.flags)
            .arg("-MD")
            .arg("-MF")
            .arg(Recall::dependencies(unit.object))
            .args(["-c", unit.source, "-o"])
            .arg(unit.object);
        let name = path.strip_prefix(self.job.work).unwrap_or(&path).to_string_lossy();
        let recall = self.machine.objects.recall(
            &toolchain.compiler,
            program.shown(),
            unit.folder,
            &path,
            unit.object,
        );
        Work {
            weight: weight(&path),
            log: self.log(&format!("compile-{}", name.replace('/', "-"))),
            program,
            recall: Some(recall),
        }
    }
}

/// How long a file takes: its size, but for those that take far longer than
/// others of that size.
fn weight(source: &Path) -> u64 {
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let factor = SLOW.iter().find(|(slow, _)| *slow == name).map_or(1, |(_, factor)| *factor);
    source.metadata().map_or(0, |metadata| metadata.len()) * factor
}

/// Seen on gcc 12: 5 s and more each.
const SLOW: &[(&str, u64)] = &[("pcre2_match.c", 8), ("backward_references.c", 100)];
