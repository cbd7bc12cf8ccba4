//! Options that say where the server listens, under which names and how it is
//! encrypted.

use clap::Args;

use super::{needs, number};
use crate::error::{Error, Result};

/// Addresses, names and TLS.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Addresses, names and TLS")]
pub struct Listening {
    /// Address to listen on. Unset, all, and `localhost` is the server's name.
    #[arg(long, value_name = "IP-ADDRESS")]
    pub host: Option<String>,
    /// Port to listen on.
    #[arg(long, value_name = "NUMBER", default_value = "8000", value_parser = number::whole())]
    pub port: u32,
    /// Serve HTTP/2, also without TLS.
    #[arg(long)]
    pub http2: bool,
    /// Port for TLS; needs a certificate and its key.
    #[arg(long, value_name = "NUMBER", value_parser = number::whole())]
    pub https_port: Option<u32>,
    /// Old name of --https-port.
    #[arg(long, value_name = "NUMBER", hide = true, value_parser = number::whole())]
    pub ssl_port: Option<u32>,
    /// Certificate and key: this path with `.crt` and `.key`.
    #[arg(long, value_name = "FILE-PATH")]
    pub ssl_certificate: Option<String>,
    /// Certificate.
    #[arg(long, value_name = "FILE-PATH")]
    pub ssl_certificate_file: Option<String>,
    /// Private key of the certificate.
    #[arg(long, value_name = "FILE-PATH")]
    pub ssl_certificate_key_file: Option<String>,
    /// Authorities whose clients' certificates are accepted; clients must have one.
    #[arg(long, value_name = "FILE-PATH")]
    pub ssl_ca_certificate_file: Option<String>,
    /// Clients need a certificate below this URL path only. May be repeated.
    #[arg(long, value_name = "URL-PATH")]
    pub ssl_verify_client: Vec<String>,
    /// Intermediate certificates of the certificate.
    #[arg(long, value_name = "FILE-PATH")]
    pub ssl_certificate_chain_file: Option<String>,
    /// Pass mod_ssl's variables on to the application.
    #[arg(long)]
    pub ssl_environment: bool,
    /// Redirect HTTP to TLS.
    #[arg(long)]
    pub https_only: bool,
    /// Value of Strict-Transport-Security; with --https-only.
    #[arg(long, value_name = "PARAMS")]
    pub hsts_policy: Option<String>,
    /// Name of the server; requests for other names are refused.
    #[arg(long, value_name = "HOSTNAME")]
    pub server_name: Option<String>,
    /// Another name of the server, may have wildcards. May be repeated.
    #[arg(long, value_name = "HOSTNAME")]
    pub server_alias: Vec<String>,
    /// Serve clients on this machine under any name.
    #[arg(long)]
    pub allow_localhost: bool,
}

impl Listening {
    /// The port for TLS.
    #[must_use]
    pub fn tls_port(&self) -> Option<u32> {
        self.https_port.or(self.ssl_port)
    }

    /// Certificate and key, when both are known.
    #[must_use]
    pub fn certificate(&self) -> Option<(String, String)> {
        if let Some(base) = &self.ssl_certificate {
            return Some((format!("{base}.crt"), format!("{base}.key")));
        }
        self.ssl_certificate_file.clone().zip(self.ssl_certificate_key_file.clone())
    }

    pub(super) fn check(&self) -> Result<()> {
        let given = [
            ("--ssl-certificate", &self.ssl_certificate),
            ("--ssl-certificate-file", &self.ssl_certificate_file),
            ("--ssl-certificate-key-file", &self.ssl_certificate_key_file),
            ("--ssl-ca-certificate-file", &self.ssl_ca_certificate_file),
            ("--ssl-certificate-chain-file", &self.ssl_certificate_chain_file),
        ];
        if self.tls_port().is_none() {
            return match given.iter().find(|(_, value)| value.is_some()) {
                Some((option, _)) => Err(needs(option, "--https-port")),
                None => Ok(()),
            };
        }
        if self.certificate().is_some() {
            return Ok(());
        }
        match given.iter().find(|(_, value)| value.is_some()) {
            Some((option, _)) => Err(Error::usage(format!(
                "{option} needs both a certificate and its key: --ssl-certificate, or \
                 --ssl-certificate-file and --ssl-certificate-key-file."
            ))),
            None => Ok(()),
        }
    }

    pub(super) fn idle(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut add = |idle: bool, text: &str| {
            if idle {
                found.push(text.to_owned());
            }
        };
        let tls = self.tls_port().is_some() && self.certificate().is_some();
        add(
            self.tls_port().is_some() && !tls,
            "--https-port without --ssl-certificate: there is no TLS",
        );
        add(self.https_only && !tls, "--https-only has no effect without TLS");
        add(
            self.hsts_policy.is_some() && !self.https_only,
            "--hsts-policy has no effect without --https-only",
        );
        add(
            !self.server_alias.is_empty() && self.server_name.is_none(),
            "--server-alias has no effect without --server-name",
        );
        add(
            self.allow_localhost && self.server_name.is_none(),
            "--allow-localhost has no effect without --server-name",
        );
        add(
            !self.ssl_verify_client.is_empty() && self.ssl_ca_certificate_file.is_none(),
            "--ssl-verify-client has no effect without --ssl-ca-certificate-file",
        );
        found
    }
}
