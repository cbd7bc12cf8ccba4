//! How an interpreter is set up: the module `mod_wsgi` in it, its settings, and
//! what all its environs have.

use std::ffi::{CStr, CString};

use cpython::{Attached, Object, Raised, Result, ffi};
use door::{Settings, Text};
use wsgi::interpreter::{Options, Section, resolve};
use wsgi::key::Key;

use crate::current::{self, level};
use crate::functions;

/// Settings that interpreters are set up with, owned.
pub(crate) struct Facts {
    pub(crate) sections: Vec<Section>,
    eggs: Vec<u8>,
    server_metrics: bool,
    pub(crate) case_sensitivity: bool,
    one_process: bool,
    processes: i64,
    threads: i64,
    /// Where this runs; none for httpd's own processes.
    pub(crate) daemon: Option<Daemon>,
    apache_version: [i64; 3],
    apache_description: Vec<u8>,
    mpm_name: Vec<u8>,
    build_date: Vec<u8>,
}

/// What a daemon process has of its own, owned.
pub(crate) struct Daemon {
    group: String,
    processes: i64,
    threads: i64,
    multiprocess: bool,
    run_once: bool,
    home: Vec<u8>,
}

impl Daemon {
    fn of(daemon: &door::Daemon<'_>) -> Self {
        Self {
            group: String::from_utf8_lossy(daemon.group.bytes()).into_owned(),
            processes: daemon.processes.into(),
            threads: daemon.threads.into(),
            multiprocess: daemon.multiprocess,
            run_once: daemon.run_once,
            home: daemon.home.bytes().to_vec(),
        }
    }
}

impl Facts {
    /// The process group; empty for httpd's own processes.
    pub(crate) fn group(&self) -> &str {
        self.daemon.as_ref().map_or("", |daemon| &daemon.group)
    }

    /// The process, in words.
    pub(crate) fn place(&self) -> String {
        match &self.daemon {
            None => "embedded mode".to_owned(),
            Some(daemon) => format!("daemon process '{}'", daemon.group),
        }
    }

    /// Whether requests are served.
    pub(crate) fn serves(&self) -> bool {
        self.daemon.as_ref().is_none_or(|daemon| daemon.threads > 0)
    }

    /// Processes, and threads of each, as the module `mod_wsgi` tells them.
    pub(crate) fn limits(&self) -> (i64, i64) {
        self.daemon
            .as_ref()
            .map_or((self.processes, self.threads), |daemon| (daemon.processes, daemon.threads))
    }

    pub(crate) fn of(settings: &Settings<'_>) -> Self {
        Self {
            sections: settings.sections.items().iter().map(section_of).collect(),
            eggs: settings.eggs.bytes().to_vec(),
            server_metrics: settings.server_metrics,
            case_sensitivity: settings.case_sensitivity,
            one_process: settings.one_process,
            processes: settings.processes.into(),
            threads: settings.threads.into(),
            daemon: settings.daemon.map(Daemon::of),
            apache_version: settings.apache_version.map(i64::from),
            apache_description: settings.apache_description.bytes().to_vec(),
            mpm_name: settings.mpm_name.bytes().to_vec(),
            build_date: settings.build_date.bytes().to_vec(),
        }
    }
}

fn section_of(section: &door::Section<'_>) -> Section {
    let text = |text: Text<'_>| String::from_utf8_lossy(text.bytes()).into_owned();
    Section {
        process_group: section.has_process_group.then(|| text(section.process_group)),
        application_group: section.has_application_group.then(|| text(section.application_group)),
        options: Options {
            path: Some(text(section.path)),
            switch_interval: Some(section.switch_interval).filter(|seconds| *seconds > 0.0),
            per_interpreter_gil: section.per_interpreter_gil.into(),
            restrict_stdin: section.restrict_stdin.into(),
            restrict_stdout: section.restrict_stdout.into(),
            restrict_signal: section.restrict_signal.into(),
        },
    }
}

/// Makes the module `mod_wsgi`: facts, `_log`, then its Python part.
pub(crate) fn make_module<'py>(
    py: Attached<'py>,
    name: &[u8],
    facts: &Facts,
) -> Result<Object<'py>> {
    // SAFETY: S3; a borrowed reference to the module in `sys.modules`.
    let module =
        unsafe { Object::from_borrowed(py, ffi::PyImport_AddModule(c"mod_wsgi".as_ptr())) }?;
    let version = numbers(py, &VERSION)?;
    module.set_attribute(c"version", &version)?;
    module.set_attribute(c"process_group", &Object::latin1(py, facts.group().as_bytes())?)?;
    module.set_attribute(c"application_group", &Object::latin1(py, name)?)?;
    let (processes, threads) = facts.limits();
    module.set_attribute(c"maximum_processes", &Object::integer(py, processes)?)?;
    module.set_attribute(c"threads_per_process", &Object::integer(py, threads)?)?;
    functions::add_to(&module)?;
    module.set_attribute(c"_settings", &settings(py, name, facts)?)?;
    // SAFETY: S3; a borrowed reference.
    let names = unsafe { Object::from_borrowed(py, ffi::PyModule_GetDict(module.raw())) }?;
    let source = CString::new(include_str!("mod_wsgi.py")).map_err(|_| Raised)?;
    run(py, &source, c"<mod_wsgi>", &names)?;
    module.attribute(c"_set_up")?.call(&[])?;
    Ok(module)
}

/// Compiles and runs a source in a namespace.
fn run(py: Attached<'_>, source: &CStr, name: &CStr, names: &Object<'_>) -> Result<()> {
    // SAFETY: S3; a new reference.
    let code = unsafe {
        let code = ffi::Py_CompileString(source.as_ptr(), name.as_ptr(), ffi::Py_file_input);
        Object::from_new(py, code)
    }?;
    // SAFETY: S3; the builtins of the interpreter that runs.
    unsafe {
        let builtins = Object::from_borrowed(py, ffi::PyEval_GetBuiltins())?;
        names.set_item(&Object::latin1(py, b"__builtins__")?, &builtins)?;
        Object::from_new(py, ffi::PyEval_EvalCode(code.raw(), names.raw(), names.raw()))?;
    }
    Ok(())
}

fn settings<'py>(py: Attached<'py>, name: &[u8], facts: &Facts) -> Result<Object<'py>> {
    let shown = String::from_utf8_lossy(name);
    let resolved = resolve(&facts.sections, facts.group(), &shown);
    let folders = resolved.path.iter().map(|folder| Object::path(py, folder.as_bytes()));
    let interval = match resolved.switch_interval {
        // It would be that of everybody who shares the lock.
        Some(seconds) if resolved.is_own_interval && !name.is_empty() && !resolved.own_gil => {
            let text = format!(
                "WSGI0199: Skipping per-interpreter switch interval {seconds:.6}s for sub-interpreter '{shown}': setting it would mutate the process-global value because this interpreter does not have its own GIL."
            );
            current::log(level::WARNING, text.as_bytes());
            0.0
        }
        seconds => seconds.unwrap_or(0.0),
    };
    let home = facts.daemon.as_ref().map_or(&[][..], |daemon| &daemon.home);
    let items = [
        ("path", Object::list(py, folders)?),
        ("home", Object::path(py, home)?),
        ("daemon", Object::boolean(py, facts.daemon.is_some())),
        ("serves", Object::boolean(py, facts.serves())),
        ("eggs", Object::path(py, &facts.eggs)?),
        ("server_metrics", Object::boolean(py, facts.server_metrics)),
        ("switch_interval", Object::float(py, interval)?),
        ("restrict_stdin", Object::boolean(py, resolved.restrict_stdin)),
        ("restrict_stdout", Object::boolean(py, resolved.restrict_stdout)),
        ("restrict_signal", Object::boolean(py, resolved.restrict_signal && facts.serves())),
        ("one_process", Object::boolean(py, facts.one_process)),
        ("processes", Object::integer(py, facts.processes)?),
        ("threads", Object::integer(py, facts.threads)?),
        ("apache_version", numbers(py, &facts.apache_version)?),
        ("apache_description", Object::latin1(py, &facts.apache_description)?),
        ("mpm_name", Object::latin1(py, &facts.mpm_name)?),
        ("build_date", Object::latin1(py, &facts.build_date)?),
    ];
    let dictionary = Object::dictionary(py)?;
    for (name, value) in &items {
        dictionary.set_item(&Object::latin1(py, name.as_bytes())?, value)?;
    }
    Ok(dictionary)
}

/// What is the same in every environ of this interpreter.
pub(crate) fn make_constants<'py>(
    py: Attached<'py>,
    name: &[u8],
    facts: &Facts,
    module: &Object<'py>,
) -> Result<Object<'py>> {
    let constants = Object::dictionary(py)?;
    let (_, threads) = facts.limits();
    let daemon = facts.daemon.as_ref();
    let multiprocess = daemon.map_or(facts.processes != 1, |daemon| daemon.multiprocess);
    let run_once = daemon.is_some_and(|daemon| daemon.run_once);
    let items = [
        (Key::WsgiVersion, numbers(py, &[1, 0])?),
        (Key::WsgiMultithread, Object::boolean(py, threads != 1)),
        (Key::WsgiMultiprocess, Object::boolean(py, multiprocess)),
        (Key::WsgiRunOnce, Object::boolean(py, run_once)),
        (Key::WsgiFileWrapper, module.attribute(c"FileWrapper")?),
        (Key::WsgiInputTerminated, Object::boolean(py, true)),
        (Key::ApacheVersion, numbers(py, &facts.apache_version)?),
        (Key::Version, numbers(py, &VERSION)?),
        (Key::ProcessGroup, Object::latin1(py, facts.group().as_bytes())?),
        (Key::ApplicationGroup, Object::latin1(py, name)?),
        (Key::QueueStart, Object::float(py, 0.0)?),
        (Key::DaemonStart, Object::float(py, 0.0)?),
    ];
    for (key, value) in &items {
        constants.set_item(&Object::latin1(py, key.text().as_bytes())?, value)?;
    }
    Ok(constants)
}

/// The release of mod_wsgi that this one stands in for.
const VERSION: [i64; 3] = [6, 1, 1];

/// A tuple of whole numbers.
fn numbers<'py>(py: Attached<'py>, numbers: &[i64]) -> Result<Object<'py>> {
    let items = numbers.iter().map(|number| Object::integer(py, *number)).collect::<Result<_>>()?;
    Object::tuple(py, items)
}
