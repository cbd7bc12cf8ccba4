//! A service: a script that runs on Python's main thread until it ends, and serves
//! no requests.

use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Signal, getpid, kill_process};
use wsgi::launch::{Launch, Notice};

use crate::control::{self, level};
use crate::{launch, signals, stop};

/// Runs the script: the status to exit with.
pub(crate) fn run(given: &Launch, control: BorrowedFd<'static>) -> Result<i32, String> {
    let name = &given.options.name;
    signals::ignore_broken_pipes().map_err(|error| error.to_string())?;
    let Some((script, before)) = given.preload.split_last() else {
        return Err(format!("service '{name}' has no script"));
    };
    for other in before {
        launch::load(other);
    }
    let limit = given.options.shutdown_timeout;
    let shown = name.clone();
    std::thread::Builder::new()
        .name("wsgi-control".into())
        .spawn(move || {
            wait(control);
            // The script has a handler for it.
            let _gone = kill_process(getpid(), Signal::TERM);
            stop::abort_after(limit, &shown);
        })
        .map_err(|error| error.to_string())?;
    control::tell(&Notice::Ready);
    let status = engine::run_service(script.path.as_bytes());
    control::log(level::INFO, &format!("Stopping process '{name}'."));
    Ok(status)
}

/// Waits until the process is told to end, or nobody is left to tell it.
fn wait(control: BorrowedFd<'_>) {
    loop {
        let mut ready = [PollFd::new(&control, PollFlags::IN)];
        match poll(&mut ready, None) {
            Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
            Ok(_) => match control::receive(control) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // Whatever the order, there is but one thing to do.
                _ => return,
            },
        }
    }
}
