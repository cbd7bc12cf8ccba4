//! Servers behind this one (reference 8.2, 8.3).

use super::{Conf, always_quoted, escaped};
use crate::options::pairs;
use crate::server::Server;

/// Whether anything is passed on.
pub(super) fn is_used(server: &Server) -> bool {
    targets(server).next().is_some()
}

/// Whether a target is reached by TLS, which httpd must be able to do.
pub(super) fn reaches_tls(server: &Server) -> bool {
    targets(server).any(|target| target.starts_with("https:"))
}

/// URLs of all servers behind this one.
fn targets(server: &Server) -> impl Iterator<Item = &str> {
    let proxy = &server.options.proxy;
    let lists = [&proxy.proxy_mount_point, &proxy.proxy_url_alias, &proxy.proxy_virtual_host];
    lists.into_iter().flat_map(|list| pairs(list)).map(|(_, target)| target)
}

pub(super) fn write(conf: &mut Conf, server: &Server) {
    if !is_used(server) {
        return;
    }
    let proxy = &server.options.proxy;
    conf.title("Servers behind this one");
    if let Some(timeout) = server.options.limits.proxy_timeout {
        conf.line("ProxyTimeout", [timeout.to_string()]);
    }
    if reaches_tls(server) {
        conf.line("SSLProxyEngine", ["On"]);
    }
    for (url, target) in pairs(&proxy.proxy_mount_point) {
        mount_point(conf, server, url, target);
    }
    // Behind those: httpd knows a target by what is said of it first, and would not
    // pass on WebSockets to it.
    for (url, target) in pairs(&proxy.proxy_url_alias) {
        // As 4.4.7 has it: prefixes are exchanged, and nothing else is touched.
        conf.written("ProxyPass", &format!("{} {}", always_quoted(url), always_quoted(target)));
    }
    for (host, target) in pairs(&proxy.proxy_virtual_host) {
        conf.section("VirtualHost", &format!("*:{}", server.port), |conf| {
            conf.line("ServerName", [host]);
            let target = with_slash(target);
            passed(conf, "/", &target);
            conf.line("RequestHeader", ["set", "X-Forwarded-Port", &server.port.to_string()]);
        });
    }
}

/// A part of the site. Without the slash at its end it is a folder, as among files.
fn mount_point(conf: &mut Conf, server: &Server, url: &str, target: &str) {
    let bare = format!("/{}", url.trim_matches('/'));
    let full = if bare == "/" { bare.clone() } else { format!("{bare}/") };
    if bare != "/" {
        let pattern = format!("^{}$", escaped(&bare));
        conf.written(
            "RedirectMatch",
            &format!("302 {} {}", always_quoted(&pattern), always_quoted(&full)),
        );
    }
    passed(conf, &full, &with_slash(target));
    conf.section("Location", &full, |conf| {
        if bare != "/" {
            conf.line("RequestHeader", ["set", "X-Forwarded-Prefix", &bare]);
        }
        conf.written("RequestHeader", "set X-Forwarded-Port \"expr=%{SERVER_PORT}\"");
        if server.tls.is_some() {
            conf.written("RequestHeader", "set X-Forwarded-Scheme https \"expr=%{HTTPS} == 'on'\"");
        }
    });
}

fn passed(conf: &mut Conf, url: &str, target: &str) {
    let (url, target) = (always_quoted(url), always_quoted(target));
    conf.written("ProxyPass", &format!("{url} {target} upgrade=websocket"));
    conf.written("ProxyPassReverse", &format!("{url} {target}"));
}

fn with_slash(target: &str) -> String {
    if target.ends_with('/') { target.to_owned() } else { format!("{target}/") }
}
