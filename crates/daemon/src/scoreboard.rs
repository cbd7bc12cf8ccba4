//! httpd's scoreboard, which its supervisor tells a process of that may see it.

use std::fs::File;
use std::os::fd::AsFd as _;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, socketpair};
use wsgi::launch::Notice;
use wsgi::scoreboard::Scoreboard;

use crate::control;

/// The scoreboard as it is now; none where it is not told of.
pub(crate) fn ask() -> Option<Scoreboard> {
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).ok()?;
    if !control::tell_beside(&Notice::Scoreboard, theirs.as_fd()) {
        return None;
    }
    drop(theirs);
    // Whoever asks has Python's lock: all others wait meanwhile.
    let limit = Timespec { tv_sec: 1, tv_nsec: 0 };
    let mut place = [PollFd::new(&ours, PollFlags::IN)];
    if poll(&mut place, Some(&limit)) != Ok(1) {
        return None;
    }
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let (_, mut files) = control::receive_beside(ours.as_fd(), &mut [0; 16], flags).ok()?;
    let mut file = File::from(files.pop()?);
    std::io::Seek::rewind(&mut file).ok()?;
    serde_json::from_reader(std::io::BufReader::new(file)).ok()
}
