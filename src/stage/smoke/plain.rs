//! A page asked for over HTTP/1.1: one request, to the end of the connection.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::{Error, Kind, Result};

/// Fails unless that text is served there.
pub(super) fn expect(port: u16, path: &str, text: &str) -> Result<()> {
    let address = format!("http://localhost:{port}{path}");
    let answer = ask(port, path).map_err(|source| {
        Error::new(Kind::Install, format!("httpd does not serve {address} over HTTP/1.1"))
            .caused_by(source)
    })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status == OK && body == text {
        return Ok(());
    }
    let start = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Err(Error::new(Kind::Install, format!("httpd serves {address} wrongly"))
        .detail(format!("expected {OK}: {}", start(text)))
        .detail(format!("found    {status}: {}", start(body))))
}

fn ask(port: u16, path: &str) -> std::io::Result<String> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

const OK: &str = "HTTP/1.1 200 OK";
const PATIENCE: Duration = Duration::from_secs(20);
