//! The name that `ps` shows for the process.

/// Writes a name over the arguments that the process was started with.
pub(crate) fn set(name: &str) {
    let Some((start, end)) = arguments() else { return };
    let length = end - start;
    let bytes = &name.as_bytes()[..name.len().min(length - 1)];
    // SAFETY: the kernel's own word for where they lie, on this process's stack, for as
    // long as it lives; Python has read them and made copies.
    unsafe {
        let place = start as *mut u8;
        place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        place.add(bytes.len()).write_bytes(0, length - bytes.len());
    }
}

/// Start and end of the arguments in memory.
fn arguments() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program may have blanks and brackets in it.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(ARG_START - 3);
    let start = fields.next()?.parse().ok()?;
    let end = fields.next()?.parse().ok()?;
    (start < end && start != 0).then_some((start, end))
}

/// Number of the field as in `proc(5)`; the third one follows the name.
const ARG_START: usize = 48;
