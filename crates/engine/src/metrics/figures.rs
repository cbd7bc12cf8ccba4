//! The dictionaries that `mod_wsgi.request_metrics()` and
//! `mod_wsgi.process_metrics()` answer with (reference 4.7).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpython::{Attached, Object, Result};

use super::{
    BUCKETS, COMPLETED, Cpu, PHASES, PROCESS, Phase, RECORDING, RUNNING, Slot, counts, epoch,
    started, totals,
};
use crate::environ::threads_started;

/// Entries of a dictionary that is handed to Python.
struct Entries<'py> {
    py: Attached<'py>,
    all: Object<'py>,
}

impl<'py> Entries<'py> {
    fn new(py: Attached<'py>) -> Result<Self> {
        Ok(Self { py, all: Object::dictionary(py)? })
    }

    fn add(&self, name: &str, value: &Object<'py>) -> Result<()> {
        self.all.set_item(&Object::latin1(self.py, name.as_bytes())?, value)
    }

    fn whole(&self, name: &str, number: i64) -> Result<()> {
        self.add(name, &Object::integer(self.py, number)?)
    }

    fn float(&self, name: &str, number: f64) -> Result<()> {
        self.add(name, &Object::float(self.py, number)?)
    }

    fn time(&self, name: &str, time: Duration) -> Result<()> {
        self.float(name, time.as_secs_f64())
    }

    fn nothing(&self, name: &str) -> Result<()> {
        self.add(name, &crate::types::none(self.py)?)
    }

    fn memory(&self) -> Result<()> {
        self.whole("memory_max_rss", Cpu::of(libc::RUSAGE_SELF).1 * 1024)?;
        self.whole("memory_rss", resident())
    }
}

/// `process_metrics()`; nothing before recording began.
pub(crate) fn of_process<'py>(py: Attached<'py>) -> Result<Option<Object<'py>>> {
    let Some(process) = PROCESS.get().filter(|_| RECORDING.load(Ordering::Relaxed)) else {
        return Ok(None);
    };
    let busy = totals().busy_until(Instant::now());
    let (now, cpu) = (epoch(), Cpu::of(libc::RUSAGE_SELF).0);
    let entries = Entries::new(py)?;
    entries.whole("pid", std::process::id().into())?;
    entries.time("request_busy_time", busy)?;
    entries.whole("request_count", of_counter(&COMPLETED))?;
    entries.memory()?;
    entries.time("cpu_user_time", cpu.user)?;
    entries.time("cpu_system_time", cpu.system)?;
    entries.time("cpu_time", cpu.total())?;
    entries.float("restart_time", started())?;
    entries.float("current_time", now)?;
    entries.whole("running_time", whole_seconds(now - started()))?;
    entries.whole("request_threads", threads_started())?;
    entries.whole("active_requests", of_counter(&RUNNING))?;
    let threads = (1..=threads_started()).zip(&process.counts).map(|(thread, count)| {
        let entries = Entries::new(py)?;
        entries.whole("thread_id", thread)?;
        entries.whole("request_count", of_counter(count))?;
        Ok(entries.all)
    });
    entries.add("threads", &Object::list(py, threads)?)?;
    Ok(Some(entries.all))
}

/// `request_metrics()`; nothing before recording began.
pub(crate) fn of_requests<'py>(py: Attached<'py>) -> Result<Option<Object<'py>>> {
    if !RECORDING.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let (interval, slots) = totals().take();
    let now = epoch();
    let period = (now - interval.since).max(f64::EPSILON);
    let cpu = Cpu::of(libc::RUSAGE_SELF).0.since(interval.cpu);
    let count: u64 = slots.iter().map(|(slot, _)| slot.completed).sum();
    let entries = Entries::new(py)?;
    entries.whole("pid", std::process::id().into())?;
    entries.float("start_time", interval.since)?;
    entries.float("stop_time", now)?;
    entries.float("sample_period", period)?;
    for (what, time) in [("user_", cpu.user), ("system_", cpu.system), ("", cpu.total())] {
        let rate = time.as_secs_f64() / period;
        entries.float(&format!("cpu_{what}utilization"), rate)?;
        // Its name of old.
        entries.float(&format!("cpu_{what}time"), rate)?;
    }
    entries.memory()?;
    add_threads(&entries, &slots, period)?;
    entries.whole("request_count", count.cast_signed())?;
    entries.float("request_throughput", fraction(count) / period)?;
    for (class, number) in (1..=5).zip(interval.classes) {
        entries.whole(&format!("status_{class}xx"), number)?;
    }
    for (what, traffic) in [("input", interval.input), ("output", interval.output)] {
        let counted = if what == "input" { "reads" } else { "writes" };
        entries.whole(&format!("{what}_bytes"), traffic.bytes)?;
        entries.whole(&format!("{what}_{counted}"), traffic.count)?;
    }
    entries.whole("gil_wait_count", interval.waits)?;
    let is_daemon = PROCESS.get().is_some_and(|process| process.is_daemon);
    for (name, phase) in PHASES.iter().zip(&interval.phases) {
        let is_there = is_daemon || !["queue_time", "daemon_time"].contains(name);
        add_phase(&entries, name, is_there.then_some(phase), count)?;
    }
    Ok(Some(entries.all))
}

fn add_threads(entries: &Entries<'_>, slots: &[(Slot, Duration)], period: f64) -> Result<()> {
    let py = entries.py;
    let most = counts().len();
    let busy: Duration = slots.iter().map(|(slot, _)| slot.busy).sum();
    let active = slots.iter().filter(|(slot, now)| slot.completed > 0 || !now.is_zero()).count();
    entries.whole("request_threads_maximum", length(most))?;
    entries.whole("request_threads_started", threads_started())?;
    entries.whole("request_threads_active", length(active))?;
    entries.float(
        "capacity_utilization",
        busy.as_secs_f64() / period / fraction(length(most).cast_unsigned()),
    )?;
    let padded =
        || (0..most.max(slots.len())).map(|index| slots.get(index).copied().unwrap_or_default());
    let times = |name: &str, time: fn((Slot, Duration)) -> Duration| {
        let list = padded().map(|slot| Object::float(py, time(slot).as_secs_f64()));
        entries.add(name, &Object::list(py, list)?)
    };
    for name in ["request_threads_completed", "request_threads_buckets"] {
        let list = padded().map(|(slot, _)| Object::integer(py, slot.completed.cast_signed()));
        entries.add(name, &Object::list(py, list)?)?;
    }
    times("request_threads_busy_time", |(slot, _)| slot.busy)?;
    times("request_threads_cpu_time", |(slot, _)| slot.cpu)?;
    times("request_threads_max_duration", |(slot, _)| slot.most)?;
    times("request_threads_current_elapsed", |(_, now)| now)
}

/// A phase; one of daemon processes is none in httpd's own.
fn add_phase(entries: &Entries<'_>, name: &str, phase: Option<&Phase>, count: u64) -> Result<()> {
    let py = entries.py;
    match phase {
        Some(phase) if count > 0 => {
            entries.float(name, phase.total.as_secs_f64() / fraction(count))?
        }
        Some(_) => entries.float(name, 0.0)?,
        None => entries.nothing(name)?,
    }
    let (least, most) = (format!("{name}_min_us"), format!("{name}_max_us"));
    match phase.and_then(|phase| phase.extremes) {
        Some((low, high)) => {
            let micros = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
            entries.whole(&least, micros(low))?;
            entries.whole(&most, micros(high))?;
        }
        None => {
            entries.nothing(&least)?;
            entries.nothing(&most)?;
        }
    }
    let buckets = phase.map_or([0; BUCKETS], |phase| phase.buckets);
    let list = buckets.into_iter().map(|bucket| Object::integer(py, bucket.into()));
    entries.add(&format!("{name}_buckets"), &Object::list(py, list)?)
}

fn of_counter(counter: &AtomicU64) -> i64 {
    counter.load(Ordering::Relaxed).cast_signed()
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
fn fraction(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, reason = "whole seconds are what is told")]
fn whole_seconds(time: f64) -> i64 {
    time as i64
}

/// Memory that is resident now, in bytes.
fn resident() -> i64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<i64>().ok());
    // SAFETY: a question without arguments of ours.
    pages.unwrap_or(0) * unsafe { libc::sysconf(libc::_SC_PAGESIZE) }
}
