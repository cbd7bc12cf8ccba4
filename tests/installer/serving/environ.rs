//! What an application finds in its environ.

use serde_json::{Value, json};

use super::{DAEMON, GROUP, Instance, Reply};

#[test]
fn the_environ_of_a_plain_request() {
    let instance = Instance::new(&at("/app"));
    let environ = Environ::of(instance.get("/app/some/path?a=1&b=%20"));
    let port = instance.port.to_string();
    let path = |below: &str| instance.site.path(below).to_str().unwrap().to_owned();
    let script = path("apps/environ.wsgi");
    let texts: Vec<(&str, &str)> = vec![
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", "/app"),
        ("PATH_INFO", "/some/path"),
        ("QUERY_STRING", "a=1&b=%20"),
        ("REQUEST_URI", "/app/some/path?a=1&b=%20"),
        ("SERVER_NAME", "localhost"),
        ("SERVER_PORT", &port),
        ("SERVER_ADDR", "127.0.0.1"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REQUEST_SCHEME", "http"),
        ("SCRIPT_FILENAME", &script),
        ("HTTP_CONNECTION", "close"),
        ("wsgi.url_scheme", "http"),
        ("mod_wsgi.process_group", GROUP),
        ("mod_wsgi.callable_object", "application"),
        ("mod_wsgi.request_handler", "wsgi-script"),
        ("mod_wsgi.handler_script", ""),
        ("mod_wsgi.script_name", "/app"),
        ("mod_wsgi.path_info", "/some/path"),
        ("mod_wsgi.listener_port", &port),
    ];
    for (key, value) in texts {
        assert_eq!(environ.get(key), json!(["str", value]), "{key}");
    }
    assert_eq!(environ.text("HTTP_HOST"), format!("localhost:{port}"));
    assert_eq!(environ.text("DOCUMENT_ROOT"), path("htdocs"));
    assert_eq!(environ.text("mod_wsgi.application_group"), format!("localhost:{port}|/app"));
    for (key, value) in [
        ("wsgi.version", json!(["tuple", [1, 0]])),
        ("wsgi.multithread", json!(["bool", true])),
        ("wsgi.multiprocess", json!(["bool", false])),
        ("wsgi.run_once", json!(["bool", false])),
        ("wsgi.input_terminated", json!(["bool", true])),
    ] {
        assert_eq!(environ.get(key), value, "{key}");
    }
    for (key, kind) in [
        ("SERVER_SOFTWARE", "str"),
        ("SERVER_ADMIN", "str"),
        ("REMOTE_PORT", "str"),
        ("CONTEXT_PREFIX", "str"),
        ("CONTEXT_DOCUMENT_ROOT", "str"),
        ("wsgi.input", "Input"),
        ("wsgi.errors", "TextIOWrapper"),
        ("wsgi.file_wrapper", "type"),
        ("apache.version", "tuple"),
        ("mod_wsgi.version", "tuple"),
        ("mod_wsgi.listener_host", "str"),
        ("mod_wsgi.request_id", "str"),
        ("mod_wsgi.server_pid", "str"),
        ("mod_wsgi.thread_id", "int"),
        ("mod_wsgi.request_start", "float"),
        ("mod_wsgi.queue_start", "float"),
        ("mod_wsgi.daemon_start", "float"),
        ("mod_wsgi.application_start", "float"),
    ] {
        assert_eq!(environ.get(key)[0], kind, "{key}");
    }
    assert!(environ.text("SERVER_SOFTWARE").starts_with("Apache/2.4."));
    assert_eq!(environ.get("apache.version")[1][0], 2);
    for key in ["apache.version", "mod_wsgi.version"] {
        let parts = environ.get(key)[1].as_array().unwrap().clone();
        assert!(parts.len() == 3 && parts.iter().all(Value::is_u64), "{key}: {parts:?}");
    }
    for key in ["REMOTE_PORT", "mod_wsgi.server_pid"] {
        assert!(environ.text(key).parse::<u32>().unwrap() > 0, "{key}");
    }
    assert!(environ.get("mod_wsgi.thread_id")[1].as_u64().unwrap() >= 1);
    let [started, queued, taken, called] = ["request", "queue", "daemon", "application"]
        .map(|phase| environ.get(&format!("mod_wsgi.{phase}_start"))[1].as_f64().unwrap());
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
    let times = format!("{started} {queued} {taken} {called} {now}");
    assert!(started <= called && called <= now && now - started < 600.0, "{times}");
    if DAEMON {
        assert!(started <= queued && queued <= taken && taken <= called, "{times}");
    } else {
        assert_eq!((queued, taken), (0.0, 0.0), "an embedded one has no queue");
    }
}

#[test]
fn keys_that_an_application_does_not_see() {
    let instance = Instance::new(&at("/app"));
    let environ = Environ::of(instance.get("/app"));
    for key in [
        "CONTENT_TYPE",
        "CONTENT_LENGTH",
        "GATEWAY_INTERFACE",
        "PATH_TRANSLATED",
        "SERVER_SIGNATURE",
        "REMOTE_HOST",
        "REMOTE_IDENT",
        "REMOTE_USER",
        "AUTH_TYPE",
        "PATH",
        "LD_LIBRARY_PATH",
        "HTTPS",
        "HTTP_AUTHORIZATION",
        "HTTP_PROXY",
        "apache.request_rec",
        "mod_wsgi.mount_point",
    ] {
        assert_eq!(environ.get(key), Value::Null, "{key}");
    }
    let keys = environ.0.as_object().unwrap().keys();
    let internal: Vec<&String> = keys.filter(|key| key.starts_with("mod_wsgi.x-")).collect();
    assert!(internal.is_empty(), "{internal:?}");
    assert_eq!(environ.text("PATH_INFO"), "", "present although empty");
    assert_eq!(environ.text("QUERY_STRING"), "", "present although empty");
}

#[test]
fn a_path_is_split_at_the_alias_and_its_slashes_collapse() {
    let instance =
        Instance::new(&format!("{}\n{}\nAllowEncodedSlashes On", at("/app"), at("/a/b")));
    for (target, script, info) in [
        ("/app", "/app", ""),
        ("/app/", "/app", "/"),
        ("/app//x///y", "/app", "/x/y"),
        ("//app/x", "/app", "/x"),
        ("/a//b/c", "/a/b", "/c"),
        ("/a///b//", "/a/b", "/"),
        ("/app/%41%20b", "/app", "/A b"),
        ("/app/a%2Fb", "/app", "/a/b"),
        ("/app/x/../y", "/app", "/y"),
        ("/app/%C3%A9", "/app", "/\u{c3}\u{a9}"),
    ] {
        let environ = Environ::of(instance.get(target));
        assert_eq!(environ.text("SCRIPT_NAME"), script, "{target}");
        assert_eq!(environ.text("PATH_INFO"), info, "{target}");
        assert_eq!(environ.text("mod_wsgi.script_name"), script, "{target}");
        assert_eq!(environ.text("REQUEST_URI"), target);
    }
}

#[test]
fn an_alias_for_everything_has_an_empty_script_name() {
    let instance = Instance::new(&at("/"));
    for (target, info) in [("/", "/"), ("/x/y", "/x/y"), ("//x", "/x")] {
        let environ = Environ::of(instance.get(target));
        assert_eq!(
            (environ.text("SCRIPT_NAME"), environ.text("PATH_INFO")),
            ("".into(), info.into())
        );
    }
}

#[test]
fn query_strings_come_as_they_were_sent() {
    let instance = Instance::new(&at("/app"));
    for query in ["", "x", "a=%2F%2f+b", "a=1&a=2;c", "x?y=/../z", "caf%C3%A9"] {
        let environ = Environ::of(instance.get(&format!("/app?{query}")));
        assert_eq!(environ.text("QUERY_STRING"), query);
        assert_eq!(environ.text("REQUEST_URI"), format!("/app?{query}"));
    }
}

#[test]
fn header_names_become_keys_unless_they_could_be_taken_for_others() {
    let instance = Instance::new(&at("/app"));
    let environ = Environ::of(instance.send(
        "GET",
        "/app",
        &[
            ("X-Plain", "one"),
            ("x-2nd-Name", "two"),
            ("X-Twice", "a"),
            ("X-Twice", "b"),
            ("X-Empty", ""),
            ("X_Under", "no"),
            ("X.Dot", "no"),
            ("X!Mark", "no"),
            ("Proxy", "http://127.0.0.1:9/"),
            ("Proxy-Connection", "yes"),
            ("Cookie", "a=b; c=d"),
            ("Content-Type", "text/x-test"),
        ],
        b"",
    ));
    for (key, value) in [
        ("HTTP_X_PLAIN", "one"),
        ("HTTP_X_2ND_NAME", "two"),
        ("HTTP_X_TWICE", "a, b"),
        ("HTTP_X_EMPTY", ""),
        ("HTTP_PROXY_CONNECTION", "yes"),
        ("HTTP_COOKIE", "a=b; c=d"),
        ("CONTENT_TYPE", "text/x-test"),
    ] {
        assert_eq!(environ.text(key), value, "{key}");
    }
    for key in [
        "HTTP_X_UNDER",
        "HTTP_X.DOT",
        "HTTP_X_DOT",
        "HTTP_X_MARK",
        "HTTP_X!MARK",
        "HTTP_PROXY",
        "HTTP_CONTENT_TYPE",
    ] {
        assert_eq!(environ.get(key), Value::Null, "{key}");
    }
}

#[test]
fn bytes_of_the_client_are_latin_1() {
    let instance = Instance::new(&at("/app"));
    let request = b"GET /app/%E9%FF HTTP/1.1\r\nHost: localhost\r\nX-Bytes: \xc3\xa9\xff\r\nConnection: close\r\n\r\n";
    let environ = Environ::of(instance.raw(request).reply("GET"));
    assert_eq!(environ.text("HTTP_X_BYTES"), "\u{c3}\u{a9}\u{ff}");
    assert_eq!(environ.text("PATH_INFO"), "/\u{e9}\u{ff}");
}

#[test]
fn the_length_and_type_of_a_body_are_there_if_sent() {
    let instance = Instance::new(&at("/app"));
    let environ =
        Environ::of(instance.send("POST", "/app", &[("Content-Type", "a/b; c=d")], b"12345"));
    assert_eq!(environ.text("CONTENT_LENGTH"), "5");
    assert_eq!(environ.text("CONTENT_TYPE"), "a/b; c=d");
    assert_eq!(environ.text("REQUEST_METHOD"), "POST");
    assert_eq!(environ.get("HTTP_CONTENT_LENGTH"), Value::Null);
}

#[test]
fn methods_come_as_they_were_sent() {
    let instance = Instance::new(&at("/app"));
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "MKCOL", "BREW"] {
        assert_eq!(
            Environ::of(instance.send(method, "/app", &[], b"")).text("REQUEST_METHOD"),
            method
        );
    }
}

#[test]
fn credentials_are_passed_only_when_told() {
    let instance = Instance::new(
        "WSGIScriptAlias /no \"SITE/apps/environ.wsgi\"\n\
         WSGIScriptAlias /yes \"SITE/apps/environ.wsgi\" pass-authorization=On\n\
         WSGIScriptAlias /off \"SITE/apps/environ.wsgi\" pass-authorization=Off\n\
         WSGIScriptAlias /there \"SITE/apps/environ.wsgi\"\n\
         WSGIScriptAlias /cgi \"SITE/apps/environ.wsgi\"\n\
         <Location /there>\nWSGIPassAuthorization On\n</Location>\n\
         <Location /off>\nWSGIPassAuthorization On\n</Location>\n\
         <Location /cgi>\nCGIPassAuth On\n</Location>",
    );
    for (target, passed) in
        [("/no", false), ("/yes", true), ("/off", false), ("/there", true), ("/cgi", true)]
    {
        let headers = [("Authorization", "Basic eDp5"), ("Proxy-Authorization", "Basic YTpi")];
        let environ = Environ::of(instance.send("GET", target, &headers, b""));
        let expected = if passed { json!(["str", "Basic eDp5"]) } else { Value::Null };
        assert_eq!(environ.get("HTTP_AUTHORIZATION"), expected, "{target}");
        let proxy = environ.get("HTTP_PROXY_AUTHORIZATION");
        assert_eq!(proxy != Value::Null, target == "/cgi", "{target}");
    }
}

#[test]
fn a_user_whom_httpd_knows_is_named() {
    let instance = Instance::new(&format!(
        "{}\n<Location /app>\nAuthType Basic\nAuthName test\nAuthUserFile \"SITE/apps/users\"\n\
         Require valid-user\n</Location>",
        at("/app")
    ));
    assert_eq!(instance.get("/app").status, 401);
    // user:secret
    let environ = Environ::of(instance.send(
        "GET",
        "/app",
        &[("Authorization", "Basic dXNlcjpzZWNyZXQ=")],
        b"",
    ));
    assert_eq!(
        (environ.text("REMOTE_USER"), environ.text("AUTH_TYPE")),
        ("user".into(), "Basic".into())
    );
    assert_eq!(environ.get("HTTP_AUTHORIZATION"), Value::Null);
}

#[test]
fn the_environment_of_other_modules_is_there() {
    let instance = Instance::new(&format!(
        "{}\nSetEnv FIRST value\nSetEnv my.key \"two words\"\nSetEnvIf X-Test (.*) SEEN=$1\n\
         SetEnv mod_wsgi.process_group mine\nSetEnv wsgi.errors mine\nSetEnv HTTP_X_SET header",
        at("/app")
    ));
    let environ = Environ::of(instance.send("GET", "/app", &[("X-Test", "\u{e9}")], b""));
    assert_eq!(environ.text("FIRST"), "value");
    assert_eq!(environ.text("my.key"), "two words");
    assert_eq!(environ.text("SEEN"), "\u{c3}\u{a9}", "latin-1, like everything");
    assert_eq!(environ.text("HTTP_X_SET"), "header");
    assert_eq!(environ.text("mod_wsgi.process_group"), GROUP);
    assert_eq!(environ.get("wsgi.errors")[0], "TextIOWrapper");
}

#[test]
fn the_scheme_follows_a_variable_that_is_then_taken_away() {
    let instance = Instance::new(&format!("{}\nSetEnvIf X-Secure (.+) HTTPS=$1", at("/app")));
    for (value, scheme) in [
        ("on", "https"),
        ("ON", "https"),
        ("1", "https"),
        ("off", "http"),
        ("0", "http"),
        ("yes", "http"),
    ] {
        let environ = Environ::of(instance.send("GET", "/app", &[("X-Secure", value)], b""));
        assert_eq!(environ.text("wsgi.url_scheme"), scheme, "{value}");
        assert_eq!(environ.get("HTTPS"), Value::Null, "{value}");
    }
}

#[test]
fn the_servers_name_is_the_clients_or_the_canonical_one() {
    let instance = Instance::new(&at("/app"));
    let host = [("X", "y")];
    let environ = Environ::of(instance.send("GET", "/app", &host, b""));
    assert_eq!(environ.text("SERVER_NAME"), "localhost");
    let ask = |instance: &Instance| {
        let request = "GET /app HTTP/1.1\r\nHost: other.test:81\r\nConnection: close\r\n\r\n";
        Environ::of(instance.raw(request.as_bytes()).reply("GET"))
    };
    let environ = ask(&instance);
    assert_eq!(environ.text("HTTP_HOST"), "other.test:81");
    assert_eq!(environ.text("SERVER_NAME"), "other.test");
    drop(instance);
    let canonical = Instance::new(&format!("{}\nUseCanonicalName On", at("/app")));
    assert_eq!(ask(&canonical).text("SERVER_NAME"), "localhost");
}

#[test]
fn an_internal_redirect_leaves_its_traces() {
    let instance = Instance::new(&format!(
        "{}\nErrorDocument 404 /app/missing\nSetEnv KEPT yes\n\
         RewriteEngine On\nRewriteRule ^/old/(.*)$ /app/$1 [PT]\n\
         <Location /cgivar>\nCGIVar REQUEST_URI current-uri\n</Location>",
        at("/app")
    ));
    let reply = instance.get("/nowhere?q=1");
    let environ = Environ(reply.json());
    for (key, value) in [
        ("REDIRECT_STATUS", "404"),
        ("REDIRECT_URL", "/nowhere"),
        ("REDIRECT_QUERY_STRING", "q=1"),
        ("REDIRECT_KEPT", "yes"),
        ("REQUEST_URI", "/nowhere?q=1"),
        ("SCRIPT_NAME", "/app"),
        ("PATH_INFO", "/missing"),
    ] {
        assert_eq!(environ.text(key), value, "{key}");
    }
    let environ = Environ::of(instance.get("/old/page"));
    assert_eq!(environ.text("SCRIPT_NAME"), "/app");
    assert_eq!(environ.text("PATH_INFO"), "/page");
    assert_eq!(environ.text("REQUEST_URI"), "/old/page");
}

#[test]
fn the_request_uri_may_be_that_of_the_redirect() {
    let instance = Instance::new(&format!(
        "{}\nErrorDocument 404 /app/missing\n<Location /app>\nCGIVar REQUEST_URI current-uri\n</Location>",
        at("/app")
    ));
    let environ = Environ(instance.get("/nowhere").json());
    assert_eq!(environ.text("REQUEST_URI"), "/app/missing");
}

#[test]
fn a_request_without_a_host_is_served_under_http_1_0() {
    let instance = Instance::new(&at("/app"));
    let environ = Environ::of(instance.raw(b"GET /app HTTP/1.0\r\n\r\n").reply("GET"));
    assert_eq!(environ.text("SERVER_PROTOCOL"), "HTTP/1.0");
    assert_eq!(environ.get("HTTP_HOST"), Value::Null);
    assert_eq!(environ.text("SERVER_NAME"), "localhost");
}

pub(super) fn at(url: &str) -> String {
    format!("WSGIScriptAlias {url} \"SITE/apps/environ.wsgi\"")
}

/// The environ as `environ.wsgi` shows it: for each key, type and value.
pub(super) struct Environ(Value);

impl Environ {
    #[track_caller]
    pub(super) fn of(reply: Reply) -> Self {
        Self(reply.expect(200).json())
    }

    /// `null` for a key that is not there.
    pub(super) fn get(&self, key: &str) -> Value {
        self.0[key].clone()
    }

    #[track_caller]
    fn text(&self, key: &str) -> String {
        let [kind, value] = self.0[key].as_array().unwrap_or_else(|| panic!("no {key}")).as_slice()
        else {
            panic!("{key}")
        };
        assert_eq!(kind, "str", "{key}");
        value.as_str().unwrap().to_owned()
    }
}
