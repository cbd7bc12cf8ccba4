//! Interpreters, and what a thread needs to run code in one: a thread state for
//! each, made once and kept. A fresh one per request costs half the
//! throughput.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use pyo3_ffi as ffi;

use crate::waits::waiting;

/// This thread is attached to an interpreter: it holds that one's lock, and
/// objects of that one may be touched.
#[derive(Clone, Copy)]
pub struct Attached<'py>(PhantomData<(&'py (), *mut ())>);

impl Attached<'_> {
    /// For a function that Python called: the thread is attached.
    ///
    /// # Safety
    /// It must be so for all of the lifetime (S3).
    #[must_use]
    pub unsafe fn assume() -> Self {
        Self(PhantomData)
    }

    /// Runs something that may block, detached, so that others can run Python.
    /// It must not touch any object.
    pub fn detached<R>(self, work: impl FnOnce() -> R) -> R {
        // SAFETY: S3: attached now, and again after it.
        let state = unsafe { ffi::PyEval_SaveThread() };
        let result = work();
        // SAFETY: the state saved above, by the same thread.
        waiting(|| unsafe { ffi::PyEval_RestoreThread(state) });
        result
    }
}

/// An interpreter of this process.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interpreter(NonNull<ffi::PyInterpreterState>);

// An interpreter is named from any thread and entered through its lock.
// SAFETY: only `attach` uses the pointer.
unsafe impl Send for Interpreter {}
// SAFETY: as above.
unsafe impl Sync for Interpreter {}

thread_local! {
    /// Thread states of this thread, by interpreter.
    static STATES: RefCell<BTreeMap<Interpreter, *mut ffi::PyThreadState>> =
        const { RefCell::new(BTreeMap::new()) };
}

/// A thread state that we made, for one of the host's threads.
struct Made {
    interpreter: Interpreter,
    state: NonNull<ffi::PyThreadState>,
}

// SAFETY: only used by the thread that ends the interpreter.
unsafe impl Send for Made {}

/// All of them, of all threads.
static MADE: Mutex<Vec<Made>> = Mutex::new(Vec::new());

fn remember(interpreter: Interpreter, state: *mut ffi::PyThreadState) {
    if let (Some(state), Ok(mut made)) = (NonNull::new(state), MADE.lock()) {
        made.push(Made { interpreter, state });
    }
}

impl Interpreter {
    /// The main one.
    #[must_use]
    pub fn main() -> Self {
        // SAFETY: Python runs.
        match NonNull::new(unsafe { ffi::PyInterpreterState_Main() }) {
            Some(raw) => Self(raw),
            None => unreachable!("Python runs without its main interpreter"),
        }
    }

    /// Makes a sub-interpreter. It shares the lock of the main one, unless it is to
    /// have one of its own, which Python can do from 3.12 on.
    ///
    /// # Errors
    /// Python's own reason.
    pub fn new(py: Attached<'_>, own_lock: bool) -> std::result::Result<Self, String> {
        let _attached_to_main = py;
        // SAFETY: S3: attached to the main interpreter. The new one's state is
        // current afterwards, and is this thread's.
        let made = unsafe {
            let ours = ffi::PyThreadState_Get();
            let made = make(own_lock);
            ffi::PyThreadState_Swap(ours);
            made
        };
        let state = NonNull::new(made?).ok_or("Python gives no reason")?;
        // SAFETY: a live state.
        let raw = NonNull::new(unsafe { ffi::PyThreadState_GetInterpreter(state.as_ptr()) })
            .ok_or("its state belongs to no interpreter")?;
        STATES.with_borrow_mut(|states| states.insert(Self(raw), state.as_ptr()));
        remember(Self(raw), state.as_ptr());
        Ok(Self(raw))
    }

    /// Attaches this thread, which must not be attached, and runs code.
    pub fn attach<R>(self, run: impl for<'py> FnOnce(Attached<'py>) -> R) -> R {
        struct Leave;
        impl Drop for Leave {
            fn drop(&mut self) {
                // SAFETY: attached below, by this thread.
                unsafe { ffi::PyEval_SaveThread() };
            }
        }
        let main = Self::main();
        if self != main {
            // Extensions that ask for "the" state of a thread find the main one.
            main.state();
        }
        let state = self.state();
        // SAFETY: this thread's own state, and the thread is not attached.
        waiting(|| unsafe { ffi::PyEval_RestoreThread(state) });
        let _leave = Leave;
        // SAFETY: S3: until `_leave` goes.
        run(unsafe { Attached::assume() })
    }

    /// This thread's state.
    fn state(self) -> *mut ffi::PyThreadState {
        STATES.with_borrow_mut(|states| {
            *states.entry(self).or_insert_with(|| {
                // SAFETY: a live interpreter; the call needs no lock.
                let state = unsafe { ffi::PyThreadState_New(self.0.as_ptr()) };
                remember(self, state);
                state
            })
        })
    }

    /// Deletes the states of the host's other threads, which serve no more. For
    /// `threading` a thread lives until its state goes: whoever imported that
    /// module would be waited for.
    pub fn forget_threads_of_host(self) {
        let own = self.state();
        // SAFETY: this thread's own state, and the thread is not attached.
        unsafe { ffi::PyEval_RestoreThread(own) };
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let (theirs, rest) = std::mem::take(&mut *made)
            .into_iter()
            .partition(|one| one.interpreter == self && one.state.as_ptr() != own);
        *made = rest;
        drop(made);
        let theirs: Vec<Made> = theirs;
        for one in theirs {
            // SAFETY: attached; a state of this interpreter that no thread uses.
            unsafe {
                ffi::PyThreadState_Clear(one.state.as_ptr());
                ffi::PyThreadState_Delete(one.state.as_ptr());
            }
        }
        // SAFETY: attached above.
        unsafe { ffi::PyEval_SaveThread() };
    }

    /// Whether threads that Python made are left in it, as daemon threads are.
    #[must_use]
    pub fn has_threads(self) -> bool {
        let own = self.state();
        self.attach(|_attached| {
            // SAFETY: attached; the list of this interpreter, which no thread leaves
            // without its lock.
            unsafe {
                let mut state = ffi::PyInterpreterState_ThreadHead(self.0.as_ptr());
                while !state.is_null() {
                    if state != own {
                        return true;
                    }
                    state = ffi::PyThreadState_Next(state);
                }
            }
            false
        })
    }

    /// Ends a sub-interpreter: runs its `atexit`. No other thread may be left in it.
    pub fn end(self) {
        let state = self.state();
        // SAFETY: this thread's own state, and the thread is not attached.
        unsafe { ffi::PyEval_RestoreThread(state) };
        // SAFETY: the only state left; ending leaves no state current, and this
        // thread detached.
        unsafe { ffi::Py_EndInterpreter(state) };
        STATES.with_borrow_mut(|states| states.remove(&self));
        // From 3.12 on the lock goes with the interpreter; before, it is still
        // held by this thread and given back by way of the main interpreter.
        #[cfg(not(Py_3_12))]
        // SAFETY: the lock is held without a state, which is what 3.11 and older
        // leave after ending an interpreter.
        unsafe {
            ffi::PyThreadState_Swap(Self::main().state());
            ffi::PyEval_SaveThread();
        }
    }
}

/// Makes a sub-interpreter and its first thread state.
///
/// # Safety
/// The thread must be attached to the main interpreter.
unsafe fn make(own_lock: bool) -> std::result::Result<*mut ffi::PyThreadState, String> {
    #[cfg(Py_3_12)]
    if own_lock {
        let config = ffi::PyInterpreterConfig {
            use_main_obmalloc: 0,
            allow_fork: 1,
            allow_exec: 1,
            allow_threads: 1,
            allow_daemon_threads: 0,
            check_multi_interp_extensions: 1,
            gil: ffi::PyInterpreterConfig_OWN_GIL,
        };
        let mut state = std::ptr::null_mut();
        // SAFETY: by our caller; a complete record, and a place for the state.
        checked(unsafe { ffi::Py_NewInterpreterFromConfig(&raw mut state, &raw const config) })?;
        return Ok(state);
    }
    // Older ones have one lock for all.
    let _shared = own_lock;
    // SAFETY: by our caller.
    Ok(unsafe { ffi::Py_NewInterpreter() })
}

/// How Python is started.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// `sys.executable`; empty to let Python guess.
    pub program: Vec<u8>,
    /// Home; empty to let Python guess.
    pub home: Vec<u8>,
    /// Warning filters, as after `-W`.
    pub warnings: Vec<Vec<u8>>,
    /// Level of optimisation.
    pub optimize: c_int,
    /// No `.pyc` files.
    pub dont_write_bytecode: bool,
    /// Seed of hashes; none for a random one.
    pub hash_seed: Option<u32>,
    /// `sys.argv[0]`.
    pub name: Vec<u8>,
}

/// How a start went.
pub type Start = std::result::Result<(), String>;

/// Starts Python; the calling thread is detached afterwards.
///
/// # Errors
/// Python's own reason.
pub fn start(config: &Config) -> Start {
    // SAFETY: the record is filled in by the call below.
    let mut record: ffi::PyConfig = unsafe { std::mem::zeroed() };
    // SAFETY: a record of our own.
    unsafe { ffi::PyConfig_InitPythonConfig(&raw mut record) };
    record.install_signal_handlers = 0;
    record.parse_argv = 0;
    record.optimization_level = config.optimize;
    record.write_bytecode = c_int::from(!config.dont_write_bytecode);
    if let Some(seed) = config.hash_seed {
        record.use_hash_seed = 1;
        record.hash_seed = seed.into();
    }
    let result = fill(&mut record, config).and_then(|()| {
        // SAFETY: a complete record.
        checked(unsafe { ffi::Py_InitializeFromConfig(&raw const record) })
    });
    // SAFETY: initialised above.
    unsafe { ffi::PyConfig_Clear(&raw mut record) };
    result?;
    let main = Interpreter::main();
    // SAFETY: attached since the start.
    let state = unsafe { ffi::PyEval_SaveThread() };
    STATES.with_borrow_mut(|states| states.insert(main, state));
    // Another thread may end what this one has started.
    remember(main, state);
    Ok(())
}

/// Takes over the Python that has called this, on its main thread, which is detached
/// afterwards.
pub fn adopt() {
    let main = Interpreter::main();
    // SAFETY: attached, as whoever Python calls.
    let state = unsafe { ffi::PyEval_SaveThread() };
    STATES.with_borrow_mut(|states| states.insert(main, state));
}

/// Undoes [`adopt`], on the same thread.
pub fn give_back() {
    let state = Interpreter::main().state();
    // SAFETY: this thread's own state, and the thread is not attached.
    unsafe { ffi::PyEval_RestoreThread(state) };
}

/// Runs `fork`, which tells whether it has returned in a new process, between what
/// Python does before and after that (`os.register_at_fork`). For Python's main thread,
/// while there are no sub-interpreters: they do not outlive it.
pub fn forking(py: Attached<'_>, fork: impl FnOnce() -> bool) -> bool {
    let _attached = py;
    // SAFETY: S3.
    unsafe { ffi::PyOS_BeforeFork() };
    let is_new = fork();
    // SAFETY: S3; one of the two, each in its process.
    unsafe { if is_new { ffi::PyOS_AfterFork_Child() } else { ffi::PyOS_AfterFork_Parent() } };
    is_new
}

fn fill(record: &mut ffi::PyConfig, config: &Config) -> Start {
    let record = std::ptr::from_mut(record);
    // SAFETY: fields of one live record.
    let texts = unsafe {
        [
            (&raw mut (*record).program_name, &config.program),
            (&raw mut (*record).home, &config.home),
        ]
    };
    for (place, text) in texts {
        if !text.is_empty() {
            let text = CString::new(text.clone()).map_err(|_| "a path has a NUL in it")?;
            // SAFETY: the record and a field of it.
            checked(unsafe { ffi::PyConfig_SetBytesString(record, place, text.as_ptr()) })?;
        }
    }
    let name = CString::new(config.name.clone()).map_err(|_| "the name has a NUL in it")?;
    let mut argv = [name.as_ptr()];
    // SAFETY: one text.
    checked(unsafe { ffi::PyConfig_SetBytesArgv(record, 1, argv.as_mut_ptr()) })?;
    for warning in &config.warnings {
        // `wchar_t` of Linux and macOS.
        let wide: Vec<i32> = String::from_utf8_lossy(warning)
            .chars()
            .map(|letter| u32::from(letter).cast_signed())
            .chain([0])
            .collect();
        // SAFETY: a wide text that ends in NUL, and the record's own list.
        checked(unsafe {
            ffi::PyWideStringList_Append(&raw mut (*record).warnoptions, wide.as_ptr())
        })?;
    }
    Ok(())
}

fn checked(status: ffi::PyStatus) -> Start {
    // SAFETY: a status of Python's.
    if unsafe { ffi::PyStatus_Exception(status) } == 0 {
        return Ok(());
    }
    let text = |text: *const std::ffi::c_char| {
        // SAFETY: null or a text that ends in NUL and lives on.
        (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
    };
    Err(text(status.err_msg).unwrap_or_else(|| "Python gives no reason".into()))
}

/// Ends Python: joins threads, runs `atexit`. No other thread may be in it.
pub fn stop() {
    // SAFETY: this thread's own state of the main interpreter.
    unsafe {
        ffi::PyEval_RestoreThread(Interpreter::main().state());
        ffi::Py_FinalizeEx();
    }
    STATES.with_borrow_mut(BTreeMap::clear);
}
