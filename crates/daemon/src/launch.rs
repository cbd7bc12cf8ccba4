//! What the process is told at its start, and what it makes of it before Python is
//! set up.

use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;

use door::{Choice, List, Settings, Text};
use rustix::io::{FdFlags, fcntl_setfd};
use wsgi::interpreter::Section;
use wsgi::launch::{CONTROL, LAUNCH, LIBRARY, LISTENER, Launch, Preload};

use crate::control::{self, level};
use crate::exchange::HOST;

/// What the process was started with.
pub(crate) struct Given {
    pub(crate) control: OwnedFd,
    pub(crate) listener: OwnedFd,
    pub(crate) launch: Launch,
}

/// Takes the descriptors that the process was started with.
pub(crate) fn take() -> Result<Given, String> {
    // SAFETY: the supervisor has put them there, for nobody but us.
    let [control, listener, launch, _library] =
        [CONTROL, LISTENER, LAUNCH, LIBRARY].map(|number| unsafe { OwnedFd::from_raw_fd(number) });
    for descriptor in [&control, &listener, &launch] {
        fcntl_setfd(descriptor.as_fd(), FdFlags::CLOEXEC).map_err(|error| error.to_string())?;
    }
    let mut text = String::new();
    let mut file = File::from(launch);
    std::io::Seek::rewind(&mut file).map_err(|error| error.to_string())?;
    file.read_to_string(&mut text).map_err(|error| error.to_string())?;
    let launch = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    Ok(Given { control, listener, launch })
}

/// Sets the locale, if one is asked for.
pub(crate) fn set_locale(launch: &Launch) {
    let Some(locale) = &launch.options.locale else { return };
    let name = &launch.options.name;
    control::log(
        level::INFO,
        &format!("Setting locale to '{locale}' for daemon process group '{name}'."),
    );
    let text = CString::new(locale.as_bytes()).unwrap_or_default();
    // SAFETY: one thread alone runs so far; a text that ends in NUL.
    if unsafe { libc::setlocale(libc::LC_ALL, text.as_ptr()) }.is_null() {
        let text = format!(
            "WSGI0079: Unsupported locale setting '{locale}' specified for daemon process group '{name}'; daemon will run with the inherited locale. Consider 'C.UTF-8' as a fallback."
        );
        control::log(level::WARNING, &text);
    }
}

/// Sets Python up for the group.
pub(crate) fn adopt(launch: &Launch) -> Result<(), String> {
    let options = &launch.options;
    let sections: Vec<door::Section<'_>> = all_sections(launch);
    let count = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    let daemon = door::Daemon {
        group: Text::new(options.name.as_bytes()),
        processes: count(options.processes),
        threads: options.threads.into(),
        multiprocess: options.multiprocess,
        run_once: options.is_run_once(),
        home: text_of(&options.home),
    };
    let [processes, threads] = launch.mpm_limits;
    engine::adopt(
        &HOST,
        &Settings {
            program: Text::new(b""),
            home: Text::new(b""),
            warnings: List::new(&[]),
            optimize: 0,
            dont_write_bytecode: false,
            hash_seed: -1,
            sections: List::new(&sections),
            eggs: text_of(&options.python_eggs),
            server_metrics: options.server_metrics,
            telemetry: launch.telemetry,
            case_sensitivity: launch.case_sensitivity,
            one_process: false,
            daemon: Some(&daemon),
            processes,
            threads,
            apache_version: launch.apache_version,
            apache_description: Text::new(launch.apache_description.as_bytes()),
            mpm_name: Text::new(launch.mpm_name.as_bytes()),
            build_date: Text::new(launch.build_date.as_bytes()),
        },
    )
}

/// The sections, and the group's own options as the first and most general one.
fn all_sections(launch: &Launch) -> Vec<door::Section<'_>> {
    let options = &launch.options;
    let mut sections: Vec<door::Section<'_>> = launch.sections.iter().map(section_of).collect();
    let own = door::Section {
        has_process_group: false,
        process_group: Text::new(b""),
        has_application_group: false,
        application_group: Text::new(b""),
        path: text_of(&options.python_path),
        switch_interval: options.switch_interval.unwrap_or(0.0),
        per_interpreter_gil: Choice::Unset,
        restrict_stdin: Choice::Unset,
        restrict_stdout: Choice::Unset,
        restrict_signal: Choice::Unset,
    };
    // After the server's, which it takes the place of; before any narrower one.
    sections.insert(sections.len().min(1), own);
    sections
}

fn section_of(section: &Section) -> door::Section<'_> {
    let options = &section.options;
    door::Section {
        has_process_group: section.process_group.is_some(),
        process_group: text_of(&section.process_group),
        has_application_group: section.application_group.is_some(),
        application_group: text_of(&section.application_group),
        path: text_of(&options.path),
        switch_interval: options.switch_interval.unwrap_or(0.0),
        per_interpreter_gil: options.per_interpreter_gil.into(),
        restrict_stdin: options.restrict_stdin.into(),
        restrict_stdout: options.restrict_stdout.into(),
        restrict_signal: options.restrict_signal.into(),
    }
}

fn text_of(text: &Option<String>) -> Text<'_> {
    Text::new(text.as_deref().unwrap_or_default().as_bytes())
}

/// Loads a script before any request asks for it. What keeps it from loading is
/// logged, and tried again when a request comes.
pub(crate) fn load(preload: &Preload) {
    engine::load(&door::Script {
        path: Text::new(preload.path.as_bytes()),
        time: time_of(&preload.path),
        application_group: Text::new(preload.application_group.as_bytes()),
        reloading: false,
    });
}

/// When a file was last changed, in microseconds since 1970; -1 if nobody knows.
fn time_of(path: &str) -> i64 {
    let time = std::fs::metadata(path)
        .map(|metadata| metadata.mtime() * 1_000_000 + metadata.mtime_nsec() / 1000);
    time.unwrap_or(-1)
}
