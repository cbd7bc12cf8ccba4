//! Options for those who look after a running server.

use clap::Args;

use super::{Listening, number};
use crate::error::{Error, Result};

/// The status page and health checks.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Status and metrics")]
pub struct Status {
    /// Port, on this machine only, of a status page at `/` with live figures, which are
    /// also at `/status.json` and, for Prometheus, at `/metrics`; `/health` is there, too.
    #[arg(long, value_name = "NUMBER", value_parser = number::whole())]
    pub status_port: Option<u32>,
    /// URL path, such as `/healthz`, that answers 200 to anybody without asking the
    /// application; with `?ready`, 503 until its processes take requests.
    #[arg(long, value_name = "URL-PATH")]
    pub health_url: Option<String>,
}

impl Status {
    pub(super) fn check(&self, listening: &Listening) -> Result<()> {
        if let Some(port) = self.status_port {
            number::check_port("--status-port", port)?;
            let others = [("--port", Some(listening.port)), ("--https-port", listening.tls_port())];
            if let Some((other, _)) = others.into_iter().find(|(_, other)| *other == Some(port)) {
                return Err(Error::usage(format!(
                    "option --status-port: {port} is the port of {other}"
                ))
                .hint("the status page needs a port of its own"));
            }
        }
        match &self.health_url {
            Some(url) if !is_plain(url) => Err(Error::usage(format!(
                "option --health-url: invalid value: '{url}' (allowed: a URL path such as \
                 /healthz, of letters, digits, `/`, `-`, `.`, `_` and `~`)"
            ))),
            _ => Ok(()),
        }
    }
}

/// Whether a URL path means itself to httpd and to clients, and is not the whole site.
fn is_plain(url: &str) -> bool {
    let is_plain = |part: &str| {
        let is_dots = part.chars().all(|letter| letter == '.');
        let may = |letter: char| letter.is_ascii_alphanumeric() || "-._~".contains(letter);
        !is_dots && part.chars().all(may)
    };
    url.strip_prefix('/').is_some_and(|path| path.split('/').all(is_plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_health_url_is_a_plain_path() {
        for good in ["/healthz", "/a/b-c.d_e~1", "/.well-known/health"] {
            assert!(is_plain(good), "{good}");
        }
        for bad in ["", "/", "healthz", "/a/", "//a", "/a?b", "/a*", "/a b", "/../a", "/ä"] {
            assert!(!is_plain(bad), "{bad}");
        }
    }
}
