//! The process from its start to its end. Its main thread serves no request: it waits
//! for signals, for the supervisor, and for limits of time.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use door::INTERRUPTIBLE_BITS;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wsgi::launch::{Launch, Notice, Order, Preload, Reason};

use crate::control::{self, level};
use crate::launch::{self, Given};
use crate::lock::{self, Watch};
use crate::state::State;
use crate::timers::{Event, Step, Timers};
use crate::worker::Worker;
use crate::{fork, service, signals, stop, title, zygote};

/// The program of a daemon process. Called by Python, attached, on its main thread,
/// and so again at its return: with the status to exit with, after Python's own end.
///
/// # Errors
/// Why the process does not know what it is for.
pub fn serve() -> Result<i32, String> {
    let given = launch::take()?;
    let name = given.launch.options.name.clone();
    Ok(run(given).unwrap_or_else(|why| {
        let text = format!(
            "WSGI0028: Python initialisation failed in daemon process '{name}'; Python based handlers will not be available: {why}"
        );
        control::log(level::CRITICAL, &text);
        stop::end_now(FAILED)
    }))
}

fn run(given: Given) -> Result<i32, String> {
    let Given { control, listener, launch } = given;
    let plain = |error: std::io::Error| error.to_string();
    fork::watch().map_err(plain)?;
    fork::keep_from_children(&control);
    let control = control::set(control);
    let has_zygote = launch.options.preload;
    set_title(&launch, if has_zygote { " zygote" } else { "" });
    control::set_log_level(launch.log_level);
    launch::set_locale(&launch);
    launch::adopt(&launch)?;
    let name = launch.options.name.clone();
    if has_zygote {
        zygote::run(&launch, control, &listener)?;
        set_title(&launch, "");
    }
    if launch.options.threads == 0 {
        let status = service::run(&launch, control)?;
        return Ok(end_python(&launch, &name, status));
    }
    let signals = signals::watch().map_err(plain)?;
    let is_loaded = |script: &&Preload| has_zygote && zygote::loads(script);
    for script in launch.preload.iter().filter(|script| !is_loaded(script)) {
        launch::load(script);
    }
    let state = Arc::new(State::new(launch, listener).map_err(plain)?);
    // First: a request may be the end of the process.
    control::tell(&Notice::Ready);
    let mut program = Program::start(Arc::clone(&state), control, signals)?;
    let reason = program.run();
    program.end(reason);
    Ok(end_python(&state.launch, &name, 0))
}

fn set_title(launch: &Launch, what: &str) {
    if let Some(name) = &launch.options.display_name {
        title::set(&format!("{name}{what}"));
    }
}

/// Ends all that is ours in Python; the rest ends after our return, if it may.
fn end_python(launch: &Launch, name: &str, status: i32) -> i32 {
    if launch.destroy_interpreter && engine::give_back() {
        stop::log_end_later(name);
        return status;
    }
    stop::log_end(name);
    stop::end_now(status)
}

/// What the main thread has.
struct Program {
    state: Arc<State>,
    timers: Timers,
    control: BorrowedFd<'static>,
    signals: OwnedFd,
    workers: Vec<JoinHandle<()>>,
    lock: Option<Watch>,
    /// Tells subscribers of signals, on a thread of its own.
    teller: Option<(Sender<i32>, JoinHandle<()>)>,
}

impl Program {
    fn start(
        state: Arc<State>,
        control: BorrowedFd<'static>,
        signals: OwnedFd,
    ) -> Result<Self, String> {
        let options = state.launch.options.clone();
        let name = &options.name;
        let mut workers = Vec::new();
        let text = format!("Starting {} threads in daemon process '{name}'.", options.threads);
        control::log(level::DEBUG, &text);
        for index in 0..usize::from(options.threads) {
            let mut builder = std::thread::Builder::new().name(format!("wsgi-{index}"));
            // Rust's own default is less than the system's, which Python counts on.
            builder = builder.stack_size(
                options
                    .stack_size
                    .map_or_else(system_stack, |size| usize::try_from(size).unwrap_or(usize::MAX)),
            );
            let mut worker = Worker::new(Arc::clone(&state), index);
            let started = builder.spawn(move || worker.run());
            workers.push(started.map_err(|error| {
                format!("WSGI0022: Unable to create worker thread {index} in daemon process '{name}': {error}")
            })?);
        }
        let lock = Watch::start(options.deadlock_timeout).unwrap_or_else(|_| {
            let text = format!("WSGI0069: Unable to create deadlock-detection thread in daemon process '{name}'; deadlock timeouts will not be enforced.");
            control::log(level::ERROR, &text);
            None
        });
        let (sender, receiver) = mpsc::channel();
        let teller = std::thread::Builder::new().name("wsgi-signals".into()).spawn(move || {
            for signal in receiver {
                engine::tell_signal(name_of(signal), signal);
            }
        });
        if teller.is_err() {
            let text = format!(
                "WSGI0207: Unable to create signal dispatcher thread in daemon process '{name}'; SIGHUP and SIGUSR2 signals will not be delivered to mod_wsgi.subscribe_signals subscribers."
            );
            control::log(level::ERROR, &text);
        }
        let teller = teller.ok().map(|thread| (sender, thread));
        let timers = Timers::new(options);
        Ok(Self { state, timers, control, signals, workers, lock, teller })
    }

    /// Waits for the reason to end.
    fn run(&mut self) -> Reason {
        let mut events = vec![Event::Look];
        loop {
            for event in std::mem::take(&mut events) {
                if let Some(reason) = self.happen(event) {
                    return reason;
                }
            }
            events = self.wait();
        }
    }

    /// What happens next; at the latest when there is something to look at.
    fn wait(&mut self) -> Vec<Event> {
        let mut pause = self.timers.pause(&self.state.seen());
        if let Some(lock) = &self.lock {
            match lock.left() {
                None => return vec![Event::Deadlock],
                Some(left) => pause = Some(pause.map_or(left, |pause| pause.min(left))),
            }
        }
        let mut places = [
            PollFd::new(&self.signals, PollFlags::IN),
            PollFd::new(&self.control, PollFlags::IN),
            PollFd::new(&self.state.wake, PollFlags::IN),
        ];
        // A little later, so that the time has come then.
        let pause = pause.map(|pause| timespec(pause + Duration::from_millis(1)));
        if poll(&mut places, pause.as_ref()).is_err() {
            return vec![Event::Look];
        }
        let [has_signal, has_order, is_woken] = places.map(|place| !place.revents().is_empty());
        let mut events = vec![Event::Look];
        if has_signal {
            events.extend(self.read_signals());
        }
        if has_order {
            match control::receive(self.control) {
                Ok(Some(Order::Retire)) => events.push(Event::Retire),
                Ok(Some(Order::Fork(_))) => {}
                Ok(None) => events.push(Event::Terminate),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => events.push(Event::Terminate),
            }
        }
        if is_woken {
            // Its count is of no interest.
            let _count = rustix::io::read(&self.state.wake, &mut [0; 8]);
        }
        events
    }

    fn read_signals(&self) -> Vec<Event> {
        let told = signals::read(&self.signals).into_iter().filter_map(|signal| match signal {
            libc::SIGTERM | libc::SIGINT => Some(Event::Terminate),
            libc::SIGUSR1 => Some(Event::Evict),
            libc::SIGXCPU => Some(Event::CpuLimit),
            signal => {
                if let Some((sender, _)) = &self.teller {
                    // It lives until the end.
                    let _told = sender.send(signal);
                }
                None
            }
        });
        told.collect()
    }

    /// Does what is to be done about it. A reason if that is to end.
    fn happen(&mut self, event: Event) -> Option<Reason> {
        let steps = self.timers.step(event, &self.state.seen());
        let awaits_ends = self.timers.awaits_ends();
        if awaits_ends != self.state.awaits_ends.swap(awaits_ends, Ordering::SeqCst) {
            // One may have ended before that was known.
            self.state.wake_main();
        }
        for step in steps {
            match step {
                Step::Log(text) => control::log(level::INFO, &text),
                Step::Replace(reason) => drop(control::tell(&Notice::Replace(reason))),
                Step::Interrupt { thread, serial } => self.interrupt(thread, serial),
                Step::Refuse(reason) => {
                    self.state.refuse();
                    control::tell(&Notice::Ending(reason));
                }
                Step::End(reason) => return Some(reason),
            }
        }
        None
    }

    /// Raises `RequestTimeout` in a thread. Python's lock may be long in coming.
    fn interrupt(&self, index: usize, serial: u64) {
        let state = Arc::clone(&self.state);
        let number = index + 1;
        let run = move || {
            let options = &state.launch.options;
            let (name, limit) = (&options.name, options.request_timeout.as_secs());
            let slot = &state.slots[index];
            let group = slot.group.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let thread = slot.thread.load(Ordering::Acquire);
            control::log(
                level::INFO,
                &format!(
                    "Dumping stack trace for thread {number} of daemon process '{name}' which has exceeded request-timeout of {limit} seconds, before injecting RequestTimeout to unwind it."
                ),
            );
            engine::log_stacks(&group, thread);
            let open = serial << INTERRUPTIBLE_BITS;
            if engine::interrupt(&group, thread, &slot.interruption, open) {
                let text = format!(
                    "Injected RequestTimeout into thread {number} of daemon process '{name}'."
                );
                control::log(level::INFO, &text);
            }
        };
        if std::thread::Builder::new().name("wsgi-timeout".into()).spawn(run).is_err() {
            control::log(level::ERROR, "no thread for RequestTimeout injection");
        }
    }

    /// Lets running requests end, tells the application, and ends all threads
    /// (reference 2.5).
    fn end(mut self, reason: Reason) {
        let options = &self.state.launch.options;
        let name = options.name.clone();
        if reason != Reason::ShutdownSignal {
            control::log(level::INFO, &format!("Shutdown requested for daemon process '{name}'."));
        }
        let is_stuck = reason == Reason::DeadlockTimeout;
        let limit = if is_stuck && options.shutdown_timeout.is_zero() {
            STUCK_LIMIT
        } else {
            options.shutdown_timeout
        };
        stop::abort_after(limit, &name);
        if !self.state.is_refusing() {
            control::tell(&Notice::Ending(reason));
        }
        self.state.refuse();
        signals::ignore_subscribed();
        if let Some((sender, thread)) = self.teller.take() {
            drop(sender);
            // It has nothing to say.
            let _ended = thread.join();
        }
        if is_stuck {
            lock::dump_stacks();
        }
        if reason == Reason::RequestTimeout {
            self.log_stacks();
        }
        engine::tell_end(reason.text());
        self.state.stop_threads();
        for worker in self.workers.drain(..) {
            let _ended = worker.join();
        }
        if let Some(lock) = self.lock.take() {
            lock.stop();
        }
        control::log(level::INFO, &format!("Stopping process '{name}'."));
    }

    /// Logs what threads are doing in the interpreters that requests run in.
    fn log_stacks(&self) {
        let runs = self.state.seen().runs;
        let mut groups: Vec<Vec<u8>> = self
            .state
            .slots
            .iter()
            .zip(runs)
            .filter(|(_, run)| run.is_some())
            .map(|(slot, _)| slot.group.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .collect();
        groups.sort();
        groups.dedup();
        for group in groups {
            engine::log_stacks(&group, 0);
        }
    }
}

fn name_of(signal: i32) -> &'static str {
    match signal {
        libc::SIGHUP => "SIGHUP",
        _ => "SIGUSR2",
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

/// Bytes of stack that the system gives threads.
fn system_stack() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Stack).current;
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(USUAL_STACK);
    limit.clamp(LEAST_STACK, MOST_STACK)
}

/// Status of a process that cannot serve.
const FAILED: i32 = 1;
const USUAL_STACK: usize = 8 * 1024 * 1024;
const LEAST_STACK: usize = 512 * 1024;
const MOST_STACK: usize = 64 * 1024 * 1024;
/// How long a process has to end in which nobody gets Python's lock, if nothing else
/// is said.
const STUCK_LIMIT: Duration = Duration::from_secs(5);
