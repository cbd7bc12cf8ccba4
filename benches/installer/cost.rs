//! What a run took: wall time, processor time, memory.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// What a run took.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of processors, user and system, of all processes together.
    pub(crate) cpu: f64,
    /// Highest memory of the started process itself, in MiB.
    pub(crate) peak: f64,
}

impl Cost {
    /// Median wall time, mean processor time (its unit is coarse), highest
    /// memory.
    pub(crate) fn typical(costs: &[Self]) -> Self {
        let mut walls: Vec<f64> = costs.iter().map(|cost| cost.wall).collect();
        walls.sort_by(f64::total_cmp);
        let middle = walls.len() / 2;
        Self {
            wall: f64::midpoint(walls[(walls.len() - 1) / 2], walls[middle]),
            cpu: costs.iter().map(|cost| cost.cpu).sum::<f64>() / costs.len() as f64,
            peak: highest(costs),
        }
    }
}

pub(crate) fn highest<'c>(costs: impl IntoIterator<Item = &'c Cost>) -> f64 {
    costs.into_iter().map(|cost| cost.peak).fold(0.0, f64::max)
}

/// Waits until the process ends and leaves it to be reaped. Answers its peak
/// memory, sampled: what the kernel tells at the end counts its children too.
pub(crate) fn peak_until_end(pid: u32) -> f64 {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak: f64 = 0.0;
            while !ended.load(Ordering::Relaxed) {
                peak = peak.max(peak_so_far(pid));
                std::thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        let id = WaitId::Pid(Pid::from_raw(pid.try_into().unwrap()).unwrap());
        waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        ended.store(true, Ordering::Relaxed);
        sampler.join().unwrap()
    })
}

/// The kernel's own high-water mark, in MiB; 0 for a process that has ended.
pub(crate) fn peak_so_far(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"));
    kib.map_or(0.0, |kib| kib.trim().parse::<f64>().unwrap() / 1024.0)
}
