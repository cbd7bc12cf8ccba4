//! What was measured, as a table.

use crate::Row;
use crate::server::{Memory, Mode, Sample, Side};

/// The measurements of a row.
pub(crate) struct Measured {
    pub(crate) row: &'static Row,
    pub(crate) samples: Vec<(Side, Sample)>,
}

/// All of it.
pub(crate) fn print(results: &[Measured]) {
    if results.is_empty() {
        return;
    }
    println!("| Row | CPU us | ours | Ratio | Spread | Target | Req/s | ours | p99 ms | ours |");
    println!("| --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |");
    for measured in results {
        measured.print(Side::Original);
        if measured.row.most.0 == Side::Static {
            measured.print(Side::Static);
        }
    }
    for hello in results.iter().filter(|measured| measured.row.app == "hello") {
        hello.print_memory();
    }
}

impl Measured {
    fn of(&self, side: Side) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |(of, _)| *of == side).map(|(_, sample)| sample)
    }

    fn failed(&self) -> u64 {
        self.samples.iter().map(|(_, sample)| sample.load.failed).sum()
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.failed() == 0
    }

    fn typical(&self, side: Side, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.of(side).map(figure).collect())
    }

    /// Our processor time as a share of another side's, round by round.
    fn print(&self, other: Side) {
        let pairs = self.of(Side::Ours).zip(self.of(other));
        let ratios: Vec<f64> = pairs.map(|(ours, other)| ours.cpu / other.cpu).collect();
        let lowest = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = ratios.iter().copied().fold(0.0, f64::max);
        let ratio = median(ratios);
        let (against, most) = self.row.most;
        let target = match against == other {
            _ if !self.is_sound() => format!("FAILED: {} requests", self.failed()),
            true => format!("<= {most:.2}: {}", if ratio <= most { "met" } else { "MISSED" }),
            false => "-".to_owned(),
        };
        let name = self.row.name();
        let name = if other == Side::Static { "of httpd's own" } else { &name };
        let both = |figure: fn(&Sample) -> f64, digits: usize| {
            let (other, ours) = (self.typical(other, figure), self.typical(Side::Ours, figure));
            format!("{other:.digits$} | {ours:.digits$}")
        };
        println!(
            "| {name} | {} | {ratio:.2} | {lowest:.2}-{highest:.2} | {target} | {} | {} |",
            both(|sample| sample.cpu, 1),
            both(|sample| sample.load.rate, 0),
            both(|sample| sample.load.p99, 2),
        );
    }

    fn print_memory(&self) {
        let both = |figure: fn(Memory) -> f64| {
            [Side::Original, Side::Ours]
                .map(|side| format!("{:.1}", self.typical(side, |sample| figure(sample.memory))))
        };
        let [theirs, ours] = both(Memory::total);
        println!("\nMemory after `{}`: {theirs} MiB, ours {ours} MiB.", self.row.name());
        if self.row.mode == Mode::Daemon {
            let part = |name: &str, figure: fn(Memory) -> f64| {
                let [theirs, ours] = both(figure);
                format!("{name} {theirs} and {ours}")
            };
            let parts = [
                part("parent", |memory| memory.parent),
                part("child", |memory| memory.child),
                part("supervisor", |memory| memory.supervisor),
                part("daemon process", |memory| memory.daemon),
            ];
            println!("Of that {}.", parts.join(", "));
        }
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    f64::midpoint(figures[(figures.len() - 1) / 2], figures[figures.len() / 2])
}
