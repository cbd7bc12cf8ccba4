//! The scoreboard for daemon processes that may see it (`server-metrics=On`): the
//! supervisor, a process of httpd's, sees it and sends it to whoever asks.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;

use httpd::scoreboard::{Scoreboard, field_text, letter_of};
use httpd::sys::worker_score;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use wsgi::scoreboard::{Process, Worker, text_of};

/// Sends the scoreboard, if there is one, to a socket that a process has made for that,
/// and waits for nobody: whatever the process has given may be no socket at all.
pub(crate) fn tell(asker: &OwnedFd) -> std::io::Result<()> {
    let Some(board) = Scoreboard::find() else { return Ok(()) };
    let file = std::fs::File::from(memfd_create("mod_wsgi scoreboard", MemfdFlags::CLOEXEC)?);
    file.write_all_at(&serde_json::to_vec(&seen(board))?, 0)?;
    let descriptors = [file.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    beside.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(asker, &[IoSlice::new(b"s")], &mut beside, flags)?;
    Ok(())
}

fn seen(board: Scoreboard) -> wsgi::scoreboard::Scoreboard {
    let server = board.of_server();
    let processes = board.processes().map(|(number, process)| Process {
        number,
        pid: process.pid,
        generation: process.generation,
        quiescing: process.quiescing != 0,
        workers: board.workers(number).map(|(number, worker)| worker_of(number, &worker)).collect(),
    });
    wsgi::scoreboard::Scoreboard {
        server_limit: server.server_limit,
        thread_limit: server.thread_limit,
        running_generation: server.running_generation,
        restart_time: server.restart_time,
        processes: processes.collect(),
    }
}

fn worker_of(number: i32, worker: &worker_score) -> Worker {
    Worker {
        number,
        generation: worker.generation,
        status: letter_of(worker.status),
        access_count: worker.access_count.cast_signed(),
        bytes_served: worker.bytes_served,
        start_time: worker.start_time,
        stop_time: worker.stop_time,
        last_used: worker.last_used,
        texts: [
            text_of(&field_text(&worker.client64)),
            text_of(&field_text(&worker.request)),
            text_of(&field_text(&worker.vhost)),
        ],
    }
}
