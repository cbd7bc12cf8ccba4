//! What the directives say, for a server and for a folder. An inner scope takes
//! the place of an outer one, value by value.

use std::collections::BTreeMap;

use httpd::Regex;
use wsgi::group::Name;
use wsgi::interpreter::{Options, Section};
use wsgi::options::MapHead;
use wsgi::proxy::{Header, Network};

use crate::daemon::Declared;

/// Configuration of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ServerConfig {
    /// In the order in which they are tried: a virtual host's before the main
    /// server's.
    pub(crate) aliases: Vec<Script>,
    /// `WSGIImportScript`, each of its own server alone.
    pub(crate) import_scripts: Vec<Script>,
    /// Whether a script here runs in httpd's own processes by its nature: one that
    /// decides about requests, or an import script.
    pub(crate) needs_python: bool,
    /// `WSGIDaemonProcess`, each of its own server alone.
    pub(crate) daemons: Vec<Declared>,
    /// What only the main server has.
    pub(crate) global: GlobalConfig,
}

/// What only the main server has.
#[derive(Clone, Debug, Default)]
pub(crate) struct GlobalConfig {
    /// `WSGIRestrictEmbedded`.
    pub(crate) restrict_embedded: Option<bool>,
    /// `WSGICaseSensitivity`.
    pub(crate) case_sensitivity: Option<bool>,
    /// `WSGIServerMetrics`.
    pub(crate) server_metrics: Option<bool>,
    /// `WSGITelemetryOptions`, `WSGITelemetryService`, `WSGISlowRequests`: read, not
    /// served.
    pub(crate) has_telemetry: bool,
    /// `WSGISocketPrefix`.
    pub(crate) socket_prefix: Option<String>,
    /// `WSGISocketRotation`.
    pub(crate) socket_rotation: Option<bool>,
    /// How Python is started.
    pub(crate) python: PythonConfig,
}

/// A script, by whichever directive it is named.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// URL path, text of `regex`, or name of the handler; empty for scripts that are
    /// not asked for by name.
    pub(crate) name: String,
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
#[derive(Clone, Debug)]
pub(crate) struct PythonConfig {
    /// `WSGIPythonHome`.
    pub(crate) home: Option<String>,
    /// `WSGIPythonEggs`.
    pub(crate) eggs: Option<String>,
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
    /// `WSGIFreeThreading On`, outside of sections for an application group and in one.
    pub(crate) free_threading: [bool; 2],
    /// What holds for interpreters: outside of sections, then each
    /// `<WSGIInterpreterOptions>` in order.
    pub(crate) sections: Vec<Section>,
    /// The section that is being read.
    pub(crate) open_section: Option<usize>,
}

impl Default for PythonConfig {
    fn default() -> Self {
        Self {
            home: None,
            eggs: None,
            warnings: Vec::new(),
            optimize: None,
            dont_write_bytecode: None,
            hash_seed: None,
            destroy_interpreter: None,
            free_threading: [false; 2],
            sections: vec![Section::default()],
            open_section: None,
        }
    }
}

impl PythonConfig {
    /// Options of the section that is being read, else those outside of sections.
    pub(crate) fn options(&mut self) -> &mut Options {
        &mut self.sections[self.open_section.unwrap_or(0)].options
    }
}

/// Declares the configuration of a folder, and how an inner one is laid over it:
/// what it says has the word.
macro_rules! directory_config {
    ($($(#[$meta:meta])* $field:ident: $type:ty,)*) => {
        /// Configuration of a folder, location or file, or of all of a server.
        #[derive(Clone, Debug, Default)]
        pub(crate) struct DirectoryConfig {
            $($(#[$meta])* pub(crate) $field: Option<$type>,)*
            /// `WSGIHandlerScript`, by the handler's name.
            pub(crate) handler_scripts: BTreeMap<String, Script>,
        }

        impl DirectoryConfig {
            /// This configuration with an inner one laid over it.
            pub(crate) fn with(&self, inner: &Self) -> Self {
                let mut handler_scripts = self.handler_scripts.clone();
                handler_scripts.extend(inner.handler_scripts.clone());
                Self {
                    $($field: inner.$field.as_ref().or(self.$field.as_ref()).cloned(),)*
                    handler_scripts,
                }
            }
        }
    };
}

directory_config! {
    /// `WSGIProcessGroup`.
    process_group: String,
    /// `WSGITrustedProxyHeaders`.
    trusted_headers: Vec<Header>,
    /// `WSGITrustedProxies`.
    trusted_proxies: Vec<Network>,
    /// `WSGIRestrictProcess`.
    restrict_process: Vec<String>,
    /// `WSGIApplicationGroup`.
    application_group: String,
    /// `WSGICallableObject`.
    callable: String,
    /// `WSGIPassAuthorization`.
    pass_authorization: bool,
    /// `WSGIPassApacheRequest`.
    pass_apache_request: bool,
    /// `WSGIScriptReloading`.
    script_reloading: bool,
    /// `WSGIChunkedRequest`.
    chunked_request: bool,
    /// `WSGIMapHEADToGET`.
    map_head: MapHead,
    /// `WSGIErrorOverride`.
    error_override: bool,
    /// `WSGIIgnoreActivity`.
    ignore_activity: bool,
    /// `WSGIEnableSendfile`.
    enable_sendfile: bool,
    /// `WSGIDispatchScript`.
    dispatch_script: Script,
    /// `WSGIAccessScript`.
    access_script: Script,
    /// `WSGIAuthUserScript`.
    user_script: Script,
    /// `WSGIAuthGroupScript`.
    group_script: Script,
}

impl Script {
    /// The application group that it can be loaded into before any request, by the
    /// processes of a group (empty for httpd's own): both of its groups must be fixed.
    pub(crate) fn preloads_into(&self, process_group: &str) -> Option<&str> {
        let is_global = |name: &str| Name::parse(name) == Name::Global;
        let fixed = |name: &str| matches!(Name::parse(name), Name::Global | Name::Literal(_));
        let own = self.process_group.as_deref()?;
        let own = if is_global(own) { "" } else { own };
        let application_group = self.application_group.as_deref()?;
        let is_plain = !self.path.contains('$') || self.regex.is_none();
        if own != process_group || !is_plain || !fixed(own) || !fixed(application_group) {
            return None;
        }
        Some(if is_global(application_group) { "" } else { application_group })
    }
}

impl ServerConfig {
    /// The configuration of a virtual host below the main server's.
    pub(crate) fn with(&self, host: &Self) -> Self {
        Self {
            aliases: host.aliases.iter().chain(&self.aliases).cloned().collect(),
            import_scripts: host.import_scripts.clone(),
            needs_python: host.needs_python,
            daemons: host.daemons.clone(),
            global: self.global.clone(),
        }
    }
}
