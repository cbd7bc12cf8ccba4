//! The variables of a request, as CGI has them (RFC 3875), and ours. What only
//! Python can make is added on its side.

use std::borrow::Cow;

use door::{Pair, Text};
use httpd::Request;
use wsgi::environ::{collapse_slashes, is_credential, is_internal, variable_of_header};
use wsgi::options::MapHead;
use wsgi::proxy;

use crate::config::DirectoryConfig;
use crate::names::Names;

/// A name and its value.
type Variable<'r> = (Cow<'r, [u8]>, Cow<'r, [u8]>);

/// The variables of a request.
pub(crate) struct Environ<'r> {
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
        let by_httpd = request.needs_httpd_variables() || crate::rules_variables();
        if by_httpd {
            request.add_cgi_variables();
        }
        let mut environ = Self { variables: Vec::with_capacity(64), https: false };
        for (name, value) in request.environment().iter() {
            match name {
                b"HTTPS" => {
                    environ.https = matches!(value, b"1") || value.eq_ignore_ascii_case(b"on");
                }
                name if HIDDEN.contains(&name) || is_internal(name) => {}
                name => environ.add(name, value),
            }
        }
        if !by_httpd {
            environ.add_headers(request, |_| true);
            environ.add_server(request);
            environ.add_target(request);
            environ.add_place(request);
        }
        if pass_authorization && let Some(value) = request.headers_in().get(c"Authorization") {
            environ.add(b"HTTP_AUTHORIZATION", value);
        }
        environ.add_method(request, config);
        environ.add_path(request, names);
        environ.add_own(request, names, handler_script);
        environ.trust(config);
        environ
    }

    /// What a script is told that decides who may see the request: nothing that
    /// other modules have set, no password.
    pub(crate) fn of_access(request: Request<'r>, names: &Names<'r>) -> Self {
        let mut environ = Self { variables: Vec::with_capacity(32), https: false };
        environ.add_headers(request, |name| !is_credential(name));
        environ.add_server(request);
        environ.add(b"SERVER_SIGNATURE", request.signature());
        environ.add(b"DOCUMENT_ROOT", request.document_root());
        if let Some(host) = request.client_host() {
            environ.add(b"REMOTE_HOST", host);
        }
        environ.add_target(request);
        environ.add(b"REQUEST_METHOD", request.method());
        environ.add_path(request, names);
        environ
    }

    /// As the Python side takes them; of equal names the last one counts.
    pub(crate) fn pairs(&self) -> Vec<Pair<'_>> {
        self.variables
            .iter()
            .map(|(name, value)| Pair { name: Text::new(name), value: Text::new(value) })
            .collect()
    }

    /// A variable more, in the place of one of that name.
    pub(crate) fn add(&mut self, name: &'r [u8], value: &'r [u8]) {
        self.variables.push((name.into(), value.into()));
    }

    fn add_owned(&mut self, name: &'r [u8], value: String) {
        self.variables.push((name.into(), value.into_bytes().into()));
    }

    fn add_headers(&mut self, request: Request<'r>, wanted: impl Fn(&[u8]) -> bool) {
        for (name, value) in request.headers_in().iter() {
            let mut key = Vec::with_capacity(name.len() + 5);
            if wanted(name) && variable_of_header(name, &mut key) {
                self.variables.push((key.into(), value.into()));
            }
        }
    }

    fn add_server(&mut self, request: Request<'r>) {
        let (address, _) = request.local_address();
        let (_, port) = request.server_name();
        let (client, client_port) = request.client();
        self.add(b"SERVER_SOFTWARE", request.banner());
        self.add(b"SERVER_NAME", request.escaped_server_name());
        self.add(b"SERVER_ADDR", address);
        self.add_owned(b"SERVER_PORT", port.to_string());
        self.add(b"SERVER_ADMIN", request.server_admin());
        self.add(b"REMOTE_ADDR", client);
        self.add_owned(b"REMOTE_PORT", client_port.to_string());
    }

    fn add_target(&mut self, request: Request<'r>) {
        self.add(b"SERVER_PROTOCOL", request.protocol());
        self.add(b"QUERY_STRING", request.query());
        self.add(b"REQUEST_URI", request.target());
    }

    /// Where its file lies, and who asks for it.
    fn add_place(&mut self, request: Request<'r>) {
        let (prefix, root) = request.context();
        self.add(b"DOCUMENT_ROOT", request.document_root());
        self.add(b"REQUEST_SCHEME", request.scheme());
        self.add(b"CONTEXT_PREFIX", prefix);
        self.add(b"CONTEXT_DOCUMENT_ROOT", root);
        self.add(b"SCRIPT_FILENAME", request.filename());
        let (user, kind) = request.user();
        if let Some(user) = user {
            self.add(b"REMOTE_USER", user);
        }
        if let Some(kind) = kind {
            self.add(b"AUTH_TYPE", kind);
        }
    }

    fn add_method(&mut self, request: Request<'r>, config: &DirectoryConfig) {
        let as_get = request.is_head()
            && match config.map_head.unwrap_or(MapHead::Auto) {
                MapHead::On => true,
                MapHead::Off => false,
                MapHead::Auto => request.has_content_filter(),
            };
        self.add(b"REQUEST_METHOD", if as_get { b"GET" } else { request.method() });
    }

    fn add_path(&mut self, request: Request<'r>, names: &Names<'r>) {
        let path_info = collapse_slashes(request.path_info());
        self.variables.push((b"SCRIPT_NAME".into(), names.script_name.clone()));
        self.variables.push((b"PATH_INFO".into(), path_info));
    }

    fn add_own(&mut self, request: Request<'r>, names: &Names<'r>, handler_script: &'r str) {
        let path_info = collapse_slashes(request.path_info());
        self.variables.push((b"mod_wsgi.script_name".into(), names.script_name.clone()));
        self.variables.push((b"mod_wsgi.path_info".into(), path_info));
        let (host, port) = request.local_address();
        self.add(b"mod_wsgi.request_handler", request.handler().unwrap_or_default());
        self.add(b"mod_wsgi.handler_script", handler_script.as_bytes());
        self.add(b"mod_wsgi.listener_host", host);
        self.add_owned(b"mod_wsgi.listener_port", port.to_string());
        self.add_owned(b"mod_wsgi.server_pid", std::process::id().to_string());
        if let Some(id) = request.make_log_id() {
            self.add(b"mod_wsgi.request_id", id);
        }
        if let Some(id) = request.connection_log_id() {
            self.add(b"mod_wsgi.connection_id", id);
        }
    }

    /// Lets the headers of trusted front ends rewrite what is known.
    fn trust(&mut self, config: &DirectoryConfig) {
        let Some(headers) = &config.trusted_headers else { return };
        let proxies = config.trusted_proxies.as_deref().unwrap_or_default();
        let variables = std::mem::take(&mut self.variables);
        let mut environ: proxy::Environ = variables
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        proxy::rewrite(&mut environ, headers, proxies);
        if let Some(scheme) = environ.remove(&b"wsgi.url_scheme"[..]) {
            self.https = scheme == b"https";
        }
        self.variables =
            environ.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    }
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
