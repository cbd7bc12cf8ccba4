//! Whole configurations, kept as files (`just golden` writes them anew): a change of
//! what is written is seen where it is made. httpd accepts each of them.

use std::path::Path;

use rustix::process::getuid;

use super::{Folder, hosts, modules, python};

/// A file's name, and the words that make the configuration in it.
const KEPT: [(&str, &[&str]); 12] = [
    ("plain", &["app.wsgi"]),
    ("welcome", &[]),
    (
        "static",
        &["--application-type", "static", "--document-root", "htdocs", "--directory-listing"],
    ),
    (
        "module",
        &["app", "--application-type", "module", "--python-path", ".", "--mount-point", "/app"],
    ),
    ("embedded", &["app.wsgi", "--embedded-mode", "--processes", "2", "--threads", "3"]),
    ("debug", &["app.wsgi", "--debug-mode"]),
    ("prefork", &["app.wsgi", "--server-mpm", "prefork", "--processes", "3", "--threads", "1"]),
    (
        "tls",
        &[
            "app.wsgi",
            "--server-name",
            "www.example.test",
            "--server-alias",
            "*.example.test",
            "--https-port",
            "8443",
            "--ssl-certificate",
            "c",
            "--https-only",
            "--hsts-policy",
            "max-age=300",
            "--http2",
            "--allow-localhost",
        ],
    ),
    (
        "proxies",
        &[
            "app.wsgi",
            "--proxy-mount-point",
            "/api",
            "http://127.0.0.1:9/api",
            "--proxy-url-alias",
            "/old",
            "http://127.0.0.1:9/old",
            "--proxy-virtual-host",
            "other.example.test",
            "http://127.0.0.1:9/",
            "--trust-proxy-header",
            "X-Forwarded-For",
            "--trust-proxy",
            "127.0.0.1",
        ],
    ),
    (
        "services",
        &[
            "app.wsgi",
            "--service-script",
            "mailer",
            "app.wsgi",
            "--service-user",
            "mailer",
            "nobody",
            "--service-log-file",
            "mailer",
            "mailer.log",
            "--setenv",
            "A",
            "b c",
        ],
    ),
    (
        "files",
        &[
            "app.wsgi",
            "--url-alias",
            "/static",
            "htdocs",
            "--url-alias",
            "/static/one.txt",
            "app.wsgi",
            "--error-document",
            "404",
            "/404.html",
            "--add-handler",
            ".wsgi",
            "app.wsgi",
            "--compress-responses",
            "--access-log",
            "--rotate-logs",
            "--rotatelogs-executable",
            "/bin/true",
        ],
    ),
    (
        "operators",
        &["app.wsgi", "--status-port", "8001", "--health-url", "/healthz", "--server-status"],
    ),
];

#[test]
fn whole_configurations_are_as_they_are_kept() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/installer/express/golden");
    for (name, words) in KEPT {
        let folder = Folder::new();
        folder.write("htdocs/index.html", "");
        hosts::certificate(&folder);
        let always = ["--user", "nobody", "--group", "#65534", "--mime-types", "/dev/null"];
        let text = folder
            .configuration(&[words, &always].concat())
            .replace(modules().to_str().unwrap(), "MODULES")
            .replace(python().home.to_str().unwrap(), "PYTHON")
            .replace(&format!(":{})", getuid().as_raw()), ":UID)");
        let file = kept.join(format!("{name}.conf"));
        if std::env::var_os("MOD_WSGI_WRITE_GOLDEN").is_some() {
            std::fs::create_dir_all(&kept).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        let pairs = || expected.lines().zip(text.lines());
        if let Some((old, new)) = pairs().find(|(old, new)| old != new) {
            panic!("{name}: expected\n{old}\nfound\n{new}\n`just golden` writes it anew");
        }
        assert_eq!(
            expected.lines().count(),
            text.lines().count(),
            "{name}: some lines are missing"
        );
    }
}
