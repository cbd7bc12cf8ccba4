//! The Python that the module is for, where it lies: as it lay when the module was
//! built, or, for a module that came with a package (`install --portable`), around the
//! module, at the Python home, or where the machine keeps its programs.

use std::path::{Path, PathBuf};

use crate::python;

/// The interpreter. A name without a place is that of one that was not found.
pub(crate) fn program() -> String {
    let known = Path::new(env!("MOD_WSGI_PYTHON"));
    if known.is_absolute() {
        return env!("MOD_WSGI_PYTHON").to_owned();
    }
    let found = environment().or_else(|| on_search_path(known)).unwrap_or_else(|| known.to_owned());
    found.to_string_lossy().into_owned()
}

/// Its shared library, which the loader looks for if only its name is known; none when
/// the Python that the module was built for has none.
pub(crate) fn library(home: Option<&str>) -> Option<PathBuf> {
    let known = PathBuf::from(env!("MOD_WSGI_LIBPYTHON"));
    if known.as_os_str().is_empty() || known.is_absolute() {
        return Some(known).filter(|known| known.is_absolute());
    }
    let home = home.map(PathBuf::from).or_else(|| {
        let program = PathBuf::from(program());
        Some(program.parent()?.parent()?.to_owned())
    });
    let base = home.map(|home| base_of(&home)).unwrap_or_default();
    let places = ["lib", "lib64"].map(|folder| base.join(folder).join(&known));
    Some(places.into_iter().find(|file| file.is_file()).unwrap_or(known))
}

/// The interpreter of the environment that this module was installed into, in
/// `lib/pythonX.Y/site-packages/mod_wsgi_packages/httpd/modules`.
fn environment() -> Option<PathBuf> {
    let own = python::own_folder()?;
    let program = own.ancestors().nth(6)?.join("bin").join(env!("MOD_WSGI_PYTHON"));
    program.is_file().then_some(program)
}

#[expect(
    clippy::disallowed_methods,
    reason = "httpd's own environment, which nobody else reads in the module"
)]
fn on_search_path(name: &Path) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(USUAL.map(PathBuf::from));
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// The prefix of the Python that a virtual environment was made with; any other home is
/// its own.
fn base_of(home: &Path) -> PathBuf {
    let text = std::fs::read_to_string(home.join("pyvenv.cfg")).unwrap_or_default();
    let programs = text.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == "home").then(|| Path::new(value.trim()).parent())?
    });
    programs.unwrap_or(home).to_owned()
}

/// Where programs lie when httpd was started without a search path.
const USUAL: [&str; 2] = ["/usr/local/bin", "/usr/bin"];
