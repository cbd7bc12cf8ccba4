//! Pages asked for over HTTP/2 and TLS, and the certificate for that.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::blocking::{Client, ClientBuilder};
use reqwest::{StatusCode, Version};

use super::Certificate;
use crate::error::{Error, Kind, Result};

/// A certificate that nobody but us trusts.
pub(super) fn make_certificate() -> Result<Certificate> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|source| {
        Error::new(Kind::Install, "failed to make a certificate").caused_by(source)
    })?;
    Ok(Certificate { pem: made.cert.pem(), key: made.signing_key.serialize_pem() })
}

/// Fails unless that text is served at `/` of both ports, the second one with that
/// certificate.
pub(super) fn expect(
    [plain, secure]: [u16; 2],
    certificate: Option<&str>,
    has_http2: bool,
    text: &str,
) -> Result<()> {
    if has_http2 {
        let address = format!("http://localhost:{plain}/");
        let client = client(plain).http2_prior_knowledge();
        expect_one(&address, client, Version::HTTP_2, text)?;
    }
    if let Some(pem) = certificate {
        let root = reqwest::Certificate::from_pem(pem.as_bytes()).map_err(|source| {
            Error::new(Kind::Install, "failed to read our own certificate").caused_by(source)
        })?;
        let address = format!("https://localhost:{secure}/");
        let client = client(secure).tls_certs_only([root]);
        let version = if has_http2 { Version::HTTP_2 } else { Version::HTTP_11 };
        expect_one(&address, client, version, text)?;
    }
    Ok(())
}

fn client(port: u16) -> ClientBuilder {
    crate::tls::use_ring();
    Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}

fn expect_one(address: &str, client: ClientBuilder, version: Version, text: &str) -> Result<()> {
    let failed = |source: reqwest::Error| {
        Error::new(Kind::Install, format!("httpd does not serve {address} over {version:?}"))
            .caused_by(source)
    };
    let response = client.build().and_then(|client| client.get(address).send()).map_err(failed)?;
    let (status, found) = (response.status(), response.version());
    let body = response.text().map_err(failed)?;
    if status == StatusCode::OK && found == version && body == text {
        return Ok(());
    }
    let start = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Err(Error::new(Kind::Install, format!("httpd serves {address} wrongly"))
        .detail(format!("expected 200 OK over {version:?}: {}", start(text)))
        .detail(format!("found    {status} over {found:?}: {}", start(&body))))
}
