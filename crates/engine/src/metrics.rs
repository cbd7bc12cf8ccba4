//! What the requests of this process use, of all interpreters together. Nothing
//! but their number is measured until somebody asks for more: by subscribing to
//! events, or by `mod_wsgi.start_recording_metrics()`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cpython::{Waits, measure_waits, take_waits};

use crate::input::Traffic;

pub(crate) mod figures;

/// Processor time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cpu {
    pub(crate) user: Duration,
    pub(crate) system: Duration,
}

impl Cpu {
    /// What this thread has used so far.
    fn of_thread() -> Self {
        Self::of(libc::RUSAGE_THREAD).0
    }

    /// What was used, and the most memory that was resident, in KiB.
    fn of(whom: libc::c_int) -> (Self, i64) {
        // SAFETY: a record of plain numbers, filled in by the call.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            libc::getrusage(whom, &raw mut usage);
            usage
        };
        let time = |time: libc::timeval| {
            let micros = time.tv_sec * 1_000_000 + time.tv_usec;
            Duration::from_micros(u64::try_from(micros).unwrap_or(0))
        };
        (Self { user: time(usage.ru_utime), system: time(usage.ru_stime) }, usage.ru_maxrss)
    }

    fn since(self, before: Self) -> Self {
        Self {
            user: self.user.saturating_sub(before.user),
            system: self.system.saturating_sub(before.system),
        }
    }

    fn total(self) -> Duration {
        self.user + self.system
    }
}

/// What a request used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    pub(crate) cpu: Cpu,
    pub(crate) waits: Waits,
    /// Since before its thread waited for Python's lock.
    elapsed: Option<Duration>,
}

/// One request, from before its thread waits for Python's lock to its end.
pub(crate) struct Meter {
    thread: i64,
    /// When anybody wants to know what it uses.
    start: Option<(Instant, Cpu)>,
}

impl Meter {
    pub(crate) fn start(thread: i64) -> Self {
        RUNNING.fetch_add(1, Ordering::Relaxed);
        if let Some(count) = slot_of(thread).and_then(|slot| counts().get(slot)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if !is_measuring() {
            return Self { thread, start: None };
        }
        let begun = Instant::now();
        let _of_before = take_waits();
        if RECORDING.load(Ordering::Relaxed) {
            totals().slot(thread).running = Some(Run { since: begun, counted: begun });
        }
        Self { thread, start: Some((begun, Cpu::of_thread())) }
    }

    /// What was used until now, if anybody wants to know. Of a request that runs
    /// since before that, nothing but its time is known.
    pub(crate) fn used(&self) -> Option<Used> {
        let waits = is_measuring().then(take_waits)?;
        Some(match self.start {
            Some((begun, cpu)) => {
                Used { cpu: Cpu::of_thread().since(cpu), waits, elapsed: Some(begun.elapsed()) }
            }
            None => Used { waits, ..Used::default() },
        })
    }

    /// Sums up a request.
    pub(crate) fn sum_up(&self, ended: &Ended, used: &Used) {
        if RECORDING.load(Ordering::Relaxed) {
            totals().add(self.thread, ended, used);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        COMPLETED.fetch_add(1, Ordering::Relaxed);
        // One whose script did not load has not been summed up.
        if self.start.is_some() && RECORDING.load(Ordering::Relaxed) {
            totals().slot(self.thread).running = None;
        }
    }
}

/// A request at its end.
pub(crate) struct Ended {
    /// Microseconds since 1970.
    pub(crate) request_start: i64,
    /// As in `door::Way`; 0 where no daemon process serves.
    pub(crate) queue_start: i64,
    /// See above.
    pub(crate) daemon_start: i64,
    pub(crate) application_start: i64,
    pub(crate) application_finish: i64,
    /// The application's, if it gave one.
    pub(crate) status: Option<u16>,
    pub(crate) input: Traffic,
    pub(crate) output: Traffic,
}

/// Events want to know what requests use.
pub(crate) fn measure() {
    measure_waits();
    MEASURING.store(true, Ordering::Relaxed);
}

/// Whether anybody wants to know what requests use.
pub(crate) fn is_measuring() -> bool {
    MEASURING.load(Ordering::Relaxed)
}

/// Remembers when the process started, how many threads serve, and whether
/// telemetry has the figures to itself.
pub(crate) fn start(threads: i64, telemetry: bool, is_daemon: bool) {
    let threads = usize::try_from(threads).unwrap_or(1).max(1);
    STARTED.store(epoch().to_bits(), Ordering::Relaxed);
    PROCESS.get_or_init(|| Process {
        telemetry,
        is_daemon,
        counts: (0..threads).map(|_| AtomicU64::new(0)).collect(),
    });
}

/// This is another process, which has used nothing yet.
pub(crate) fn start_again() {
    STARTED.store(epoch().to_bits(), Ordering::Relaxed);
    totals().interval = Interval::begin();
}

/// Seconds since 1970 at the start of the process.
fn started() -> f64 {
    f64::from_bits(STARTED.load(Ordering::Relaxed))
}

/// `start_recording_metrics()`.
pub(crate) fn record() {
    if PROCESS.get().is_none_or(|process| process.telemetry) {
        return;
    }
    measure();
    let mut totals = totals();
    if !RECORDING.swap(true, Ordering::Relaxed) {
        totals.interval = Interval::begin();
    }
}

struct Process {
    telemetry: bool,
    is_daemon: bool,
    /// Requests by thread.
    counts: Box<[AtomicU64]>,
}

static PROCESS: OnceLock<Process> = OnceLock::new();
/// Bits of a number.
static STARTED: AtomicU64 = AtomicU64::new(0);
static MEASURING: AtomicBool = AtomicBool::new(false);
static RECORDING: AtomicBool = AtomicBool::new(false);
static RUNNING: AtomicU64 = AtomicU64::new(0);
static COMPLETED: AtomicU64 = AtomicU64::new(0);
static TOTALS: Mutex<Totals> =
    Mutex::new(Totals { busy: Duration::ZERO, slots: Vec::new(), interval: Interval::NONE });

fn totals() -> MutexGuard<'static, Totals> {
    TOTALS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn counts() -> &'static [AtomicU64] {
    PROCESS.get().map_or(&[], |process| &process.counts)
}

/// Index of a thread that is numbered from 1.
fn slot_of(thread: i64) -> Option<usize> {
    usize::try_from(thread - 1).ok()
}

/// What is summed up.
struct Totals {
    /// Time of all requests since recording began.
    busy: Duration,
    /// By thread.
    slots: Vec<Slot>,
    interval: Interval,
}

/// One thread, since the last call of `request_metrics()`.
#[derive(Clone, Copy, Default)]
struct Slot {
    completed: u64,
    busy: Duration,
    cpu: Duration,
    most: Duration,
    running: Option<Run>,
}

/// A request that goes on.
#[derive(Clone, Copy)]
struct Run {
    since: Instant,
    /// Until when an earlier interval has counted it.
    counted: Instant,
}

/// All threads, since the last call of `request_metrics()`.
struct Interval {
    /// Seconds since 1970.
    since: f64,
    cpu: Cpu,
    classes: [i64; 5],
    input: Traffic,
    output: Traffic,
    phases: [Phase; PHASES.len()],
    waits: i64,
}

/// Parts of a request that are timed.
const PHASES: [&str; 8] = [
    "server_time",
    // These two only where a daemon process serves.
    "queue_time",
    "daemon_time",
    "application_time",
    "request_time",
    "gil_wait_time",
    "input_read_time",
    "output_write_time",
];

#[derive(Clone, Copy)]
struct Phase {
    total: Duration,
    /// Least and most.
    extremes: Option<(Duration, Duration)>,
    buckets: [u32; BUCKETS],
}

const NO_PHASE: Phase = Phase { total: Duration::ZERO, extremes: None, buckets: [0; BUCKETS] };

/// 16 octaves from 1 ms in 4 parts each, and one for all that is longer.
const BUCKETS: usize = 65;

impl Phase {
    fn add(&mut self, time: Duration, least: Duration, most: Duration) {
        self.total += time;
        self.extremes = Some(match self.extremes {
            None => (least, most),
            Some((low, high)) => (low.min(least), high.max(most)),
        });
        self.buckets[bucket_of(time)] += 1;
    }
}

/// What is shorter than 1 ms falls into the first bucket.
fn bucket_of(time: Duration) -> usize {
    let micros = usize::try_from(time.as_micros()).unwrap_or(usize::MAX);
    let millis = (micros / 1000).max(1);
    let octave = millis.ilog2() as usize;
    if octave >= 16 {
        return BUCKETS - 1;
    }
    let start = 1000 << octave;
    octave * 4 + micros.saturating_sub(start) * 4 / start
}

impl Interval {
    const NONE: Self = Self {
        since: 0.0,
        cpu: Cpu { user: Duration::ZERO, system: Duration::ZERO },
        classes: [0; 5],
        input: Traffic { count: 0, bytes: 0, time: Duration::ZERO },
        output: Traffic { count: 0, bytes: 0, time: Duration::ZERO },
        phases: [NO_PHASE; PHASES.len()],
        waits: 0,
    };

    fn begin() -> Self {
        Self { since: epoch(), cpu: Cpu::of(libc::RUSAGE_SELF).0, ..Self::NONE }
    }
}

impl Totals {
    fn slot(&mut self, thread: i64) -> &mut Slot {
        let slot = slot_of(thread).unwrap_or(0);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Slot::default);
        }
        &mut self.slots[slot]
    }

    fn add(&mut self, thread: i64, ended: &Ended, used: &Used) {
        let micros = |time: i64| Duration::from_micros(u64::try_from(time).unwrap_or(0));
        let [server, queue, daemon] = if ended.daemon_start == 0 {
            [micros(ended.application_start - ended.request_start), Duration::ZERO, Duration::ZERO]
        } else {
            [
                micros(ended.queue_start - ended.request_start),
                micros(ended.daemon_start - ended.queue_start),
                micros(ended.application_start - ended.daemon_start),
            ]
        };
        let application = micros(ended.application_finish - ended.application_start);
        let elapsed = used.elapsed.unwrap_or(application);
        let slot = self.slot(thread);
        slot.completed += 1;
        slot.busy += slot.running.take().map_or(elapsed, |run| run.counted.elapsed());
        slot.cpu += used.cpu.total();
        slot.most = slot.most.max(elapsed);
        self.busy += elapsed;
        let interval = &mut self.interval;
        // No start_response is a failure.
        let class = usize::from(ended.status.unwrap_or(500) / 100).clamp(1, 5);
        interval.classes[class - 1] += 1;
        interval.input.add_all(ended.input);
        interval.output.add_all(ended.output);
        interval.waits += i64::from(used.waits.count);
        let times = [
            server,
            queue,
            daemon,
            application,
            server + queue + daemon + application,
            used.waits.total,
            ended.input.time,
            ended.output.time,
        ];
        for (index, (phase, time)) in interval.phases.iter_mut().zip(times).enumerate() {
            let is_waits = PHASES[index] == "gil_wait_time";
            let (least, most) =
                if is_waits { (used.waits.least, used.waits.most) } else { (time, time) };
            phase.add(time, least, most);
        }
    }
}

impl Totals {
    /// Time of all requests, those that run now up to now.
    fn busy_until(&self, now: Instant) -> Duration {
        let running = self.slots.iter().filter_map(|slot| slot.running);
        self.busy + running.map(|run| now.saturating_duration_since(run.since)).sum::<Duration>()
    }

    /// Ends the interval: its figures, and those of each thread with the time that
    /// a request has run there which goes on.
    fn take(&mut self) -> (Interval, Vec<(Slot, Duration)>) {
        let interval = std::mem::replace(&mut self.interval, Interval::begin());
        let now = Instant::now();
        let slots = self.slots.iter_mut().map(|slot| {
            let mut taken = std::mem::take(slot);
            let mut elapsed = Duration::ZERO;
            if let Some(run) = taken.running {
                elapsed = now.saturating_duration_since(run.since);
                taken.busy += now.saturating_duration_since(run.counted);
                slot.running = Some(Run { counted: now, ..run });
            }
            (taken, elapsed)
        });
        (interval, slots.collect())
    }
}

/// Seconds since 1970.
fn epoch() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
