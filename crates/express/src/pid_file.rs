//! The file in which httpd puts its process id once it listens. A server is waited for
//! by it: the port alone may be another server's.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

/// How long to wait before the next look, where the system cannot tell of changes.
const PAUSE: Duration = Duration::from_millis(20);

/// A pid file, whose folder is watched.
pub(crate) struct PidFile {
    path: PathBuf,
    folder: Option<OwnedFd>,
}

impl PidFile {
    /// Watches from now on.
    pub(crate) fn watch(path: PathBuf) -> Self {
        let watch = || {
            let watch = inotify::init(CreateFlags::CLOEXEC)?;
            let changes = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
            inotify::add_watch(&watch, path.parent().unwrap_or(&path), changes)?;
            Ok::<_, rustix::io::Errno>(watch)
        };
        let folder = watch().ok();
        Self { path, folder }
    }

    /// Waits until it names this process.
    pub(crate) fn wait_for(&self, pid: u32) {
        // Room for several names of files.
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = self.folder.as_ref().map(|folder| Reader::new(folder, &mut room));
        while !self.names(pid) {
            match events.as_mut().map(|events| events.next().map(drop)) {
                Some(Ok(())) => {}
                _ => std::thread::sleep(PAUSE),
            }
        }
    }

    fn names(&self, pid: u32) -> bool {
        let text = std::fs::read_to_string(&self.path);
        text.is_ok_and(|text| text.trim().parse() == Ok(pid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_that_was_started_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("httpd.pid");
        std::fs::write(&path, "11\n").unwrap();
        let file = PidFile::watch(path.clone());
        let waiting = std::thread::spawn(move || file.wait_for(22));
        std::fs::write(folder.path().join("another"), "22\n").unwrap();
        std::thread::sleep(PAUSE * 5);
        assert!(!waiting.is_finished(), "it took another process, or another file");
        std::fs::write(folder.path().join("new"), "22\n").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        waiting.join().unwrap();
    }
}
