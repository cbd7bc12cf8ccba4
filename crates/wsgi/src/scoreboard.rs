//! httpd's scoreboard as daemon processes are told of it, in JSON: their supervisor
//! sees it, they do not.

use serde::{Deserialize, Serialize};

/// The whole server.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Scoreboard {
    /// Most processes.
    pub server_limit: i32,
    /// Most threads of each.
    pub thread_limit: i32,
    /// Counts graceful restarts.
    pub running_generation: i32,
    /// Microseconds since 1970.
    pub restart_time: i64,
    /// Its places for processes.
    pub processes: Vec<Process>,
}

/// One process.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Process {
    /// Its place.
    pub number: i32,
    /// 0 for a place that is not used.
    pub pid: i32,
    /// Generation in which it started.
    pub generation: i32,
    /// Whether it takes no new connections.
    pub quiescing: bool,
    /// Its threads.
    pub workers: Vec<Worker>,
}

/// One thread. Times are microseconds since 1970.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[allow(missing_docs, reason = "as in httpd's scoreboard.h")]
pub struct Worker {
    pub number: i32,
    pub generation: i32,
    /// The letter of mod_status.
    pub status: u8,
    pub access_count: i64,
    pub bytes_served: i64,
    pub start_time: i64,
    pub stop_time: i64,
    pub last_used: i64,
    /// Client, request and virtual host, each byte a letter ([`text_of`]).
    pub texts: [String; 3],
}

/// Bytes as a text of Latin-1.
#[must_use]
pub fn text_of(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// The bytes of such a text.
#[must_use]
pub fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let all: Vec<u8> = (0..=255).collect();
        let json = serde_json::to_string(&text_of(&all)).unwrap();
        let text: String = serde_json::from_str(&json).unwrap();
        assert_eq!(bytes_of(&text), all);
        assert_eq!(bytes_of("a\u{100}"), b"a?");
    }
}
