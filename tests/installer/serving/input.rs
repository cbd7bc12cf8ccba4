//! The body of a request, as `wsgi.input` gives it.

use super::{Instance, Reply};

#[test]
fn every_way_to_read_a_body() {
    let instance = Instance::serving("input", "");
    let body = b"one\ntwo\n\nlast";
    for (code, answer) in [
        ("input.read()", r"b'one\ntwo\n\nlast'"),
        ("input.read(-1)", r"b'one\ntwo\n\nlast'"),
        ("input.read(5)", r"b'one\nt'"),
        ("input.read(5), input.read(4), input.read()", r"(b'one\nt', b'wo\n\n', b'last')"),
        ("input.read(1000), input.read(1)", r"(b'one\ntwo\n\nlast', b'')"),
        ("input.read(13), input.read(1), input.read()", r"(b'one\ntwo\n\nlast', b'', b'')"),
        ("input.read(0), input.read(3)", "(b'', b'one')"),
        ("input.readline(), input.readline()", r"(b'one\n', b'two\n')"),
        ("input.readline(2), input.readline(2), input.readline()", r"(b'on', b'e\n', b'two\n')"),
        ("input.readline(0), input.readline(100)", r"(b'', b'one\n')"),
        ("input.readline(-1)", r"b'one\n'"),
        ("[input.readline() for _ in range(6)]", r"[b'one\n', b'two\n', b'\n', b'last', b'', b'']"),
        ("input.readlines(), input.readlines()", r"([b'one\n', b'two\n', b'\n', b'last'], [])"),
        ("input.readlines(5), input.read()", r"([b'one\n', b'two\n'], b'\nlast')"),
        ("input.readlines(0)", r"[b'one\n', b'two\n', b'\n', b'last']"),
        ("list(input), list(input)", r"([b'one\n', b'two\n', b'\n', b'last'], [])"),
        ("next(input), input.read(2), input.readline()", r"(b'one\n', b'tw', b'o\n')"),
        ("iter(input) is input", "True"),
        ("input.close(), input.read(3)", "(None, b'one')"),
        ("type(input).__module__, type(input).__name__", "('mod_wsgi', 'Input')"),
        ("[name for name in ('fileno', 'seek', 'tell') if hasattr(input, name)]", "[]"),
        ("environ['CONTENT_LENGTH']", "'13'"),
    ] {
        assert_eq!(asked(&instance, code, body), answer, "{code}");
    }
    for code in
        ["input.read('1')", "input.readline('1')", "input.readlines('1')", "input.read(1, 2)"]
    {
        let answer = asked(&instance, code, body);
        assert!(answer.starts_with("TypeError: "), "{code}: {answer}");
    }
}

#[test]
fn a_request_without_a_body_has_an_empty_one() {
    let instance = Instance::serving("input", "");
    for (code, answer) in [
        ("input.read()", "b''"),
        ("input.read(10)", "b''"),
        ("input.readline()", "b''"),
        ("input.readlines()", "[]"),
        ("list(input)", "[]"),
        ("environ.get('CONTENT_LENGTH')", "None"),
    ] {
        let reply = instance.send("GET", "/", &[("X-Code", code)], b"");
        assert_eq!(reply.text(), answer, "{code}");
    }
}

#[test]
fn long_bodies_and_long_lines_come_whole() {
    let instance = Instance::serving("input", "");
    let lines: Vec<String> = (0..40).map(|n| format!("{n}:{}\n", "x".repeat(n * 977))).collect();
    let body = lines.concat();
    let size = body.len();
    let sizes: Vec<usize> = lines.iter().map(String::len).collect();
    for (code, answer) in [
        ("len(input.read())", size.to_string()),
        (&format!("len(input.read({size}))"), size.to_string()),
        ("[len(line) for line in input]", format!("{sizes:?}")),
        ("[len(line) for line in input.readlines()]", format!("{sizes:?}")),
        (
            "[len(part) for part in iter(lambda: input.read(100000), b'')][:-1]",
            format!("{:?}", vec![100_000; size / 100_000]),
        ),
        (
            "__import__('hashlib').sha256(b''.join(iter(lambda: input.read(1234), b''))).hexdigest()",
            format!("'{}'", crate::sandbox::sha256(body.as_bytes())),
        ),
    ] {
        assert_eq!(asked(&instance, code, body.as_bytes()), answer, "{code}");
    }
}

#[test]
fn read_waits_for_all_that_it_was_asked_for() {
    let instance = Instance::serving("input", "");
    for (code, answer) in [
        ("input.read(10)", "b'01234\\n6789'"),
        ("input.read()", "b'01234\\n6789'"),
        ("input.readline(), input.readline()", "(b'01234\\n', b'6789')"),
    ] {
        let mut wire = instance.raw(&head(code, &["Content-Length: 10"]));
        for piece in [b"01", b"23", b"4\n", b"67", b"89"] {
            std::thread::sleep(std::time::Duration::from_millis(30));
            wire.write(piece);
        }
        assert_eq!(wire.reply("POST").text(), answer, "{code}");
    }
}

#[test]
fn a_line_is_given_before_the_next_one_comes() {
    let instance = Instance::serving("input", "SetEnv GO \"SITE/kept/go\"");
    // The application says that it has the line; only then the rest is sent.
    let code = "input.readline(), open(environ['GO'], 'w').write('has it'), input.read()";
    let mut wire = instance.raw(&head(code, &["Content-Length: 8"]));
    wire.write(b"one\n");
    instance.comes("kept/go", "has it");
    wire.write(b"more");
    assert_eq!(wire.reply("POST").text(), r"(b'one\n', 6, b'more')");
}

#[test]
fn a_chunked_body_is_refused_unless_allowed() {
    let instance = Instance::serving(
        "input",
        "<Location /on>\nWSGIChunkedRequest On\n</Location>\n<Location /off>\nWSGIChunkedRequest Off\n</Location>",
    );
    let chunked = |target: &str, code: &str, body: &str| {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nX-Code: {code}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n{body}"
        );
        instance.raw(head.as_bytes()).reply("POST")
    };
    let body = "4\r\none\n\r\n6;x=y\r\ntwo\nth\r\n3\r\nree\r\n0\r\n\r\n";
    assert_eq!(chunked("/off", "input.read()", body).status, 411);
    assert_eq!(chunked("/", "input.read()", body).status, 411);
    for (code, answer) in [
        ("input.read()", r"b'one\ntwo\nthree'"),
        ("input.read(5), input.read(), input.read()", r"(b'one\nt', b'wo\nthree', b'')"),
        ("input.readlines()", r"[b'one\n', b'two\n', b'three']"),
        ("environ.get('CONTENT_LENGTH'), environ['HTTP_TRANSFER_ENCODING']", "(None, 'chunked')"),
        ("environ['wsgi.input_terminated']", "True"),
    ] {
        assert_eq!(chunked("/on", code, body).expect(200).text(), answer, "{code}");
    }
    instance.logs("WSGI0139");
    let request = b"POST /on HTTP/1.1\r\nHost: localhost\r\nX-Code: 1\r\nTransfer-Encoding: other\r\nConnection: close\r\n\r\n";
    let status = instance.raw(request).reply("POST").status;
    assert!([400, 501].contains(&status), "{status}");
}

#[test]
fn bad_lengths_are_refused_before_the_application_runs() {
    let instance =
        Instance::serving("input", "<Location /small>\nLimitRequestBody 10\n</Location>");
    for (target, length, status) in [
        ("/", "abc", 400),
        ("/", "-1", 400),
        ("/", "12x", 400),
        ("/", "99999999999999999999999", 400),
        ("/small", "11", 413),
        ("/small", "10", 200),
    ] {
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: localhost\r\nX-Code: input.read()\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n0123456789"
        );
        let mut wire = instance.raw(request.as_bytes());
        wire.finish();
        assert_eq!(wire.reply("POST").status, status, "{length}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_go_on_only_when_the_body_is_read() {
    let instance = Instance::serving("input", "");
    for code in ["input.read()", "input.read(0), input.read()", "input.readline()", "list(input)"] {
        let mut wire = instance.raw(&head(code, &["Content-Length: 4", "Expect: 100-continue"]));
        assert_eq!(wire.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n", "{code}");
        wire.write(b"body");
        let reply = wire.reply("POST").expect(200);
        assert!(reply.text().contains("b'body'"), "{code}: {reply:?}");
    }
    let request = head("'not read'", &["Content-Length: 4", "Expect: 100-continue"]);
    let reply = instance.raw(&request).reply("POST");
    assert_eq!((reply.line.as_str(), reply.text().as_str()), ("HTTP/1.1 200 OK", "'not read'"));
}

#[test]
fn read_0_alone_asks_the_client_to_go_on() {
    let instance = Instance::serving("input", "");
    let mut wire =
        instance.raw(&head("input.read(0)", &["Content-Length: 4", "Expect: 100-continue"]));
    assert_eq!(wire.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    wire.write(b"body");
    assert_eq!(wire.reply("POST").text(), "b''");
}

#[test]
fn a_body_that_is_not_read_does_not_disturb_the_next_request() {
    let instance = Instance::serving("input", "");
    let request = |code: &str, more: &str| {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nX-Code: {code}\r\nContent-Length: 50\r\n{more}\r\n{}",
            "x".repeat(50)
        )
    };
    let mut wire = instance.raw(request("1 + 1", "").as_bytes());
    wire.write(request("len(input.read())", "Connection: close\r\n").as_bytes());
    wire.until("\r\n\r\n");
    wire.until("HTTP/1.1 200 OK");
    wire.until("\r\n\r\n");
    assert!(String::from_utf8(wire.rest()).unwrap().contains("50"));
}

#[test]
fn a_broken_connection_is_an_error_of_the_read_and_of_every_later_one() {
    let instance = Instance::serving("input", "SetEnv SEEN \"SITE/kept/seen\"");
    let code = "tries(environ['SEEN'], [input.read, input.read, input.readline, input.readlines])";
    let mut wire = instance.raw(&head(code, &["Content-Length: 1000", "Expect: 100-continue"]));
    // The application reads from now on.
    wire.until("100 Continue\r\n\r\n");
    wire.write(b"only this");
    wire.finish();
    let seen = instance.comes("kept/seen", "input is already in error state\nOSError");
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].starts_with("OSError: mod_wsgi request data read error: "), "{seen}");
    assert!(!lines[0].contains("already"), "{seen}");
    let again = "OSError: mod_wsgi request data read error: input is already in error state";
    instance.comes("kept/seen", &[again, again, again].join("\n"));
}

#[test]
fn input_that_outlives_its_request_refuses_every_use() {
    let instance = Instance::serving("input", "");
    assert_eq!(asked(&instance, "kept.update(old=input, it=iter(input))", b"body"), "None");
    for (code, text) in [
        ("kept['old'].read()", "read() called on wsgi.input after request completed"),
        ("kept['old'].read(0)", "read() called on wsgi.input after request completed"),
        ("kept['old'].readline()", "readline() called on wsgi.input after request completed"),
        ("kept['old'].readlines()", "readlines() called on wsgi.input after request completed"),
        ("kept['old'].close()", "close() called on wsgi.input after request completed"),
        ("list(kept['old'])", "iteration of wsgi.input attempted after request completed"),
        ("next(kept['it'])", "iteration of wsgi.input attempted after request completed"),
    ] {
        assert_eq!(asked(&instance, code, b"body"), format!("RuntimeError: {text}"), "{code}");
    }
}

fn asked(instance: &Instance, code: &str, body: &[u8]) -> String {
    let reply: Reply = instance.send("POST", "/", &[("X-Code", code)], body);
    reply.expect(200).text()
}

fn head(code: &str, headers: &[&str]) -> Vec<u8> {
    let headers = headers.join("\r\n");
    format!("POST / HTTP/1.1\r\nHost: localhost\r\nX-Code: {code}\r\n{headers}\r\nConnection: close\r\n\r\n").into_bytes()
}
