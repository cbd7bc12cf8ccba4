//! `script-user` and `script-group`: a group runs only what the right people can
//! have written.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Who must own a script and its folder.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Owner {
    /// The user of that id; neither group nor world may write.
    User(u32),
    /// The group of that id; the world may not write.
    Group(u32),
}

impl Owner {
    /// Whether a script may run.
    ///
    /// # Errors
    /// Why not, for the log.
    pub(crate) fn check(self, script: &[u8]) -> Result<(), String> {
        let script = Path::new(std::ffi::OsStr::from_bytes(script));
        let file = script.metadata().map_err(|error| match self {
            Self::User(_) => {
                format!("WSGI0162: User information not available for WSGI script file. ({error})")
            }
            Self::Group(_) => {
                format!("WSGI0153: Group information not available for WSGI script file. ({error})")
            }
        })?;
        let folder = script.parent().unwrap_or(script);
        let shown = folder.display();
        let parent = folder.metadata().map_err(|error| match self {
            Self::User(_) => format!(
                "WSGI0169: Unable to stat parent directory '{shown}' of WSGI script. ({error})"
            ),
            Self::Group(_) => format!(
                "WSGI0158: Unable to stat parent directory '{shown}' of WSGI script. ({error})"
            ),
        })?;
        let refused = |is_wrong: bool, text: String| if is_wrong { Err(text) } else { Ok(()) };
        let (group_writes, world_writes) = (0o020, 0o002);
        match self {
            Self::User(wanted) => {
                let uid = file.uid();
                refused(
                    uid != wanted,
                    format!(
                        "WSGI0164: WSGI script file owner '#{uid}' does not match user required for daemon process."
                    ),
                )?;
                refused(
                    file.mode() & group_writes != 0,
                    "WSGI0166: WSGI script file is writable to group.".to_owned(),
                )?;
                refused(
                    file.mode() & world_writes != 0,
                    "WSGI0168: WSGI script file is writable to world.".to_owned(),
                )?;
                let uid = parent.uid();
                refused(
                    uid != wanted,
                    format!(
                        "WSGI0171: Parent directory of WSGI script file has owner '#{uid}' which does not match user required for daemon process. ({shown})"
                    ),
                )?;
                refused(
                    parent.mode() & world_writes != 0,
                    "WSGI0172: Parent directory of WSGI script file is writable to world."
                        .to_owned(),
                )?;
                refused(
                    parent.mode() & group_writes != 0,
                    "WSGI0173: Parent directory of WSGI script file is writable to group."
                        .to_owned(),
                )
            }
            Self::Group(wanted) => {
                let gid = file.gid();
                refused(
                    gid != wanted,
                    format!(
                        "WSGI0155: WSGI script file group '#{gid}' does not match group required for daemon process."
                    ),
                )?;
                refused(
                    file.mode() & world_writes != 0,
                    "WSGI0157: WSGI script file is writable to world.".to_owned(),
                )?;
                let gid = parent.gid();
                refused(
                    gid != wanted,
                    format!(
                        "WSGI0160: Parent directory of WSGI script file has group '#{gid}' which does not match group required for daemon process. ({shown})"
                    ),
                )?;
                refused(
                    parent.mode() & world_writes != 0,
                    "WSGI0161: Parent directory of WSGI script file is writable to world."
                        .to_owned(),
                )
            }
        }
    }
}
