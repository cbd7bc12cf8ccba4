//! What processes that the application forks must not have of ours: a connection
//! whose other end they keep open would never end for httpd. A program that they
//! execute has none of it anyway.

use std::os::fd::{AsFd, AsRawFd as _};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

static OURS: [AtomicU64; MOST / 64] = [const { AtomicU64::new(0) }; MOST / 64];
/// Descriptor of something that nothing comes of.
static NOTHING: AtomicI32 = AtomicI32::new(-1);

/// Takes descriptors away from forked processes from now on.
pub(crate) fn watch() -> std::io::Result<()> {
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    NOTHING.store(null.as_raw_fd(), Ordering::Relaxed);
    // It stays for good, under its number.
    let _number = std::os::fd::IntoRawFd::into_raw_fd(null);
    // SAFETY: a function that only calls what may be called after a fork.
    match unsafe { libc::pthread_atfork(None, None, Some(take_away)) } {
        0 => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(error)),
    }
}

/// Runs in the forked process: each number stays taken, with nothing behind it.
extern "C" fn take_away() {
    let nothing = NOTHING.load(Ordering::Relaxed);
    for (index, word) in OURS.iter().enumerate() {
        let mut bits = word.swap(0, Ordering::Relaxed);
        while bits != 0 {
            let number = index * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            // SAFETY: two open descriptors of this process.
            unsafe { libc::dup3(nothing, i32::try_from(number).unwrap_or(-1), libc::O_CLOEXEC) };
        }
    }
}

/// Forked processes do not have this one.
pub(crate) fn keep_from_children(descriptor: &impl AsFd) {
    if let Some((word, bit)) = place(descriptor) {
        word.fetch_or(bit, Ordering::Relaxed);
    }
}

/// It is about to be closed: the number is nothing of ours any more.
pub(crate) fn leave_to_children(descriptor: &impl AsFd) {
    if let Some((word, bit)) = place(descriptor) {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

fn place(descriptor: &impl AsFd) -> Option<(&'static AtomicU64, u64)> {
    let number = usize::try_from(descriptor.as_fd().as_raw_fd()).ok()?;
    Some((OURS.get(number / 64)?, 1 << (number % 64)))
}

/// Descriptors with higher numbers are rare, and not taken away.
const MOST: usize = 65_536;
