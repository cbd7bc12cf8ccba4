//! What the directives say, for a server and for a folder. An inner scope takes
//! the place of an outer one, value by value.

use std::collections::BTreeMap;

use httpd::Regex;
use wsgi::group::Name;
use wsgi::options::MapHead;
use wsgi::proxy::{Header, Network};

/// Configuration of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerConfig {
    /// In the order in which they are tried: a virtual host's before the main
    /// server's.
    pub(crate) aliases: Vec<Alias>,
    /// `WSGIImportScript`, each of its own server alone.
    pub(crate) import_scripts: Vec<Alias>,
    /// `WSGIRestrictEmbedded`.
    pub(crate) restrict_embedded: Option<bool>,
    /// How Python is started; the main server's is the one that counts.
    pub(crate) python: PythonConfig,
}

/// `WSGIScriptAlias`, `WSGIScriptAliasMatch`, `WSGIHandlerScript` or
/// `WSGIImportScript`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alias {
    /// URL path, text of `regex`, or name of the handler.
    pub(crate) url: String,
    /// Of `WSGIScriptAliasMatch`.
    pub(crate) regex: Option<Regex>,
    /// File or folder.
    pub(crate) path: String,
    /// `application-group=`.
    pub(crate) application_group: Option<String>,
    /// `process-group=`.
    pub(crate) process_group: Option<String>,
    /// `callable-object=`.
    pub(crate) callable: Option<String>,
    /// `pass-authorization=`.
    pub(crate) pass_authorization: Option<bool>,
}

/// How Python is started.
#[derive(Clone, Debug, Default)]
pub(crate) struct PythonConfig {
    /// `WSGIPythonHome`.
    pub(crate) home: Option<String>,
    /// `WSGIPythonPath`.
    pub(crate) path: Option<String>,
    /// `WSGIPythonWarnings`.
    pub(crate) warnings: Vec<String>,
    /// `WSGIPythonOptimize`.
    pub(crate) optimize: Option<i32>,
    /// `WSGIDontWriteBytecode`.
    pub(crate) dont_write_bytecode: Option<bool>,
    /// `WSGIPythonHashSeed`; none for a random one.
    pub(crate) hash_seed: Option<u32>,
    /// `WSGIDestroyInterpreter`.
    pub(crate) destroy_interpreter: Option<bool>,
    /// `WSGIRestrictStdin`.
    pub(crate) restrict_stdin: Option<bool>,
    /// `WSGIRestrictStdout`.
    pub(crate) restrict_stdout: Option<bool>,
    /// `WSGIRestrictSignal`.
    pub(crate) restrict_signal: Option<bool>,
}

/// Configuration of a folder, location or file, or of all of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirectoryConfig {
    /// `WSGIProcessGroup`.
    pub(crate) process_group: Option<String>,
    /// `WSGITrustedProxyHeaders`.
    pub(crate) trusted_headers: Option<Vec<Header>>,
    /// `WSGITrustedProxies`.
    pub(crate) trusted_proxies: Option<Vec<Network>>,
    /// `WSGIHandlerScript`, by the handler's name.
    pub(crate) handler_scripts: BTreeMap<String, Alias>,
    /// `WSGIRestrictProcess`.
    pub(crate) restrict_process: Option<Vec<String>>,
    /// `WSGIApplicationGroup`.
    pub(crate) application_group: Option<String>,
    /// `WSGICallableObject`.
    pub(crate) callable: Option<String>,
    /// `WSGIPassAuthorization`.
    pub(crate) pass_authorization: Option<bool>,
    /// `WSGIScriptReloading`.
    pub(crate) script_reloading: Option<bool>,
    /// `WSGIChunkedRequest`.
    pub(crate) chunked_request: Option<bool>,
    /// `WSGIMapHEADToGET`.
    pub(crate) map_head: Option<MapHead>,
}

impl Alias {
    /// The application group that its script can be loaded into before any
    /// request: both groups must be fixed, and the process be httpd's own.
    pub(crate) fn preloads_into(&self) -> Option<&str> {
        let process_group = self.process_group.as_deref()?;
        let application_group = self.application_group.as_deref()?;
        let fixed = |name: &str| matches!(Name::parse(name), Name::Global | Name::Literal(_));
        let is_embedded = process_group.is_empty() || Name::parse(process_group) == Name::Global;
        let is_plain = !self.path.contains('$') || self.regex.is_none();
        if !is_embedded || !is_plain || !fixed(application_group) {
            return None;
        }
        Some(if Name::parse(application_group) == Name::Global { "" } else { application_group })
    }
}

impl ServerConfig {
    /// The configuration of a virtual host below the main server's.
    pub(crate) fn with(&self, host: &Self) -> Self {
        let aliases = host.aliases.iter().chain(&self.aliases).cloned().collect();
        let restrict_embedded = self.restrict_embedded;
        let import_scripts = host.import_scripts.clone();
        Self { aliases, import_scripts, restrict_embedded, python: self.python.clone() }
    }
}

impl DirectoryConfig {
    /// This configuration with an inner one laid over it.
    pub(crate) fn with(&self, inner: &Self) -> Self {
        let text = |inner: &Option<String>, outer: &Option<String>| {
            inner.as_ref().or(outer.as_ref()).cloned()
        };
        let mut handler_scripts = self.handler_scripts.clone();
        handler_scripts.extend(inner.handler_scripts.clone());
        Self {
            process_group: text(&inner.process_group, &self.process_group),
            trusted_headers: inner
                .trusted_headers
                .as_ref()
                .or(self.trusted_headers.as_ref())
                .cloned(),
            trusted_proxies: inner
                .trusted_proxies
                .as_ref()
                .or(self.trusted_proxies.as_ref())
                .cloned(),
            handler_scripts,
            restrict_process: inner
                .restrict_process
                .as_ref()
                .or(self.restrict_process.as_ref())
                .cloned(),
            application_group: text(&inner.application_group, &self.application_group),
            callable: text(&inner.callable, &self.callable),
            pass_authorization: inner.pass_authorization.or(self.pass_authorization),
            script_reloading: inner.script_reloading.or(self.script_reloading),
            chunked_request: inner.chunked_request.or(self.chunked_request),
            map_head: inner.map_head.or(self.map_head),
        }
    }
}
