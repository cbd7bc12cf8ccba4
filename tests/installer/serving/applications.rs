//! Real frameworks, as people serve them: in a virtual environment.

use std::path::Path;

use super::wire::Reply;
use super::{Instance, REASON, Site};
use crate::sandbox::sha256;
use crate::serving::venv::venv;

#[test]
fn the_validator_of_the_standard_library_finds_nothing() {
    let instance = Instance::serving("validated", "");
    assert_eq!(instance.get("/hello").expect(200).text(), "hello");
    let head = instance.send("HEAD", "/hello", &[], b"").expect(200);
    assert_eq!((head.header("content-length"), head.text().as_str()), (Some("5"), ""));
    let long = vec![b'x'; 300_000];
    for body in [&b""[..], b"short", &long] {
        assert_eq!(instance.post("/read", body).expect(200).body, body);
    }
    assert_eq!(instance.post("/lines", b"one\ntwo\nthree\nfour").text(), "one|two|three|four");
    assert_eq!(instance.post("/lines", b"").expect(200).text(), "");
    assert_eq!(instance.get("/written").expect(200).text(), "written returned");
    assert_eq!(instance.get("/empty").expect(204).text(), "");
    let log = instance.logs("a line from the validated application");
    assert!(!log.contains("Error") && !log.contains("garbage collected"), "{log}");
    instance.get("/wrong").expect(500);
    instance.logs("AssertionError: You should not return a string");
}

#[test]
fn flask_serves_forms_uploads_streams_and_sessions() {
    let instance = serving("flasked");
    let reply = instance.get("/hello/caf%C3%A9?q=a%26b").expect(200);
    assert_eq!(reply.json(), serde_json::json!({"hello": "caf\u{e9}", "question": "a&b"}));
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let reply = instance.send("POST", "/form", &form, b"b=2+3&a=caf%C3%A9").expect(200);
    assert_eq!(String::from_utf8(reply.body).unwrap(), "a=caf\u{e9}|b=2 3");

    let large: Vec<u8> = (0..2_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let (kind, body) = multipart("", &[("small.txt", b"small"), ("large.bin", &large)]);
    let reply = instance.send("POST", "/upload", &[("Content-Type", &kind)], &body).expect(200);
    let digests = format!("small.txt {}\nlarge.bin {}", sha256(b"small"), sha256(&large));
    assert_eq!(reply.text(), digests);

    let reply = instance.get("/stream").expect(200);
    assert_eq!((reply.text().lines().count(), reply.complete), (1000, true));
    assert!(reply.text().ends_with("/stream 999\n"), "{reply:?}");
    let mut cookies = Cookies::default();
    for visit in ["1", "2", "3"] {
        let reply = cookies.send(&instance, "GET", "/visits", &[], b"").expect(200);
        assert_eq!(reply.text(), visit, "the session is lost");
    }
    assert_eq!(cookies.value("plain"), "biscuit");
    instance.get("/nowhere").expect(404);
    let reply = instance.send("HEAD", "/stream", &[], b"").expect(200);
    assert_eq!(reply.text(), "");
    instance.get("/fails").expect(500);
    instance.logs("ValueError: in a view");
}

#[test]
fn django_serves_its_admin_with_sessions_and_csrf() {
    let instance = serving("django/site");
    let mut cookies = Cookies::default();
    let away = cookies.send(&instance, "GET", "/admin/", &[], b"").expect(302);
    assert_eq!(away.header("location"), Some("/admin/login/?next=/admin/"));
    let page = cookies.send(&instance, "GET", "/admin/login/", &[], b"").expect(200);
    let token = token_in(&page);
    let form = [("Content-Type", "application/x-www-form-urlencoded")];
    let login = |token: &str, password: &str| {
        format!("csrfmiddlewaretoken={token}&username=admin&password={password}&next=/admin/")
    };
    let forged = login("forged", "open+sesame");
    let mut send =
        |body: String| cookies.send(&instance, "POST", "/admin/login/", &form, body.as_bytes());
    send(forged).expect(403);
    assert!(send(login(&token, "wrong")).expect(200).text().contains("errornote"));
    let inside = send(login(&token, "open+sesame")).expect(302);
    assert_eq!(inside.header("location"), Some("/admin/"));
    let page = cookies.send(&instance, "GET", "/admin/", &[], b"").expect(200);
    assert!(page.text().contains("Site administration"), "{}", page.text());
    let page = cookies.send(&instance, "GET", "/admin/auth/user/", &[], b"").expect(200);
    assert!(page.text().contains("admin@example.com"), "{}", page.text());
    cookies.send(&instance, "GET", "/nowhere/", &[], b"").expect(404);
    let token = token_in(&page);

    // Larger than what Django keeps in memory.
    let large: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    for (data, class) in [(&b"small"[..], "InMemory"), (&large, "Temporary")] {
        let (kind, body) = multipart(&token, &[("file.bin", data)]);
        let header = [("Content-Type", kind.as_str())];
        let reply = cookies.send(&instance, "POST", "/upload/", &header, &body).expect(200);
        let told = format!("{class}UploadedFile {} {}", data.len(), sha256(data));
        assert_eq!(reply.text(), told);
    }
    let reply = instance.get("/stream/").expect(200);
    assert_eq!((reply.text().lines().count(), reply.complete), (1000, true));
}

/// Django hands files to `wsgi.file_wrapper`.
#[test]
fn django_serves_its_static_files() {
    let instance = serving("django/site");
    let reply = instance.get("/static/admin/css/base.css").expect(200);
    let file = venv().packages.join("django/contrib/admin/static/admin/css/base.css");
    assert_eq!(reply.body, std::fs::read(file).unwrap());
    assert_eq!(reply.header("content-type"), Some("text/css"));
    let changed = reply.header("last-modified").unwrap();
    let header = [("If-Modified-Since", changed)];
    instance.send("GET", "/static/admin/css/base.css", &header, b"").expect(304);
    instance.get("/static/admin/css/absent.css").expect(404);
}

/// An extension that may be loaded into the main interpreter alone.
#[test]
fn numpy_works_in_the_main_interpreter() {
    // One thread alone: it serves both interpreters in turn.
    let directives = format!(
        "WSGIPythonHome \"{}\"\n\
         WSGIScriptAlias /sub \"SITE/apps/ask.wsgi\" application-group=sub\n\
         WSGIScriptAlias /numpy \"SITE/apps/counted.wsgi\" application-group=%{{GLOBAL}}\n\
         ThreadsPerChild 1\nMaxRequestWorkers 1",
        venv().home.display()
    );
    let instance = Instance::with_options(Site::new(), "threads=1", &directives);
    let sub = || instance.ask_at("/sub", "__import__('threading').get_ident()");
    let thread = sub();
    assert_eq!(instance.get("/numpy/thread").expect(200).text(), thread, "not the same thread");
    for _again in 0..3 {
        assert_eq!(instance.get("/numpy/solve").expect(200).text(), "True");
        assert_eq!(instance.get("/numpy/sum").expect(200).text(), "500000500000");
        assert_eq!(sub(), thread);
        assert_eq!(instance.get("/numpy/random").expect(200).text(), "(1000,)");
    }
    let file = instance.get("/numpy/module").text();
    assert!(Path::new(&file).starts_with(&venv().home), "{file}");
}

#[test]
fn the_home_may_be_an_environment_with_packages() {
    let instance = serving("ask");
    let home = venv().home.to_str().unwrap();
    for group in ["/", "/main"] {
        let answer = |code: &str| instance.ask_at(group, code);
        assert_eq!(answer("sys.prefix"), format!("'{home}'"));
        assert_eq!(answer("sys.exec_prefix"), format!("'{home}'"));
        assert_eq!(answer("__import__('flask').__file__.startswith(sys.prefix)"), "True");
        let packages = answer("[path for path in sys.path if 'site-packages' in path]");
        assert_eq!(packages, format!("['{}']", venv().packages.display()));
        // Children of an application find the same environment.
        let code = "import subprocess\nanswer = subprocess.run([sys.executable, '-c', 'import sys; print(sys.prefix)'], \
                    capture_output=True, text=True).stdout.strip()\n";
        assert_eq!(answer(code), format!("'{home}'"), "{}", answer("sys.executable"));
    }
}

#[test]
fn a_path_file_may_bring_in_the_packages_of_an_environment() {
    let site = Site::new();
    let packages = venv().packages.display();
    site.write("path/packages.pth", &format!("{packages}\nimport sys; sys.told = 'by the file'\n"));
    let directives = "WSGIScriptAlias / \"SITE/apps/ask.wsgi\"\nWSGIPythonPath \"SITE/path\"";
    let instance = Instance::with_options(site, "python-path=SITE/path", directives);
    assert_eq!(instance.ask("sys.told"), "'by the file'");
    assert_eq!(
        instance.ask("__import__('flask').__file__"),
        format!("'{packages}/flask/__init__.py'")
    );
    assert_eq!(instance.ask("sys.prefix == sys.base_prefix"), "True");
}

#[test]
fn every_mpm_serves_the_same() {
    for mpm in ["worker", "prefork"] {
        let mut instance = with_frameworks(
            mpm,
            "WSGIScriptAlias /flask \"SITE/apps/flasked.wsgi\" application-group=flask\n\
             WSGIScriptAlias /numpy \"SITE/apps/counted.wsgi\" application-group=%{GLOBAL}\n\
             WSGIScriptAlias /ending \"SITE/apps/ending.wsgi\" application-group=flask\nSetEnv KEPT \"SITE/kept\"",
        );
        for _again in 0..3 {
            assert_eq!(instance.get("/flask/hello/me").json()["hello"], "me", "{mpm}");
            assert_eq!(instance.get("/numpy/solve").expect(200).text(), "True", "{mpm}");
        }
        let large = vec![b'x'; 1_000_000];
        let (kind, body) = multipart("", &[("large", &large)]);
        let header = [("Content-Type", kind.as_str())];
        let reply = instance.send("POST", "/flask/upload", &header, &body).expect(200);
        assert_eq!(reply.text(), format!("large {}", sha256(&large)), "{mpm}");
        let reply = instance.get("/flask/stream").expect(200);
        assert_eq!((reply.text().lines().count(), reply.complete), (1000, true), "{mpm}");
        instance.get("/ending").expect(200);
        instance.stop();
        let notes = instance.site.read("kept/notes");
        let expected = format!("process_stopping in flask '{REASON}'\natexit in flask\n");
        assert_eq!(notes, expected, "{mpm}");
    }
}

/// A server whose Python is that of the virtual environment.
fn with_frameworks(mpm: &str, directives: &str) -> Instance {
    let home = venv().home.display();
    Instance::with_mpm(mpm, &format!("WSGIPythonHome \"{home}\"\n{directives}"))
}

/// The application `name` at `/`, and at `/main` in the main interpreter.
fn serving(name: &str) -> Instance {
    with_frameworks(
        "event",
        &format!(
            "WSGIScriptAlias /main \"SITE/apps/{name}.wsgi\" application-group=%{{GLOBAL}}\n\
             WSGIScriptAlias / \"SITE/apps/{name}.wsgi\""
        ),
    )
}

/// The cookies of one browser.
#[derive(Default)]
struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Sends a request with the cookies so far, and keeps those of the reply.
    fn send(
        &mut self,
        instance: &Instance,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let cookies: Vec<String> =
            self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let headers = [headers, &[("Cookie", &cookies)]].concat();
        let reply = instance.send(method, target, &headers, body);
        for cookie in reply.all("set-cookie") {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.0.retain(|(known, _)| known != name);
            self.0.push((name.to_owned(), value.to_owned()));
        }
        reply
    }

    #[track_caller]
    fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(known, _)| known == name);
        &found.unwrap_or_else(|| panic!("no cookie {name}: {:?}", self.0)).1
    }
}

/// The token against forged requests in a page of Django's.
#[track_caller]
fn token_in(page: &Reply) -> String {
    let text = page.text();
    let from = text.split_once("name=\"csrfmiddlewaretoken\" value=\"");
    from.unwrap_or_else(|| panic!("no token in the page: {text}")).1[..64].to_owned()
}

/// A form with files, and its content type.
fn multipart(token: &str, files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "----between-the-parts";
    let mut body = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"csrfmiddlewaretoken\"\r\n\r\n{token}\r\n"
    )
    .into_bytes();
    for (name, data) in files {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend([head.as_bytes(), data, b"\r\n"].concat());
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}
