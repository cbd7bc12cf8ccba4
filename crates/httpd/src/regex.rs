//! httpd's regular expressions.

use std::ptr::NonNull;

use crate::pool::Pool;
use crate::sys;
use crate::table::bytes_of;

/// A compiled expression; it lives as long as the configuration it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Regex(NonNull<sys::ap_regex_t>);

impl Regex {
    /// Compiles an extended expression.
    #[must_use]
    pub fn new(pool: Pool, text: &str) -> Option<Self> {
        let text = pool.copy(text.as_bytes());
        // SAFETY: S2, S4: a text that ends in NUL; httpd frees it with the pool.
        NonNull::new(unsafe { sys::ap_pregcomp(pool.raw(), text, 0) }).map(Self)
    }

    /// Matches a text. Answers `replacement` with `$1` and so on filled in, and
    /// where the match ends.
    #[must_use]
    pub fn replace<'p>(
        self,
        pool: Pool,
        text: &[u8],
        replacement: &str,
    ) -> Option<(&'p [u8], usize)> {
        let (text, replacement) = (pool.copy(text), pool.copy(replacement.as_bytes()));
        let mut matches = [sys::ap_regmatch_t { rm_so: -1, rm_eo: -1 }; MOST];
        // SAFETY: S2: two texts that end in NUL, and that many places.
        let found =
            unsafe { sys::ap_regexec(self.0.as_ptr(), text, MOST, matches.as_mut_ptr(), 0) };
        if found != 0 {
            return None;
        }
        // SAFETY: S2: as above.
        let filled =
            unsafe { sys::ap_pregsub(pool.raw(), replacement, text, MOST, matches.as_mut_ptr()) };
        Some((bytes_of(filled)?, usize::try_from(matches[0].rm_eo).ok()?))
    }
}

/// `AP_MAX_REG_MATCH`.
const MOST: usize = 10;
