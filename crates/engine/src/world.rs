//! The interpreters of this process by the name of their application group, and
//! what each has of ours. No Python object is held anywhere else.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::sync::{Arc, Mutex, OnceLock};

use cpython::{Attached, Config, Interpreter, Object, Raised, Result, ffi};
use door::{Host, Settings, Text};
use wsgi::interpreter::{Options, Section, resolve};

use crate::current::{self, level};
use crate::exception;
use crate::load::Scripts;
use crate::types::Types;
use crate::{functions, metrics};

/// One interpreter and what it has of ours.
pub(crate) struct World {
    /// Name of the application group; empty for the main interpreter.
    pub(crate) name: Vec<u8>,
    /// The interpreter.
    pub(crate) interpreter: Interpreter,
    /// Its scripts.
    pub(crate) scripts: Scripts,
    /// `WSGICaseSensitivity`.
    pub(crate) case_sensitivity: bool,
    /// Types of our objects in it.
    pub(crate) types: Types,
    /// The module `mod_wsgi`, kept for good.
    module: Kept,
    /// Objects of the module that every request needs.
    pub(crate) own: Own,
    /// Keys of environs: made once, with their hashes.
    keys: Mutex<BTreeMap<Vec<u8>, Kept>>,
    /// Error streams that nobody holds any more.
    idle_errors: Mutex<Vec<Kept>>,
    /// What every environ starts as, kept for good.
    template: Kept,
}

/// Objects of the module that every request needs: nothing is looked up by name
/// then.
pub(crate) struct Own {
    /// `FileWrapper`.
    pub(crate) file_wrapper: Kept,
    /// `event_callbacks`.
    pub(crate) event_callbacks: Kept,
    /// `active_requests`.
    pub(crate) active_requests: Kept,
    /// `_by_thread`.
    pub(crate) by_thread: Kept,
    new_errors: Kept,
}

impl Own {
    fn of(module: &Object<'_>) -> Result<Self> {
        let kept = |name| module.attribute(name).map(Kept::new);
        Ok(Self {
            file_wrapper: kept(c"FileWrapper")?,
            event_callbacks: kept(c"event_callbacks")?,
            active_requests: kept(c"active_requests")?,
            by_thread: kept(c"_by_thread")?,
            new_errors: kept(c"_new_errors")?,
        })
    }

    /// Whether anybody subscribed to events.
    pub(crate) fn has_subscribers(&self) -> bool {
        // SAFETY: S3: a list of the module's own, in the attached interpreter.
        unsafe { ffi::PyList_Size(self.event_callbacks.raw()) > 0 }
    }
}

/// An object that lives as long as its interpreter.
pub(crate) struct Kept(*mut ffi::PyObject);

// SAFETY: only ever turned into an object again by a thread that is attached to
// its interpreter.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Kept {
    /// Keeps an object for good.
    pub(crate) fn new(object: Object<'_>) -> Self {
        Self(object.into_raw())
    }

    /// The object.
    pub(crate) fn get<'py>(&self, py: Attached<'py>) -> Result<Object<'py>> {
        // SAFETY: S3: the thread is attached to the world that this is kept in.
        unsafe { Object::from_borrowed(py, self.0) }
    }

    /// The object, with the reference that was kept.
    pub(crate) fn take<'py>(self, py: Attached<'py>) -> Result<Object<'py>> {
        // SAFETY: S3: our reference, in the world that it was kept in.
        unsafe { Object::from_new(py, self.0) }
    }

    /// The pointer, to compare with.
    pub(crate) fn raw(&self) -> *mut ffi::PyObject {
        self.0
    }
}

/// What is the same for all interpreters.
struct Process {
    settings: Facts,
    worlds: Mutex<BTreeMap<Vec<u8>, Arc<World>>>,
}

static PROCESS: OnceLock<Process> = OnceLock::new();

/// Settings that interpreters are set up with, owned.
struct Facts {
    sections: Vec<Section>,
    eggs: Vec<u8>,
    server_metrics: bool,
    case_sensitivity: bool,
    one_process: bool,
    processes: i64,
    threads: i64,
    apache_version: [i64; 3],
    apache_description: Vec<u8>,
    mpm_name: Vec<u8>,
    build_date: Vec<u8>,
}

impl Facts {
    fn of(settings: &Settings<'_>) -> Self {
        Self {
            sections: settings.sections.items().iter().map(section_of).collect(),
            eggs: settings.eggs.bytes().to_vec(),
            server_metrics: settings.server_metrics,
            case_sensitivity: settings.case_sensitivity,
            one_process: settings.one_process,
            processes: settings.processes.into(),
            threads: settings.threads.into(),
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

/// Starts Python in this process, with its main interpreter set up.
///
/// # Errors
/// Why it cannot run.
pub fn start(host: &'static Host, settings: &Settings<'_>) -> std::result::Result<(), String> {
    current::set_host(host);
    current::log(level::INFO, b"Initializing Python runtime in embedded mode.");
    cpython::start(&Config {
        program: settings.program.bytes().to_vec(),
        home: settings.home.bytes().to_vec(),
        warnings: settings.warnings.items().iter().map(|text| text.bytes().to_vec()).collect(),
        optimize: settings.optimize,
        dont_write_bytecode: settings.dont_write_bytecode,
        hash_seed: u32::try_from(settings.hash_seed).ok(),
        name: b"mod_wsgi".to_vec(),
    })?;
    metrics::start(settings.threads.into(), settings.telemetry);
    let process =
        PROCESS.get_or_init(|| Process { settings: Facts::of(settings), worlds: Mutex::default() });
    current::log(level::INFO, b"Attaching to Python main interpreter in embedded mode.");
    let main = World::set_up(&[], Interpreter::main(), &process.settings)?;
    if let Ok(mut worlds) = process.worlds.lock() {
        worlds.insert(Vec::new(), Arc::new(main));
    }
    Ok(())
}

/// Tells every interpreter of the end, then ends them, the main one last, unless
/// told not to.
pub fn stop(destroy: bool) {
    let Some(process) = PROCESS.get() else { return };
    let worlds = process.worlds.lock().map(|mut worlds| std::mem::take(&mut *worlds));
    let worlds: Vec<Arc<World>> = worlds.unwrap_or_default().into_values().rev().collect();
    // All hear of it before the first one ends.
    for world in &worlds {
        world.call_own(c"_process_stopping");
    }
    if !destroy {
        return;
    }
    for world in &worlds {
        world.interpreter.forget_threads_of_host();
        world.call_own(c"_join_threads");
        if world.interpreter != Interpreter::main() {
            current::log(level::INFO, format!("Destroying {}.", world.place()).as_bytes());
            world.interpreter.end();
        }
    }
    current::log(level::INFO, b"Terminating Python runtime in embedded mode.");
    cpython::stop();
    current::log(level::INFO, b"Python runtime has shut down in embedded mode.");
}

impl World {
    /// The world of that application group; made when it is first needed.
    pub(crate) fn find(name: &[u8]) -> Option<Arc<Self>> {
        let process = PROCESS.get()?;
        // Held while an interpreter is made, by threads that are not attached:
        // nobody waits for it with Python's lock in hand.
        let mut worlds = process.worlds.lock().ok()?;
        if let Some(world) = worlds.get(name) {
            return Some(Arc::clone(world));
        }
        let shown = String::from_utf8_lossy(name);
        let text = format!("Creating sub-interpreter '{shown}' in embedded mode.");
        current::log(level::INFO, text.as_bytes());
        let own_gil = resolve(&process.settings.sections, EMBEDDED, &shown).own_gil;
        let made = Interpreter::main().attach(|py| Interpreter::new(py, own_gil));
        let interpreter = made
            .map_err(|why| {
                let text = format!("sub-interpreter '{shown}' cannot be made: {why}");
                current::log(level::CRITICAL, text.as_bytes());
            })
            .ok()?;
        match Self::set_up(name, interpreter, &process.settings) {
            Ok(world) => {
                let world = Arc::new(world);
                worlds.insert(name.to_vec(), Arc::clone(&world));
                Some(world)
            }
            Err(why) => {
                current::log(level::CRITICAL, why.as_bytes());
                None
            }
        }
    }

    fn set_up(
        name: &[u8],
        interpreter: Interpreter,
        facts: &Facts,
    ) -> std::result::Result<Self, String> {
        interpreter.attach(|py| {
            let make = || -> Result<(Kept, Kept, Types, Own)> {
                let module = make_module(py, name, facts)?;
                let types = Types::new(py)?;
                let template = make_template(py, name, facts, &module)?;
                let own = Own::of(&module)?;
                Ok((Kept::new(module), Kept::new(template), types, own))
            };
            match make() {
                Ok((module, template, types, own)) => Ok(Self {
                    name: name.to_vec(),
                    interpreter,
                    scripts: Scripts::default(),
                    case_sensitivity: facts.case_sensitivity,
                    types,
                    module,
                    own,
                    keys: Mutex::default(),
                    idle_errors: Mutex::default(),
                    template,
                }),
                Err(Raised) => {
                    exception::print();
                    let name = String::from_utf8_lossy(name);
                    Err(format!("interpreter '{name}' cannot be set up"))
                }
            }
        })
    }

    /// Calls a function of the module's Python part.
    fn call_own(&self, name: &CStr) {
        self.interpreter.attach(|py| {
            let called = self.module(py).and_then(|module| module.attribute(name)?.call(&[]));
            if called.is_err() {
                exception::print();
            }
        });
    }

    /// Interpreter and process, in words.
    pub(crate) fn place(&self) -> String {
        match self.name.as_slice() {
            [] => "main interpreter in embedded mode".to_owned(),
            name => {
                let name = String::from_utf8_lossy(name);
                format!("sub-interpreter '{name}' in embedded mode")
            }
        }
    }

    /// The module `mod_wsgi` in it.
    pub(crate) fn module<'py>(&self, py: Attached<'py>) -> Result<Object<'py>> {
        self.module.get(py)
    }

    /// The text of a key.
    pub(crate) fn key<'py>(&self, py: Attached<'py>, name: &[u8]) -> Result<Object<'py>> {
        // Held for no longer than the look-up: nothing in here lets go of the lock
        // of Python's.
        let Ok(mut keys) = self.keys.lock() else { return Object::latin1(py, name) };
        if let Some(key) = keys.get(name) {
            return key.get(py);
        }
        let key = Object::latin1(py, name)?;
        // A client chooses names of headers: there must be an end to it.
        if keys.len() < MOST_KEYS {
            // SAFETY: S3: one more reference, kept for good.
            let kept = unsafe { Object::from_borrowed(py, key.raw()) }?;
            keys.insert(name.to_vec(), Kept::new(kept));
        }
        Ok(key)
    }

    /// An error stream for a request: one that nobody holds any more, or a new one.
    pub(crate) fn take_errors<'py>(&self, py: Attached<'py>) -> Result<Object<'py>> {
        let idle = self.idle_errors.lock().ok().and_then(|mut idle| idle.pop());
        match idle {
            Some(errors) => errors.take(py),
            None => self.own.new_errors.get(py)?.call(&[]),
        }
    }

    /// Ends a request's error stream. One that the application holds on to is
    /// closed to it; any other serves again.
    pub(crate) fn give_errors_back(&self, py: Attached<'_>, errors: Object<'_>) -> Result<()> {
        let module = self.module(py)?;
        let lines = errors.attribute(c"buffer")?;
        // SAFETY: S3.
        let was_used =
            lines.attribute(c"used").is_ok_and(|used| used.is(unsafe { ffi::Py_True() }));
        // SAFETY: S3.
        let is_held =
            unsafe { ffi::Py_REFCNT(errors.raw()) > 1 || ffi::Py_REFCNT(lines.raw()) > 2 };
        if was_used || is_held {
            let expire = Object::boolean(py, is_held);
            module.attribute(c"_settle_errors")?.call(&[&errors, &expire])?;
        }
        if !is_held && let Ok(mut idle) = self.idle_errors.lock() {
            idle.push(Kept::new(errors));
        }
        Ok(())
    }

    /// Adds what a script that decides about access is told of versions and places.
    pub(crate) fn add_versions<'py>(&self, py: Attached<'py>, environ: &Object<'py>) -> Result<()> {
        let template = self.template.get(py)?;
        for name in [
            &b"apache.version"[..],
            b"mod_wsgi.version",
            b"mod_wsgi.process_group",
            b"mod_wsgi.application_group",
        ] {
            let key = self.key(py, name)?;
            environ.set_item(&key, &template.item(&key)?)?;
        }
        Ok(())
    }

    /// A fresh environ with all that is the same for every request.
    pub(crate) fn new_environ<'py>(&self, py: Attached<'py>) -> Result<Object<'py>> {
        // SAFETY: S3: a dictionary of this interpreter; a new reference.
        unsafe { Object::from_new(py, ffi::PyDict_Copy(self.template.raw())) }
    }
}

/// The process group of httpd's own processes.
const EMBEDDED: &str = "";

/// Keys that are kept: those of CGI and the gateway, and common headers.
const MOST_KEYS: usize = 512;

/// Makes the module `mod_wsgi`: facts, `_log`, then its Python part.
fn make_module<'py>(py: Attached<'py>, name: &[u8], facts: &Facts) -> Result<Object<'py>> {
    // SAFETY: S3; a borrowed reference to the module in `sys.modules`.
    let module =
        unsafe { Object::from_borrowed(py, ffi::PyImport_AddModule(c"mod_wsgi".as_ptr())) }?;
    let version = numbers(py, &[6, 1, 1])?;
    module.set_attribute(c"version", &version)?;
    module.set_attribute(c"process_group", &Object::latin1(py, b"")?)?;
    module.set_attribute(c"application_group", &Object::latin1(py, name)?)?;
    module.set_attribute(c"maximum_processes", &Object::integer(py, facts.processes)?)?;
    module.set_attribute(c"threads_per_process", &Object::integer(py, facts.threads)?)?;
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
    let resolved = resolve(&facts.sections, EMBEDDED, &shown);
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
    let items = [
        ("path", Object::list(py, folders)?),
        ("eggs", Object::path(py, &facts.eggs)?),
        ("server_metrics", Object::boolean(py, facts.server_metrics)),
        ("switch_interval", Object::float(py, interval)?),
        ("restrict_stdin", Object::boolean(py, resolved.restrict_stdin)),
        ("restrict_stdout", Object::boolean(py, resolved.restrict_stdout)),
        ("restrict_signal", Object::boolean(py, resolved.restrict_signal)),
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

/// What every environ of this interpreter starts as.
fn make_template<'py>(
    py: Attached<'py>,
    name: &[u8],
    facts: &Facts,
    module: &Object<'py>,
) -> Result<Object<'py>> {
    let template = Object::dictionary(py)?;
    let items = [
        ("wsgi.version", numbers(py, &[1, 0])?),
        ("wsgi.multithread", Object::boolean(py, facts.threads != 1)),
        ("wsgi.multiprocess", Object::boolean(py, facts.processes != 1)),
        ("wsgi.run_once", Object::boolean(py, false)),
        ("wsgi.file_wrapper", module.attribute(c"FileWrapper")?),
        ("wsgi.input_terminated", Object::boolean(py, true)),
        ("apache.version", numbers(py, &facts.apache_version)?),
        ("mod_wsgi.version", numbers(py, &[6, 1, 1])?),
        ("mod_wsgi.process_group", Object::latin1(py, b"")?),
        ("mod_wsgi.application_group", Object::latin1(py, name)?),
        ("mod_wsgi.queue_start", Object::float(py, 0.0)?),
        ("mod_wsgi.daemon_start", Object::float(py, 0.0)?),
    ];
    for (key, value) in &items {
        template.set_item(&Object::latin1(py, key.as_bytes())?, value)?;
    }
    Ok(template)
}

/// A tuple of whole numbers.
pub(crate) fn numbers<'py>(py: Attached<'py>, numbers: &[i64]) -> Result<Object<'py>> {
    let items = numbers.iter().map(|number| Object::integer(py, *number)).collect::<Result<_>>()?;
    Object::tuple(py, items)
}
