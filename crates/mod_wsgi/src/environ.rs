//! The variables of a request, as CGI has them (RFC 3875), and ours. What only
//! Python can make is added on its side.

use std::sync::OnceLock;

use door::{BY_NAME, List, Text, Variable};
use httpd::Request;
use wsgi::environ::{collapse_slashes, is_credential, is_internal, variable_of_header};
use wsgi::key::Key;
use wsgi::options::MapHead;
use wsgi::{proxy, wire};

use crate::config::DirectoryConfig;
use crate::names::Names;

/// The variables of a request; of equal names the last one counts.
pub(crate) struct Environ<'r> {
    request: Request<'r>,
    variables: Vec<Variable<'r>>,
    /// Whether the request came in by TLS.
    pub(crate) https: bool,
}

impl<'r> Environ<'r> {
    /// What an application is told.
    pub(crate) fn of_application(
        request: Request<'r>,
        pass_authorization: bool,
        config: &DirectoryConfig,
        names: &Names<'r>,
        handler_script: &'r str,
    ) -> Self {
        let mut environ = Self { request, variables: Vec::with_capacity(64), https: false };
        let by_httpd = request.needs_httpd_variables() || crate::rules_variables();
        if by_httpd {
            request.add_cgi_variables();
        }
        environ.add_environment();
        if !by_httpd {
            environ.add_headers(|_| true);
            environ.add_server();
            environ.add_target();
            environ.add_place();
        }
        if pass_authorization && let Some(value) = request.headers_in().get(c"Authorization") {
            environ.add(Key::HttpAuthorization, value);
        }
        environ.add_method(config);
        let [script_name, path_info] = environ.add_path(names);
        environ.add(Key::ScriptNameOfModWsgi, script_name);
        environ.add(Key::PathInfoOfModWsgi, path_info);
        environ.add(Key::HandlerScript, handler_script.as_bytes());
        environ.add_own();
        environ.trust(config);
        environ
    }

    /// What a script is told that decides who may see the request: nothing that
    /// other modules have set, no password.
    pub(crate) fn of_access(request: Request<'r>, names: &Names<'r>) -> Self {
        let mut environ = Self { request, variables: Vec::with_capacity(32), https: false };
        environ.add_headers(|name| !is_credential(name));
        environ.add_server();
        environ.add_by_name(b"SERVER_SIGNATURE", request.signature());
        environ.add(Key::DocumentRoot, request.document_root());
        if let Some(host) = request.client_host() {
            environ.add_by_name(b"REMOTE_HOST", host);
        }
        environ.add_target();
        environ.add(Key::RequestMethod, request.method());
        environ.add_path(names);
        environ
    }

    /// As Python's side takes them.
    pub(crate) fn list(&self) -> List<'_, Variable<'r>> {
        List::new(&self.variables)
    }

    /// As frames to daemon processes have them.
    pub(crate) fn wire(&self) -> impl ExactSizeIterator<Item = wire::Variable<'_>> {
        let variables = self.variables.iter();
        variables.map(|variable| (variable.key, variable.name.bytes(), variable.value.bytes()))
    }

    /// Paths as a process sees them whose root is that folder.
    pub(crate) fn change_root(&mut self, root: &str) {
        for variable in &mut self.variables {
            let is_path = Key::of_number(variable.key).is_some_and(Key::is_path);
            if is_path && let Some(path) = below(root, variable.value.bytes()) {
                variable.value = Text::new(path);
            }
        }
    }

    /// A variable more, in the place of one of that name.
    pub(crate) fn add(&mut self, key: Key, value: &'r [u8]) {
        let (name, value) = (Text::new(&[]), Text::new(value));
        self.variables.push(Variable { key: key as u16, name, value });
    }

    fn add_by_name(&mut self, name: &'r [u8], value: &'r [u8]) {
        let (name, value) = (Text::new(name), Text::new(value));
        self.variables.push(Variable { key: BY_NAME, name, value });
    }

    /// A variable whose name may be one that has a number. One that only Python's
    /// side makes is left out: a configuration must not take its place.
    fn add_named(&mut self, name: &'r [u8], value: &'r [u8]) {
        match Key::of_text(name) {
            Some(key) if key.is_made_by_python() => {}
            Some(key) => self.add(key, value),
            None => self.add_by_name(name, value),
        }
    }

    fn add_number(&mut self, key: Key, number: u16) {
        let mut digits = [0; 5];
        let mut start = digits.len();
        let mut rest = number;
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.add(key, self.request.lend(&digits[start..]));
    }

    /// The environment of the request, as other modules have set it.
    fn add_environment(&mut self) {
        for (name, value) in self.request.environment().iter() {
            match name {
                b"HTTPS" => {
                    self.https = matches!(value, b"1") || value.eq_ignore_ascii_case(b"on");
                }
                name if HIDDEN.contains(&name) || is_internal(name) => {}
                name => self.add_named(name, value),
            }
        }
    }

    fn add_headers(&mut self, wanted: impl Fn(&[u8]) -> bool) {
        let mut text = Vec::new();
        for (name, value) in self.request.headers_in().iter() {
            if !wanted(name) {
                continue;
            }
            match Key::of_header(name) {
                Some(key) => self.add(key, value),
                None if variable_of_header(name, &mut text) => {
                    self.add_by_name(self.request.lend(&text), value);
                }
                None => {}
            }
        }
    }

    fn add_server(&mut self) {
        let request = self.request;
        let (client, client_port) = request.client();
        self.add(Key::ServerSoftware, request.banner());
        self.add(Key::ServerName, request.escaped_server_name());
        self.add(Key::ServerAddr, request.local_address().0);
        self.add_number(Key::ServerPort, request.server_port());
        self.add(Key::ServerAdmin, request.server_admin());
        self.add(Key::RemoteAddr, client);
        self.add_number(Key::RemotePort, client_port);
    }

    fn add_target(&mut self) {
        self.add(Key::ServerProtocol, self.request.protocol());
        self.add(Key::QueryString, self.request.query());
        self.add(Key::RequestUri, self.request.target());
    }

    /// Where its file lies, and who asks for it.
    fn add_place(&mut self) {
        let request = self.request;
        let (prefix, root) = request.context();
        self.add(Key::DocumentRoot, request.document_root());
        self.add(Key::RequestScheme, request.scheme());
        self.add(Key::ContextPrefix, prefix);
        self.add(Key::ContextDocumentRoot, root);
        self.add(Key::ScriptFilename, request.filename());
        let (user, kind) = request.user();
        if let Some(user) = user {
            self.add(Key::RemoteUser, user);
        }
        if let Some(kind) = kind {
            self.add(Key::AuthType, kind);
        }
    }

    fn add_method(&mut self, config: &DirectoryConfig) {
        let request = self.request;
        let as_get = request.is_head()
            && match config.map_head.unwrap_or(MapHead::Auto) {
                MapHead::On => true,
                MapHead::Off => false,
                MapHead::Auto => request.has_content_filter(),
            };
        self.add(Key::RequestMethod, if as_get { b"GET" } else { request.method() });
    }

    /// Script name and path info.
    fn add_path(&mut self, names: &Names<'r>) -> [&'r [u8]; 2] {
        let lent = |text: &std::borrow::Cow<'r, [u8]>| match text {
            std::borrow::Cow::Borrowed(text) => text,
            std::borrow::Cow::Owned(text) => self.request.lend(text),
        };
        let script_name = lent(&names.script_name);
        let path_info = lent(&collapse_slashes(self.request.path_info()));
        self.add(Key::ScriptName, script_name);
        self.add(Key::PathInfo, path_info);
        [script_name, path_info]
    }

    fn add_own(&mut self) {
        let request = self.request;
        let (host, port) = request.local_address();
        self.add(Key::RequestHandler, request.handler().unwrap_or_default());
        self.add(Key::ListenerHost, host);
        self.add_number(Key::ListenerPort, port);
        self.add(Key::ServerPid, pid().as_bytes());
        self.add(Key::RequestId, request.make_log_id().unwrap_or_default());
        if let Some(id) = request.connection_log_id() {
            self.add(Key::ConnectionId, id);
        }
    }

    /// Lets the headers of trusted front ends rewrite what is known.
    fn trust(&mut self, config: &DirectoryConfig) {
        let Some(headers) = &config.trusted_headers else { return };
        let proxies = config.trusted_proxies.as_deref().unwrap_or_default();
        let name_of = |variable: &Variable<'r>| match Key::of_number(variable.key) {
            Some(key) => key.text().as_bytes(),
            None => variable.name.bytes(),
        };
        let mut environ: proxy::Environ = std::mem::take(&mut self.variables)
            .iter()
            .map(|variable| (name_of(variable).to_vec(), variable.value.bytes().to_vec()))
            .collect();
        proxy::rewrite(&mut environ, headers, proxies);
        if let Some(scheme) = environ.remove(&b"wsgi.url_scheme"[..]) {
            self.https = scheme == b"https";
        }
        for (name, value) in environ {
            self.add_named(self.request.lend(&name), self.request.lend(&value));
        }
    }
}

/// A path below a folder, as seen from there.
pub(crate) fn below<'p>(root: &str, path: &'p [u8]) -> Option<&'p [u8]> {
    let path = path.strip_prefix(root.trim_end_matches('/').as_bytes())?;
    path.starts_with(b"/").then_some(path)
}

/// The id of this process, as text.
fn pid() -> &'static str {
    static PID: OnceLock<String> = OnceLock::new();
    PID.get_or_init(|| std::process::id().to_string())
}

/// What httpd adds and WSGI applications are not told.
const HIDDEN: [&[u8]; 8] = [
    b"GATEWAY_INTERFACE",
    b"PATH_TRANSLATED",
    b"SERVER_SIGNATURE",
    b"REMOTE_HOST",
    b"REMOTE_IDENT",
    b"PATH",
    b"LD_LIBRARY_PATH",
    b"DYLD_LIBRARY_PATH",
];
