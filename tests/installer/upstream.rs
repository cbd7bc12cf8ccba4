//! A web server on the loopback interface that misbehaves as told.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

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
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Upstream {
    /// Starts it; `answer` makes each answer, head and all. The connection is
    /// closed after it.
    pub(crate) fn start(answer: impl Fn(&Request) -> Vec<Part> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&requests), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, answer) = (Arc::clone(&seen), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &seen, &*answer));
            }
        });
        Self { port, requests }
    }

    /// A server with one file at every path.
    pub(crate) fn with(bytes: Vec<u8>) -> Self {
        Self::start(move |request| whole_or_range(request, &bytes, "\"one\""))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Vec<Part>,
) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let Some(first) = lines.next() else { return };
    let headers = lines
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        })
        .collect();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let request = {
        let mut seen = seen.lock().unwrap();
        let request = Request { path, headers, before: seen.len() };
        seen.push(request.clone());
        request
    };
    for part in answer(&request) {
        match part {
            Part::Bytes(bytes) => {
                // The client may have had enough.
                if stream.write_all(&bytes).is_err() {
                    return;
                }
            }
            Part::Pause(time) => thread::sleep(time),
        }
    }
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
