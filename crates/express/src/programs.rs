//! The programs that are used: the private httpd before any other one, with its
//! modules and `mod_wsgi.so`, and the Python that the module is for.

use std::path::{Path, PathBuf};

use prefix::{Base, Record};

use crate::caller::Caller;
use crate::error::{Error, Result};
use crate::options::Files;

/// Folders of modules that foreign httpds have.
const FOREIGN_MODULES: [&str; 4] = [
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/local/apache2/modules",
];

/// What the server is made of.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// The program httpd.
    pub httpd: PathBuf,
    /// Where its modules lie.
    pub modules: PathBuf,
    /// The module.
    pub module: PathBuf,
    /// The program rotatelogs.
    pub rotatelogs: PathBuf,
    /// `sys.prefix` of the Python that applications run in.
    pub python_home: Option<PathBuf>,
    /// The table of MIME types.
    pub mime_types: String,
}

impl Programs {
    /// Finds them: the options first, then `HTTPD` in the environment, then the
    /// private httpd that this program belongs to, or that the active Python has.
    ///
    /// # Errors
    /// When there is no httpd, or it has no module.
    pub(crate) fn find(caller: &Caller, files: &Files, rotatelogs: Option<&str>) -> Result<Self> {
        let own = own_tree(caller);
        let named = files.httpd_executable.as_deref().or_else(|| caller.variable("HTTPD"));
        let httpd = match (named, &own) {
            (Some(name), _) => {
                caller.find_program(name).filter(|path| path.is_file()).ok_or_else(|| {
                    Error::usage(format!("option --httpd-executable: there is no `{name}`"))
                })?
            }
            (None, Some(tree)) => tree.join("bin/httpd"),
            (None, None) => {
                return Err(Error::failed("there is no private httpd")
                    .hint("`mod_wsgi-httpd install` builds it; --httpd-executable names another"));
            }
        };
        let tree = tree_of(&httpd);
        let modules = match (&files.modules_directory, &tree) {
            (Some(folder), _) => PathBuf::from(caller.absolute(folder)),
            (None, Some(tree)) => tree.join("modules"),
            (None, None) => foreign_modules(&httpd)?,
        };
        let module = [
            Some(modules.clone()),
            tree.clone().map(|t| t.join("modules")),
            own.clone().map(|t| t.join("modules")),
        ]
        .into_iter()
        .flatten()
        .map(|folder| folder.join("mod_wsgi.so"))
        .find(|file| file.is_file())
        .ok_or_else(|| {
            Error::failed(format!("there is no mod_wsgi.so in `{}`", modules.display()))
                .hint("`mod_wsgi-httpd install` builds it with httpd")
        })?;
        let rotatelogs = match rotatelogs {
            Some(name) => caller.find_program(name),
            None => httpd.parent().map(|folder| folder.join("rotatelogs")),
        };
        Ok(Self {
            rotatelogs: rotatelogs.unwrap_or_else(|| PathBuf::from("rotatelogs")),
            python_home: python_home(caller, tree.as_deref().or(own.as_deref())),
            mime_types: mime_types(files, tree.as_deref()),
            httpd,
            modules,
            module,
        })
    }

    /// Whether httpd has a module as a file.
    #[must_use]
    pub(crate) fn has(&self, name: &str) -> bool {
        self.file(name).is_file()
    }

    /// Python itself, for what runs outside of httpd.
    #[must_use]
    pub(crate) fn python(&self) -> PathBuf {
        let bin = self.python_home.as_ref().map(|home| home.join("bin"));
        let found = bin.and_then(|bin| {
            ["python3", "python"].map(|name| bin.join(name)).into_iter().find(|file| file.is_file())
        });
        found.unwrap_or_else(|| PathBuf::from("python3"))
    }

    /// The file of a module.
    #[must_use]
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.modules.join(format!("mod_{name}.so"))
    }
}

/// The tree that this program lies in, else that of the active Python.
fn own_tree(caller: &Caller) -> Option<PathBuf> {
    let program = caller.program.canonicalize().ok()?;
    if let Some(tree) = tree_of(&program) {
        return Some(tree);
    }
    let active = caller.variable("VIRTUAL_ENV").map(PathBuf::from);
    let python = || caller.find_program("python3")?.canonicalize().ok();
    let prefix = active.or_else(|| Some(python()?.parent()?.parent()?.to_owned()))?;
    let base = Base::new(prefix.join("lib/mod_wsgi-httpd"));
    base.record().ok().map(|_| base.current())
}

/// The tree that a program lies in, by the link that outlives an update.
fn tree_of(program: &Path) -> Option<PathBuf> {
    let real = program.canonicalize().ok()?;
    let tree = real.parent()?.parent()?;
    tree.join(Record::FILE).is_file().then_some(())?;
    let name = tree.file_name()?.to_str()?;
    let base = Base::around(tree);
    let current = base.filter(|base| base.links().current.as_deref() == Some(name));
    Some(current.map_or_else(|| tree.to_owned(), |base| base.current()))
}

fn foreign_modules(httpd: &Path) -> Result<PathBuf> {
    let beside = httpd.parent().and_then(Path::parent).map(|folder| folder.join("modules"));
    beside
        .into_iter()
        .chain(FOREIGN_MODULES.map(PathBuf::from))
        .find(|folder| folder.join("mod_mime.so").is_file())
        .ok_or_else(|| {
            Error::usage(format!("the modules of `{}` were not found", httpd.display()))
                .hint("--modules-directory says where they are")
        })
}

/// The active virtual environment, or the Python that has called, if the module is for
/// its version of Python; else that which the module was built for.
fn python_home(caller: &Caller, tree: Option<&Path>) -> Option<PathBuf> {
    let python = Record::read(tree?).ok()?.python?;
    let version: Vec<&str> = python.version.split('.').take(2).collect();
    let folder = format!("lib/python{}", version.join("."));
    let named = ["VIRTUAL_ENV", "MOD_WSGI_PYTHON_HOME"].into_iter();
    named
        .filter_map(|name| caller.variable(name).map(PathBuf::from))
        .find(|home| home.join(&folder).is_dir())
        .or_else(|| python.executable.parent()?.parent().map(Path::to_owned))
}

/// The first table of types that is there.
fn mime_types(files: &Files, tree: Option<&Path>) -> String {
    let machine = ["/etc/mime.types", "/etc/httpd/mime.types", "/etc/apache2/mime.types"];
    let own = tree.map(|tree| tree.join("conf/mime.types").to_string_lossy().into_owned());
    files
        .mime_types
        .clone()
        .or_else(|| {
            let machine = machine.map(str::to_owned).into_iter();
            machine.chain(own).find(|file| Path::new(file).is_file())
        })
        .unwrap_or_else(|| "/dev/null".to_owned())
}
