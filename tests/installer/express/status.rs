//! The status page and the health URL.

use serde_json::Value;

use super::{Express, Folder, free_port};

/// A server with a status page, and its port.
#[track_caller]
pub(super) fn with_page(words: &[&str]) -> (Express, u16) {
    page_of(Folder::ordinary(), words)
}

/// The same of a launcher that this folder has: root's, where root runs the tests.
#[track_caller]
pub(super) fn page_of(folder: Folder, words: &[&str]) -> (Express, u16) {
    let port = free_port();
    let text = port.to_string();
    let express = Express::of(folder, &[&["app.wsgi", "--status-port", &text], words].concat());
    (express, port)
}

fn url(port: u16, target: &str) -> String {
    format!("http://127.0.0.1:{port}{target}")
}

#[test]
fn the_page_and_its_figures_are_served() {
    let (mut express, port) = with_page(&["--processes", "2", "--threads", "3", "--access-log"]);
    let said = express.folder.read("out");
    for line in [
        format!("Status Page        : http://127.0.0.1:{port}/\n"),
        format!("Prometheus Metrics : http://127.0.0.1:{port}/metrics\n"),
    ] {
        assert!(said.contains(&line), "{said}");
    }
    let page = express.curl(&url(port, "/"), &[]);
    assert_eq!(page.status, 200, "{page:?}");
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none';"));
    assert_eq!(page.header("content-type"), Some("text/html"));
    assert!(page.body.contains("Live requests"));
    express.wait("ready processes", |express| {
        express.curl(&url(port, "/health?ready"), &[]).status == 200
    });
    express.eval("1 + 1");
    let facts: Value = serde_json::from_str(&express.ask(&url(port, "/status.json"))).unwrap();
    let group = &facts["groups"][0];
    assert_eq!((&group["threads"], group["processes"].as_array().unwrap().len()), (&3.into(), 2));
    assert!(facts["server"]["requests"].as_u64().unwrap() > 0, "{facts}");
    let name = group["name"].as_str().unwrap();
    let capacity = format!("mod_wsgi_group_capacity{{group=\"{name}\"}} 6\n");
    assert!(express.ask(&url(port, "/metrics")).contains(&capacity));
    assert_eq!(express.ask(&url(port, "/health")), "ok\n");
    // What looks on is no traffic of the site.
    assert!(!express.folder.read("root/access_log").contains("status.json"));
    assert_eq!(express.curl("/status.json", &[]).body, format!(" /status.json {name}"));
}

/// httpd's processes, which answer here, are another user's than those of the group.
#[test]
fn every_mpm_serves_the_figures_whoever_starts_it() {
    for mpm in ["event", "worker", "prefork"] {
        let words = ["--server-mpm", mpm, "--processes", "2"];
        let (mut express, port) = page_of(Folder::new(), &words);
        express.wait("ready processes", |express| {
            express.curl(&url(port, "/health?ready"), &[]).status == 200
        });
        let pid: u64 = express.eval("os.getpid()").parse().unwrap();
        let facts: Value = serde_json::from_str(&express.ask(&url(port, "/status.json"))).unwrap();
        let processes = facts["groups"][0]["processes"].as_array().unwrap();
        let found = processes.iter().find(|process| process["pid"] == pid);
        let found = found.unwrap_or_else(|| panic!("{mpm} {pid} {facts}"));
        assert!(found["memory"]["bytes"].as_u64().unwrap_or(0) > 1_000_000, "{mpm} {found}");
        let metrics = express.ask(&url(port, "/metrics"));
        assert!(metrics.contains("mod_wsgi_group_capacity{"), "{mpm} {metrics}");
        assert!(express.ask(&url(port, "/")).contains("Live requests"), "{mpm}");
        assert_eq!(express.stop(), 0, "{mpm}");
    }
}

/// The script decides about all else, the status page among it.
#[test]
fn health_is_not_for_the_access_script_to_refuse() {
    let script =
        "def allow_access(environ, host):\n    return 'let=me' in environ['QUERY_STRING']\n";
    for mpm in ["event", "worker", "prefork"] {
        let folder = Folder::ordinary();
        folder.write("hosts.py", script);
        let words = ["--host-access-script", "hosts.py", "--health-url", "/up/a.b"];
        let (mut express, port) = page_of(folder, &[&words[..], &["--server-mpm", mpm]].concat());
        assert_eq!(express.ask("/up/a.b"), "ok\n", "{mpm}");
        express.wait("readiness", |express| express.curl("/up/a.b?ready", &[]).status == 200);
        assert_eq!(express.curl("/up/a.b/ready", &[]).status, 200, "{mpm}");
        for target in ["/", "/x", "/up", "/up/axb", "/up/a.b/c", "/up/a.b/ready/x", "//up/a.b/../c"]
        {
            assert_eq!(express.curl(target, &[]).status, 403, "{mpm} {target}");
        }
        assert_eq!(express.curl("/x?let=me", &[]).status, 200, "{mpm}\n{}", express.log());
        for (target, status) in [("/status.json", 403), ("/status.json?let=me", 200)] {
            assert_eq!(express.curl(&url(port, target), &[]).status, status, "{mpm} {target}");
        }
    }
}

#[test]
fn other_names_and_other_paths_get_nothing() {
    let (express, port) = with_page(&["--proxy-mount-point", "/", "http://127.0.0.1:1/"]);
    for (name, status) in [
        ("localhost", 200),
        ("LOCALHOST:99", 200),
        ("127.0.0.1", 200),
        ("[::1]:80", 200),
        ("evil.test", 403),
        ("127.0.0.1.evil.test", 403),
        ("localhost.evil.test:80", 403),
        ("", 403),
    ] {
        for target in ["/", "/status.json", "/metrics", "/health"] {
            let answer = express.curl(&url(port, target), &["-H", &format!("Host: {name}")]);
            assert!(
                answer.status == status || name.is_empty() && answer.status == 400,
                "{name} {target} {}",
                answer.head
            );
        }
    }
    for target in ["/x", "/index.html/x", "/metrics/x", "/healthz", "/httpd.conf", "/../httpd.conf"]
    {
        let status = express.curl(&url(port, target), &[]).status;
        assert!([400, 403].contains(&status), "{target} {status}");
    }
    // Nobody else than this machine is listened to.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let listens = format!("0100007F:{port:04X} 00000000:0000 0A");
    assert!(table.contains(&listens), "{table}");
}

#[test]
fn health_is_told_to_anybody_before_the_application() {
    let words = ["--health-url", "/healthz", "--server-name", "www.example.test"];
    let mut express = Express::start_as_user(&words);
    for name in ["www.example.test", "10.0.0.1", "other.test"] {
        let answer = express.curl("/healthz", &["-H", &format!("Host: {name}")]);
        assert_eq!((answer.status, &*answer.body), (200, "ok\n"), "{name}");
    }
    express.wait("readiness", |express| express.curl("/healthz/ready", &[]).status == 200);
    let head = express.curl("/healthz?ready", &["-I"]);
    assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
    let said = express.folder.read("out");
    let line = format!("Health URL         : http://www.example.test:{}/healthz\n", express.port);
    assert!(said.contains(&line), "{said}");
    assert_eq!(express.curl("/x", &["-H", "Host: other.test"]).status, 403);
}

#[test]
fn health_needs_no_password() {
    let folder = Folder::ordinary();
    folder.write("auth.py", "def check_password(environ, user, password):\n    return False\n");
    let words = ["app.wsgi", "--health-url", "/up/now", "--auth-user-script", "auth.py"];
    let express = Express::of(folder, &words);
    assert_eq!(express.ask("/up/now"), "ok\n");
    assert_eq!(express.curl("/up", &[]).status, 401);
}

#[test]
fn ports_and_paths_that_cannot_be_are_refused() {
    let folder = Folder::new();
    super::hosts::certificate(&folder);
    let tls = ["--https-port", "8443", "--ssl-certificate", "c"];
    for (words, why) in [
        (&["--status-port", "8000"][..], "option --status-port: 8000 is the port of --port"),
        (
            &[&["--status-port", "8443"][..], &tls].concat(),
            "option --status-port: 8443 is the port of --https-port",
        ),
        (&["--status-port", "0"], "option --status-port: invalid value: '0'"),
        (&["--status-port", "65536"], "option --status-port: invalid value: '65536'"),
        (&["--health-url", "/"], "option --health-url: invalid value: '/'"),
        (&["--health-url", "health"], "option --health-url: invalid value: 'health'"),
    ] {
        let outcome = folder.set_up(&[&["app.wsgi"], words].concat()).expect(2);
        assert!(outcome.stderr.contains(why), "{words:?}\n{}", outcome.stderr);
    }
}
