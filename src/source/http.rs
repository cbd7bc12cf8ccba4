//! Downloads: https with resume, retries and limits. A host that
//! cannot be reached is asked once a run, so that a closed network costs
//! seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER};
use reqwest::{StatusCode, Url, redirect};

use super::cache::{Cache, Partial};
use super::local::Fault;
use super::sniff::{is_page, looks_like};
use crate::digest::{hash_reader, same_digest, wrong_digest};
use crate::error::{Error, Kind};
use crate::process::check_interrupted;
use crate::recipe::SourceFile;
use crate::report::{Bar, Report};

/// The way to the network. Opened when first used.
pub(super) struct Http {
    client: OnceLock<Result<Client, String>>,
    stall: Duration,
    /// The client's own rules for proxies, asked again to name the one at fault.
    proxies: OnceLock<Matcher>,
    /// Servers (scheme, host, port) that could not be reached, with the reason.
    dead: Mutex<BTreeMap<String, String>>,
    /// Servers that sent us elsewhere: alive, whatever becomes of the hop.
    answered: Arc<Mutex<BTreeSet<String>>>,
    report: Report,
}

/// How one try ended short of success.
enum Try {
    /// Worth another try after a pause.
    Again(String, Option<Duration>),
    /// Not worth another.
    Never(Fault),
}

impl From<std::io::Error> for Try {
    fn from(source: std::io::Error) -> Self {
        Self::Never(Error::io(Kind::Network, "write to", "the cache")(source).into())
    }
}

impl Http {
    pub(super) fn new(stall: Duration, report: Report) -> Self {
        Self {
            client: OnceLock::new(),
            stall,
            proxies: OnceLock::new(),
            dead: Mutex::default(),
            answered: Arc::default(),
            report,
        }
    }

    /// Fetches one archive into the cache.
    pub(super) fn download(
        &self,
        url: &str,
        file: &SourceFile,
        cache: &Cache,
    ) -> Result<PathBuf, Fault> {
        let address = Url::parse(url).map_err(|error| Fault::Absent(error.to_string()))?;
        let server = address.origin().ascii_serialization();
        if let Some(why) = self.dead.lock().ok().and_then(|dead| dead.get(&server).cloned()) {
            return Err(Fault::Absent(why));
        }
        let client = self.client()?;
        let mut partial = cache.partial(&file.sha256)?;
        // Another run may have finished it while we waited for the lock.
        if let Some(path) = cache.whole_archive(file, &self.report)? {
            return Ok(path);
        }
        let bar = self.report.bar("Fetching", &file.name, file.size, true);
        let mut why = String::new();
        for attempt in 0..TRIES {
            check_interrupted()?;
            match self.try_once(client, &address, file, &mut partial, &bar) {
                Ok(()) => return Ok(cache.adopt(&partial.path, &file.sha256, url)?),
                Err(Try::Never(Fault::Wrong(error))) => {
                    let aside = cache.set_aside(&partial.path, &file.name)?;
                    let error = error.detail(format!("kept as {}", aside.display()));
                    return Err(Fault::Wrong(Box::new(error)));
                }
                Err(Try::Never(fault)) => {
                    if let Fault::Absent(text) = &fault
                        && text.starts_with(UNREACHABLE)
                        && self.answered.lock().is_ok_and(|answered| !answered.contains(&server))
                        && let Ok(mut dead) = self.dead.lock()
                    {
                        dead.insert(server, text.clone());
                    }
                    return Err(fault);
                }
                Err(Try::Again(text, pause)) => {
                    self.report.detail(&format!("{url}: {text}"));
                    why = text;
                    if attempt + 1 < TRIES {
                        sleep(pause.unwrap_or(PAUSE * 3_u32.pow(attempt)));
                    }
                }
            }
        }
        Err(Fault::Absent(format!("{why} ({TRIES} tries)")))
    }

    /// Fetches a file of at most so many bytes whole, or says why not.
    pub(super) fn whole(&self, url: &str, most: u64) -> Result<Vec<u8>, String> {
        let address = Url::parse(url).map_err(|error| error.to_string())?;
        let server = address.origin().ascii_serialization();
        if let Some(why) = self.dead.lock().ok().and_then(|dead| dead.get(&server).cloned()) {
            return Err(why);
        }
        let client = self.client().map_err(|_| "there is no client".to_owned())?;
        let response = client.get(address).send().map_err(|error| {
            let why = root_cause(&error);
            if error.is_connect()
                && let Ok(mut dead) = self.dead.lock()
            {
                dead.insert(server, why.clone());
            }
            why
        })?;
        if !response.status().is_success() {
            return Err(format!("the server answers {}", response.status()));
        }
        let mut bytes = Vec::new();
        response.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 > most {
            return Err(format!("it has more than {most} bytes"));
        }
        Ok(bytes)
    }

    fn try_once(
        &self,
        client: &Client,
        url: &Url,
        file: &SourceFile,
        partial: &mut Partial,
        bar: &Bar,
    ) -> Result<(), Try> {
        let mut have = partial.len()?;
        if have > file.size {
            partial.clear()?;
            have = 0;
        }
        let mut response =
            if have < file.size { Some(self.ask(client, url, partial, have)?) } else { None };
        let mut resumed = have > 0;
        if let Some(answer) = &response {
            if answer.status() == StatusCode::PARTIAL_CONTENT
                && continues_at(answer, have, file.size)
            {
                self.report.detail(&format!("{url}: going on at byte {have}"));
            } else if have > 0 {
                // 200, or a range that is not the one asked for.
                partial.clear()?;
                resumed = false;
                have = 0;
                if answer.status() == StatusCode::PARTIAL_CONTENT {
                    response = Some(self.ask(client, url, partial, 0)?);
                }
            }
        }
        if let Some(answer) = response {
            if have == 0 {
                partial.remember_tag(tag_of(&answer).as_deref())?;
            }
            self.receive(answer, file, partial, have, bar)?;
        }
        partial.file.seek(SeekFrom::Start(0))?;
        let found = hash_reader(&mut &partial.file)?;
        if same_digest(&found, &file.sha256) {
            partial.remember_tag(None)?;
            return Ok(());
        }
        if resumed {
            partial.clear()?;
            return Err(Try::Again("the file changed between two parts of it".into(), Some(PAUSE)));
        }
        let mut start = [0; 6];
        partial.file.seek(SeekFrom::Start(0))?;
        let count = partial.file.read(&mut start)?;
        let error = wrong_digest(&file.name, &file.sha256, &found)
            .detail(format!("it is {}", looks_like(&start[..count])));
        Err(Try::Never(Fault::Wrong(Box::new(error))))
    }

    /// Asks for the bytes from `have` on.
    fn ask(
        &self,
        client: &Client,
        url: &Url,
        partial: &mut Partial,
        have: u64,
    ) -> Result<Response, Try> {
        let mut request = client.get(url.clone());
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(tag) = partial.tag() {
                request = request.header(IF_RANGE, tag);
            }
        }
        let response = request.send().map_err(|error| self.judge_failure(url, &error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::RANGE_NOT_SATISFIABLE {
            partial.clear()?;
            return Err(Try::Again("the server has fewer bytes than we".into(), Some(PAUSE)));
        }
        let text = format!("answered {status}");
        if status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error() {
            let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let pause = pause.and_then(|text| text.parse().ok()).map(Duration::from_secs);
            return Err(Try::Again(text, pause.map(|pause| pause.min(LONGEST_PAUSE))));
        }
        Err(Try::Never(Fault::Absent(text)))
    }

    fn receive(
        &self,
        mut answer: Response,
        file: &SourceFile,
        partial: &mut Partial,
        mut have: u64,
        bar: &Bar,
    ) -> Result<(), Try> {
        let mut buffer = vec![0; 64 * 1024];
        let (begin, before) = (Instant::now(), have);
        loop {
            check_interrupted().map_err(|error| Try::Never(error.into()))?;
            let count = match answer.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(Try::Again(format!("stopped at byte {have}: {error}"), None));
                }
            };
            have += count as u64;
            if have == count as u64 && is_page(&buffer[..count]) {
                // A portal or an error page: going on would not make it better.
                partial.file.write_all(&buffer[..count])?;
                return Err(Try::Never(Fault::Wrong(Box::new(
                    Error::new(Kind::Checksum, format!("`{}` is not what was sent", file.name))
                        .detail(format!("it is {}", looks_like(&buffer[..count])))
                        .hint("look at the address in a browser, or name a --mirror or --vendor"),
                ))));
            }
            if have > file.size {
                let error = Error::new(
                    Kind::Checksum,
                    format!("`{}` is longer than the {} bytes of its recipe", file.name, file.size),
                );
                return Err(Try::Never(Fault::Wrong(Box::new(error))));
            }
            partial.file.write_all(&buffer[..count])?;
            bar.set(have);
            let seconds = begin.elapsed().as_secs();
            if begin.elapsed() > self.stall && (have - before) / seconds.max(1) < SLOWEST {
                return Err(Try::Never(Fault::Absent(format!(
                    "is slower than {SLOWEST} bytes a second"
                ))));
            }
        }
        if have < file.size {
            let text = format!("ended at byte {have} of {}", file.size);
            return Err(Try::Again(text, Some(PAUSE)));
        }
        Ok(())
    }

    fn judge_failure(&self, url: &Url, error: &reqwest::Error) -> Try {
        let mut text = root_cause(error);
        if error.is_redirect() {
            return Try::Never(Fault::Absent(text));
        }
        if let Some(proxy) = self.proxy_for(url) {
            text.push_str(&format!(" (by way of the proxy {proxy})"));
        }
        if error.is_connect() {
            return Try::Never(Fault::Absent(format!("{UNREACHABLE}: {text}")));
        }
        Try::Again(text, None)
    }

    /// Address of the proxy on the way, without its login.
    fn proxy_for(&self, url: &Url) -> Option<String> {
        let target = url.as_str().parse().ok()?;
        let proxy = self.proxies.get_or_init(Matcher::from_system).intercept(&target)?;
        Some(proxy.uri().to_string())
    }

    fn client(&self) -> Result<&Client, Fault> {
        let client = self.client.get_or_init(|| {
            build_client(self.stall, Arc::clone(&self.answered)).map_err(|error| root_cause(&error))
        });
        client.as_ref().map_err(|why| Fault::Absent(format!("no client: {why}")))
    }
}

fn build_client(
    stall: Duration,
    answered: Arc<Mutex<BTreeSet<String>>>,
) -> reqwest::Result<Client> {
    crate::tls::use_ring();
    Client::builder()
        .user_agent(concat!("mod_wsgi-httpd/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(stall.min(LONGEST_CONNECT))
        .timeout(stall)
        .redirect(redirect::Policy::custom(move |attempt| {
            if let Ok(mut answered) = answered.lock() {
                answered.extend(
                    attempt.previous().iter().map(|url| url.origin().ascii_serialization()),
                );
            }
            let secure_before = attempt.previous().iter().any(|url| url.scheme() == "https");
            let hops = attempt.previous().len();
            match attempt.url().scheme() {
                _ if hops > MOST_REDIRECTS => attempt.error("too many redirects"),
                "https" => attempt.follow(),
                "http" if !secure_before => attempt.follow(),
                _ => attempt.error("a redirect away from https"),
            }
        }))
        .build()
}

/// Whether a 206 holds the bytes from `have` on, of a file of that size.
fn continues_at(answer: &Response, have: u64, size: u64) -> bool {
    answer
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.strip_prefix("bytes "))
        .is_some_and(|text| {
            text.starts_with(&format!("{have}-")) && text.ends_with(&format!("/{size}"))
        })
}

fn tag_of(answer: &Response) -> Option<String> {
    let headers = answer.headers();
    let strong = headers.get(ETAG).and_then(|value| value.to_str().ok());
    strong
        .filter(|tag| !tag.starts_with("W/"))
        .or_else(|| headers.get(LAST_MODIFIED).and_then(|value| value.to_str().ok()))
        .map(str::to_owned)
}

/// The innermost error: the only one of the chain that tells anything.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let text = cause.to_string();
    if text.to_lowercase().contains("certificate") {
        format!("{text} (check SSL_CERT_FILE and the clock)")
    } else {
        text
    }
}

/// Sleeps, but wakes for a signal.
fn sleep(pause: Duration) {
    let end = Instant::now() + pause;
    while Instant::now() < end && check_interrupted().is_ok() {
        std::thread::sleep(Duration::from_millis(50).min(pause));
    }
}

const UNREACHABLE: &str = "cannot be reached";
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LONGEST_CONNECT: Duration = Duration::from_secs(5);
const MOST_REDIRECTS: usize = 5;
/// Bytes a second below which a transfer is given up.
const SLOWEST: u64 = 1024;
