//! A web server on the loopback interface that misbehaves as told.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// One request, as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// Requests before it, of any path.
    pub(crate) before: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// First byte asked for.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What goes down the connection, part by part.
pub(crate) enum Part {
    Bytes(Vec<u8>),
    /// Nothing, for so long.
    Pause(Duration),
}

/// A server that runs until the test ends.
pub(crate) struct Upstream {
    port: u16,
    scheme: &'static str,
    requests: Arc<Mutex<Vec<Request>>>,
    connections: Arc<AtomicUsize>,
}

/// How a server is spoken to.
pub(crate) enum Door {
    Plain,
    Tls(Arc<ServerConfig>),
    /// A proxy, and the server behind it in one: TLS after a CONNECT.
    Tunnel(Arc<ServerConfig>),
}

impl Upstream {
    /// Starts it; `answer` makes each answer, head and all. The connection is
    /// closed after it.
    pub(crate) fn start(answer: impl Fn(&Request) -> Vec<Part> + Send + Sync + 'static) -> Self {
        Self::start_behind(Door::Plain, answer)
    }

    /// The same with another door.
    pub(crate) fn start_behind(
        door: Door,
        answer: impl Fn(&Request) -> Vec<Part> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let scheme = if matches!(door, Door::Tls(_)) { "https" } else { "http" };
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, counter) = (Arc::clone(&requests), Arc::clone(&connections));
        let shared = Arc::new((door, answer));
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                counter.fetch_add(1, Ordering::SeqCst);
                let (seen, shared) = (Arc::clone(&seen), Arc::clone(&shared));
                thread::spawn(move || {
                    let (door, answer) = &*shared;
                    let config = match door {
                        Door::Plain => return serve(stream, &seen, answer),
                        Door::Tls(config) => config,
                        Door::Tunnel(config) => {
                            if read_request(&mut stream, &seen).is_none()
                                || stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err()
                            {
                                return;
                            }
                            config
                        }
                    };
                    let session = ServerConnection::new(Arc::clone(config)).unwrap();
                    serve(StreamOwned::new(session, stream), &seen, answer);
                });
            }
        });
        Self { port, scheme, requests, connections }
    }

    /// A server with one file at every path.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        Self::start(move |request| whole_or_range(request, &bytes, "\"one\""))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.url_as("127.0.0.1", path)
    }

    /// Its address under another name of this machine.
    pub(crate) fn url_as(&self, host: &str, path: &str) -> String {
        format!("{}://{host}:{}{path}", self.scheme, self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// Paths asked for, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.path).collect()
    }

    /// Connections made, whether anything was asked or not.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

fn read_request(stream: &mut impl Read, seen: &Mutex<Vec<Request>>) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut seen = seen.lock().unwrap();
    let request = Request { path, headers, before: seen.len() };
    seen.push(request.clone());
    Some(request)
}

fn serve(
    mut stream: impl Read + Write,
    seen: &Mutex<Vec<Request>>,
    answer: &impl Fn(&Request) -> Vec<Part>,
) {
    let Some(request) = read_request(&mut stream, seen) else { return };
    for part in answer(&request) {
        match part {
            Part::Bytes(bytes) => {
                // The client may have had enough.
                if stream.write_all(&bytes).and_then(|()| stream.flush()).is_err() {
                    return;
                }
            }
            Part::Pause(time) => thread::sleep(time),
        }
    }
}

/// Somebody who signs certificates.
pub(crate) fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // By default all are called the same, and a name finds the issuer.
    params.distinguished_name.push(DnType::CommonName, "an authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate that somebody signed.
pub(crate) fn signed_by(
    issuer: &CertifiedIssuer<'_, KeyPair>,
    params: &CertificateParams,
) -> Arc<ServerConfig> {
    let key = KeyPair::generate().unwrap();
    server_config(&params.signed_by(&key, issuer).unwrap(), &key)
}

/// What a certificate for those names says.
pub(crate) fn certificate_for(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).unwrap()
}

/// A server with a certificate that nobody signed but itself, and that
/// certificate.
pub(crate) fn self_signed(params: &CertificateParams) -> (Arc<ServerConfig>, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (server_config(&certificate, &key), certificate.pem())
}

fn server_config(certificate: &rcgen::Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .unwrap();
    Arc::new(config)
}

/// An answer with a head and a body.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<Part> {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    vec![Part::Bytes(head.into_bytes()), Part::Bytes(body.to_vec())]
}

/// A well-behaved answer: the file, or the part of it that was asked for if it
/// is still the one with that tag.
pub(crate) fn whole_or_range(request: &Request, bytes: &[u8], tag: &str) -> Vec<Part> {
    let same = request.header("if-range").is_none_or(|asked| asked == tag);
    match request.range().filter(|start| same && *start < bytes.len()) {
        Some(start) => {
            let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            answer(
                "206 Partial Content",
                &[("ETag", tag), ("Content-Range", &range)],
                &bytes[start..],
            )
        }
        None => answer("200 OK", &[("ETag", tag)], bytes),
    }
}
