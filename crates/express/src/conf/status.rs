//! The status page, on a host of its own that only this machine reaches, and the URL
//! for health checks.

use super::{Conf, path, proxies};
use crate::server::Server;

/// Handlers of the module, and their URLs on the host of the status page.
const HANDLERS: [(&str, &str); 3] =
    [("/status.json", "wsgi-status"), ("/metrics", "wsgi-metrics"), ("/health", "wsgi-health")];

/// All URLs that it has.
const URLS: &str = r"^/(index\.html|status\.json|metrics|health(/ready)?)?$";

/// A page of another site must not read it, whose name its owner lets lead here.
const OF_THIS_MACHINE: &str =
    r##"expr "%{HTTP_HOST} =~ m#^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$#i""##;

/// The page's script and style are in it; it asks nobody but its own server.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// The health URL, open to all, and before the application.
pub(super) fn health(conf: &mut Conf, server: &Server) {
    if let Some(url) = &server.options.status.health_url {
        conf.section("Location", url, |conf| {
            conf.line("SetHandler", ["wsgi-health"]);
            untouched(conf, server);
            conf.line("Require", ["all", "granted"]);
        });
    }
}

/// The host of the status page.
pub(super) fn host(conf: &mut Conf, server: &Server) {
    let Some(port) = server.options.status.status_port else { return };
    conf.title("Status page");
    if !server.has_metrics() {
        // Or httpd counts nothing.
        conf.line("ExtendedStatus", ["On"]);
    }
    conf.line("Listen", [format!("127.0.0.1:{port}")]);
    conf.section("VirtualHost", &format!("127.0.0.1:{port}"), |conf| {
        conf.line("ServerName", ["localhost"]);
        conf.line("DocumentRoot", [path(&server.path("status"))]);
        // One that looks each second keeps no worker from others.
        conf.line("KeepAlive", ["Off"]);
        if server.has_access_log() {
            conf.line("CustomLog", ["/dev/null", "%h"]);
        }
        conf.section("Location", "/", |conf| {
            untouched(conf, server);
            conf.line("DirectoryIndex", ["index.html"]);
            conf.line("Require", ["all", "denied"]);
        });
        conf.section("LocationMatch", URLS, |conf| conf.written("Require", OF_THIS_MACHINE));
        for (url, handler) in HANDLERS {
            conf.section("Location", url, |conf| conf.line("SetHandler", [handler]));
        }
        conf.section("Location", "/index.html", |conf| {
            conf.line("SetHandler", ["default-handler"]);
            for (name, value) in [
                ("Content-Security-Policy", POLICY),
                ("Cache-Control", "no-cache"),
                ("Referrer-Policy", "no-referrer"),
                ("X-Content-Type-Options", "nosniff"),
            ] {
                conf.line("Header", ["set", name, value]);
            }
        });
    });
}

/// What is done with other URLs of the server is not done with these.
fn untouched(conf: &mut Conf, server: &Server) {
    conf.line("RewriteEngine", ["Off"]);
    if proxies::is_used(server) {
        conf.line("ProxyPass", ["!"]);
    }
}
