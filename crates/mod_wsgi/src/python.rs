//! Python in this process: libpython, then the Python side of the module, are
//! loaded when a child starts, and ended with it.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString, c_void};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use door::{Enter, Guest, List, SYMBOL, Settings, Text, VERSION};
use httpd::{Level, Pool, log_to_process, sys};

use crate::config::{PythonConfig, ServerConfig};
use crate::exchange::HOST;

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

/// Starts Python; what keeps it from running is logged, and every request for
/// it is answered 500.
pub(crate) fn start(config: &PythonConfig, pool: Pool) {
    match load().and_then(|guest| run(guest, config)) {
        Ok(guest) => {
            GUEST.get_or_init(|| guest);
            // Runs when the child ends, before its pool goes.
            let destroy = config.destroy_interpreter.unwrap_or(true);
            let _kept_by_the_pool = pool.keep(Ending { destroy });
        }
        Err(why) => {
            log_to_process(Level::Critical, &format!("WSGI0001: Python does not run here: {why}"));
        }
    }
}

/// Loads what can be loaded before any request: import scripts, then scripts of
/// aliases with both groups fixed.
pub(crate) fn preload(main: httpd::Server) {
    let Some(guest) = guest() else { return };
    let mut seen = BTreeSet::new();
    let servers = || std::iter::successors(Some(main), |server| server.next());
    let configs = || servers().filter_map(|server| server.config::<ServerConfig>(crate::index()));
    let imports = configs().flat_map(|config| config.import_scripts.iter());
    for script in imports.chain(configs().flat_map(|config| config.aliases.iter())) {
        let Some(group) = script.preloads_into() else { continue };
        let path = Path::new(&script.path);
        // The scripts of a folder are loaded one by one, as they are asked for.
        if path.is_dir() || !seen.insert((script.path.clone(), group.to_owned())) {
            continue;
        }
        let time = crate::handler::time_of(&script.path);
        // SAFETY: the guest's own function; the texts outlive the call.
        unsafe {
            (guest.load)(Text::new(script.path.as_bytes()), time, Text::new(group.as_bytes()));
        }
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
fn load() -> Result<&'static Guest, String> {
    let library = env!("MOD_WSGI_LIBPYTHON");
    if library.is_empty() {
        return Err(format!(
            "{} has no shared library; embedded mode needs a Python built with --enable-shared",
            env!("MOD_WSGI_PYTHON")
        ));
    }
    open(Path::new(library), libc::RTLD_NOW | libc::RTLD_GLOBAL)?;
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
fn own_folder() -> Option<PathBuf> {
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

fn run(guest: &'static Guest, config: &PythonConfig) -> Result<&'static Guest, String> {
    let home = config.home.clone().unwrap_or_default();
    let is_environment = Path::new(&home).join("pyvenv.cfg").is_file();
    let (program, home) = match home.as_str() {
        "" => (env!("MOD_WSGI_PYTHON").to_owned(), String::new()),
        home if is_environment => (format!("{home}/bin/python"), String::new()),
        home => (String::new(), home.to_owned()),
    };
    let warnings: Vec<Text<'_>> =
        config.warnings.iter().map(|text| Text::new(text.as_bytes())).collect();
    // SAFETY: httpd's own static texts.
    let [description, mpm_name, build_date] = unsafe {
        [sys::ap_get_server_description(), sys::ap_show_mpm(), sys::ap_get_server_built()]
    }
    .map(httpd::setting_text);
    let settings = Settings {
        program: Text::new(program.as_bytes()),
        home: Text::new(home.as_bytes()),
        path: Text::new(config.path.as_deref().unwrap_or_default().as_bytes()),
        warnings: List::new(&warnings),
        optimize: config.optimize.unwrap_or(0).max(0),
        dont_write_bytecode: config.dont_write_bytecode.unwrap_or(false),
        hash_seed: config.hash_seed.map_or(-1, i64::from),
        restrict_stdin: config.restrict_stdin.unwrap_or(false),
        restrict_stdout: config.restrict_stdout.unwrap_or(false),
        restrict_signal: config.restrict_signal.unwrap_or(true),
        one_process: asked_of_mpm(sys::AP_MPMQ_MAX_DAEMONS) == 1 && is_debugging(),
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
fn version_of(description: &str) -> [std::ffi::c_int; 3] {
    let text = description.split(['/', ' ']).nth(1).unwrap_or_default();
    let mut parts = text.split('.').map(|part| part.parse().unwrap_or(0));
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}
