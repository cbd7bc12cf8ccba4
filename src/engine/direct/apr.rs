//! APR: `apr.h` and `apr_private.h` from its own templates, the files that its
//! `build-outputs.mk` lists for Unix.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prefix::PLACEHOLDER;

use super::board::Board;
use super::link::{Version, shared_library};
use super::{ask, headers, prober, read, vars};
use crate::engine::compile::Unit;
use crate::engine::component::{Component, write};
use crate::engine::pool::acquire;
use crate::error::{Error, Kind, Result};

/// Macros that everything of the tree is compiled with.
pub(super) const CPPFLAGS: [&str; 3] = ["-DLINUX", "-D_REENTRANT", "-D_GNU_SOURCE"];

pub(super) fn build(component: &Component<'_>, board: &Board) -> Result<Vec<String>> {
    let begin = Instant::now();
    let source = component.start()?;
    let folder = &source.folder;
    {
        let _token = acquire(component.machine.jobs)?;
        write_headers(component, folder)?;
        let table = folder.join("include/private/apr_escape_test_char.h");
        write_char_table(component, &folder.join("tools/gen_test_char.c"), &table)?;
    }
    board.tell_headers("apr", folder.join("include"));
    let mut flags = flags();
    let includes = ["include", "include/arch/unix", "include/private"];
    flags.extend(includes.iter().map(|below| include(&folder.join(below))));
    let objects = compile_listed(component, folder, &flags)?;
    let version = Version::read(&read(folder, "include/apr_version.h")?, "APR")?;
    let libraries = libraries(component, board)?;
    let linked = libraries.iter().map(OsString::from).collect();
    shared_library(component, folder, &objects, ("libapr-1", &version), linked)?;
    let _token = acquire(component.machine.jobs)?;
    write_build_files(component, folder, &libraries)?;
    component.install_all(folder, &values(component, &libraries))?;
    component.tell_built(begin);
    Ok(source.patches)
}

/// Flags for all that goes into shared libraries and modules.
pub(super) fn flags() -> Vec<OsString> {
    let first = ["-fPIC", "-DPIC", "-DHAVE_CONFIG_H", "-w"];
    first.iter().chain(&CPPFLAGS).map(OsString::from).collect()
}

/// Flag to read headers of a folder.
pub(super) fn include(folder: &Path) -> OsString {
    let mut flag = OsString::from("-I");
    flag.push(folder);
    flag
}

/// Compiles what `build-outputs.mk` lists for Unix. As upstream does it, in the
/// top folder of the source: that is what `__FILE__` says then.
pub(super) fn compile_listed(
    component: &Component<'_>,
    folder: &Path,
    flags: &[OsString],
) -> Result<Vec<PathBuf>> {
    let sources = vars::sources(&read(folder, "build-outputs.mk")?, "OBJECTS_unix")?;
    let mut objects = Vec::new();
    let mut works = Vec::new();
    for source in &sources {
        let object = folder.join(source).with_extension("o");
        works.push(component.unit(&Unit { folder, source, object: &object, flags }));
        objects.push(object);
    }
    component.machine.pool.run(works)?;
    Ok(objects)
}

fn write_headers(component: &Component<'_>, folder: &Path) -> Result<()> {
    let private = read(folder, "include/arch/unix/apr_private.h.in")?;
    let public = read(folder, "include/apr.h.in")?;
    let mut names = headers::asked(&private);
    names.extend(headers::asked_by_fill(&public));
    let (questions, answers) = ask(component, &names)?;
    let text = headers::config(&private, &answers);
    write(&folder.join("include/arch/unix/apr_private.h"), &text)?;
    let text = headers::fill(&public, &questions.fill, &answers)?;
    write(&folder.join("include/apr.h"), &text)
}

/// Compiles and runs upstream's generator of a table of characters.
pub(super) fn write_char_table(
    component: &Component<'_>,
    generator: &Path,
    table: &Path,
) -> Result<()> {
    let program = generator.with_extension("run");
    let folder = generator.parent().unwrap_or(generator);
    component
        .program(&component.job.plan.toolchain.cc.to_string_lossy(), folder)
        // Without it, the generator wants the headers that it is run for.
        .args(["-DCROSS_COMPILE", "-w"])
        .arg(generator)
        .arg("-o")
        .arg(&program)
        .run_logged(Kind::Compile, &component.log("compile-gen_test_char"))?;
    let output = component.program(&program.to_string_lossy(), folder).output(Kind::Compile)?;
    if !output.status.success() || output.stdout.is_empty() {
        return Err(Error::new(
            Kind::Compile,
            format!("`{}` printed no table: {}", program.display(), output.status),
        ));
    }
    write(table, &String::from_utf8_lossy(&output.stdout))
}

/// Libraries of the machine that APR and what uses it are linked with.
pub(super) fn libraries(component: &Component<'_>, board: &Board) -> Result<Vec<String>> {
    board.of_machine(|| {
        let mut flags = Vec::new();
        for name in ["crypt", "pthread"] {
            if prober(component).links(name)? {
                flags.push(format!("-l{name}"));
            }
        }
        Ok(flags)
    })
}

/// What `apr-1-config` answers.
fn values(component: &Component<'_>, libraries: &[String]) -> BTreeMap<String, String> {
    let cc = component.job.plan.toolchain.cc.display().to_string();
    [
        ("cpp", format!("{cc} -E")),
        ("cc", cc),
        ("cppflags", CPPFLAGS.join(" ")),
        ("cflags", String::new()),
        ("ldflags", String::new()),
        ("libs", libraries.join("  ")),
        ("shlib-path-var", "LD_LIBRARY_PATH".to_owned()),
        ("so-ext", "lo".to_owned()),
        ("lib-target", "-rpath $(libdir) $(OBJECTS)".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Files that makefiles of others include, and a libtool of ours for them.
fn write_build_files(component: &Component<'_>, folder: &Path, libraries: &[String]) -> Result<()> {
    let cc = component.job.plan.toolchain.cc.display().to_string();
    let build = format!("{PLACEHOLDER}/build-1");
    let flag = component.job.plan.profile.flag().to_owned();
    let mut values: BTreeMap<String, String> = [
        ("apr_builddir", build.clone()),
        ("apr_builders", build),
        ("APR_MAJOR_VERSION", "1".to_owned()),
        ("APR_DOTTED_VERSION", component.fetched.release.version.to_string()),
        ("CC", cc.clone()),
        ("CC_FOR_BUILD", cc),
        ("RM", "rm".to_owned()),
        ("AWK", "awk".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
        ("LIBTOOL", "$(SHELL) $(apr_builddir)/libtool".to_owned()),
        ("CFLAGS", flag),
        ("DEFS", "-DHAVE_CONFIG_H".to_owned()),
        ("EXTRA_CPPFLAGS", CPPFLAGS.join(" ")),
        ("EXTRA_LIBS", libraries.join("  ")),
        ("LTFLAGS", "--silent".to_owned()),
        ("OBJECTS_PLATFORM", "$(OBJECTS_unix)".to_owned()),
        ("lt_compile", LT_COMPILE.to_owned()),
        ("link", LT_LINK.to_owned()),
        ("MKDEP", "$(CC) -MM".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into();
    for name in EMPTY {
        values.insert(name.to_owned(), String::new());
    }
    let rules = read(folder, "build/apr_rules.mk.in")?;
    let text = headers::fill(&rules, &values, &super::Answers::new())?;
    write(&folder.join("build/apr_rules.out"), &text)?;
    let libtool = folder.join("libtool");
    write(&libtool, &component.job.recipes.template("direct/libtool")?)?;
    crate::folder::set_mode(&libtool, 0o755)
}

const LT_COMPILE: &str =
    "$(LIBTOOL) $(LTFLAGS) --mode=compile --tag=CC $(COMPILE) -o $@ -c $< && touch $@";
const LT_LINK: &str = "$(LIBTOOL) $(LTFLAGS) --mode=link --tag=CC $(COMPILE) $(LT_LDFLAGS) \
    $(LT_VERSION) $(ALL_LDFLAGS) -o $@";

/// Variables of `apr_rules.mk` that have nothing to say here.
const EMPTY: [&str; 14] = [
    "SET_MAKE",
    "CPPFLAGS",
    "LDFLAGS",
    "LIBS",
    "EXTRA_CFLAGS",
    "EXTRA_LDFLAGS",
    "EXTRA_INCLUDES",
    "INTERNAL_CPPFLAGS",
    "NOTEST_CFLAGS",
    "NOTEST_CPPFLAGS",
    "NOTEST_LDFLAGS",
    "NOTEST_LIBS",
    "LT_LDFLAGS",
    "CXXFLAGS",
];
