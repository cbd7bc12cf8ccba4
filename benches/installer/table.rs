//! The table of results, and what is told below it.

use std::collections::BTreeSet;
use std::path::Path;

use mod_wsgi_httpd::lock::{self, Lock};

use crate::Bench;
use crate::compiles::Compiles;
use crate::cost::{Cost, highest};

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) cost: Cost,
    pub(crate) target: Target,
}

/// What a row is held against.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Nothing: it is what the others are held against.
    Yardstick,
    /// Highest share of the original's wall time.
    OfOriginal(f64),
    /// Highest wall time.
    Seconds(f64),
}

impl Row {
    pub(crate) fn print(&self, original: Option<f64>) {
        let Cost { wall, cpu, peak } = self.cost;
        let share = original.map(|original| wall / original);
        let shown = share.map_or("?".to_owned(), |share| format!("{share:.4}"));
        let target = match self.target {
            Target::Yardstick => "-".to_owned(),
            Target::OfOriginal(most) => {
                let verdict = share.map_or("?", |share| verdict(share, most));
                format!("<= {most} of pip's: {verdict}")
            }
            Target::Seconds(most) => format!("<= {most} s: {}", verdict(wall, most)),
        };
        println!("| {} | {wall:.3} | {cpu:.3} | {shown} | {peak:.1} | {target} |", self.what);
    }
}

pub(crate) fn verdict(found: f64, most: f64) -> &'static str {
    if found <= most { "met" } else { "MISSED" }
}

pub(crate) fn print_table(rows: &[Row], load: &str) {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let load = load.split(' ').next().unwrap_or_default();
    println!("{processors} processors, load {load} at the start\n");
    println!("| What | Wall s | CPU s | Of pip's wall | Peak MiB | Target |");
    println!("| --- | ---: | ---: | ---: | ---: | --- |");
    let original = rows.iter().find(|row| row.target == Target::Yardstick);
    for row in rows {
        row.print(original.map(|row| row.cost.wall));
    }
    let ours = rows.iter().filter(|row| row.target != Target::Yardstick);
    let peak = highest(ours.map(|row| &row.cost));
    if peak > 0.0 {
        let verdict = verdict(peak, MOST_MEMORY);
        println!(
            "| the installer's memory, highest above | | | | {peak:.1} | <= {MOST_MEMORY} MiB: {verdict} |"
        );
    }
}

/// How near a build came to what its compilers must take.
pub(crate) fn print_floor(name: &str, bench: &Bench, wall: f64) {
    let compiles = Compiles::read(&bench.home.join(name));
    let floor = compiles.floor();
    println!(
        "\n`{name}`: floor {floor:.1} s ({} compilations), longest chain of them {}, wall {:.2} of the floor{}.",
        compiles.count(),
        compiles.chain(),
        wall / floor,
        if name == "everything" { ", with cargo's share in the wall" } else { "" },
    );
    println!("Target <= {FLOOR}: {}.", verdict(wall / floor, FLOOR));
}

/// What a tree was built from.
pub(crate) fn components(base: &Path) -> String {
    let lock = Lock::read(&base.join(lock::FILE)).unwrap();
    let parts: Vec<String> =
        lock.components.iter().map(|part| format!("{} {}", part.name, part.version)).collect();
    parts.join(", ")
}

/// Says where the modules of both sides differ.
pub(crate) fn print_modules(bench: &Bench) {
    let original = bench.venv("pip").join("lib/python3*/site-packages/mod_wsgi_packages/httpd");
    let original = modules(&original.join("modules"));
    let ours = modules(&bench.base("same").join("current/modules"));
    let list = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        let names: Vec<&str> = one.difference(other).map(String::as_str).collect();
        names.join(", ")
    };
    println!("\nModules: {} of the original, {} in `same`.", original.len(), ours.len());
    println!("Only in the original: {}.", list(&original, &ours));
    println!("Only in `same`: {}.", list(&ours, &original));
}

/// Names of the modules in a folder, which is a pattern.
pub(crate) fn modules(folder: &Path) -> BTreeSet<String> {
    glob::glob(folder.join("mod_*.so").to_str().unwrap())
        .unwrap()
        .map(|path| path.unwrap().file_stem().unwrap().to_string_lossy().into_owned())
        .collect()
}

/// Highest memory that the installer itself may take.
const MOST_MEMORY: f64 = 100.0;
/// Highest wall time, as a multiple of the compilers' time over the cores.
const FLOOR: f64 = 1.15;
