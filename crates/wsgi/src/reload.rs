//! When a script that is already loaded has to be loaded anew.
//!
//! Reading the file's time and asking the module's `reload_required` are the
//! module's part.

/// Whether a script is no longer the one that was loaded: its modification
/// time differs, be it newer or older, or it cannot be read (`None`)
/// (reference 5.4). Times are microseconds since the epoch, as in `__mtime__`.
#[must_use]
pub fn is_stale(loaded_micros: i64, now_micros: Option<i64>) -> bool {
    now_micros != Some(loaded_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_difference_makes_a_script_stale() {
        assert!(!is_stale(5, Some(5)));
        assert!(is_stale(5, Some(6)));
        assert!(is_stale(5, Some(4)));
        assert!(is_stale(5, None));
        assert!(is_stale(0, None));
    }
}
