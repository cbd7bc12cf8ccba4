//! What this machine's compiler and C library offer: one preprocessor run for
//! all headers, one link run for all functions, small programs for the rest.
//! Each answer says how it was found.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::engine::objects::replace;
use crate::env::Env;
use crate::error::{Error, Kind, Result};
use crate::folder::{items, make_parent, touch};
use crate::plan::{Toolchain, hash_of};
use crate::process::Program;
use crate::source::Cache;

/// What a component's configure would have to find out by itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Questions {
    /// Answers that are the same on every machine; `false` leaves undefined.
    pub(super) fixed: BTreeMap<String, Fixed>,
    /// Macros that are the size of a type.
    pub(super) sizes: BTreeMap<String, String>,
    /// Statements that compile where the answer is yes.
    pub(super) checks: BTreeMap<String, Check>,
    /// `@name@` of templates.
    pub(super) fill: BTreeMap<String, String>,
}

/// A value or `false`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Fixed {
    Value(String),
    Undefined(False),
}

/// The one value that is no text.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "bool")]
pub(super) struct False;

impl TryFrom<bool> for False {
    type Error = &'static str;

    fn try_from(value: bool) -> std::result::Result<Self, Self::Error> {
        if value { Err("expected a text or `false`") } else { Ok(Self) }
    }
}

/// Statements, and what the macro is if they compile.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Check {
    Is { is: String, check: String },
    Yes(String),
}

/// An answer and how it was found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Answer {
    /// The macro's value; none leaves it undefined.
    pub value: Option<String>,
    /// How it was found.
    pub how: String,
}

/// Answers by macro.
pub type Answers = BTreeMap<String, Answer>;

/// A compiler that can be asked.
pub(super) struct Prober<'p> {
    pub(super) cc: &'p Path,
    pub(super) env: &'p Env,
    /// A folder for the small programs.
    pub(super) folder: PathBuf,
}

impl Prober<'_> {
    /// Answers from the cache, or found now and kept there: they are those of
    /// this compiler and target for as long as they are asked the same.
    pub(super) fn ask(
        &self,
        component: &str,
        text: &str,
        names: &BTreeSet<String>,
        toolchain: &Toolchain,
        cache: &Cache,
    ) -> Result<(Questions, Answers)> {
        let questions: Questions = toml::from_str(text).map_err(|source| {
            Error::new(Kind::Recipe, format!("`direct/{component}.toml` is wrong"))
                .caused_by(source)
        })?;
        let mut parts = vec![toolchain.compiler.clone(), toolchain.target.clone(), text.to_owned()];
        parts.push(toolchain.cc.display().to_string());
        parts.extend(names.iter().cloned());
        let file = probes(cache).join(format!("{component}-{}.json", &hash_of(&parts)[..32]));
        touch(&file);
        let kept = std::fs::read(&file).ok();
        if let Some(answers) = kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
            return Ok((questions, answers));
        }
        let answers = self.answer(&questions, names)?;
        let text = serde_json::to_vec_pretty(&answers).unwrap_or_default();
        // A cache that cannot be written costs the next build some time.
        let _kept_or_not = make_parent(&file)
            .map_err(|_| ())
            .and_then(|()| replace(&file, |fresh| std::fs::write(fresh, text)));
        Ok((questions, answers))
    }

    /// Answers all of `names`.
    pub(super) fn answer(
        &self,
        questions: &Questions,
        names: &BTreeSet<String>,
    ) -> Result<Answers> {
        let mut answers = Answers::new();
        let mut say = |name: &str, value: Option<String>, how: &str| {
            answers.insert(name.to_owned(), Answer { value, how: how.to_owned() });
        };
        for (name, fixed) in &questions.fixed {
            let value = match fixed {
                Fixed::Value(text) => Some(text.clone()),
                Fixed::Undefined(_) => None,
            };
            say(name, value, "fixed");
        }
        for (name, value) in COMMON {
            say(name, Some((*value).to_owned()), "fixed");
        }
        for (name, value) in self.sizes(&questions.sizes)? {
            say(&name, Some(value), "size of the type, by a program");
        }
        for (name, check) in &questions.checks {
            let (value, statements) = match check {
                Check::Is { is, check } => (is.as_str(), check),
                Check::Yes(check) => ("1", check),
            };
            let value = self.compiles(name, statements)?.then(|| value.to_owned());
            say(name, value, "compiling statements");
        }
        let open: BTreeSet<&str> =
            names.iter().map(String::as_str).filter(|name| !answers.contains_key(*name)).collect();
        let (headers, others): (Vec<&str>, Vec<&str>) =
            open.iter().partition(|name| name.starts_with("HAVE_") && name.ends_with("_H"));
        let found = self.headers(&headers)?;
        for name in headers {
            let value = found.contains(name).then(|| "1".to_owned());
            answers.insert(name.to_owned(), Answer { value, how: "__has_include".to_owned() });
        }
        let functions: BTreeMap<String, &str> = others
            .iter()
            .filter_map(|name| Some((name.strip_prefix("HAVE_")?.to_lowercase(), *name)))
            .collect();
        let missing = self.missing(functions.keys().map(String::as_str).collect(), &LIBRARIES)?;
        for (function, name) in &functions {
            let value = (!missing.contains(function)).then(|| "1".to_owned());
            let how = format!("linking {function}");
            answers.insert((*name).to_owned(), Answer { value, how });
        }
        for name in others {
            answers.entry(name.to_owned()).or_insert_with(|| Answer {
                value: None,
                how: "no rule: left undefined".to_owned(),
            });
        }
        Ok(answers)
    }

    /// Whether the linker finds a library.
    pub(super) fn links(&self, library: &str) -> Result<bool> {
        let source = self.write("library.c", "int main(void) { return 0; }\n")?;
        let output = self
            .cc(&source)
            .arg(format!("-l{library}"))
            .arg("-o")
            .arg(self.folder.join("library"))
            .output(Kind::Configure)?;
        Ok(output.status.success())
    }

    /// Which of the names stand for a header that is there.
    fn headers(&self, names: &[&str]) -> Result<BTreeSet<String>> {
        let mut text = String::new();
        for name in names {
            for header in header_names(name) {
                text.push_str(&format!("#if __has_include(<{header}>)\n\"{name}\"\n#endif\n"));
            }
        }
        let source = self.write("headers.c", &text)?;
        let output = self.cc(&source).args(["-E", "-P"]).output(Kind::Configure)?;
        self.expect(&output, "look for headers")?;
        let found = String::from_utf8_lossy(&output.stdout);
        Ok(found.lines().map(|line| line.trim().trim_matches('"').to_owned()).collect())
    }

    /// Functions that none of the libraries has.
    pub(super) fn missing(
        &self,
        mut functions: BTreeSet<&str>,
        libraries: &[&str],
    ) -> Result<BTreeSet<String>> {
        let mut missing = BTreeSet::new();
        let libraries: Vec<String> = libraries
            .iter()
            .filter_map(|name| match self.links(name) {
                Ok(true) => Some(Ok(format!("-l{name}"))),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            })
            .collect::<Result<_>>()?;
        // A linker may name some of the missing ones at a time.
        for _ in 0..20 {
            let mut text = String::new();
            for name in &functions {
                text.push_str(&format!("char {name}();\n"));
            }
            text.push_str("int main(int argc, char **argv)\n{\n    char (*all[])() = {");
            functions.iter().for_each(|name| text.push_str(&format!(" {name},")));
            text.push_str(" 0};\n    return all[argc] != 0;\n}\n");
            let source = self.write("functions.c", &text)?;
            let output = self
                .cc(&source)
                .args(["-w", "-fno-builtin", "-std=gnu89", "-o"])
                .arg(self.folder.join("functions"))
                .args(&libraries)
                .output(Kind::Configure)?;
            if output.status.success() {
                return Ok(missing);
            }
            let said = String::from_utf8_lossy(&output.stderr);
            let before = missing.len();
            for name in said.lines().filter_map(undefined_name) {
                if let Some(name) = functions.take(name) {
                    missing.insert(name.to_owned());
                }
            }
            if missing.len() == before {
                self.expect(&output, "look for functions")?;
            }
        }
        Ok(missing)
    }

    fn sizes(&self, sizes: &BTreeMap<String, String>) -> Result<Vec<(String, String)>> {
        let mut text = format!("{}\nint main(void)\n{{\n", prelude());
        for (name, kind) in sizes {
            text.push_str(&format!("    printf(\"{name} %d\\n\", (int)sizeof({kind}));\n"));
        }
        text.push_str("    return 0;\n}\n");
        let source = self.write("sizes.c", &text)?;
        let program = self.folder.join("sizes");
        let output = self.cc(&source).arg("-o").arg(&program).output(Kind::Configure)?;
        self.expect(&output, "ask for sizes")?;
        let output = Program::new(&program).envs(self.env.for_build()).output(Kind::Configure)?;
        self.expect(&output, "ask for sizes")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn compiles(&self, name: &str, statements: &str) -> Result<bool> {
        let text = format!("{}\nint main(void)\n{{\n    {statements}\n}}\n", prelude());
        let source = self.write(&format!("{name}.c"), &text)?;
        let errors = [
            "-fsyntax-only",
            "-Werror=implicit-function-declaration",
            "-Werror=incompatible-pointer-types",
        ];
        Ok(self.cc(&source).args(errors).output(Kind::Configure)?.status.success())
    }

    fn cc(&self, source: &Path) -> Program {
        Program::new(self.cc).envs(self.env.for_build()).args(["-D_GNU_SOURCE"]).arg(source)
    }

    fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(name);
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| std::fs::write(&path, text))
            .map_err(Error::io(Kind::Configure, "write", &path))?;
        Ok(path)
    }

    fn expect(&self, output: &std::process::Output, what: &str) -> Result<()> {
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let error = Error::new(
            Kind::Configure,
            format!("`{}` failed to {what}: {}", self.cc.display(), output.status),
        );
        let lines: Vec<&str> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(10)..];
        Err(last.iter().fold(error, |error, line| error.detail(format!("| {line}"))).hint(
            "install the C library's headers: apt install libc6-dev / dnf install glibc-devel",
        ))
    }
}

/// The answers that the last builds went by, by component.
#[must_use]
pub fn last_answers(cache: &Cache) -> BTreeMap<String, Answers> {
    let mut files = items(&probes(cache)).unwrap_or_default();
    files.sort_by_key(|file| file.metadata().and_then(|metadata| metadata.modified()).ok());
    let read = |file: PathBuf| {
        let (component, _) = file.file_stem()?.to_str()?.rsplit_once('-')?;
        let answers = serde_json::from_slice(&std::fs::read(&file).ok()?).ok()?;
        Some((component.to_owned(), answers))
    };
    files.into_iter().filter_map(read).collect()
}

fn probes(cache: &Cache) -> PathBuf {
    cache.root().join("probes")
}

/// Headers that `HAVE_SYS_SYSCALL_H` may stand for: each `_` may be a `/`.
fn header_names(name: &str) -> Vec<String> {
    let word = name.trim_start_matches("HAVE_").trim_end_matches("_H").to_lowercase();
    let mut names = vec![String::new()];
    for (index, part) in word.split('_').enumerate() {
        let joints: &[&str] = if index == 0 { &[""] } else { &["/", "_"] };
        names = names
            .iter()
            .flat_map(|start| joints.iter().map(move |joint| format!("{start}{joint}{part}")))
            .collect();
    }
    names.into_iter().map(|name| name + ".h").collect()
}

/// The name in a linker's complaint about an undefined one.
fn undefined_name(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("undefined ")?;
    let name = rest.rsplit([' ', ':']).next()?;
    Some(name.trim_matches(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
}

/// All headers that a statement may need, where they are there.
fn prelude() -> String {
    PRELUDE
        .split_whitespace()
        .map(|name| format!("#if __has_include(<{name}.h>)\n#include <{name}.h>\n#endif\n"))
        .collect()
}

const PRELUDE: &str = "alloca crypt dirent errno fcntl grp langinfo limits netdb netinet/in \
    netinet/tcp poll pthread pwd sched semaphore signal stddef stdint stdio stdlib string \
    sys/epoll sys/file sys/ipc sys/mman sys/sem sys/shm sys/socket sys/stat sys/syscall sys/time \
    sys/types sys/uio sys/un time unistd";

/// Where functions of the C library may lie.
const LIBRARIES: [&str; 4] = ["crypt", "pthread", "m", "dl"];

/// What every configure script of autoconf answers in the same way.
const COMMON: &[(&str, &str)] = &[
    ("PACKAGE_BUGREPORT", "\"\""),
    ("PACKAGE_NAME", "\"\""),
    ("PACKAGE_STRING", "\"\""),
    ("PACKAGE_TARNAME", "\"\""),
    ("PACKAGE_URL", "\"\""),
    ("PACKAGE_VERSION", "\"\""),
    ("STDC_HEADERS", "1"),
    ("_ALL_SOURCE", "1"),
    ("_COSMO_SOURCE", "1"),
    ("_DARWIN_C_SOURCE", "1"),
    ("__EXTENSIONS__", "1"),
    ("_GNU_SOURCE", "1"),
    ("_HPUX_ALT_XOPEN_SOCKET_API", "1"),
    ("_NETBSD_SOURCE", "1"),
    ("_OPENBSD_SOURCE", "1"),
    ("_POSIX_PTHREAD_SEMANTICS", "1"),
    ("__STDC_WANT_IEC_60559_ATTRIBS_EXT__", "1"),
    ("__STDC_WANT_IEC_60559_BFP_EXT__", "1"),
    ("__STDC_WANT_IEC_60559_DFP_EXT__", "1"),
    ("__STDC_WANT_IEC_60559_EXT__", "1"),
    ("__STDC_WANT_IEC_60559_FUNCS_EXT__", "1"),
    ("__STDC_WANT_IEC_60559_TYPES_EXT__", "1"),
    ("__STDC_WANT_LIB_EXT2__", "1"),
    ("__STDC_WANT_MATH_SPEC_FUNCS__", "1"),
    ("_TANDEM_SOURCE", "1"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_for_every_header_that_it_may() {
        assert_eq!(header_names("HAVE_CTYPE_H"), ["ctype.h"]);
        assert_eq!(header_names("HAVE_SYS_TIME_H"), ["sys/time.h", "sys_time.h"]);
    }

    #[test]
    fn linkers_name_what_is_missing() {
        for line in [
            "/usr/bin/ld: x.o: in function `main': x.c:(.text+0x1): undefined reference to `kqueue'",
            "ld.lld: error: undefined symbol: kqueue",
            "mold: error: undefined symbol: kqueue",
        ] {
            assert_eq!(undefined_name(line), Some("kqueue"), "{line}");
        }
    }
}
