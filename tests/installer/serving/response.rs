//! What becomes of what an application starts, writes and returns.

use super::{DAEMON, Instance};

pub(super) const APP: &str =
    "WSGIScriptAlias / \"SITE/apps/reply.wsgi\"\nSetEnv KEPT \"SITE/kept\"";

#[test]
fn bodies_of_every_kind_arrive() {
    let instance = Instance::new(APP);
    for (target, body) in [
        ("/plain", "plain"),
        ("/several", "one two three"),
        ("/single_bytes", "abcde"),
        ("/as_tuple", "one two"),
        ("/generator", "one two"),
        ("/written", "written twice returned"),
        ("/only_written", "written"),
        ("/nothing", ""),
        ("/empty_blocks", ""),
        ("/no_headers", "no headers"),
    ] {
        let reply = instance.get(target).expect(200);
        assert_eq!((reply.text().as_str(), reply.complete), (body, true), "{target}");
    }
    let reply = instance.get("/late_start").expect(201);
    assert_eq!(reply.text(), "late");
}

#[test]
fn nothing_is_added_to_the_headers_of_an_application() {
    let instance = Instance::new(APP);
    let reply = instance.get("/no_headers").expect(200);
    let mut names: Vec<String> =
        reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    assert_eq!(names, ["connection", "date", "server", "transfer-encoding"]);
}

#[test]
fn headers_arrive_as_they_were_given() {
    let instance = Instance::new(APP);
    let reply = instance.get("/headers").expect(200);
    for (name, values) in [
        ("Content-Type", vec!["text/html; charset=x"]),
        ("Set-Cookie", vec!["a=1", "b=2"]),
        ("X-Twice", vec!["one", "two"]),
        ("Last-Modified", vec!["Sat, 01 Jan 2000 00:00:00 GMT"]),
        ("ETag", vec!["\"abc\""]),
        ("X-Latin", vec!["caf\u{e9}"]),
        ("X-Empty", vec![""]),
        ("X-Tab", vec!["a\tb"]),
        ("WWW-Authenticate", vec!["Basic realm=\"a\"", "Other realm=\"b\""]),
        ("Vary", vec!["Cookie"]),
    ] {
        assert_eq!(reply.all(name), values, "{name}");
    }
}

#[test]
fn status_lines_are_those_of_the_application() {
    let instance = Instance::new(APP);
    for (given, line) in [
        ("200 OK", "HTTP/1.1 200 OK"),
        ("200", "HTTP/1.1 200 OK"),
        ("200 All is well", "HTTP/1.1 200 All is well"),
        ("299 Odd", "HTTP/1.1 299 Odd"),
        ("404 Not here", "HTTP/1.1 404 Not here"),
        ("418 I'm a teapot", "HTTP/1.1 418 I'm a teapot"),
        ("503 Later", "HTTP/1.1 503 Later"),
        ("599 Far", "HTTP/1.1 599 Far"),
    ] {
        let reply = instance.get(&format!("/status?{}", given.replace(' ', "+")));
        assert_eq!((reply.line.as_str(), reply.text().as_str()), (line, "body"), "{given}");
    }
}

#[test]
fn locations_are_left_to_the_client_by_embedded_applications() {
    let instance = Instance::new(APP);
    let reply = instance.get("/created");
    assert_eq!(
        (reply.line.as_str(), reply.header("location")),
        ("HTTP/1.1 201 Made Just Now", Some("/elsewhere"))
    );
    // A path after a plain 200 is a page of the server itself, to daemon processes alone.
    let reply = instance.get("/local_redirect").expect(200);
    let expected = if DAEMON { ("plain", None) } else { ("not followed", Some("/plain")) };
    assert_eq!((reply.text().as_str(), reply.header("location")), expected);
}

#[test]
fn error_pages_may_be_replaced_in_daemon_mode_alone() {
    let instance =
        Instance::new(&format!("{APP}\nErrorDocument 404 \"httpd's page\"\nWSGIErrorOverride On"));
    let reply = instance.get("/status?404+Not+Found").expect(404);
    // An embedded application's body is never replaced.
    assert_eq!(reply.text(), if DAEMON { "httpd's page" } else { "body" });
}

#[test]
fn a_second_start_before_output_replaces_the_first() {
    let instance = Instance::new(APP);
    for (target, status) in
        [("/twice", 202), ("/twice_around_empty", 203), ("/replaced_by_exception", 500)]
    {
        let reply = instance.get(target).expect(status);
        assert_eq!(reply.header("x-first"), None, "{target}");
        assert_eq!(reply.header("x-second"), Some("yes"), "{target}");
        assert!(reply.complete && !reply.body.is_empty(), "{target}");
    }
}

/// Everything that `start_response` and `write` refuse, caught by the
/// application, which then answers all the same.
#[test]
fn refused_arguments_raise() {
    let instance = Instance::serving("ask", "");
    let mut wrong = Vec::new();
    for (code, answer) in [
        ("start_response(200, [])", "TypeError: must be str, not int"),
        ("start_response(b'200 OK', [])", "TypeError: must be str, not bytes"),
        ("start_response('200 OK', [(b'X', 'y')])", "TypeError: must be str, not bytes"),
        ("start_response('200 OK', [('X', 5)])", "TypeError: must be str, not int"),
        ("start_response('200 OK', [('X', None)])", "TypeError: must be str, not NoneType"),
        ("start_response('20', [])", "ValueError: status code must be a 3 digit integer: b'20'"),
        ("start_response('', [])", "ValueError: status code must be a 3 digit integer: b''"),
        (
            "start_response('abc OK', [])",
            "ValueError: status code must be a 3 digit integer: b'abc OK'",
        ),
        ("start_response('200OK', [])", "ValueError: no space following status code: b'200OK'"),
        (
            "start_response('2000 OK', [])",
            "ValueError: status code must be a 3 digit integer: b'2000 OK'",
        ),
        (
            "start_response('200 O\\tK', [])",
            "ValueError: control character in status reason phrase: b'200 O\\tK'",
        ),
        (
            "start_response('200 OK\\r\\n', [])",
            "ValueError: control character in status reason phrase: b'200 OK\\r\\n'",
        ),
        (
            "start_response('200 OK', ())",
            "TypeError: start_response() argument 2 must be list, not tuple",
        ),
        (
            "start_response('200 OK', None)",
            "TypeError: start_response() argument 2 must be list, not None",
        ),
        (
            "start_response('200 OK', [['X', 'y']])",
            "TypeError: each header must be a 2-tuple, not list",
        ),
        ("start_response('200 OK', ['X: y'])", "TypeError: each header must be a 2-tuple, not str"),
        (
            "start_response('200 OK', [('X', 'y', 'z')])",
            "ValueError: each header must be a 2-tuple, got length 3",
        ),
        (
            "start_response('200 OK', [('X',)])",
            "ValueError: each header must be a 2-tuple, got length 1",
        ),
        ("start_response('200 OK', [('', 'y')])", "ValueError: header name is empty"),
        (
            "start_response('200 OK', [('X\\n', 'y')])",
            "ValueError: control character in header name: b'X\\n'",
        ),
        (
            "start_response('200 OK', [('X Y', 'y')])",
            "ValueError: space character in header name: b'X Y'",
        ),
        (
            "start_response('200 OK', [('X', 'a\\nb')])",
            "ValueError: carriage return/line feed character in header value: b'a\\nb'",
        ),
        (
            "start_response('200 OK', [('X', 'a\\rb')])",
            "ValueError: carriage return/line feed character in header value: b'a\\rb'",
        ),
        (
            "start_response('200 OK', [], 5)",
            "RuntimeError: start_response() argument 'exc_info' must be a 3-tuple or None",
        ),
        (
            "start_response('200 OK', [])('text')",
            "TypeError: write() argument must be bytes, not str",
        ),
        (
            "start_response('200 OK', [])(bytearray(b'x'))",
            "TypeError: write() argument must be bytes, not bytearray",
        ),
        (
            "start_response('200 OK', [('Content-Length', 'abc')])(b'x')",
            "ValueError: invalid Content-Length header value: 'abc'",
        ),
        (
            "start_response('200 OK', [('Content-Length', '-1')])(b'x')",
            "ValueError: invalid Content-Length header value: '-1'",
        ),
    ] {
        let found = instance.ask(code);
        if found != answer {
            wrong.push(format!("{code}\n  is {found}\n  not {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for code in [
        "start_response('200 \u{20ac}', [])",
        "start_response('200 OK', [('X\u{20ac}', 'y')])",
        "start_response('200 OK', [('X', '\u{20ac}')])",
    ] {
        let answer = instance.ask(code);
        assert!(answer.starts_with("UnicodeEncodeError: 'latin-1' codec can't encode"), "{answer}");
    }
    for code in
        ["start_response()", "start_response('200 OK')", "start_response('200 OK', [], None, 1)"]
    {
        let answer = instance.ask(code);
        assert!(answer.starts_with("TypeError: "), "{code}: {answer}");
    }
}

#[test]
fn accepted_arguments_are_accepted() {
    let instance = Instance::serving("ask", "");
    for code in [
        "start_response('200', [])",
        "start_response('200 ', [])",
        "start_response('200 caf\u{e9}', [])",
        "start_response('200 OK', [('X:Y', 'z')])",
        "start_response('200 OK', [('X', 'a\\x01b')])",
        "start_response('200 OK', [], None)",
        "start_response('200 OK', [], (None, None, None))",
    ] {
        assert_eq!(instance.ask(&format!("callable({code})")), "True", "{code}");
    }
}

#[test]
fn calls_in_the_wrong_order_raise() {
    let instance = Instance::serving("order", "");
    for (target, note) in [
        ("/second_start", "RuntimeError: start_response() called more than once without exc_info"),
        (
            "/second_start_none",
            "RuntimeError: start_response() called more than once without exc_info",
        ),
        ("/write_after_bad_length", "ValueError: invalid Content-Length header value: '1x'"),
        ("/exc_info_comes_back", "LookupError: it is me"),
        ("/write_text_later", "TypeError: write() argument must be bytes, not str"),
    ] {
        let reply = instance.get(target).expect(200);
        assert_eq!(reply.text(), format!("first {note}"), "{target}");
        assert!(reply.complete, "{target}");
    }
}

#[test]
fn objects_that_outlive_their_request_refuse_every_use() {
    let instance = Instance::serving("ask", "");
    instance.ask("kept.update(start=start_response, write=start_response('200 OK', []))");
    for (code, text) in [
        ("kept['start']('200 OK', [])", "start_response() called after request completed"),
        ("kept['write'](b'x')", "write() called after request completed"),
    ] {
        assert_eq!(instance.ask(code), format!("RuntimeError: {text}"));
    }
}

#[test]
fn each_block_reaches_the_client_before_the_next_one_is_made() {
    for target in ["/stream", "/stream_written"] {
        let instance = Instance::new(APP);
        let mut wire = instance.raw(&request(target, "HTTP/1.1"));
        wire.until("first");
        instance.site.write("kept/go", "");
        wire.until("second");
        assert_eq!(wire.rest(), b"\r\n0\r\n\r\n", "{target}");
    }
}

#[test]
fn headers_reach_the_client_with_the_first_block() {
    let instance = Instance::new(APP);
    let mut wire = instance.raw(&request("/stream", "HTTP/1.0"));
    let head = wire.until("\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && !head.contains("chunked"), "{head}");
    wire.until("first");
    instance.site.write("kept/go", "");
    assert_eq!(wire.rest(), b"second");
}

#[test]
fn a_declared_length_bounds_the_body() {
    let instance = Instance::new(APP);
    let reply = instance.get("/too_long").expect(200);
    assert_eq!((reply.text().as_str(), reply.complete), ("12345", true), "{reply:?}");
    assert_eq!(reply.header("content-length"), Some("5"));
    let reply = instance.get("/too_short").expect(200);
    assert_eq!((reply.text().as_str(), reply.header("content-length")), ("123", Some("50")));
    assert!(!reply.complete);
}

#[test]
fn large_bodies_arrive_whole() {
    let instance = Instance::new(APP);
    let expected: String = (0..100_000).map(|number| format!("{number:07}\n")).collect();
    for target in ["/large", "/one_large"] {
        let reply = instance.get(target).expect(200);
        assert!(reply.complete && reply.text() == expected, "{target}: {}", reply.body.len());
    }
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let instance = Instance::new(APP);
    let mut wire = instance.raw(b"");
    for target in [
        "/plain",
        "/only_written",
        "/nothing",
        "/no_content",
        "/not_modified",
        "/too_long",
        "/generator",
    ] {
        wire.write(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes());
    }
    wire.write(&request("/plain", "HTTP/1.1"));
    let text = String::from_utf8(wire.rest()).unwrap();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("HTTP/1.1 ") || line.contains("HTTP/1.1 2"))
        .collect();
    assert_eq!(text.matches("HTTP/1.1 ").count(), 8, "{lines:?}\n{text}");
    assert!(text.ends_with("plain\r\n0\r\n\r\n"), "{text}");
}

#[test]
fn a_reply_without_a_body_has_none() {
    let instance = Instance::new(APP);
    let reply = instance.get("/no_content").expect(204);
    assert_eq!((reply.text().as_str(), reply.header("x-kept")), ("", Some("yes")));
    assert_eq!((reply.header("transfer-encoding"), reply.header("content-length")), (None, None));
    let reply = instance.get("/not_modified").expect(304);
    assert_eq!((reply.text().as_str(), reply.header("etag")), ("", Some("\"abc\"")));
    assert_eq!(reply.header("transfer-encoding"), None);
}

#[test]
fn conditional_requests_are_the_applications_business() {
    let instance = Instance::new(APP);
    let conditions =
        [("If-None-Match", "\"abc\""), ("If-Modified-Since", "Sat, 01 Jan 2022 00:00:00 GMT")];
    for condition in conditions {
        let reply = instance.send("GET", "/headers", &[condition], b"").expect(200);
        assert_eq!(reply.text(), "headers", "{condition:?}");
    }
    let reply = instance.send("GET", "/headers", &[("If-Match", "\"other\"")], b"");
    assert_eq!(reply.status, 200);
}

#[test]
fn head_is_get_only_where_a_filter_could_want_the_body() {
    let instance = Instance::new(&format!(
        "{APP}\n<Location /method/deflate>\nSetOutputFilter DEFLATE\n</Location>\n\
         <Location /method/on>\nWSGIMapHEADToGET On\n</Location>\n\
         <Location /method/off>\nWSGIMapHEADToGET Off\nSetOutputFilter DEFLATE\n</Location>\n\
         <Location /method/auto>\nWSGIMapHEADToGET Auto\n</Location>"
    ));
    for (target, seen) in [
        ("/method", "HEAD"),
        ("/method/auto", "HEAD"),
        ("/method/deflate", "GET"),
        ("/method/on", "GET"),
        ("/method/off", "HEAD"),
    ] {
        let reply = instance.send("HEAD", target, &[], b"").expect(200);
        // The length tells which method the application has seen.
        assert_eq!(
            reply.header("content-length"),
            Some(seen.len().to_string().as_str()),
            "{target}"
        );
        assert_eq!(reply.text(), "", "{target}");
    }
    assert_eq!(instance.get("/method/on").text(), "GET");
    let reply =
        instance.send("GET", "/method/deflate", &[("Accept-Encoding", "gzip")], b"").expect(200);
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
}

#[test]
fn http_1_0_gets_no_chunks() {
    let instance = Instance::new(APP);
    for (target, body) in
        [("/generator", "one two"), ("/several", "one two three"), ("/nothing", "")]
    {
        let reply = instance.raw(&request(target, "HTTP/1.0")).reply("GET").expect(200);
        assert_eq!((reply.text().as_str(), reply.header("transfer-encoding")), (body, None));
    }
}

pub(super) fn request(target: &str, protocol: &str) -> Vec<u8> {
    format!("GET {target} {protocol}\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}
