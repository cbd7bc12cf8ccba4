//! Python in this process: libpython, then the Python side of the module, are
//! loaded when a child starts, and ended with it.

use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Once, OnceLock};

use door::{Enter, Guest, List, SYMBOL, Script, Settings, Text, VERSION};
use httpd::{Level, Pool, Server, log_to_main, log_to_process, sys};
use wsgi::interpreter::Section;

use crate::config::{GlobalConfig, ServerConfig};
use crate::daemon;
use crate::exchange::HOST;
use crate::interpreter;

/// Version of the interpreter, for the server's banner.
pub(crate) const BANNER: &CStr = match CStr::from_bytes_with_nul(
    concat!("Python/", env!("MOD_WSGI_PYTHON_VERSION"), "\0").as_bytes(),
) {
    Ok(text) => text,
    Err(_) => c"Python",
};

static GUEST: OnceLock<&'static Guest> = OnceLock::new();

/// The Python side, if Python runs in this process.
pub(crate) fn guest() -> Option<&'static Guest> {
    GUEST.get().copied()
}

/// The Python side, which is started if it is not there because it may not have been
/// needed.
pub(crate) fn guest_for_request() -> Option<&'static Guest> {
    if let Some(later) = LATER.get() {
        later.begin();
    }
    guest()
}

/// What starts Python in a process of httpd's whose requests may all be for daemon
/// processes: it would cost each of them its memory.
struct Later {
    main: Server,
    pool: Pool,
    once: Once,
}

// SAFETY: what a child is given at its start, and uses until its end.
unsafe impl Send for Later {}
// SAFETY: as above.
unsafe impl Sync for Later {}

static LATER: OnceLock<Later> = OnceLock::new();

impl Later {
    fn begin(&self) {
        self.once.call_once(|| enter(self.main, self.pool));
    }
}

/// Readies a process of httpd's: Python starts in it, now or when it is first needed.
pub(crate) fn enter_child(main: Server, pool: Pool) {
    let config = main.config::<ServerConfig>(crate::index());
    let restricted = config.and_then(|config| config.global.restrict_embedded).unwrap_or(false);
    // What can be loaded in advance is, even where daemon processes serve the rest.
    let is_wanted = || !daemon::is_any() || !preloads(main, "").is_empty();
    if configs(main).any(|config| config.needs_python) || !restricted && is_wanted() {
        enter(main, pool);
    } else if !restricted {
        LATER.get_or_init(|| Later { main, pool, once: Once::new() });
    }
}

fn enter(main: Server, pool: Pool) {
    if let Some(config) = main.config::<ServerConfig>(crate::index()) {
        crate::signals::watch();
        start(&config.global, pool);
        preload(main);
    }
}

/// Configurations of all servers. A virtual host without directives of ours has that
/// of the main server, which counts once.
pub(crate) fn configs<'c>(main: Server) -> impl Iterator<Item = &'c ServerConfig> {
    let config = |server: Server| server.config::<ServerConfig>(crate::index()).map(|own| &*own);
    let shared: Option<&ServerConfig> = config(main);
    let hosts = std::iter::successors(main.next(), |server| server.next())
        .filter_map(config)
        .filter(move |own| shared.is_none_or(|shared| !std::ptr::eq(*own, shared)));
    shared.into_iter().chain(hosts)
}

/// Warns of what the configuration asks for and this Python does not have.
pub(crate) fn warn(global: &GlobalConfig) {
    let python = &global.python;
    let has_own_locks = (3, 12) <= version_of_python();
    let wants_own_locks =
        python.sections.iter().any(|section| section.options.per_interpreter_gil == Some(true));
    let [free, narrowly_free] = python.free_threading;
    for (wanted, text) in [
        (
            wants_own_locks && !has_own_locks,
            "WSGI0198: WSGIPerInterpreterGIL requires Python 3.12 or later; directive has no effect on this build.",
        ),
        (
            free,
            "WSGI0200: WSGIFreeThreading On has no effect: this Python build does not support free-threading (PEP 703).",
        ),
        (
            narrowly_free,
            "WSGI0201: WSGIFreeThreading inside <WSGIInterpreterOptions> with application-group= set is ignored: free-threading is a process-wide setting and cannot be scoped per application group.",
        ),
        (global.has_telemetry, "WSGITelemetryService has no effect yet: telemetry is not sent."),
    ] {
        if wanted {
            log_to_main(crate::index(), Level::Warning, text);
        }
    }
    if let Some(doubt) = python.home.as_deref().and_then(doubt_about) {
        log_to_main(crate::index(), Level::Warning, &doubt);
    }
}

/// Why a Python home cannot be that of the Python that the module is for. Nobody is
/// told later: Python would only say that it does not find its library.
pub(crate) fn doubt_about(home: &str) -> Option<String> {
    let folder = Path::new(home);
    let (major, minor) = version_of_python();
    let ours = format!(
        "mod_wsgi was built for Python {} ({})",
        env!("MOD_WSGI_PYTHON_VERSION"),
        env!("MOD_WSGI_PYTHON")
    );
    let metadata = match folder.metadata() {
        Ok(metadata) => metadata,
        Err(error) => {
            return Some(format!(
                "WSGI0100: Unable to stat Python home '{home}' ({error}). Verify the path and the access permissions on every component of it; {ours}."
            ));
        }
    };
    if !metadata.is_dir() {
        return Some(format!("WSGI0101: Python home '{home}' is not a directory; {ours}."));
    }
    if let Err(error) = folder.read_dir() {
        return Some(format!(
            "WSGI0102: Python home '{home}' is not accessible ({error}); {ours}."
        ));
    }
    let Ok(environment) = std::fs::read_to_string(folder.join("pyvenv.cfg")) else {
        let library = format!("lib/python{major}.{minor}");
        let is_missing = !folder.join(&library).is_dir();
        return is_missing.then(|| {
            format!(
                "WSGI0099: Python home '{home}' has no {library}: it is of another Python; {ours}."
            )
        });
    };
    let value = |names: &[&str]| {
        environment.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            names.contains(&name.trim()).then(|| value.trim())
        })
    };
    // Both spellings are in use.
    let version = value(&["version", "version_info"])?;
    let is_same =
        version == format!("{major}.{minor}") || version.starts_with(&format!("{major}.{minor}."));
    (!is_same).then(|| {
        let made_by = value(&["home"]).unwrap_or("an unknown place");
        format!(
            "WSGI0099: Python home '{home}' is a virtual environment of Python {version} (from {made_by}), but {ours}; make one with that Python, or build mod_wsgi for the other."
        )
    })
}

/// Major and minor version of the Python that the module is for.
pub(crate) fn version_of_python() -> (u32, u32) {
    let mut parts =
        env!("MOD_WSGI_PYTHON_VERSION").split('.').map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// Starts Python; what keeps it from running is logged, and every request for
/// it is answered 500.
fn start(config: &GlobalConfig, pool: Pool) {
    match load(config.python.home.as_deref()).and_then(|guest| run(guest, config)) {
        Ok(guest) => {
            GUEST.get_or_init(|| guest);
            // Runs when the child ends, before its pool goes.
            let destroy = config.python.destroy_interpreter.unwrap_or(true);
            let _kept_by_the_pool = pool.keep(Ending { destroy });
        }
        Err(why) => {
            log_to_process(Level::Critical, &format!("WSGI0001: Python does not run here: {why}"));
        }
    }
}

/// What a process group (empty for httpd's own processes) can load before any request,
/// each once: import scripts, then scripts of aliases with both groups fixed. Their
/// files and application groups.
pub(crate) fn preloads<'c>(main: Server, process_group: &str) -> Vec<(&'c str, &'c str)> {
    let mut all = Vec::new();
    let imports = configs(main).flat_map(|config| &config.import_scripts);
    for script in imports.chain(configs(main).flat_map(|config| &config.aliases)) {
        let Some(group) = script.preloads_into(process_group) else { continue };
        let one = (script.path.as_str(), group);
        // The scripts of a folder are loaded one by one, as they are asked for.
        if !Path::new(&script.path).is_dir() && !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// Loads what can be loaded before any request.
fn preload(main: Server) {
    let Some(guest) = guest() else { return };
    for (path, group) in preloads(main, "") {
        let script = Script {
            path: Text::new(path.as_bytes()),
            time: crate::handler::time_of(path),
            application_group: Text::new(group.as_bytes()),
            reloading: false,
        };
        // SAFETY: the guest's own function; the texts outlive the call.
        unsafe { (guest.load)(&script) };
    }
}

/// Ends Python on drop.
struct Ending {
    /// Whether interpreters end, with their threads and `atexit`.
    destroy: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(guest) = guest() {
            // SAFETY: the guest's own function; the child's threads have ended.
            unsafe { (guest.stop)(self.destroy) };
        }
    }
}

/// Loads libpython for all to see, and the Python side after it.
fn load(home: Option<&str>) -> Result<&'static Guest, String> {
    let library = interpreter::library(home).ok_or_else(|| {
        format!(
            "{} has no shared library; embedded mode needs a Python built with --enable-shared",
            env!("MOD_WSGI_PYTHON")
        )
    })?;
    open(&library, libc::RTLD_NOW | libc::RTLD_GLOBAL)?;
    let own = own_folder().ok_or("the module does not find its own file")?;
    let side = open(&own.join("mod_wsgi_python.so"), libc::RTLD_NOW | libc::RTLD_LOCAL)?;
    // SAFETY: a library that is loaded, and a name that ends in NUL.
    let enter = unsafe { libc::dlsym(side, SYMBOL.as_ptr()) };
    if enter.is_null() {
        return Err("the Python side of the module is not one of ours".to_owned());
    }
    // SAFETY: the symbol is a function of that type.
    let guest = unsafe { std::mem::transmute::<*mut c_void, Enter>(enter)() };
    if guest.version != VERSION {
        return Err("the Python side of the module is of another version".to_owned());
    }
    Ok(guest)
}

fn open(path: &Path, mode: std::ffi::c_int) -> Result<*mut c_void, String> {
    let name = CString::new(path.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: a path that ends in NUL.
    let handle = unsafe { libc::dlopen(name.as_ptr(), mode) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: the text of the failure above, until the next call.
    let why = unsafe { CStr::from_ptr(libc::dlerror()) };
    Err(why.to_string_lossy().into_owned())
}

/// The folder that this library was loaded from.
pub(crate) fn own_folder() -> Option<PathBuf> {
    // SAFETY: the record is filled in by the call.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    let here = (&raw const crate::wsgi_module).cast::<c_void>();
    // SAFETY: an address of ours.
    if unsafe { libc::dladdr(here, &raw mut info) } == 0 {
        return None;
    }
    // SAFETY: the loader's own text.
    let file = unsafe { CStr::from_ptr(info.dli_fname) };
    let file = Path::new(std::ffi::OsStr::from_bytes(file.to_bytes()));
    file.canonicalize().ok()?.parent().map(Path::to_owned)
}

fn run(guest: &'static Guest, global: &GlobalConfig) -> Result<&'static Guest, String> {
    let config = &global.python;
    let home = config.home.clone().unwrap_or_default();
    let is_environment = Path::new(&home).join("pyvenv.cfg").is_file();
    let (program, home) = match home.as_str() {
        "" => (interpreter::program(), String::new()),
        home if is_environment => (format!("{home}/bin/python"), String::new()),
        home => (String::new(), home.to_owned()),
    };
    let warnings: Vec<Text<'_>> =
        config.warnings.iter().map(|text| Text::new(text.as_bytes())).collect();
    let sections: Vec<door::Section<'_>> = config.sections.iter().map(section_of).collect();
    let [description, mpm_name, build_date] = words_about_httpd();
    let settings = Settings {
        program: Text::new(program.as_bytes()),
        home: Text::new(home.as_bytes()),
        warnings: List::new(&warnings),
        optimize: config.optimize.unwrap_or(0).max(0),
        dont_write_bytecode: config.dont_write_bytecode.unwrap_or(false),
        hash_seed: config.hash_seed.map_or(-1, i64::from),
        sections: List::new(&sections),
        eggs: text_of(&config.eggs),
        server_metrics: global.server_metrics.unwrap_or(false),
        telemetry: global.has_telemetry,
        case_sensitivity: global.case_sensitivity.unwrap_or(true),
        one_process: asked_of_mpm(sys::AP_MPMQ_MAX_DAEMONS) == 1 && is_debugging(),
        daemon: None,
        processes: asked_of_mpm(sys::AP_MPMQ_MAX_DAEMONS),
        threads: asked_of_mpm(sys::AP_MPMQ_MAX_THREADS).max(1),
        apache_version: version_of(&description),
        apache_description: Text::new(description.as_bytes()),
        mpm_name: Text::new(mpm_name.as_bytes()),
        build_date: Text::new(build_date.as_bytes()),
    };
    // SAFETY: the guest's own function; the settings outlive the call.
    if unsafe { (guest.start)(&HOST, &settings) } {
        return Ok(guest);
    }
    Err(format!(
        "it is {} {}, with the library {}; WSGIPythonHome is \"{}\"",
        env!("MOD_WSGI_PYTHON"),
        env!("MOD_WSGI_PYTHON_VERSION"),
        env!("MOD_WSGI_LIBPYTHON"),
        config.home.as_deref().unwrap_or_default()
    ))
}

/// httpd's version, its MPM, when it was built.
pub(crate) fn words_about_httpd() -> [String; 3] {
    // SAFETY: httpd's own static texts.
    unsafe { [sys::ap_get_server_description(), sys::ap_show_mpm(), sys::ap_get_server_built()] }
        .map(httpd::setting_text)
}

fn text_of(text: &Option<String>) -> Text<'_> {
    Text::new(text.as_deref().unwrap_or_default().as_bytes())
}

fn section_of(section: &Section) -> door::Section<'_> {
    let options = &section.options;
    door::Section {
        has_process_group: section.process_group.is_some(),
        process_group: text_of(&section.process_group),
        has_application_group: section.application_group.is_some(),
        application_group: text_of(&section.application_group),
        path: text_of(&options.path),
        switch_interval: options.switch_interval.unwrap_or(0.0),
        per_interpreter_gil: options.per_interpreter_gil.into(),
        restrict_stdin: options.restrict_stdin.into(),
        restrict_stdout: options.restrict_stdout.into(),
        restrict_signal: options.restrict_signal.into(),
    }
}

/// Whether httpd was started with -X: its streams belong to a debugger.
fn is_debugging() -> bool {
    httpd::is_defined(c"ONE_PROCESS")
}

/// A figure of the MPM.
pub(crate) fn asked_of_mpm(question: std::ffi::c_int) -> std::ffi::c_int {
    let mut answer = 0;
    // SAFETY: httpd writes one number.
    unsafe { sys::ap_mpm_query(question, &raw mut answer) };
    answer
}

/// `Apache/2.4.69 (Unix)` as numbers.
pub(crate) fn version_of(description: &str) -> [std::ffi::c_int; 3] {
    let text = description.split(['/', ' ']).nth(1).unwrap_or_default();
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
