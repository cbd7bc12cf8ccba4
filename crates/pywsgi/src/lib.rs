//! The Python side of mod_wsgi as a library of its own, with two doors.
//! `mod_wsgi.so` loads it into an httpd process in which Python is to run, after
//! libpython: this file is that door, the rest is `engine`. In a daemon process it is
//! an extension module of the Python that runs there: `extension` is that door, the
//! rest is `daemon`.

mod extension;

use std::panic::{AssertUnwindSafe, catch_unwind};

use door::{
    Answer, Answered, Call, FAILED, Guest, Host, Line, Outcome, Question, Script, Settings, Sink,
    Source, Text, VERSION, level,
};

/// What [`door::SYMBOL`] names.
#[unsafe(no_mangle)]
pub extern "C" fn mod_wsgi_guest() -> &'static Guest {
    &GUEST
}

static GUEST: Guest = Guest { version: VERSION, start, load, ask, handle, stop };

unsafe extern "C" fn start(host: &'static Host, settings: &Settings<'_>) -> bool {
    let started = catch_unwind(AssertUnwindSafe(|| engine::start(host, settings)));
    let why = match started {
        Ok(Ok(())) => return true,
        Ok(Err(why)) => why,
        Err(_) => "mod_wsgi panicked".to_owned(),
    };
    let text = format!("WSGI0001: Python cannot be started: {why}");
    let text = Text::new(text.as_bytes());
    let line = Line { level: level::CRITICAL, text, source: Source::none() };
    // SAFETY: the host's own function.
    unsafe { (host.log)(std::ptr::null_mut(), &line) };
    false
}

unsafe extern "C" fn load(script: &Script<'_>) {
    // What keeps a script from loading is logged, and tried again when asked for.
    let _loaded = catch_unwind(AssertUnwindSafe(|| engine::load(script)));
}

unsafe extern "C" fn ask(question: &Question<'_>, sink: Sink<'_>) -> Answered {
    catch_unwind(AssertUnwindSafe(|| engine::ask(question, sink)))
        .unwrap_or(Answered { number: 0, answer: Answer::Raised })
}

unsafe extern "C" fn handle(call: &Call<'_>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| engine::handle(call))).unwrap_or(FAILED)
}

unsafe extern "C" fn stop(destroy: bool) {
    // What is left of a failed end goes with the process.
    let _ended = catch_unwind(|| engine::stop(destroy));
}
