//! `apxs -i`, `-a`, `-A`, `-e`: a module's file into the modules folder, its
//! LoadModule line into httpd.conf. Both by rename, so that a running server
//! never sees half of one.

use std::path::{Path, PathBuf};

use prefix::BuildVars;

use super::Apxs;
use crate::error::{Error, Kind, Result};
use crate::folder::set_mode;
use crate::report::Report;
use crate::stage::link;

pub(super) fn install(
    apxs: &Apxs,
    files: &[PathBuf],
    vars: &BuildVars,
    report: &Report,
) -> Result<()> {
    if apxs.name.is_some() && files.len() > 1 {
        return Err(super::usage("`-n` names one module, but there are several files"));
    }
    let folder = PathBuf::from(vars.value("LIBEXECDIR").unwrap_or_default());
    let mut lines = Vec::new();
    for file in files {
        let library = library(file)?;
        let file_name = library.file_name().unwrap_or_default();
        let target = folder.join(file_name);
        if apxs.install {
            copy(&library, &folder, &target)?;
            report.step("Installed", &target.display().to_string());
        }
        if apxs.activate || apxs.prepare {
            let name = match &apxs.name {
                Some(name) => name.strip_suffix("_module").unwrap_or(name).to_owned(),
                None => name_of(if library.is_file() { &library } else { &target })?,
            };
            let shown = target.strip_prefix(vars.prefix()).unwrap_or(&target).to_owned();
            lines.push(Line { name, file: shown.display().to_string() });
        }
    }
    if lines.is_empty() {
        return Ok(());
    }
    let server = vars.value("progname").unwrap_or_else(|| "httpd".into());
    let configuration =
        PathBuf::from(vars.value("sysconfdir").unwrap_or_default()).join(format!("{server}.conf"));
    edit(&configuration, &lines, apxs.activate, report)
}

/// A LoadModule line.
struct Line {
    /// Without `_module`.
    name: String,
    file: String,
}

/// The shared object behind a `.la` file, or the file itself.
fn library(file: &Path) -> Result<PathBuf> {
    if file.extension().is_none_or(|ending| ending != "la") {
        return Ok(file.to_owned());
    }
    let text = std::fs::read_to_string(file).map_err(Error::io(Kind::Module, "read", file))?;
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("dlname='")?.strip_suffix('\''))
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Error::new(Kind::Module, format!("`{}` names no shared object", file.display()))
        })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let built = folder.join(".libs").join(name);
    Ok(if built.is_file() { built } else { folder.join(name) })
}

fn copy(library: &Path, folder: &Path, target: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::io(Kind::Module, "make folder", folder))?;
    let fresh = tempfile::NamedTempFile::new_in(folder).map_err(Error::io(
        Kind::Module,
        "write to",
        folder,
    ))?;
    std::fs::copy(library, fresh.path()).map_err(Error::io(Kind::Module, "copy", library))?;
    set_mode(fresh.path(), 0o755)?;
    fresh
        .persist(target)
        .map(drop)
        .map_err(|error| Error::io(Kind::Module, "install", target)(error.error))
}

/// The name of a module's record, as the file itself tells it.
fn name_of(library: &Path) -> Result<String> {
    let linkage = link::read(library)?;
    let names: Vec<String> = linkage
        .iter()
        .flat_map(|linkage| &linkage.defines)
        .filter_map(|symbol| symbol.strip_suffix("_module"))
        .map(str::to_owned)
        .collect();
    match names.as_slice() {
        [name] => Ok(name.clone()),
        found => Err(Error::new(
            Kind::Module,
            format!("`{}` does not say which module it is", library.display()),
        )
        .detail("expected one symbol that ends in `_module`")
        .detail(format!("found    {found:?}"))
        .hint("name it with -n NAME")),
    }
}

fn edit(configuration: &Path, lines: &[Line], active: bool, report: &Report) -> Result<()> {
    // Behind a link it is the file that changes, not the link.
    let configuration = &configuration.canonicalize().unwrap_or_else(|_| configuration.to_owned());
    let read = Error::io(Kind::Module, "read", configuration);
    let old = std::fs::read_to_string(configuration).map_err(read)?;
    let mut text = old.clone();
    for line in lines {
        text = with_line(&text, line, active).ok_or_else(|| {
            Error::new(
                Kind::Module,
                format!("`{}` has no LoadModule line to go by", configuration.display()),
            )
            .hint(format!("add `LoadModule {}_module {}` by hand", line.name, line.file))
        })?;
        let verb = if active { "Activated" } else { "Prepared" };
        report.step(verb, &format!("module {} in {}", line.name, configuration.display()));
    }
    if text == old {
        return Ok(());
    }
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(Error::io(Kind::Module, "write", path))
    };
    let fresh = configuration.with_extension("conf.new");
    write(&configuration.with_extension("conf.bak"), &old)?;
    write(&fresh, &text)?;
    if let Ok(metadata) = configuration.metadata() {
        std::fs::set_permissions(&fresh, metadata.permissions()).map_err(Error::io(
            Kind::Module,
            "write",
            &fresh,
        ))?;
    }
    std::fs::rename(&fresh, configuration).map_err(Error::io(Kind::Module, "write", configuration))
}

/// The configuration with that line: in the place of one that loads the same
/// module, else after the last one that loads any.
fn with_line(text: &str, line: &Line, active: bool) -> Option<String> {
    let mark = if active { "" } else { "#" };
    let fresh = format!("{mark}LoadModule {}_module {}", line.name, quoted(&line.file));
    let mut lines: Vec<&str> = text.lines().collect();
    let module = format!("{}_module", line.name);
    match lines.iter().position(|line| loaded_module(line) == Some(module.as_str())) {
        Some(place) => lines[place] = &fresh,
        None => {
            let last = lines.iter().rposition(|line| loaded_module(line).is_some())?;
            lines.insert(last + 1, &fresh);
        }
    }
    Some(lines.join("\n") + "\n")
}

/// The module that a line loads, or would if it were not commented out.
fn loaded_module(line: &str) -> Option<&str> {
    let line = line.trim_start().trim_start_matches('#').trim_start();
    let mut words = line.split_whitespace();
    words.next().filter(|word| word.eq_ignore_ascii_case("LoadModule"))?;
    words.next().filter(|word| word.ends_with("_module"))
}

fn quoted(path: &str) -> String {
    if path.contains(' ') { format!("\"{path}\"") } else { path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line { name: "wsgi".into(), file: "modules/mod_wsgi.so".into() }
    }

    #[test]
    fn a_new_line_follows_the_last_one() {
        let text = "LoadModule a_module x\n#LoadModule b_module y\nListen 80\n";
        let new = with_line(text, &line(), true).unwrap();
        assert_eq!(
            new,
            "LoadModule a_module x\n#LoadModule b_module y\nLoadModule wsgi_module modules/mod_wsgi.so\nListen 80\n"
        );
        assert_eq!(with_line(&new, &line(), true).as_deref(), Some(new.as_str()), "twice is once");
    }

    #[test]
    fn a_line_for_the_same_module_is_replaced() {
        let text = "#  LoadModule wsgi_module /old.so\n";
        assert_eq!(
            with_line(text, &line(), false).as_deref(),
            Some("#LoadModule wsgi_module modules/mod_wsgi.so\n")
        );
        assert_eq!(with_line("Listen 80\n", &line(), true), None);
    }
}
