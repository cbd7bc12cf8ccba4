//! What becomes of a reply when the application fails or the client leaves.

use super::Instance;
use super::response::{APP, request};

#[test]
fn close_is_called_whatever_happens() {
    for (target, status, note) in [
        ("/closed", 200, "closed after 2"),
        ("/closed_after_error", 200, "closed after 1"),
        ("/closed_before_output", 500, "closed after 0"),
        ("/closed_without_start", 500, "closed after 1"),
        ("/close_raises", 200, "closed after 1"),
        ("/text_block", 500, "closed after 1"),
        ("/text_block_later", 200, "closed after 2"),
    ] {
        let instance = Instance::new(APP);
        assert_eq!(instance.get(target).status, status, "{target}");
        let notes = instance.comes("kept/notes", "closed");
        assert_eq!(notes, format!("{note}\n"), "{target}");
        let reply = instance.send("HEAD", "/closed", &[], b"").expect(200);
        assert_eq!(reply.text(), "");
        instance.comes("kept/notes", &format!("{note}\nclosed after"));
    }
}

#[test]
fn a_close_that_raises_is_logged_and_the_reply_stands() {
    let instance = Instance::new(APP);
    let reply = instance.get("/close_raises").expect(200);
    assert_eq!((reply.text().as_str(), reply.complete), ("a", true));
    instance.logs("RuntimeError: close fails");
}

#[test]
fn what_is_wrong_before_output_gives_httpds_500() {
    let instance = Instance::new(APP);
    for (target, text) in [
        ("/no_iterable", "TypeError: 'int' object is not iterable"),
        ("/none", "TypeError: 'NoneType' object is not iterable"),
        ("/text_block", "TypeError: response iterable must yield bytes, not str"),
        (
            "/no_start",
            "RuntimeError: start_response() must be called before response content is produced",
        ),
        ("/bad_length", "ValueError: invalid Content-Length header value: 'abc'"),
        ("/raises", "ValueError: before start_response"),
        ("/raises_after_start", "ValueError: after start_response"),
        ("/interrupted", "KeyboardInterrupt"),
        ("/closed_before_output", "RuntimeError: at the start"),
        ("/absent_function", "KeyError: 'absent_function'"),
    ] {
        let reply = instance.get(target).expect(500);
        assert!(
            reply.text().contains("<title>500 Internal Server Error</title>"),
            "{target}: {reply:?}"
        );
        assert_eq!(reply.header("x-kept"), None, "{target}");
        assert!(reply.complete, "{target}");
        let log = instance.logs(text);
        assert!(log.contains("WSGI0174"), "{log}");
    }
    let reply = instance.get("/no_start_no_body").expect(500);
    assert!(reply.text().contains("<title>500 Internal Server Error</title>"), "{reply:?}");
    assert_eq!(instance.get("/plain").text(), "plain", "the process lives on");
}

#[test]
fn what_goes_wrong_after_output_cuts_the_reply() {
    let instance = Instance::new(APP);
    for (target, text) in [
        ("/raises_after_output", "ValueError: after output"),
        ("/raises_after_length", "ValueError: after output"),
        ("/text_block_later", "TypeError: response iterable must yield bytes, not bytearray"),
        ("/closed_after_error", "RuntimeError: in the middle"),
        ("/exits_after_output", "SystemExit"),
        ("/tells_exception_late", "LookupError: told late"),
    ] {
        let reply = instance.get(target).expect(200);
        assert!(["first", "bytes", "a"].contains(&reply.text().as_str()), "{target}: {reply:?}");
        assert!(!reply.complete, "{target}: the client cannot tell");
        instance.logs(text);
    }
    assert_eq!(instance.site.read("kept/notes").matches("came back: told late").count(), 1);
    assert_eq!(instance.get("/plain").text(), "plain", "the process lives on");
}

/// The original goes on with httpd's page for an error, and ends normally.
#[test]
fn an_exception_after_a_write_cuts_the_reply() {
    let instance = Instance::new(APP);
    let reply = instance.get("/raises_after_write").expect(200);
    instance.logs("ValueError: after write");
    assert_eq!((reply.text().as_str(), reply.complete), ("first", false));
}

#[test]
fn an_exit_of_the_application_is_ignored() {
    let instance = Instance::new(APP);
    let before = instance.get("/plain").expect(200);
    let reply = instance.get("/exits").expect(500);
    assert!(reply.text().contains("Internal Server Error"), "{reply:?}");
    let log = instance.logs("WSGI0175");
    let line = log.lines().find(|line| line.contains("WSGI0175")).unwrap();
    assert!(line.contains("SystemExit") && line.contains("ignored"), "{line}");
    assert_eq!(instance.get("/plain").text(), before.text());
}

#[test]
fn a_client_that_leaves_ends_the_iteration_quietly() {
    let instance = Instance::new(APP);
    let mut wire = instance.raw(&request("/endless", "HTTP/1.1"));
    wire.until("xxxx");
    drop(wire);
    let note = instance.comes("kept/notes", "\n");
    let count: usize = note.trim().rsplit(' ').next().unwrap().parse().unwrap();
    // Of a hundred thousand.
    assert!(count < 5_000, "{note}");
    instance.comes("access_log", "GET /endless 200\n");
    let log = instance.log();
    assert!(!log.contains("Traceback") && !log.contains("[wsgi:error]"), "{log}");
}

#[test]
fn a_client_that_leaves_makes_write_raise() {
    let instance = Instance::new(APP);
    let mut wire = instance.raw(&request("/endless_written", "HTTP/1.1"));
    wire.until("xxxx");
    drop(wire);
    let note = instance.comes("kept/notes", "\n");
    let texts = [
        "OSError: mod_wsgi client connection closed",
        "OSError: mod_wsgi failed to write response data: ",
    ];
    assert!(texts.iter().any(|text| note.starts_with(text)), "{note}");
    instance.comes("access_log", "GET /endless_written ");
}
