//! All talk with the user: results on standard output, everything else on
//! standard error; progress bars on terminals, one line a step elsewhere, one
//! JSON object a line on standard output with `--json`.

use std::io::{IsTerminal as _, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::env::Env;
use crate::error::Error;

/// How much is said.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Warnings and errors.
    Quiet,
    /// Steps as well.
    Normal,
    /// Commands and addresses tried as well.
    Verbose,
}

/// The way to the user. Cheap to clone.
#[derive(Clone)]
pub struct Report {
    inner: Arc<Inner>,
}

struct Inner {
    level: Level,
    json: bool,
    colour: bool,
    bars: Option<MultiProgress>,
    start: Instant,
}

impl Report {
    /// Chooses the form from the flags, the environment and the terminal.
    #[must_use]
    pub fn new(level: Level, json: bool, env: &Env) -> Self {
        let terminal = std::io::stderr().is_terminal()
            && env.text("TERM").is_none_or(|term| term != "dumb")
            && !env.has("CI");
        let forced = env.text("CLICOLOR_FORCE").is_some_and(|force| force != "0");
        let colour = (terminal || forced) && !env.has("NO_COLOR");
        let bars = (terminal && !json && level >= Level::Normal).then(MultiProgress::new);
        Self { inner: Arc::new(Inner { level, json, colour, bars, start: Instant::now() }) }
    }

    /// A step begins or ends: a verb and its object.
    pub fn step(&self, verb: &str, object: &str) {
        if self.inner.level < Level::Normal {
            return;
        }
        if self.inner.json {
            self.event("step", json!({ "verb": verb, "object": object }));
        } else {
            self.line(&format!("{} {object}", self.paint(GREEN, &format!("{verb:>12}"))));
        }
    }

    /// Something that only a curious reader wants to know.
    pub fn detail(&self, text: &str) {
        if self.inner.level >= Level::Verbose {
            if self.inner.json {
                self.event("detail", json!({ "text": text }));
            } else {
                self.line(&format!("{:>12} {text}", ""));
            }
        }
    }

    /// Something that the user should know, although work goes on.
    pub fn warn(&self, text: &str) {
        if self.inner.json {
            self.event("warning", json!({ "text": text }));
        } else {
            self.line(&format!("{} {text}", self.paint(YELLOW, "warning:")));
        }
    }

    /// The error that ends the run.
    pub fn error(&self, error: &Error) {
        if self.inner.json {
            self.event(
                "error",
                json!({
                    "kind": error.kind.name(),
                    "code": error.kind.exit_code(),
                    "message": error.message,
                    "details": error.details,
                    "causes": error.causes(),
                    "hints": error.hints,
                    "log": error.log.as_deref().map(Path::to_string_lossy),
                }),
            );
            return;
        }
        let mut text = format!("{} {error}", self.paint(RED, "error:"));
        for detail in &error.details {
            text.push_str(&format!("\n  {detail}"));
        }
        for cause in error.causes() {
            text.push_str(&format!("\n  caused by {cause}"));
        }
        for hint in &error.hints {
            text.push_str(&format!("\n{} {hint}", self.paint(CYAN, "hint:")));
        }
        if let Some(log) = &error.log {
            text.push_str(&format!("\n{} {}", self.paint(CYAN, "log:"), log.display()));
        }
        self.line(&text);
    }

    /// A result: `text` for people, `value` for programs. A reader that has
    /// gone (`| head`) is no error.
    pub fn result(&self, text: &str, value: Value) {
        if self.inner.json {
            self.event("result", value);
        } else if !text.is_empty() {
            write_line(&mut std::io::stdout().lock(), text.trim_end_matches('\n'));
        }
    }

    /// A bar over `total` units. `bytes` says whether they are bytes.
    #[must_use]
    pub fn bar(&self, verb: &str, object: &str, total: u64, bytes: bool) -> Bar {
        let bar = self.inner.bars.as_ref().map(|bars| {
            let counts =
                if bytes { "{bytes}/{total_bytes} {bytes_per_sec}" } else { "{pos}/{len}" };
            let template = format!("{verb:>12} {{msg:24!}} [{{bar:24}}] {counts} {{eta}}");
            let style = ProgressStyle::with_template(&template)
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .progress_chars("=> ");
            bars.add(ProgressBar::new(total).with_style(style).with_message(object.to_owned()))
        });
        Bar { bar }
    }

    /// A spinner for work without a known end.
    #[must_use]
    pub fn spinner(&self, verb: &str, object: &str) -> Bar {
        let bar = self.inner.bars.as_ref().map(|bars| {
            let style = ProgressStyle::with_template(&format!("{verb:>12} {{msg}} {{elapsed}}"))
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let bar = ProgressBar::new_spinner().with_style(style).with_message(object.to_owned());
            let bar = bars.add(bar);
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        Bar { bar }
    }

    fn event(&self, name: &str, mut value: Value) {
        if let Value::Object(fields) = &mut value {
            fields.insert("event".into(), name.into());
            if name != "result" {
                let elapsed = self.inner.start.elapsed().as_millis();
                fields.insert("ms".into(), u64::try_from(elapsed).unwrap_or(u64::MAX).into());
            }
        }
        write_line(&mut std::io::stdout().lock(), &value.to_string());
    }

    fn line(&self, text: &str) {
        let write = || write_line(&mut std::io::stderr().lock(), text);
        match &self.inner.bars {
            Some(bars) => bars.suspend(write),
            None => write(),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.inner.colour { format!("\x1b[1;{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A progress bar that is nothing where there is no terminal; gone on drop.
pub struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Moves to an absolute position.
    pub fn set(&self, position: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(position);
        }
    }

    /// Moves on by one.
    pub fn advance(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Bytes as a person reads them.
#[must_use]
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

/// There is nobody left to tell when even this write fails.
fn write_line(stream: &mut impl Write, text: &str) {
    let _unheard = writeln!(stream, "{text}");
}

const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";
const CYAN: &str = "36";
