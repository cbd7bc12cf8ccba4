//! The zygote of a group with `preload=on`: it loads the scripts of the main
//! interpreter, serves nobody, and forks the group's processes, which share its memory
//! until they write to it.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use wsgi::launch::{Launch, Notice, Order, Preload};

use crate::control::{self, level};
use crate::{fork, launch, stop};

/// Loads scripts and forks processes until it is to end. Returns in each of those,
/// which then has descriptors of its own under the same numbers.
///
/// # Errors
/// Where nobody can give it orders.
pub(crate) fn run(
    launch: &Launch,
    control: BorrowedFd<'static>,
    listener: &OwnedFd,
) -> Result<(), String> {
    for script in launch.preload.iter().filter(|script| loads(script)) {
        launch::load(script);
    }
    warn_of_threads(&launch.options.name);
    engine::freeze();
    control::tell(&Notice::Ready);
    loop {
        let order = control::wait_for_order(control).map_err(|error| error.to_string())?;
        // Exit functions are for those that have served.
        let Some((Order::Fork(place), descriptors)) = order else { stop::end_now(0) };
        let forked = match <[OwnedFd; 2]>::try_from(descriptors) {
            Ok(given) => fork_one(given, [control.as_raw_fd(), listener.as_raw_fd()]),
            Err(_) => Err(io::ErrorKind::InvalidInput.into()),
        };
        match forked {
            Ok(None) => {
                fork::keep_from_children(&control);
                return Ok(());
            }
            Ok(Some(pid)) => drop(control::tell(&Notice::Forked(place, Some(pid)))),
            Err(error) => {
                let name = &launch.options.name;
                let text = format!("WSGI0010: Couldn't fork daemon process '{name}': {error}.");
                control::log(level::CRITICAL, &text);
                control::tell(&Notice::Forked(place, None));
            }
        }
    }
}

/// Whether the zygote loads that script: a fork keeps no interpreter but the main one.
pub(crate) fn loads(script: &Preload) -> bool {
    script.application_group.is_empty()
}

fn warn_of_threads(name: &str) {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads > 1 {
        let text = format!(
            "Scripts of daemon process '{name}' have started {} thread(s) when they were loaded (preload=on); its processes do not have them.",
            threads - 1
        );
        control::log(level::WARNING, &text);
    }
}

/// Forks a process, which has these descriptors under those numbers: its pid, or
/// nothing in the process itself. One in between ends at once: the new one is the
/// supervisor's then, who learns how it ends.
fn fork_one(given: [OwnedFd; 2], numbers: [i32; 2]) -> io::Result<Option<i32>> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut between = Ok(0);
    let is_new = engine::fork(|| {
        between = fork_plainly();
        match between {
            Ok(0) => {}
            Ok(pid) => {
                wait_for(pid);
                return false;
            }
            Err(_) => return false,
        }
        let answer = match fork_plainly() {
            Ok(0) => {
                take_over(&given, numbers);
                return true;
            }
            Ok(pid) => pid,
            Err(error) => -error.raw_os_error().unwrap_or(libc::EAGAIN),
        };
        // Who reads it finds out that there is none, too.
        let _told = rustix::io::write(&writer, &answer.to_ne_bytes());
        stop::end_now(0);
    });
    if is_new {
        return Ok(None);
    }
    between?;
    drop(writer);
    let mut bytes = [0; 4];
    if rustix::io::read(&reader, &mut bytes)? != bytes.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    match i32::from_ne_bytes(bytes) {
        pid @ 1.. => Ok(Some(pid)),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}

fn fork_plainly() -> io::Result<i32> {
    // SAFETY: the thread that forks is the one that goes on.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(pid),
    }
}

/// Puts descriptors under the numbers of others, whose owners do not notice.
fn take_over(given: &[OwnedFd; 2], numbers: [i32; 2]) {
    for (descriptor, number) in given.iter().zip(numbers) {
        // SAFETY: open descriptors of this process.
        if unsafe { libc::dup3(descriptor.as_raw_fd(), number, libc::O_CLOEXEC) } < 0 {
            stop::end_now(1);
        }
    }
}

/// Waits for the end of a child, if there is one.
fn wait_for(pid: i32) {
    // SAFETY: no place for a status; asked again when a signal comes between.
    while unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}
