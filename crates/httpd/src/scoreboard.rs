//! httpd's scoreboard: what each process and thread of the server does.

use std::ffi::c_int;

use crate::sys;

/// The scoreboard of the running server.
#[derive(Clone, Copy)]
pub struct Scoreboard(&'static sys::global_score);

impl Scoreboard {
    /// The scoreboard, where there is one.
    #[must_use]
    pub fn find() -> Option<Self> {
        // SAFETY: shared memory that lives as long as the process; httpd answers null
        // while there is none.
        unsafe {
            if sys::ap_exists_scoreboard_image() == 0 {
                return None;
            }
            sys::ap_get_scoreboard_global().as_ref().map(Self)
        }
    }

    /// Limits, generation, and when the server started.
    #[must_use]
    pub fn of_server(self) -> sys::global_score {
        *self.0
    }

    /// All places for processes, used or not.
    pub fn processes(self) -> impl Iterator<Item = (c_int, sys::process_score)> {
        (0..self.0.server_limit).filter_map(|number| {
            // SAFETY: below the limit; other processes write to it meanwhile, so that
            // a copy is taken of what is plain numbers.
            let process = unsafe { sys::ap_get_scoreboard_process(number).as_ref() };
            process.map(|process| (number, *process))
        })
    }

    /// All places for threads of a process.
    pub fn workers(self, process: c_int) -> impl Iterator<Item = (c_int, sys::worker_score)> {
        (0..self.0.thread_limit).filter_map(move |number| {
            // SAFETY: as above.
            let worker =
                unsafe { sys::ap_get_scoreboard_worker_from_indexes(process, number).as_ref() };
            worker.map(|worker| (number, *worker))
        })
    }
}

/// Whether requests and bytes are counted: `ExtendedStatus`.
#[must_use]
pub fn counts_requests() -> bool {
    // SAFETY: S5: httpd's own number, which only the configuration sets.
    unsafe { sys::ap_extended_status != 0 }
}

/// The letter that mod_status shows for a state.
#[must_use]
pub fn letter_of(status: u8) -> u8 {
    *b".S_RWKLDCGI".get(usize::from(status)).unwrap_or(&b'?')
}

/// The text in a field of the scoreboard, which another process may write to just
/// now: it ends with the field at the latest.
#[must_use]
pub fn field_text(field: &[std::ffi::c_char]) -> Vec<u8> {
    let bytes = field.iter().map(|letter| letter.cast_unsigned());
    bytes.take_while(|byte| *byte != 0).collect()
}
