//! httpd: its core as one program, its modules and its support programs.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use prefix::PLACEHOLDER;

use super::apr::{CPPFLAGS, include, libraries, write_char_table};
use super::board::Board;
use super::link::Link;
use super::modules::{Module, Modules};
use super::probe::{Answer, Answers, Fixed};
use super::{ask, headers, offers, read, vars};
use crate::engine::compile::Unit;
use crate::engine::component::{Component, write};
use crate::engine::pool::{Work, acquire};
use crate::engine::text::fill_template;
use crate::error::{Error, Kind, Result};
use crate::plan::Tls;
use crate::recipe::Build;
use crate::stage::link as linkage;

pub(super) fn build(component: &Component<'_>, board: &Board) -> Result<Vec<String>> {
    let begin = Instant::now();
    let source = component.start()?;
    let httpd = {
        let _token = acquire(component.machine.jobs)?;
        Httpd::new(component, &source.folder)?
    };
    let nghttp2 = httpd.nghttp2(board)?;
    httpd.write_headers(nghttp2.as_deref())?;
    let mut flags = httpd.flags(board, nghttp2.as_deref())?;
    let core = httpd.core()?;
    let (late, early): (Vec<&Module>, Vec<&Module>) =
        httpd.modules.all.iter().partition(|module| httpd.needs_tls(&module.name));
    let programs = httpd.programs()?;
    let (late_programs, early_programs): (Vec<_>, Vec<_>) =
        programs.iter().partition(|(name, _)| httpd.needs_tls(name));
    // OpenSSL is the last to be ready; what includes its headers waits for it.
    let mut works = httpd.compile(&core, &flags);
    for module in early {
        works.extend(httpd.compile_module(module, &flags)?);
    }
    for (_, sources) in early_programs {
        works.extend(httpd.compile(sources, &flags));
    }
    std::thread::scope(|scope| {
        let rest = scope.spawn(|| component.machine.pool.run(works));
        if let Some(openssl) = httpd.openssl() {
            flags.push(include(&board.headers(openssl)?));
        }
        let mut works = Vec::new();
        for module in late {
            works.extend(httpd.compile_module(module, &flags)?);
        }
        for (_, sources) in late_programs {
            works.extend(httpd.compile(sources, &flags));
        }
        component.machine.pool.run(works)?;
        rest.join().map_err(|_| Error::new(Kind::Compile, "a thread of the build has ended"))?
    })?;
    for need in &component.step.needs {
        board.library(need)?;
    }
    let machine = libraries(component, board)?;
    httpd.link(&core, &programs, &machine)?;
    let _token = acquire(component.machine.jobs)?;
    httpd.write_build_files(&machine)?;
    component.install_all(httpd.folder, &BTreeMap::new())?;
    component.tell_built(begin);
    Ok(source.patches)
}

struct Httpd<'h> {
    component: &'h Component<'h>,
    folder: &'h Path,
    modules: Modules,
    /// Components and libraries by the module that a feature switches on.
    needs: BTreeMap<String, Vec<String>>,
}

/// A list of C files of one folder.
type Sources = Vec<(PathBuf, String)>;

impl<'h> Httpd<'h> {
    fn new(component: &'h Component<'h>, folder: &'h Path) -> Result<Self> {
        let mut arguments = component.step.arguments.clone();
        if let Build::Configure(rules) = &component.step.recipe.build {
            arguments.extend(rules.arguments.iter().cloned());
        }
        let modules = Modules::read(folder, &arguments)?;
        let mut needs = BTreeMap::new();
        for (name, feature) in &component.step.recipe.features {
            if component.job.plan.features.contains(name) {
                let enabled =
                    feature.with.iter().filter_map(|argument| argument.strip_prefix("--enable-"));
                for module in enabled {
                    needs.insert(module.replace('-', "_"), feature.needs.clone());
                }
            }
        }
        Ok(Self { component, folder, modules, needs })
    }

    /// Whether a module or program includes OpenSSL's headers.
    fn needs_tls(&self, name: &str) -> bool {
        self.component.job.plan.tls != Tls::None && (name == "ssl" || name == "ab")
    }

    /// The component that TLS is built from, if it is built.
    fn openssl(&self) -> Option<&str> {
        let is_private = self.component.job.plan.tls == Tls::Private;
        self.needs.get("ssl")?.first().filter(|_| is_private).map(String::as_str)
    }

    fn write_headers(&self, nghttp2: Option<&str>) -> Result<()> {
        let config = read(self.folder, "include/ap_config_auto.h.in")?;
        let asked = headers::asked(&config);
        let (questions, mut answers) = ask(self.component, &asked)?;
        if let Some(Fixed::Value(root)) = questions.fixed.get("HTTPD_ROOT") {
            let value = Some(root.replace("{prefix}", PLACEHOLDER));
            answers.insert("HTTPD_ROOT".to_owned(), Answer { value, how: "fixed".to_owned() });
        }
        answers.extend(offers::answers(self.component, self.openssl(), nghttp2, &asked)?);
        let text = headers::config(&config, &answers);
        write(&self.folder.join("include/ap_config_auto.h"), &text)?;
        let template = read(self.folder, "include/ap_config_layout.h.in")?;
        let text = headers::fill(&template, &layout(), &answers)?;
        write(&self.folder.join("include/ap_config_layout.h"), &text)?;
        write(&self.folder.join("modules.c"), &modules_c(&STATIC))?;
        let _token = acquire(self.component.machine.jobs)?;
        write_char_table(
            self.component,
            &self.folder.join("server/gen_test_char.c"),
            &self.folder.join("server/test_char.h"),
        )
    }

    /// The header of the library that HTTP/2 is built from.
    fn nghttp2(&self, board: &Board) -> Result<Option<String>> {
        let need = self.needs.get("http2").and_then(|needs| needs.first());
        need.map(|need| read(&board.headers(need)?, "nghttp2/nghttp2.h")).transpose()
    }

    /// Flags for every file; waits for the headers of all but OpenSSL.
    fn flags(&self, board: &Board, nghttp2: Option<&str>) -> Result<Vec<OsString>> {
        let mut flags: Vec<OsString> = ["-w"].iter().chain(&CPPFLAGS).map(Into::into).collect();
        for below in ["os/unix", "include", "server"] {
            flags.push(include(&self.folder.join(below)));
        }
        for below in self.modules.includes.iter().map(PathBuf::as_path).chain([Path::new(HTTP2)]) {
            flags.push(include(&self.folder.join(below)));
        }
        for need in &self.component.step.needs {
            if self.openssl() != Some(need) {
                flags.push(include(&board.headers(need)?));
            }
        }
        for (_, function, flag) in &self.modules.flags {
            if nghttp2.is_some_and(|text| text.contains(&format!("{function}("))) {
                flags.push(flag.into());
            }
        }
        Ok(flags)
    }

    // ---- what there is to compile ----

    /// The core with its static modules.
    fn core(&self) -> Result<Sources> {
        let mut sources = Sources::new();
        for (below, list) in [("server", "LTLIBRARY_SOURCES"), ("os/unix", "LTLIBRARY_SOURCES")] {
            let makefile = read(self.folder, &format!("{below}/Makefile.in"))?;
            let names = vars::sources(&makefile, list)?;
            // It would only force archives to be linked whole.
            let names = names.into_iter().filter(|name| name != "exports.c");
            sources.extend(names.map(|name| (PathBuf::from(below), name)));
        }
        for module in &self.modules.all {
            if STATIC.contains(&module.name.as_str()) {
                let names = module.sources.iter().cloned();
                sources.extend(names.map(|name| (module.folder.clone(), name)));
            }
        }
        sources.push((PathBuf::from("server"), "buildmark.c".to_owned()));
        sources.push((PathBuf::new(), "modules.c".to_owned()));
        Ok(sources)
    }

    /// Support programs that the recipe keeps, with their sources.
    fn programs(&self) -> Result<Vec<(String, Sources)>> {
        let makefile = read(self.folder, "support/Makefile.in")?;
        let kept = self.component.step.recipe.installs.iter().flat_map(|rule| &rule.from);
        kept.filter_map(|from| from.strip_prefix("support/"))
            .map(|name| {
                let sources = vars::sources(&makefile, &format!("{name}_OBJECTS"))?;
                let at = |source| (PathBuf::from("support"), source);
                Ok((name.to_owned(), sources.into_iter().map(at).collect()))
            })
            .collect()
    }

    fn shared(&self) -> impl Iterator<Item = &Module> {
        self.modules.all.iter().filter(|module| !STATIC.contains(&module.name.as_str()))
    }

    fn compile(&self, sources: &Sources, flags: &[OsString]) -> Vec<Work> {
        sources.iter().map(|source| self.unit(source, flags)).collect()
    }

    fn compile_module(&self, module: &Module, flags: &[OsString]) -> Result<Vec<Work>> {
        if STATIC.contains(&module.name.as_str()) {
            return Ok(Vec::new());
        }
        let mut flags = flags.to_vec();
        flags.extend(["-fPIC".into(), "-DPIC".into()]);
        Ok(module
            .sources
            .iter()
            .map(|name| self.unit(&(module.folder.clone(), name.clone()), &flags))
            .collect())
    }

    /// In its own folder, as upstream does it: that is what the error log shows
    /// of `__FILE__`.
    fn unit(&self, source: &(PathBuf, String), flags: &[OsString]) -> Work {
        let object = self.object(source);
        let folder = self.folder.join(&source.0);
        self.component.unit(&Unit { folder: &folder, source: &source.1, object: &object, flags })
    }

    fn object(&self, (folder, name): &(PathBuf, String)) -> PathBuf {
        self.folder.join(folder).join(name).with_extension("o")
    }

    // ---- links ----

    fn link(
        &self,
        core: &Sources,
        programs: &[(String, Sources)],
        machine: &[String],
    ) -> Result<()> {
        let mut works = Vec::new();
        for module in self.shared() {
            works.push(self.link_module(module)?);
        }
        let makefile = read(self.folder, "support/Makefile.in")?;
        let stage = self.component.job.stage();
        let ours = ["lib/libaprutil-1.so", "lib/libapr-1.so"]
            .map(|name| stage.join(name).into_os_string());
        for (name, sources) in programs {
            let objects: Vec<PathBuf> = sources.iter().map(|source| self.object(source)).collect();
            let mut libraries: Vec<OsString> = ours.to_vec();
            libraries.extend(machine.iter().map(OsString::from));
            if self.needs_tls(name) {
                libraries.extend(self.libraries_of("ssl")?);
            }
            if vars::words(&makefile, &format!("{name}_LDADD")).contains(&"$(MATH_LIBS)".to_owned())
            {
                libraries.push("-lm".into());
            }
            let output = self.folder.join("support").join(name);
            let link = Link { objects: &objects, output, flags: Vec::new(), libraries };
            works.push(link.work(self.component)?);
        }
        let objects: Vec<PathBuf> = core.iter().map(|source| self.object(source)).collect();
        let mut libraries = self.archives("pcre2")?;
        libraries.extend(ours);
        libraries.extend(machine.iter().map(OsString::from));
        let output = self.folder.join("httpd");
        let flags = vec!["-Wl,--export-dynamic".into()];
        works.push(Link { objects: &objects, output, flags, libraries }.work(self.component)?);
        self.component.machine.pool.run(works)
    }

    fn link_module(&self, module: &Module) -> Result<Work> {
        let folder = self.folder.join(&module.folder);
        let objects: Vec<PathBuf> = module
            .sources
            .iter()
            .map(|name| self.object(&(module.folder.clone(), name.clone())))
            .collect();
        let file = format!("mod_{}.so", module.name);
        let output = folder.join(".libs").join(&file);
        let mut flags: Vec<OsString> = vec!["-shared".into(), format!("-Wl,-soname,{file}").into()];
        if let Some(symbol) = &module.exports {
            let script = folder.join(".libs").join(format!("{file}.ver"));
            write(&script, &format!("{{ global: {symbol}; local: *; }};\n"))?;
            flags.push(format!("-Wl,--version-script={}", script.display()).into());
        }
        let libraries = self.libraries_of(&module.name)?;
        Link { objects: &objects, output, flags, libraries }.work(self.component)
    }

    /// Libraries that a module is linked with.
    fn libraries_of(&self, module: &str) -> Result<Vec<OsString>> {
        let mut libraries = Vec::new();
        if module == "ssl" && self.component.job.plan.tls == Tls::System {
            libraries.extend(["-lssl", "-lcrypto"].map(OsString::from));
            return Ok(libraries);
        }
        for need in self.needs.get(module).into_iter().flatten() {
            libraries.extend(self.archives(need)?);
        }
        if !libraries.is_empty() {
            libraries.push("-lm".into());
        }
        Ok(libraries)
    }

    /// All archives of a private component, in whatever order they need.
    fn archives(&self, name: &str) -> Result<Vec<OsString>> {
        let files = crate::engine::component::matches(&self.component.job.dep(name), "lib/*.a")?;
        let mut libraries: Vec<OsString> = vec!["-Wl,--start-group".into()];
        libraries.extend(files.into_iter().map(PathBuf::into_os_string));
        libraries.push("-Wl,--end-group".into());
        Ok(libraries)
    }

    // ---- what module builds of others read ----

    fn write_build_files(&self, machine: &[String]) -> Result<()> {
        let values = BTreeMap::from([
            ("ap_make_include".to_owned(), "include".to_owned()),
            ("ap_make_delimiter".to_owned(), " ".to_owned()),
        ]);
        let rules = read(self.folder, "build/rules.mk.in")?;
        let text = headers::fill(&rules, &values, &Answers::new())?;
        write(&self.folder.join("build/rules.mk"), &text)?;
        let template = self.component.job.recipes.template("direct/config_vars.mk")?;
        let text = fill_template(&template, &self.build_variables(machine)?);
        write(&self.folder.join("installed/config_vars.mk"), &text)?;
        // The name that httpd's own makefile has for what it exports.
        let program = linkage::read(&self.folder.join("httpd"))?.unwrap_or_default();
        let names = program.defines.iter().filter(|name| name.starts_with("ap"));
        let list: String = names.map(|name| format!("{name}\n")).collect();
        write(&self.folder.join("server/httpd.exp"), &format!("#! .\n{list}"))
    }

    fn build_variables(&self, machine: &[String]) -> Result<BTreeMap<String, String>> {
        let job = self.component.job;
        let release = |name: &str| -> Result<String> {
            let step = job.plan.steps.iter().find(|step| step.recipe.name == name);
            let fetched = step.map(|step| job.fetched(step.recipe)).transpose()?;
            Ok(fetched.map_or(String::new(), |fetched| fetched.release.version.to_string()))
        };
        let magic = read(self.folder, "include/ap_mmn.h")?;
        let magic = magic.lines().find_map(|line| {
            line.strip_prefix("#define MODULE_MAGIC_NUMBER_MAJOR")
                .map(|rest| rest.trim().to_owned())
        });
        let crypt = machine.iter().find(|flag| *flag == "-lcrypt").cloned();
        let enabled = self.shared().filter(|module| module.is_default);
        let enabled: String = enabled.map(|module| format!(",{}", module.name)).collect();
        let values = [
            ("prefix", PLACEHOLDER.to_owned()),
            ("crypt", crypt.unwrap_or_default()),
            ("version", release("httpd")?),
            ("mmn", magic.unwrap_or_default()),
            ("cc", job.plan.toolchain.cc.display().to_string()),
            ("cflags", job.plan.profile.flag().to_owned()),
            ("cppflags", CPPFLAGS.join(" ")),
            ("enabled", enabled),
            ("apr-version", release("apr")?),
            ("apu-version", release("apr-util")?),
        ];
        Ok(values.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

/// `ap_config_layout.h`: every folder below the prefix.
fn layout() -> BTreeMap<String, String> {
    let mut values = BTreeMap::from([("prefix".to_owned(), PLACEHOLDER.to_owned())]);
    for (name, below) in LAYOUT {
        let full = if below.is_empty() {
            PLACEHOLDER.to_owned()
        } else {
            format!("{PLACEHOLDER}/{below}")
        };
        values.insert(format!("exp_{name}"), full);
        values.insert(format!("rel_{name}"), (*below).to_owned());
    }
    values
}

/// The list of modules that are inside the program.
fn modules_c(names: &[&str]) -> String {
    let mut text = String::from(
        "#include \"ap_config.h\"\n#include \"httpd.h\"\n#include \"http_config.h\"\n\n",
    );
    for name in names {
        text.push_str(&format!("extern module {name}_module;\n"));
    }
    for list in ["ap_prelinked_modules", "ap_preloaded_modules"] {
        let items: String = names.iter().map(|name| format!("&{name}_module, ")).collect();
        text.push_str(&format!("module *{list}[] = {{{items}NULL}};\n"));
    }
    let items: String =
        names.iter().map(|name| format!("{{\"{name}_module\", &{name}_module}}, ")).collect();
    text.push_str(&format!(
        "ap_module_symbol_t ap_prelinked_module_symbols[] = {{{items}{{NULL, NULL}}}};\n"
    ));
    // The program asks for it to hold what upstream's makefile generates.
    text.push_str("const void *ap_ugly_hack = NULL;\n");
    text
}

/// Modules inside the program, in order of start.
const STATIC: [&str; 3] = ["core", "so", "http"];

/// mod_proxy reads mod_http2.h.
const HTTP2: &str = "modules/http2";

/// Folders of the Apache layout.
const LAYOUT: &[(&str, &str)] = &[
    ("exec_prefix", ""),
    ("bindir", "bin"),
    ("sbindir", "bin"),
    ("libexecdir", "modules"),
    ("mandir", "man"),
    ("sysconfdir", "conf"),
    ("datadir", ""),
    ("installbuilddir", "build"),
    ("errordir", "error"),
    ("iconsdir", "icons"),
    ("htdocsdir", "htdocs"),
    ("manualdir", "manual"),
    ("cgidir", "cgi-bin"),
    ("includedir", "include"),
    ("localstatedir", ""),
    ("runtimedir", "logs"),
    ("logfiledir", "logs"),
    ("proxycachedir", "proxy"),
];
