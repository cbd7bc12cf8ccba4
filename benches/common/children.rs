//! Processor time of what a benchmark has started.

/// Processor seconds of all children that have ended, and of theirs.
pub(crate) fn cpu_of_children() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    // The 16th and 17th field; the third is the first after the name.
    fields.split(' ').skip(13).take(2).map(|ticks| ticks.parse::<f64>().unwrap()).sum::<f64>()
        / TICKS_PER_SECOND
}

/// Unit of processor times in `/proc`, the same on all supported machines.
const TICKS_PER_SECOND: f64 = 100.0;
