//! Logs in JSON, and `--check`.

use serde_json::Value;

use super::{Express, Folder};

/// Says something in its log that text logs escape, and fails when asked to.
const SPEAKS: &str = "\
def application(environ, start_response):
    print('a \"b\" \\\\ \\tü', file=environ['wsgi.errors'], flush=True)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'said']
";

fn speaking() -> Folder {
    let folder = Folder::new();
    folder.write("app.wsgi", SPEAKS);
    folder
}

/// The lines of a log, each of which must be an object.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    let object =
        |line: &str| serde_json::from_str::<Value>(line).map_err(|why| (why, line.to_owned()));
    let objects: Vec<Value> = text.lines().map(|line| object(line).unwrap()).collect();
    assert!(objects.iter().all(Value::is_object), "{text}");
    objects
}

#[test]
fn logs_are_objects() {
    let mut express = Express::of(
        speaking(),
        &["app.wsgi", "--json-logs", "--access-log", "--log-level", "info"],
    );
    let url = "/x%22y?q=\"1\"";
    express.curl(url, &["-A", "my \"agent\" ü", "-e", "http://r.test/", "-u", "a:b"]);
    express
        .wait("a line of access", |express| express.folder.read("root/access_log").ends_with('\n'));
    assert_eq!(express.stop(), 0);

    let access = objects(&express.folder.read("root/access_log"));
    let line = access.last().unwrap();
    for (name, value) in [
        ("client", Value::from("127.0.0.1")),
        ("method", "GET".into()),
        ("path", "/x\"y".into()),
        ("query", "?q=\"1\"".into()),
        ("protocol", "HTTP/1.1".into()),
        ("status", 200.into()),
        ("bytes", 4.into()),
        ("referer", "http://r.test/".into()),
        ("user_agent", "my \"agent\" ü".into()),
        ("host", format!("127.0.0.1:{}", express.port).into()),
    ] {
        assert_eq!(line[name], value, "{name} of {line}");
    }
    assert!(line["duration_us"].as_u64().unwrap() > 0, "{line}");
    let time = line["time"].as_str().unwrap();
    assert!(time.len() == "2026-01-02T03:04:05.000006+0000".len() && time.contains('T'), "{time}");

    // All that was said is there, to the last line of the end.
    let log = objects(&express.log());
    let has = |module: &str, level: &str, text: &str| {
        log.iter().any(|line| {
            line["module"] == module
                && line["level"] == level
                && line["message"].as_str().unwrap().contains(text)
                && line["pid"].is_u64()
                && line["time"].as_str().unwrap().contains('T')
        })
    };
    assert!(has("wsgi", "error", "a \"b\" \\ \tü"), "{}", express.log());
    assert!(has("mpm_event", "notice", "shutting down"), "{}", express.log());
}

#[test]
fn logs_in_json_are_rotated_too() {
    let mut express = Express::of(speaking(), &["app.wsgi", "--json-logs", "--rotate-logs"]);
    express.ask("/");
    let files = |express: &Express| -> Vec<String> {
        let items = std::fs::read_dir(express.folder.path("root")).unwrap().flatten();
        let names = items.map(|item| item.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with("error_log.")).collect()
    };
    express.wait("a rotated log", |express| {
        files(express).iter().any(|name| !express.folder.read(&format!("root/{name}")).is_empty())
    });
    for name in files(&express) {
        objects(&express.folder.read(&format!("root/{name}")));
    }
}

#[test]
fn logs_in_json_go_to_the_terminal() {
    let mut express = Express::of(
        speaking(),
        &["app.wsgi", "--json-logs", "--log-to-terminal", "--access-log", "--log-level", "info"],
    );
    express.ask("/page");
    express.wait("both logs", |express| {
        let out = express.folder.read("out");
        out.contains("\"/page\"") && out.contains('ü')
    });
    // The summary comes before.
    let out = express.folder.read("out");
    let lines: Vec<&str> = out.lines().skip_while(|line| !line.starts_with('{')).collect();
    let objects = objects(&lines.join("\n"));
    assert!(objects.iter().any(|line| line["path"] == "/page"), "{out}");
    assert!(objects.iter().any(|line| line["module"] == "wsgi"), "{out}");
}

#[test]
fn a_format_of_ones_own_is_no_json() {
    let folder = Folder::new();
    for option in ["--access-log-format", "--error-log-format"] {
        let outcome = folder.set_up(&["app.wsgi", "--json-logs", option, "x"]).expect(2);
        assert!(outcome.stderr.contains(option), "{}", outcome.stderr);
    }
}

#[test]
fn check_loads_the_application_once() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("tmp")).unwrap();
    folder.write("lib/helper.py", "VALUE = 1\n");
    folder.write("good.wsgi", "import helper\ndef application(e, s): return []\n");
    folder.write("missing.wsgi", "import no_such_module\n");
    folder.write("nameless.wsgi", "def app(e, s): return []\n");
    folder.write("uncallable.wsgi", "application = 3\n");
    for (words, code, said) in [
        (&["good.wsgi", "--python-path", "lib"][..], 0, "good.wsgi: loads"),
        (
            &["helper", "--application-type", "module", "--python-path", "lib"],
            1,
            "no `application`",
        ),
        (&["good.wsgi"], 1, "No module named 'helper'"),
        (&["missing.wsgi"], 1, "No module named 'no_such_module'"),
        (&["missing.wsgi"], 1, "does not load"),
        (&["nameless.wsgi"], 1, "has no `application`"),
        (&["nameless.wsgi", "--callable-object", "app"], 0, "loads"),
        (&["uncallable.wsgi"], 1, "`application` is not callable: 3"),
    ] {
        let outcome = folder.set_up(&[words, &["--check"]].concat()).expect(code);
        assert!(outcome.stderr.contains(said), "{words:?}\n{}", outcome.stderr);
    }
    assert!(!folder.path("root").exists(), "something was written");
}
