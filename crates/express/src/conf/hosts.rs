//! Virtual hosts: who is served under which name, and what is redirected
//! (reference 3.4).

use super::{Conf, path};
use crate::server::{Server, Tls, suffix};

/// The virtual hosts of both ports. The first of a port answers for all names that
/// no other one has.
pub(super) fn write(conf: &mut Conf, server: &Server) {
    conf.title("Hosts");
    let to_tls = server.tls.as_ref().filter(|_| server.options.listening.https_only);
    port(conf, server, None, to_tls);
    if let Some(tls) = &server.tls {
        port(conf, server, Some(tls), None);
    }
}

/// `example.org` for `www.example.org`.
pub(super) fn parent_domain(name: Option<&str>) -> Option<&str> {
    let (www, parent) = name?.split_once('.')?;
    (www.eq_ignore_ascii_case("www") && !parent.is_empty()).then_some(parent)
}

fn port(conf: &mut Conf, server: &Server, tls: Option<&Tls>, to_tls: Option<&Tls>) {
    let listening = &server.options.listening;
    let port = tls.map_or(server.port, |tls| tls.port);
    let address = format!("*:{port}");
    let Some(name) = &listening.server_name else {
        conf.section("VirtualHost", &address, |conf| {
            if let Some(tls) = tls {
                encryption(conf, server, tls);
                conf.application_headers(server);
            }
            if let Some(tls) = to_tls {
                // The name that the client has used, without its port.
                conf.line("RewriteEngine", ["On"]);
                conf.written("RewriteCond", r#"%{HTTP_HOST} "^([^:\[\]]+|\[[^\]]+\])(:\d+)?$""#);
                let target = format!("https://%1{}%{{REQUEST_URI}}", suffix(tls.port, 443));
                conf.written("RewriteRule", &format!("^ {target} [R=302,L]"));
            }
        });
        return;
    };
    let secure = |tls: &Tls| format!("https://{name}{}", suffix(tls.port, 443));
    conf.section("VirtualHost", &address, |conf| {
        conf.line("ServerName", ["_wsgi_"]);
        if let Some(tls) = tls {
            encryption(conf, server, tls);
        }
        conf.section("Location", "/", |conf| {
            if listening.allow_localhost {
                // Whatever else is asked of a client still is.
                conf.line("AuthMerging", ["And"]);
                conf.line("Require", ["local"]);
            } else {
                conf.line("Require", ["all", "denied"]);
            }
        });
        // Who checks its health may know no name of it.
        super::status::health(conf, server);
    });
    conf.section("VirtualHost", &address, |conf| {
        conf.line("ServerName", [name]);
        if !listening.server_alias.is_empty() {
            conf.line("ServerAlias", &listening.server_alias);
        }
        if let Some(tls) = tls {
            encryption(conf, server, tls);
            conf.application_headers(server);
        }
        if let Some(tls) = to_tls {
            redirect(conf, &secure(tls), "R=302");
        }
    });
    if let Some(parent) = parent_domain(Some(name)) {
        conf.section("VirtualHost", &address, |conf| {
            conf.line("ServerName", [parent]);
            if let Some(tls) = tls {
                encryption(conf, server, tls);
            }
            let (target, status) = match (tls, to_tls) {
                (Some(tls), _) => (secure(tls), "R=301"),
                (None, Some(tls)) => (secure(tls), "R=302"),
                (None, None) => (format!("http://{name}{}", suffix(server.port, 80)), "R=301"),
            };
            redirect(conf, &target, status);
        });
    }
}

fn redirect(conf: &mut Conf, target: &str, status: &str) {
    conf.line("RewriteEngine", ["On"]);
    conf.written("RewriteRule", &format!("^ {target}%{{REQUEST_URI}} [{status},L]"));
}

fn encryption(conf: &mut Conf, server: &Server, tls: &Tls) {
    let listening = &server.options.listening;
    conf.line("SSLEngine", ["On"]);
    conf.line("SSLCertificateFile", [&tls.certificate]);
    conf.line("SSLCertificateKeyFile", [&tls.key]);
    if let Some(authorities) = &listening.ssl_ca_certificate_file {
        conf.line("SSLCACertificateFile", [server.absolute(authorities)]);
        conf.line("SSLVerifyClient", ["none"]);
    }
    if let Some(chain) = &listening.ssl_certificate_chain_file {
        conf.line("SSLCertificateChainFile", [server.absolute(chain)]);
    }
}

impl Conf {
    /// What the application's own host has besides.
    fn application_headers(&mut self, server: &Server) {
        let listening = &server.options.listening;
        if let Some(policy) = listening.hsts_policy.as_ref().filter(|_| listening.https_only) {
            self.line("Header", ["always", "set", "Strict-Transport-Security", policy]);
        }
        if listening.ssl_environment {
            self.line("SSLOptions", ["+StdEnvVars"]);
        }
    }
}

/// URL paths whose clients need a certificate. The longer ones come first, as in the
/// original.
pub(super) fn verified_clients(conf: &mut Conf, server: &Server) {
    let listening = &server.options.listening;
    if listening.ssl_ca_certificate_file.is_none() || server.tls.is_none() {
        return;
    }
    let mut paths = listening.ssl_verify_client.clone();
    if paths.is_empty() {
        paths.push("/".to_owned());
    }
    paths.sort();
    for url in paths.iter().rev() {
        conf.section("Location", url, |conf| {
            conf.line("SSLVerifyClient", ["require"]);
            conf.line("SSLVerifyDepth", ["1"]);
        });
    }
}

/// The session cache of TLS lies among the server's files.
pub(super) fn session_cache(conf: &mut Conf, server: &Server) {
    if server.tls.is_some() {
        let file = path(&server.path("ssl_sessions"));
        conf.written("SSLSessionCache", &super::always_quoted(&format!("shmcb:{file}(512000)")));
    }
}
