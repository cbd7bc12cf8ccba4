//! Servers behind the launcher's: WebSockets, TLS, order, precedence, and what cannot
//! be (reference 8.2, 8.3).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::seed::backend;
use super::{Express, Folder};

/// Asks for a WebSocket, sends `ping` over it, and gives all that comes.
fn web_socket(port: u16, head: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let head = format!(
        "{head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
        text.push(byte[0]);
    }
    if text.starts_with(b"HTTP/1.1 101 ") {
        stream.write_all(b"ping").unwrap();
        let mut echo = [0; 4];
        stream.read_exact(&mut echo).unwrap();
        text.extend(echo);
    }
    String::from_utf8(text).unwrap()
}

/// Reference 8.2 and 8.3: all but the option of 4.4.7 pass them on.
#[test]
fn web_sockets_are_passed_on() {
    let target = format!("http://127.0.0.1:{}", backend());
    let other = format!("http://127.0.0.1:{}", backend());
    let express = Express::start(&[
        "--proxy-url-alias",
        "/same",
        &target,
        "--proxy-url-alias",
        "/old",
        &other,
        "--proxy-mount-point",
        "/new",
        &target,
        "--proxy-virtual-host",
        "other.test",
        &target,
    ]);
    for (head, passed) in [
        ("GET /new/x HTTP/1.1\r\nHost: a.test\r\n", true),
        ("GET /x HTTP/1.1\r\nHost: other.test\r\n", true),
        ("GET /old/x HTTP/1.1\r\nHost: a.test\r\n", false),
    ] {
        let said = web_socket(express.port, head);
        assert_eq!(said.starts_with("HTTP/1.1 101 "), passed, "{head}{said}\n{}", express.log());
        assert_eq!(said.ends_with("\r\n\r\nping"), passed, "{head}{said}");
    }
    // The same URL answers plain requests.
    assert!(express.ask("/new/x").starts_with("GET /x HTTP/1.1\n"));
}

/// Reference 8.3, row 6: in the original each such request fails.
#[test]
fn servers_behind_may_want_tls() {
    let (behind, port) = super::hosts::with_tls(&[]);
    // httpd wants the name that it asks for in the certificate, whoever has signed it.
    let target = format!("https://localhost:{port}/");
    let express = Express::start(&[
        "--proxy-virtual-host",
        "other.test",
        &target,
        "--proxy-mount-point",
        "/new",
        &target,
        "--proxy-url-alias",
        "/old/",
        &target,
    ]);
    let scheme = "X-Eval: environ['wsgi.url_scheme'], environ['PATH_INFO']";
    for (url, host) in [("/x", "other.test"), ("/new/x", "a.test"), ("/old/x", "a.test")] {
        let host = format!("Host: {host}");
        let answer = express.curl(url, &["-H", &host, "-H", scheme]);
        assert_eq!(answer.body, "('https', '/x')", "{url} {answer:?}\n{}", express.log());
    }
    drop(behind);
    assert_eq!(express.curl("/new/x", &[]).status, 503);
}

/// Reference 8.2: the scheme that the client has used.
#[test]
fn a_server_behind_knows_of_tls_in_front() {
    let target = format!("http://127.0.0.1:{}", backend());
    let (express, port) = super::hosts::with_tls(&["--proxy-mount-point", "/api", &target]);
    let scheme = "X-Forwarded-Scheme: https\n";
    let by_tls = express.curl(&format!("https://127.0.0.1:{port}/api/x"), &["-k"]).body;
    assert!(by_tls.contains(scheme), "{by_tls}");
    assert!(by_tls.contains(&format!("X-Forwarded-Port: {port}\n")), "{by_tls}");
    let plain = express.ask("/api/x");
    assert!(!plain.contains("X-Forwarded-Scheme"), "{plain}");
    // What a client claims is not passed on as if it were so.
    let claimed = express.curl("/api/x", &["-H", "X-Forwarded-Port: 1"]).body;
    assert!(claimed.contains(&format!("X-Forwarded-Port: {}\n", express.port)), "{claimed}");
    assert!(!claimed.contains("X-Forwarded-Port: 1\n"), "{claimed}");
}

/// Reference 8.2: the order of the command line decides; files and the application
/// come last.
#[test]
fn the_first_that_fits_is_asked() {
    let to = |path: &str| format!("http://127.0.0.1:{}{path}", backend());
    let (short, deep, slash) = (to("/short"), to("/deep"), to("/base/"));
    for option in ["--proxy-mount-point", "--proxy-url-alias"] {
        let folder = Folder::new();
        folder.write("docs/api/file", "a file");
        let words = ["app.wsgi", "--document-root", "docs"];
        let proxies = [option, "/api", &short, option, "/api/deep", &deep, option, "/sl/", &slash];
        let express = Express::of(folder, &[&words[..], &proxies].concat());
        for (asked, got) in [
            ("/api/deep/x", "GET /short/deep/x "),
            ("/api/file", "GET /short/file "),
            ("/sl/x", "GET /base/x "),
        ] {
            let answer = express.ask(asked);
            assert!(answer.starts_with(got), "{option} {asked}\n{answer}");
        }
        let bare = express.curl("/sl", &[]);
        let here = format!("http://127.0.0.1:{}/sl/", express.port);
        match option {
            "--proxy-mount-point" => assert_eq!(bare.header("location"), Some(&*here)),
            _ => assert!(bare.body.starts_with(" /sl "), "{bare:?}"),
        }
    }
}

#[test]
fn a_server_behind_may_listen_on_a_unix_socket() {
    let folder = Folder::new();
    let path = folder.path("behind.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(&path, mode).unwrap();
    std::thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let _request = connection.read(&mut [0; 4096]);
            let _gone = connection.write_all(
                b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsocket",
            );
        }
    });
    let target = format!("unix:{}|http://behind/", path.display());
    let express = Express::of(folder, &["app.wsgi", "--proxy-mount-point", "/api", &target]);
    assert_eq!(express.ask("/api/x"), "socket");
}

#[test]
fn a_server_behind_has_so_much_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/", silent.local_addr().unwrap());
    let words = ["--proxy-mount-point", "/api", &target, "--proxy-timeout", "1"];
    let express = Express::start(&words);
    let begin = std::time::Instant::now();
    assert_eq!(express.curl("/api/x", &[]).status, 502, "{}", express.log());
    assert!((1.0..20.0).contains(&begin.elapsed().as_secs_f64()), "{:?}", begin.elapsed());
}

/// httpd says so in the end; here the option is named.
#[test]
fn a_target_is_a_whole_url() {
    let folder = Folder::new();
    for option in ["--proxy-mount-point", "--proxy-url-alias", "--proxy-virtual-host"] {
        for target in ["/elsewhere", "localhost:9000", "http://", "http:///x"] {
            let refused = folder.set_up(&["app.wsgi", option, "/a", target]).expect(2);
            let said = format!("option {option}: invalid value: '{target}'");
            assert!(refused.stderr.contains(&said), "{}", refused.stderr);
        }
    }
}
