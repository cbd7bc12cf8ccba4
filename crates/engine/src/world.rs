//! The interpreters of this process by the name of their application group, and
//! what each has of ours. No Python object is held anywhere else.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cpython::{Attached, Config, Interpreter, Object, Raised, Result, ffi};
use door::{Host, Settings};
use wsgi::interpreter::resolve;
use wsgi::key::Key;

use crate::current::{self, level};
use crate::exception;
use crate::load::Scripts;
use crate::metrics;
use crate::setup::{Facts, make_constants, make_module};
use crate::template::Templates;
use crate::types::Types;

/// One interpreter and what it has of ours.
pub(crate) struct World {
    /// Name of the application group; empty for the main interpreter.
    pub(crate) name: Vec<u8>,
    /// The process, in words.
    pub(crate) process: String,
    /// Whether a script that has changed is left to a process that starts later.
    pub(crate) hands_back: bool,
    /// The interpreter.
    pub(crate) interpreter: Interpreter,
    /// Its scripts.
    pub(crate) scripts: Scripts,
    /// `WSGICaseSensitivity`.
    pub(crate) case_sensitivity: bool,
    /// Types of our objects in it.
    pub(crate) types: Types,
    /// Objects of the module `mod_wsgi` that requests need.
    pub(crate) own: Own,
    /// Environs to copy.
    pub(crate) templates: Templates,
    /// Keys that have a number: made once, with their hashes.
    known: Vec<Kept>,
    /// Other keys of environs.
    keys: Mutex<HashMap<Vec<u8>, Kept>>,
    /// Error streams that nobody holds any more, each with its buffer.
    idle_errors: Mutex<Vec<(Kept, Kept)>>,
    /// What is the same in every environ.
    constants: Kept,
    /// Blocks that were sent by threads which were not attached any more.
    sent: Mutex<Vec<Kept>>,
}

/// Objects that requests need: nothing is looked up by name then, and an
/// application that takes the module apart does not disturb us.
pub(crate) struct Own {
    /// `FileWrapper`.
    pub(crate) file_wrapper: Kept,
    /// `active_requests`.
    pub(crate) active_requests: Kept,
    /// `_by_thread`.
    pub(crate) by_thread: Kept,
    /// `_request_begins`.
    pub(crate) request_begins: Kept,
    /// `_response_started`.
    pub(crate) response_started: Kept,
    /// `_request_fails`.
    pub(crate) request_fails: Kept,
    /// `_request_ends`.
    pub(crate) request_ends: Kept,
    /// The text `http`.
    pub(crate) http: Kept,
    /// The text `https`.
    pub(crate) https: Kept,
    /// The text `close`.
    pub(crate) close: Kept,
    /// The text `reload_required`.
    pub(crate) reload_required: Kept,
    event_callbacks: Kept,
    new_errors: Kept,
    settle_errors: Kept,
    process_stopping: Kept,
    process_signal: Kept,
    join_threads: Kept,
    run_atexit: Kept,
    freeze: Kept,
    is_forked: Kept,
    /// `RequestTimeout`.
    pub(crate) request_timeout: Kept,
    /// `_stacks`.
    pub(crate) stacks: Kept,
    /// `_serve_alone`.
    pub(crate) serve_alone: Kept,
    /// The text `used`.
    used: Kept,
}

impl Own {
    fn of(py: Attached<'_>, module: &Object<'_>) -> Result<Self> {
        let kept = |name| module.attribute(name).map(Kept::new);
        let text = |text| Object::interned(py, text).map(Kept::new);
        Ok(Self {
            file_wrapper: kept(c"FileWrapper")?,
            active_requests: kept(c"active_requests")?,
            by_thread: kept(c"_by_thread")?,
            request_begins: kept(c"_request_begins")?,
            response_started: kept(c"_response_started")?,
            request_fails: kept(c"_request_fails")?,
            request_ends: kept(c"_request_ends")?,
            http: text(c"http")?,
            https: text(c"https")?,
            close: text(c"close")?,
            reload_required: text(c"reload_required")?,
            event_callbacks: kept(c"event_callbacks")?,
            new_errors: kept(c"_new_errors")?,
            settle_errors: kept(c"_settle_errors")?,
            process_stopping: kept(c"_process_stopping")?,
            process_signal: kept(c"_process_signal")?,
            request_timeout: kept(c"RequestTimeout")?,
            stacks: kept(c"_stacks")?,
            serve_alone: kept(c"_serve_alone")?,
            join_threads: kept(c"_join_threads")?,
            run_atexit: kept(c"_run_atexit")?,
            freeze: kept(c"_freeze")?,
            is_forked: kept(c"_is_forked")?,
            used: text(c"used")?,
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
    set_up_main(settings)
}

/// Sets up the main interpreter of a Python that runs already and has called us on
/// its main thread, which is detached afterwards.
///
/// # Errors
/// Why it cannot serve.
pub fn adopt(host: &'static Host, settings: &Settings<'_>) -> std::result::Result<(), String> {
    current::set_host(host);
    cpython::adopt();
    set_up_main(settings)
}

fn set_up_main(settings: &Settings<'_>) -> std::result::Result<(), String> {
    let facts = Facts::of(settings);
    metrics::start(facts.limits().1, settings.telemetry, facts.daemon.is_some());
    let text = format!("Attaching to Python main interpreter in {}.", facts.place());
    current::log(level::INFO, text.as_bytes());
    let process = PROCESS.get_or_init(|| Process { settings: facts, worlds: Mutex::default() });
    let main = World::set_up(&[], Interpreter::main(), &process.settings)?;
    if let Ok(mut worlds) = process.worlds.lock() {
        worlds.insert(Vec::new(), Arc::new(main));
    }
    Ok(())
}

/// Tells every interpreter of the end, then ends them, the main one last, unless
/// told not to.
pub fn stop(destroy: bool) {
    // All hear of it before the first one ends.
    tell_end("");
    if !destroy {
        return;
    }
    let Some(main) = end_others() else { return };
    current::log(level::INFO, b"Terminating Python runtime in embedded mode.");
    if end_threads(&main) {
        cpython::stop();
    } else {
        main.call_own(|own| &own.run_atexit);
    }
    current::log(level::INFO, b"Python runtime has shut down in embedded mode.");
    // Threads that were left have nobody to tell any more.
    current::close();
}

/// Ends all interpreters but the main one, and its threads; no request runs any
/// more. Whether Python's own end may follow, on this thread, which is attached to
/// the main interpreter then. If not, its `atexit` has run.
#[must_use]
pub fn give_back() -> bool {
    let Some(main) = end_others() else { return false };
    current::log(
        level::INFO,
        format!("Terminating Python runtime in {}.", main.process).as_bytes(),
    );
    if end_threads(&main) {
        cpython::give_back();
        return true;
    }
    main.call_own(|own| &own.run_atexit);
    false
}

/// Interpreters that live, the main one last.
fn worlds() -> Vec<Arc<World>> {
    let worlds = PROCESS.get().and_then(|process| process.worlds.lock().ok());
    worlds.iter().flat_map(|worlds| worlds.values().rev()).cloned().collect()
}

/// Tells every interpreter that the process ends.
pub fn tell_end(reason: &str) {
    for world in worlds() {
        world.tell(
            |own| &own.process_stopping,
            |py| Ok(vec![Object::latin1(py, reason.as_bytes())?]),
        );
    }
}

/// Tells every interpreter of a signal.
pub fn tell_signal(name: &str, number: i32) {
    for world in worlds() {
        world.tell(
            |own| &own.process_signal,
            |py| {
                Ok(vec![Object::latin1(py, name.as_bytes())?, Object::integer(py, number.into())?])
            },
        );
    }
}

/// Leaves all objects that there are out of Python's search for garbage, which would
/// write to memory that forked processes share.
pub fn freeze() {
    if let Some(main) = world_of(&[]) {
        main.call_own(|own| &own.freeze);
    }
}

/// Forks the process by `fork`, which tells whether it has returned in the new one. On
/// the main thread, before any other interpreter than the main one is made.
pub fn fork(fork: impl FnOnce() -> bool) -> bool {
    let is_new = Interpreter::main().attach(|py| cpython::forking(py, fork));
    if is_new {
        metrics::start_again();
        if let Some(main) = world_of(&[]) {
            main.call_own(|own| &own.is_forked);
        }
    }
    is_new
}

/// The interpreter of that application group, if there is one.
pub(crate) fn world_of(name: &[u8]) -> Option<Arc<World>> {
    PROCESS.get()?.worlds.lock().ok()?.get(name).cloned()
}

static ARE_ALL_ENDED: AtomicBool = AtomicBool::new(true);

/// Waits for the threads of the main interpreter; whether Python itself may end.
fn end_threads(main: &World) -> bool {
    main.interpreter.forget_threads_of_host();
    main.call_own(|own| &own.join_threads);
    ARE_ALL_ENDED.load(Ordering::Relaxed)
}

/// Ends all but the main interpreter, which is handed out.
fn end_others() -> Option<Arc<World>> {
    let process = PROCESS.get()?;
    let worlds = process.worlds.lock().map(|mut worlds| std::mem::take(&mut *worlds));
    let worlds: Vec<Arc<World>> = worlds.unwrap_or_default().into_values().rev().collect();
    for world in worlds.iter().filter(|world| world.interpreter != Interpreter::main()) {
        world.interpreter.forget_threads_of_host();
        world.call_own(|own| &own.join_threads);
        if world.interpreter.has_threads() {
            // They would use what goes with the interpreter. The process ends soon.
            let (shown, process) = (world.shown(), &world.process);
            let text = format!("Leaving {shown} in {process}, where threads still run.");
            current::log(level::INFO, text.as_bytes());
            world.call_own(|own| &own.run_atexit);
            ARE_ALL_ENDED.store(false, Ordering::Relaxed);
            continue;
        }
        let text = format!("Destroying {} in {}.", world.shown(), world.process);
        current::log(level::INFO, text.as_bytes());
        world.interpreter.end();
    }
    worlds.last().cloned()
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
        let place = process.settings.place();
        let text = format!("Creating sub-interpreter '{shown}' in {place}.");
        current::log(level::INFO, text.as_bytes());
        let own_gil = resolve(&process.settings.sections, process.settings.group(), &shown).own_gil;
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
            let make = || -> Result<Self> {
                let module = make_module(py, name, facts)?;
                let known = Key::ALL.iter().map(|key| {
                    let text = CString::new(key.text()).map_err(|_| Raised)?;
                    Object::interned(py, &text).map(Kept::new)
                });
                Ok(Self {
                    name: name.to_vec(),
                    process: facts.place(),
                    hands_back: facts.daemon.is_some(),
                    interpreter,
                    scripts: Scripts::default(),
                    case_sensitivity: facts.case_sensitivity,
                    types: Types::new(py)?,
                    own: Own::of(py, &module)?,
                    templates: Templates::default(),
                    known: known.collect::<Result<_>>()?,
                    keys: Mutex::default(),
                    idle_errors: Mutex::default(),
                    constants: Kept::new(make_constants(py, name, facts, &module)?),
                    sent: Mutex::default(),
                })
            };
            make().map_err(|Raised| {
                exception::print(py);
                let name = String::from_utf8_lossy(name);
                format!("interpreter '{name}' cannot be set up")
            })
        })
    }

    /// Calls a function of the module's Python part.
    fn call_own(&self, function: fn(&Own) -> &Kept) {
        self.tell(function, |_| Ok(Vec::new()));
    }

    /// The same with arguments.
    pub(crate) fn tell(
        &self,
        function: fn(&Own) -> &Kept,
        arguments: impl for<'py> FnOnce(Attached<'py>) -> Result<Vec<Object<'py>>>,
    ) {
        self.interpreter.attach(|py| {
            let call = || -> Result<Object<'_>> {
                let arguments = arguments(py)?;
                function(&self.own).get(py)?.call(&arguments.iter().collect::<Vec<_>>())
            };
            if call().is_err() {
                exception::print(py);
            }
        });
    }

    /// The interpreter, in words.
    pub(crate) fn shown(&self) -> String {
        match self.name.as_slice() {
            [] => "main interpreter".to_owned(),
            name => format!("sub-interpreter '{}'", String::from_utf8_lossy(name)),
        }
    }

    /// Interpreter and process, in words.
    pub(crate) fn place(&self) -> String {
        let of = if self.hands_back { "of" } else { "in" };
        format!("{} {of} {}", self.shown(), self.process)
    }

    /// The text of a key that has a number.
    pub(crate) fn known<'py>(&self, py: Attached<'py>, key: Key) -> Result<Object<'py>> {
        self.known[key as usize].get(py)
    }

    /// The text of any other key.
    pub(crate) fn key<'py>(&self, py: Attached<'py>, name: &[u8]) -> Result<Object<'py>> {
        // Held for no longer than the look-up: nothing in here lets go of Python's
        // lock.
        let Ok(mut keys) = self.keys.lock() else { return Object::latin1(py, name) };
        if let Some(key) = keys.get(name) {
            return key.get(py);
        }
        let key = Object::latin1(py, name)?;
        // A client chooses names of headers: there must be an end to it.
        if keys.len() < MOST_KEYS {
            keys.insert(name.to_vec(), Kept::new(key.again()));
        }
        Ok(key)
    }

    /// An error stream for a request, and its buffer: one that nobody holds any
    /// more, or a new one.
    pub(crate) fn take_errors<'py>(&self, py: Attached<'py>) -> Result<(Object<'py>, Object<'py>)> {
        let idle = self.idle_errors.lock().ok().and_then(|mut idle| idle.pop());
        if let Some((errors, lines)) = idle {
            return Ok((errors.take(py)?, lines.take(py)?));
        }
        let errors = self.own.new_errors.get(py)?.call(&[])?;
        let lines = errors.attribute(c"buffer")?;
        Ok((errors, lines))
    }

    /// Ends a request's error stream. One that the application holds on to is
    /// closed to it; any other serves again.
    pub(crate) fn give_errors_back(
        &self,
        py: Attached<'_>,
        (errors, lines): (Object<'_>, Object<'_>),
    ) -> Result<()> {
        let was_used = lines.attribute_of(&self.own.used.get(py)?)?;
        // SAFETY: S3: live objects; the stream has a reference to its buffer.
        let (was_used, is_held) = unsafe {
            let is_held = ffi::Py_REFCNT(errors.raw()) > 1 || ffi::Py_REFCNT(lines.raw()) > 2;
            (was_used.is(ffi::Py_True()), is_held)
        };
        if was_used || is_held {
            let expire = Object::boolean(py, is_held);
            self.own.settle_errors.get(py)?.call(&[&errors, &expire])?;
        }
        if !is_held && let Ok(mut idle) = self.idle_errors.lock() {
            idle.push((Kept::new(errors), Kept::new(lines)));
        }
        Ok(())
    }

    /// Drops an object when somebody is attached again.
    pub(crate) fn drop_later(&self, object: Kept) {
        if let Ok(mut sent) = self.sent.lock() {
            sent.push(object);
        }
    }

    /// Drops what was left for that.
    pub(crate) fn drop_sent(&self, py: Attached<'_>) {
        let sent = self.sent.lock().map(|mut sent| std::mem::take(&mut *sent));
        for object in sent.unwrap_or_default() {
            drop(object.take(py));
        }
    }

    /// Adds what a script that decides about access is told of versions and places.
    pub(crate) fn add_versions<'py>(&self, py: Attached<'py>, environ: &Object<'py>) -> Result<()> {
        let constants = self.constants(py)?;
        for key in [Key::ApacheVersion, Key::Version, Key::ProcessGroup, Key::ApplicationGroup] {
            let key = self.known(py, key)?;
            environ.set_item(&key, &constants.item(&key)?)?;
        }
        Ok(())
    }

    /// What is the same in every environ.
    pub(crate) fn constants<'py>(&self, py: Attached<'py>) -> Result<Object<'py>> {
        self.constants.get(py)
    }
}

/// Keys without a number that are kept.
const MOST_KEYS: usize = 512;
