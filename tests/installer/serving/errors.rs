//! What an application says, and what goes wrong in it, in the error log.

use super::Instance;

/// The records of the error log from a request, without their prefixes.
fn records<'log>(log: &'log str, script: &str) -> Vec<&'log str> {
    let mark = format!("[script {script}] ");
    log.lines().filter_map(|line| line.split_once(&mark)).map(|(_, text)| text).collect()
}

#[test]
fn lines_of_an_application_are_records_of_the_log() {
    for (way, expected) in [
        ("errors", vec!["a line of errors"]),
        ("printed", vec!["a line of print"]),
        ("to_stderr", vec!["a line of stderr"]),
        ("several", vec!["first of two", "second of two"]),
        ("pieces", vec!["part of a line"]),
        ("unfinished", vec!["no newline at the end"]),
        ("flushed", vec!["flushed part"]),
        ("buffered", vec!["a line of bytes"]),
    ] {
        let instance = Instance::serving("log", "");
        assert_eq!(instance.get(&format!("/{way}")).text(), "logged");
        let log = instance.logs(expected.last().unwrap());
        let script = instance.site.path("apps/log.wsgi");
        let found = records(&log, script.to_str().unwrap());
        assert_eq!(found, expected, "{way}\n{log}");
        let line = log.lines().find(|line| line.contains(expected[0])).unwrap();
        let parts: Vec<&str> = line.split("] [").collect();
        assert_eq!(parts[1], "wsgi:error", "{line}");
        assert!(parts[2].starts_with("pid "), "{line}");
        assert!(parts[3].starts_with("client 127.0.0.1:"), "{line}");
    }
}

#[test]
fn text_is_logged_as_utf_8() {
    let instance = Instance::serving("log", "");
    instance.get("/surrogate").expect(200);
    instance.logs("lone ? surrogate");
    instance.get("/accents").expect(200);
    let log = instance.logs("caf");
    // httpd escapes what is not ASCII, unless it was built not to.
    let escaped = r"caf\xc3\xa9 \xe2\x82\xac";
    assert!(log.contains(escaped) || log.contains("caf\u{e9} \u{20ac}"), "{log}");
}

/// httpd cuts a record near 8 KiB; the original drops what is cut off.
#[test]
fn a_long_line_is_kept_in_parts() {
    let instance = Instance::serving("log", "");
    instance.get("/long").expect(200);
    instance.get("/errors").expect(200);
    let log = instance.logs("a line of errors");
    let script = instance.site.path("apps/log.wsgi");
    let found = records(&log, script.to_str().unwrap());
    let (last, parts) = found.split_last().unwrap();
    assert_eq!(*last, "a line of errors");
    assert_eq!(parts.concat(), format!("{} end", "x".repeat(20000)));
}

#[test]
fn a_long_line_does_not_disturb_the_next_one() {
    let instance = Instance::serving("log", "");
    for way in ["/long", "/nul", "/errors"] {
        instance.get(way).expect(200);
    }
    let log = instance.logs("a line of errors");
    let script = instance.site.path("apps/log.wsgi");
    let found = records(&log, script.to_str().unwrap());
    assert!(found[0].len() > 7000 && found[0].starts_with("xxx"), "{log}");
    assert!(found.iter().any(|record| record.starts_with("before")), "{log}");
    assert_eq!(found.last(), Some(&"a line of errors"), "{log}");
}

#[test]
fn what_a_script_prints_while_it_is_loaded_is_logged() {
    let instance = Instance::serving("log", "");
    instance.get("/errors").expect(200);
    let log = instance.logs("printed while loading");
    let line = log.lines().find(|line| line.contains("printed while loading")).unwrap();
    assert!(line.contains("[wsgi:error]"), "{line}");
}

#[test]
fn the_log_object_is_a_text_stream() {
    let instance = Instance::serving("ask", "");
    let errors = "environ['wsgi.errors']";
    for (code, answer) in [
        (format!("isinstance({errors}, __import__('io').TextIOWrapper)"), "True"),
        (format!("{errors}.encoding, {errors}.errors"), "('utf-8', 'replace')"),
        (format!("{errors}.line_buffering, {errors}.write_through"), "(True, True)"),
        (format!("{errors}.name"), "'<wsgi.errors>'"),
        (format!("{errors}.isatty()"), "False"),
        (
            format!("{errors}.writable(), {errors}.readable(), {errors}.seekable()"),
            "(True, False, False)",
        ),
        (format!("{errors}.fileno()"), "OSError: wsgi.errors log object has no file descriptor"),
        (format!("{errors}.write('12345')"), "5"),
        (format!("{errors}.flush()"), "None"),
        (format!("[{errors}.buffer.write(b'123'), 'taken'][1]"), "'taken'"),
        (format!("[{errors}.buffer.write(bytearray(b'1234')), 'taken'][1]"), "'taken'"),
        (format!("[{errors}.buffer.write('text'), 'taken'][1]"), "'taken'"),
        (format!("kept.update(errors={errors})"), "None"),
    ] {
        assert_eq!(instance.ask(&code), answer, "{code}");
    }
    for (code, name) in [
        ("kept['errors'].write('late\\n')", "write"),
        ("kept['errors'].writelines(['late\\n'])", "write"),
    ] {
        let answer = instance.ask(code);
        assert!(
            answer.starts_with("RuntimeError: ")
                && answer.ends_with("() called on wsgi.errors after request completed"),
            "{code}: {answer}"
        );
        assert!(answer.contains(name), "{code}: {answer}");
    }
    assert!(!instance.log().contains("late"));
}

#[test]
fn an_uncaught_exception_is_named_with_its_script_and_interpreter() {
    let instance = Instance::serving("log", "WSGIApplicationGroup named");
    instance.get("/fails").expect(500);
    let log = instance.logs("ValueError: this one fails");
    let line = log.lines().find(|line| line.contains("WSGI0174")).unwrap();
    let script = instance.site.path("apps/log.wsgi");
    for part in
        ["[wsgi:error]", "[client 127.0.0.1:", "ValueError", script.to_str().unwrap(), "named"]
    {
        assert!(line.contains(part), "{part}: {line}");
    }
}

/// Under Python 3.11 and older the original loses the outermost traceback.
#[test]
fn an_uncaught_exception_is_logged_with_its_traceback() {
    let instance = Instance::serving("log", "");
    instance.get("/chained").expect(500);
    let log = instance.logs("two\\\\nlines");
    let from = log.find("WSGI0174").unwrap();
    let mut place = from;
    for text in [
        "Traceback (most recent call last):",
        "log.wsgi\", line ",
        "in fails",
        "ValueError: this one fails",
        "The above exception was the direct cause of the following exception:",
        "Traceback (most recent call last):",
        "in application",
        "in chained",
        "KeyError: 'two\\\\nlines'",
    ] {
        let found = log[place..].find(text);
        place += found.unwrap_or_else(|| panic!("`{text}` does not follow in:\n{}", &log[from..]));
    }
    for line in log[from..].lines().skip(1).take(10) {
        assert!(line.contains("[wsgi:error]"), "a record of its own: {line}");
    }
}
