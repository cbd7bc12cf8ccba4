//! Accounts of the system: who processes run as, who owns what.

use std::ffi::{CStr, CString};

/// A user's account.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The home folder.
    pub(crate) home: String,
}

/// The account of a name, or of `#` and a number. Only while the configuration is
/// read: the answer lies in memory that all threads share.
pub(crate) fn user(name: &str) -> Option<Account> {
    let found = match number(name) {
        // SAFETY: S4: a plain call; null if there is none.
        Some(uid) => unsafe { libc::getpwuid(uid) },
        None => {
            let name = CString::new(name).ok()?;
            // SAFETY: S4: a text that ends in NUL.
            unsafe { libc::getpwnam(name.as_ptr()) }
        }
    };
    // SAFETY: S4: null, or a record that stays until the next call.
    let found = unsafe { found.as_ref() }?;
    let text = |text: *const std::ffi::c_char| {
        // SAFETY: S4: texts of the record.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    };
    Some(Account {
        name: text(found.pw_name),
        uid: found.pw_uid,
        gid: found.pw_gid,
        home: text(found.pw_dir),
    })
}

/// The id of a group's name, or of `#` and a number.
pub(crate) fn group(name: &str) -> Option<u32> {
    if let Some(gid) = number(name) {
        return Some(gid);
    }
    let name = CString::new(name).ok()?;
    // SAFETY: S4: a text that ends in NUL; null, or a record until the next call.
    unsafe { libc::getgrnam(name.as_ptr()).as_ref() }.map(|group| group.gr_gid)
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix('#')?.parse().ok()
}
