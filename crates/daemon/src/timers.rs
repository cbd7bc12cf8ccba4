//! What a daemon process is to do at a moment: all limits of time and number, and
//! what signals and the supervisor ask for (reference 2.2 and 2.3). Decisions alone;
//! nothing here waits, reads a clock, or does what is decided.

use std::time::Duration;

use wsgi::launch::Reason;
use wsgi::options::daemon::DaemonOptions;

/// A request that runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Run {
    /// Tells it from all others.
    pub(crate) serial: u64,
    /// When its thread had it. All times count from the start of the process.
    pub(crate) since: Duration,
}

/// How it stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) now: Duration,
    /// What each thread is at.
    pub(crate) runs: Vec<Option<Run>>,
    /// When the first request came.
    pub(crate) first: Option<Duration>,
    /// When anything last happened for a request.
    pub(crate) activity: Duration,
    /// Whether a script has been loaded.
    pub(crate) has_loaded: bool,
    /// Requests that have ended.
    pub(crate) completed: u64,
    /// Whether a script was found to have changed.
    pub(crate) is_changed: bool,
}

/// What has happened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Event {
    /// Nothing but time passing.
    Look,
    /// SIGUSR1.
    Evict,
    /// SIGXCPU.
    CpuLimit,
    /// SIGTERM, SIGINT, or the supervisor has gone.
    Terminate,
    /// Nobody gets Python's lock any more.
    Deadlock,
    /// The one that takes this one's place is ready.
    Retire,
}

/// What is to be done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Step {
    /// Log a line.
    Log(String),
    /// Ask for another process to take this one's place.
    Replace(Reason),
    /// Raise `RequestTimeout` in that thread.
    Interrupt {
        /// Index of the thread.
        thread: usize,
        /// The request that it must still be at.
        serial: u64,
    },
    /// Take no new requests.
    Refuse(Reason),
    /// End; running requests have `shutdown-timeout` from now on.
    End(Reason),
}

/// Where a process stands between its start and its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Serving,
    /// To be replaced once no request runs, or at that time if there is one.
    Evicting(Reason, Option<Duration>),
    /// Replaced as soon as another one is ready. With the time until which requests
    /// may run, if that is set already.
    Leaving(Reason, Option<Option<Duration>>),
    /// Takes no new requests; those that run may do so until that time.
    Draining(Reason, Option<Duration>),
    Ending,
}

/// The limits, and how far things have gone.
#[derive(Debug)]
pub(crate) struct Timers {
    options: DaemonOptions,
    phase: Phase,
    /// Requests that were interrupted, by thread: serial and time.
    interrupted: Vec<Option<(u64, Duration)>>,
}

impl Timers {
    pub(crate) fn new(options: DaemonOptions) -> Self {
        let threads = usize::from(options.threads);
        Self { options, phase: Phase::Serving, interrupted: vec![None; threads] }
    }

    /// Whether the end of each request is of interest.
    pub(crate) fn awaits_ends(&self) -> bool {
        matches!(self.phase, Phase::Evicting(..) | Phase::Draining(..))
    }

    /// What to do now that this has happened.
    pub(crate) fn step(&mut self, event: Event, seen: &Seen) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.phase == Phase::Ending {
            return steps;
        }
        match event {
            Event::Look => {}
            Event::Terminate => {
                self.log(&mut steps, "Shutdown requested for daemon process");
                self.end(&mut steps, Reason::ShutdownSignal);
            }
            Event::Deadlock => {
                let text = "Daemon process deadlock timer expired, stopping daemon process";
                self.log(&mut steps, text);
                self.end(&mut steps, Reason::DeadlockTimeout);
            }
            Event::Evict => self.evict(&mut steps, seen),
            Event::CpuLimit if matches!(self.phase, Phase::Serving | Phase::Evicting(..)) => {
                let text = self.waiting(seen, "Exceeded CPU time limit", "daemon process");
                self.leave(&mut steps, Reason::CpuTimeLimit, &text);
            }
            Event::CpuLimit => {}
            Event::Retire => self.retire(&mut steps, seen),
        }
        self.look(&mut steps, seen);
        steps
    }

    fn look(&mut self, steps: &mut Vec<Step>, seen: &Seen) {
        if self.phase == Phase::Ending {
            return;
        }
        let startup = self.options.startup_timeout;
        let is_late = |first: Duration| seen.now >= first + startup;
        if !startup.is_zero() && !seen.has_loaded && seen.first.is_some_and(is_late) {
            self.log(steps, "Application startup timer expired, stopping daemon process");
            return self.end(steps, Reason::StartupTimeout);
        }
        self.look_at_requests(steps, seen);
        match self.phase {
            Phase::Serving => self.look_at_age(steps, seen),
            Phase::Evicting(reason, until) => {
                let is_late = until.is_some_and(|until| seen.now >= until);
                if is_late {
                    let name = &self.options.name;
                    steps.push(Step::Log(format!(
                        "Daemon process restart timer expired in daemon process '{name}'; forcing shutdown."
                    )));
                }
                if is_late || self.active(seen) == 0 {
                    self.phase = Phase::Leaving(reason, Some(until));
                    steps.push(Step::Replace(reason));
                }
            }
            Phase::Draining(reason, until) => {
                let is_late = until.is_some_and(|until| seen.now >= until);
                if is_late || self.active(seen) == 0 {
                    self.end(steps, reason);
                }
            }
            Phase::Leaving(..) | Phase::Ending => {}
        }
    }

    fn look_at_age(&mut self, steps: &mut Vec<Step>, seen: &Seen) {
        let options = &self.options;
        let idle = options.inactivity_timeout;
        let is_idle = !idle.is_zero()
            && seen.first.is_some()
            && seen.runs.iter().all(Option::is_none)
            && seen.now >= seen.activity + idle;
        if seen.is_changed {
            let text = "Forcing restart of daemon process";
            self.leave(steps, Reason::ScriptReload, &self.about(text));
        } else if options.maximum_requests > 0 && seen.completed >= options.maximum_requests {
            let text = self.waiting(seen, "Maximum requests reached", "daemon process");
            self.leave(steps, Reason::MaximumRequests, &text);
        } else if !options.restart_interval.is_zero() && seen.now >= options.restart_interval {
            let text = if self.has_to_wait(seen) {
                "Application restart timer expired; waiting for in-flight requests to complete in process"
            } else {
                "Application restart timer expired, stopping process"
            };
            self.leave(steps, Reason::RestartInterval, &self.about(text));
        } else if is_idle {
            let text = "Daemon process idle inactivity timer expired, stopping process";
            self.leave(steps, Reason::InactivityTimeout, &self.about(text));
        }
    }

    /// Requests that have run for too long.
    fn look_at_requests(&mut self, steps: &mut Vec<Step>, seen: &Seen) {
        let Some(limit) = self.request_limit() else { return };
        let grace = self.options.interrupt_timeout;
        let mut is_over = false;
        for (thread, run) in seen.runs.iter().enumerate() {
            let Some(run) = run.filter(|run| seen.now >= run.since + limit) else { continue };
            let Some(interrupted) = self.interrupted.get_mut(thread) else { continue };
            match *interrupted {
                _ if grace.is_zero() => is_over = true,
                Some((serial, at)) if serial == run.serial => is_over |= seen.now >= at + grace,
                _ => {
                    *interrupted = Some((run.serial, seen.now));
                    steps.push(Step::Interrupt { thread, serial: run.serial });
                }
            }
        }
        if is_over && matches!(self.phase, Phase::Serving | Phase::Evicting(..)) {
            let text = if self.has_to_wait(seen) {
                "Daemon process request time limit exceeded; waiting for in-flight requests to complete in daemon process"
            } else {
                "Daemon process request time limit exceeded, stopping daemon process"
            };
            self.leave(steps, Reason::RequestTimeout, &self.about(text));
        }
    }

    fn evict(&mut self, steps: &mut Vec<Step>, seen: &Seen) {
        if self.phase != Phase::Serving {
            return;
        }
        let (what, reason) = if self.options.eviction_timeout.is_zero() {
            ("Graceful restart requested", Reason::GracefulSignal)
        } else {
            ("Process eviction requested", Reason::EvictionSignal)
        };
        let then = if self.active(seen) > 0 {
            "waiting for in-flight requests to complete in"
        } else {
            "triggering immediate shutdown of"
        };
        self.log(steps, &format!("{what}; {then} daemon process"));
        let wait = self.options.eviction_wait();
        self.phase = Phase::Evicting(reason, (!wait.is_zero()).then_some(seen.now + wait));
    }

    /// Asks for another process; this one serves until that one is ready.
    fn leave(&mut self, steps: &mut Vec<Step>, reason: Reason, text: &str) {
        steps.push(Step::Log(text.to_owned()));
        steps.push(Step::Replace(reason));
        self.phase = Phase::Leaving(reason, None);
    }

    fn retire(&mut self, steps: &mut Vec<Step>, seen: &Seen) {
        let graceful = Some(seen.now + self.options.graceful_timeout);
        let (reason, until) = match self.phase {
            Phase::Leaving(reason, until) => (reason, until.unwrap_or(graceful)),
            Phase::Evicting(reason, until) => (reason, until),
            Phase::Serving => (Reason::GracefulSignal, graceful),
            Phase::Draining(..) | Phase::Ending => return,
        };
        steps.push(Step::Refuse(reason));
        self.phase = Phase::Draining(reason, until);
    }

    fn end(&mut self, steps: &mut Vec<Step>, reason: Reason) {
        steps.push(Step::End(reason));
        self.phase = Phase::Ending;
    }

    fn log(&self, steps: &mut Vec<Step>, text: &str) {
        steps.push(Step::Log(self.about(text)));
    }

    fn about(&self, text: &str) -> String {
        format!("{text} '{}'.", self.options.name)
    }

    /// What was reached, and whether requests are waited for.
    fn waiting(&self, seen: &Seen, what: &str, process: &str) -> String {
        let then = if self.has_to_wait(seen) {
            "waiting for in-flight requests to complete in"
        } else {
            "triggering immediate shutdown of"
        };
        self.about(&format!("{what}; {then} {process}"))
    }

    fn has_to_wait(&self, seen: &Seen) -> bool {
        !self.options.graceful_timeout.is_zero() && self.active(seen) > 0
    }

    /// Requests that run and are not so old that nobody waits for them.
    fn active(&self, seen: &Seen) -> usize {
        let stale = self.stale_limit();
        let runs = seen.runs.iter().flatten();
        runs.filter(|run| stale.is_none_or(|stale| seen.now < run.since + stale)).count()
    }

    fn stale_limit(&self) -> Option<Duration> {
        let limit = self.options.request_timeout + self.options.interrupt_timeout;
        (!limit.is_zero()).then_some(limit)
    }

    /// How long a request may run.
    fn request_limit(&self) -> Option<Duration> {
        let limit = self.options.request_timeout;
        let threads = f64::from(self.options.threads.max(1));
        (!limit.is_zero()).then(|| limit.mul_f64(1.0 + threads.ln()))
    }

    /// How long nothing is to be done, unless something happens.
    pub(crate) fn pause(&self, seen: &Seen) -> Option<Duration> {
        let options = &self.options;
        let mut times: Vec<Duration> = Vec::new();
        let runs = || seen.runs.iter().flatten();
        if !options.startup_timeout.is_zero() && !seen.has_loaded {
            times.push(seen.first.unwrap_or(seen.now) + options.startup_timeout);
        }
        if let Some(limit) = self.request_limit() {
            times.push(seen.now + limit);
            times.extend(runs().map(|run| run.since + limit));
            let grace = options.interrupt_timeout;
            times.extend(self.interrupted.iter().flatten().map(|(_, at)| *at + grace));
        }
        match self.phase {
            Phase::Serving => {
                if !options.restart_interval.is_zero() {
                    times.push(options.restart_interval);
                }
                if !options.inactivity_timeout.is_zero() {
                    let is_idle = seen.first.is_some() && runs().next().is_none();
                    let since = if is_idle { seen.activity } else { seen.now };
                    times.push(since + options.inactivity_timeout);
                }
            }
            Phase::Evicting(_, until) | Phase::Draining(_, until) => {
                times.extend(until);
                let stale = self.stale_limit();
                times.extend(stale.iter().flat_map(|stale| runs().map(|run| run.since + *stale)));
            }
            Phase::Leaving(..) | Phase::Ending => {}
        }
        // What is over has been dealt with.
        let ahead = times.into_iter().filter(|time| *time > seen.now).min()?;
        Some(ahead - seen.now)
    }
}
