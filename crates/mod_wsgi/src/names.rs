//! What names of groups are made of, for one request.

use std::borrow::Cow;

use httpd::Request;
use wsgi::group::{self, Facts};

use crate::config::ServerConfig;

/// The facts about one request.
pub(crate) struct Names<'r> {
    request: Request<'r>,
    pub(crate) script_name: Cow<'r, [u8]>,
}

impl<'r> Names<'r> {
    pub(crate) fn of(request: Request<'r>) -> Self {
        let script_name = wsgi::environ::script_name(request.uri(), request.path_info());
        Self { request, script_name }
    }
}

impl Facts for Names<'_> {
    fn server(&self) -> String {
        let port = self.request.server_port();
        group::with_port(&String::from_utf8_lossy(self.request.configured_name()), port)
    }

    fn host(&self) -> String {
        let port = self.request.server_port();
        let host = self.request.host().unwrap_or(self.request.configured_name());
        group::with_port(&String::from_utf8_lossy(host), port)
    }

    fn resource(&self) -> String {
        let name = String::from_utf8_lossy(&self.script_name);
        let server: Option<&ServerConfig> = self.request.server_config(crate::index());
        let name = match server.and_then(|server| server.global.case_sensitivity) {
            Some(false) => name.to_lowercase().into(),
            _ => name,
        };
        format!("{}|{name}", self.server())
    }

    fn env(&self, name: &str) -> Option<String> {
        let key = std::ffi::CString::new(name).ok()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let request = self.request;
        request
            .notes()
            .get(&key)
            .or_else(|| request.environment().get(&key))
            .map(text)
            .or_else(|| process_variable(name))
    }
}

#[expect(clippy::disallowed_methods, reason = "the process's own environment is asked for")]
fn process_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
