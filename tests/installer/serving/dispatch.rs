//! A script that chooses for each request where it runs and what is called.
//!
//! `dispatch.wsgi` answers with an expression that the request brings along.

use super::{DAEMON, GROUP, Instance, NAMED, Reply, Site};

const DISPATCH: &str = "WSGIDispatchScript \"SITE/apps/dispatch.wsgi\"";

/// A request that brings one expression along.
fn choose(instance: &Instance, target: &str, header: &str, answer: &str) -> Reply {
    instance.send("GET", target, &[(header, answer)], b"")
}

/// The part of the log that a request adds.
#[track_caller]
fn failure(instance: &Instance, target: &str, header: &str, answer: &str) -> String {
    let before = instance.log().len();
    choose(instance, target, header, answer).expect(500);
    instance.log()[before..].to_owned()
}

#[test]
fn the_application_group_may_be_chosen() {
    let instance = Instance::new(&format!(
        "WSGIScriptAlias /app \"SITE/apps/environ.wsgi\"\nWSGIApplicationGroup configured\n\
         SetEnv NAME named\nSetEnv AGAIN %{{SERVER}}\n{DISPATCH}"
    ));
    let server = format!("localhost:{}", instance.port);
    let resource = format!("{server}|/app");
    for (answer, group) in [
        ("None", "configured"),
        ("'chosen'", "chosen"),
        ("b'chosen bytes'", "chosen bytes"),
        ("'caf\\xe9'", "caf\u{e9}"),
        ("''", ""),
        ("'%{GLOBAL}'", ""),
        ("b'%{GLOBAL}'", ""),
        ("'%{SERVER}'", &server),
        ("'%{HOST}'", &server),
        ("'%{RESOURCE}'", &resource),
        ("'%{ENV:NAME}'", "named"),
        ("'%{ENV:AGAIN}'", &server),
        ("'%{ENV:UNSET}'", "%{ENV:UNSET}"),
        ("'%{ODD}'", "%{ODD}"),
    ] {
        let environ = choose(&instance, "/app", "X-Group", answer).expect(200).json();
        assert_eq!(environ["mod_wsgi.application_group"][1], group, "{answer}");
        assert_eq!(environ["mod_wsgi.process_group"][1], GROUP, "{answer}");
        assert_eq!(environ["mod_wsgi.callable_object"][1], "application", "{answer}");
    }
}

#[test]
fn the_callable_may_be_chosen() {
    let instance = Instance::serving("names", &format!("SetEnv NAME other\n{DISPATCH}"));
    for (answer, status, text) in [
        ("None", 200, "default application"),
        ("'other'", 200, "other other"),
        ("b'other'", 200, "other other"),
        ("'Class'", 200, "class"),
        ("'%{ENV:NAME}'", 200, "other other"),
        ("'%{ENV:UNSET}'", 200, "default application"),
        ("'%{GLOBAL}'", 200, "default application"),
        ("'missing'", 404, ""),
    ] {
        let reply = choose(&instance, "/", "X-Callable", answer).expect(status);
        assert!(status == 404 || reply.text() == text, "{answer}: {reply:?}");
    }
    instance.logs("WSGI0089");
    let both = [("X-Callable", "'other'"), ("X-Group", "'one'"), ("X-Process", "'%{GLOBAL}'")];
    assert_eq!(instance.send("GET", "/", &both, b"").expect(200).text(), "other other");
    instance.logs("sub-interpreter 'one'");
}

#[test]
fn the_process_group_may_be_chosen() {
    let instance = Instance::new(&format!(
        "WSGIScriptAlias / \"SITE/apps/environ.wsgi\"\n{DISPATCH}\nSetEnv NAME named\n\
         <Location /unknown>\nWSGIProcessGroup nowhere\n</Location>\n\
         <Location /limited>\nWSGIProcessGroup allowed\nWSGIRestrictProcess allowed\n</Location>"
    ));
    for (target, answer, group) in [
        ("/", "None", GROUP),
        ("/", "'%{GLOBAL}'", ""),
        ("/", "b'%{GLOBAL}'", ""),
        ("/", "''", ""),
        ("/unknown", "'%{GLOBAL}'", ""),
        ("/unknown", &format!("'{NAMED}'"), GROUP),
    ] {
        let environ = choose(&instance, target, "X-Process", answer).expect(200).json();
        assert_eq!(environ["mod_wsgi.process_group"][1], group, "{target} {answer}");
    }
    // There may be no group at all.
    let absent = if DAEMON { "WSGI0151" } else { "WSGI0150" };
    for (target, answer, name, code) in [
        ("/", "'absent'", "absent", absent),
        ("/", "b'absent'", "absent", absent),
        ("/", "'%{ENV:NAME}'", "named", absent),
        ("/", "'%{RESOURCE}'", "localhost:", absent),
        ("/unknown", "None", "nowhere", absent),
        ("/limited", "'other'", "other", "WSGI0149"),
        // What is allowed is what was chosen in the end.
        ("/limited", "'%{GLOBAL}'", "", "WSGI0149"),
    ] {
        let log = failure(&instance, target, "X-Process", answer);
        assert!(log.contains(&format!("{code}: ")), "{answer}\n{log}");
        assert!(log.contains(&format!("called '{name}")), "{answer}\n{log}");
    }
}

#[test]
fn a_choice_that_is_none_stops_the_request() {
    let instance = Instance::serving("names", DISPATCH);
    for header in ["X-Process", "X-Group", "X-Callable"] {
        for (answer, text) in [
            ("5", "TypeError: "),
            ("False", "TypeError: "),
            ("['x']", "TypeError: "),
            ("bytearray(b'x')", "TypeError: "),
            ("'\\u20ac'", "non 'latin-1' characters"),
            ("[].pop()", "IndexError: pop from empty list"),
            ("exit(3)", "WSGI0175"),
        ] {
            let log = failure(&instance, "/", header, answer);
            assert!(log.contains(text), "{header} {answer}: `{text}` is not in\n{log}");
        }
    }
    choose(&instance, "/", "X-Group", "None").expect(200);
}

/// In the original the request goes on with the configured values, which is a way
/// round the script.
#[test]
fn a_script_that_cannot_be_loaded_stops_the_request() {
    let site = Site::new();
    site.write("apps/syntax.wsgi", "def (\n");
    site.write("apps/fails.wsgi", "raise RuntimeError('while loading')\n");
    site.write("apps/exits.wsgi", "raise SystemExit(1)\n");
    let places: String = ["syntax", "fails", "exits", "absent"]
        .iter()
        .map(|name| {
            format!("<Location /{name}>\nWSGIDispatchScript SITE/apps/{name}.wsgi\n</Location>\n")
        })
        .collect();
    let directives = format!("WSGIScriptAlias / \"SITE/apps/names.wsgi\"\n{places}");
    let instance = Instance::of(site, "event", &directives);
    for (target, text) in [
        ("/syntax", "SyntaxError"),
        ("/fails", "RuntimeError: while loading"),
        ("/exits", "SystemExit"),
        ("/absent", "absent.wsgi"),
    ] {
        for _again in 0..2 {
            let log = failure(&instance, target, "X-Group", "None");
            assert!(log.contains(text), "{target}\n{log}");
        }
    }
    instance.get("/").expect(200);
}

#[test]
fn a_function_may_be_missing_but_must_be_one() {
    let site = Site::new();
    site.write("apps/empty.wsgi", "");
    site.write("apps/text.wsgi", "application_group = 'text'\n");
    let directives = "WSGIScriptAlias / \"SITE/apps/names.wsgi\"\n\
                      WSGIDispatchScript \"SITE/apps/empty.wsgi\"\n\
                      <Location /text>\nWSGIDispatchScript \"SITE/apps/text.wsgi\"\n</Location>";
    let instance = Instance::of(site, "event", directives);
    assert_eq!(instance.get("/").expect(200).text(), "default application");
    instance.get("/text").expect(500);
    instance.logs("TypeError: 'str' object is not callable");
}

#[test]
fn what_the_script_is_told_about_a_request() {
    let instance = Instance::serving(
        "names",
        &format!("WSGIApplicationGroup configured\nSetEnv MINE x\n{DISPATCH}"),
    );
    let tell = |expression: &str| {
        let told = format!("print('told', repr(({expression})))");
        choose(&instance, "/some/path?a=1", "X-Process", &told).expect(200);
        let log = instance.log();
        log.rsplit_once("told ").unwrap().1.lines().next().unwrap().to_owned()
    };
    // A connection has an id only where httpd needed one.
    let keys =
        "[key for key in sorted(environ) if key != 'mod_wsgi.connection_id' and '.x-' not in key]";
    assert_eq!(tell(keys), KEYS);
    for (expression, text) in [
        ("environ['SCRIPT_NAME'], environ['PATH_INFO']", "('', '/some/path')"),
        ("environ['QUERY_STRING'], environ['MINE']", "('a=1', 'x')"),
        (
            "{type(value).__name__ for value in environ.values()} == {'str', 'TextIOWrapper'}",
            "True",
        ),
        ("environ['mod_wsgi.process_group'], environ['mod_wsgi.application_group']", "('', '')"),
        ("mod_wsgi.process_group, mod_wsgi.application_group", "('', '')"),
        ("environ['mod_wsgi.request_handler']", "'wsgi-script'"),
        ("environ['mod_wsgi.server_pid'] == str(__import__('os').getpid())", "True"),
    ] {
        assert_eq!(tell(expression), text, "{expression}");
    }
    // One dictionary for the three, in this order.
    let headers = [
        ("X-Process", "environ.update(mark=['process'])"),
        ("X-Group", "environ['mark'].append('group')"),
        ("X-Callable", "environ['wsgi.errors'].write(f\"order {environ['mark']}\\n\") and None"),
    ];
    instance.send("GET", "/", &headers, b"").expect(200);
    let log = instance.logs("order ['process', 'group']");
    let line = log.lines().find(|line| line.contains("order [")).unwrap();
    assert!(line.contains("[client 127.0.0.1:") && line.contains("names.wsgi]"), "{line}");
}

const KEYS: &str = "['CONTEXT_DOCUMENT_ROOT', 'CONTEXT_PREFIX', 'DOCUMENT_ROOT', 'HTTP_CONNECTION', 'HTTP_HOST', \
    'HTTP_X_PROCESS', 'MINE', 'PATH_INFO', 'QUERY_STRING', 'REMOTE_ADDR', 'REMOTE_PORT', 'REQUEST_METHOD', \
    'REQUEST_SCHEME', 'REQUEST_URI', 'SCRIPT_FILENAME', 'SCRIPT_NAME', 'SERVER_ADDR', 'SERVER_ADMIN', \
    'SERVER_NAME', 'SERVER_PORT', 'SERVER_PROTOCOL', 'SERVER_SOFTWARE', 'mod_wsgi.application_group', \
    'mod_wsgi.handler_script', 'mod_wsgi.listener_host', 'mod_wsgi.listener_port', 'mod_wsgi.path_info', \
    'mod_wsgi.process_group', 'mod_wsgi.request_handler', 'mod_wsgi.request_id', 'mod_wsgi.script_name', \
    'mod_wsgi.server_pid', 'wsgi.errors']";

#[test]
fn the_script_runs_in_the_group_of_its_option() {
    let mut directives = String::from("WSGIApplicationGroup configured\nSetEnv NAME x\n");
    let options = ["", "%{GLOBAL}", "%{SERVER}", "%{RESOURCE}", "%{ENV:NAME}", "mine"];
    for (number, group) in options.iter().enumerate() {
        let option =
            if group.is_empty() { String::new() } else { format!(" application-group={group}") };
        directives += &format!("<Location /{number}>\n{DISPATCH}{option}\n</Location>\n");
    }
    let instance = Instance::serving("environ", &directives);
    let server = format!("localhost:{}", instance.port);
    let groups = ["", "", &server, "%{RESOURCE}", "%{ENV:NAME}", "mine"];
    for (number, group) in groups.iter().enumerate() {
        let answer =
            "'in ' + mod_wsgi.application_group + ' ' + environ['mod_wsgi.application_group']";
        let reply = choose(&instance, &format!("/{number}"), "X-Group", answer).expect(200);
        let found = &reply.json()["mod_wsgi.application_group"][1];
        assert_eq!(found, &format!("in {group} {group}"), "{number}");
    }
}

#[test]
fn a_changed_script_is_loaded_again() {
    let instance = {
        let site = Site::new();
        site.write("apps/mine.wsgi", "def callable_object(environ):\n    return 'other'\n");
        let directives = "WSGIScriptAlias / \"SITE/apps/names.wsgi\"\n\
                          WSGIDispatchScript \"SITE/apps/mine.wsgi\"\n\
                          <Location /kept>\nWSGIScriptReloading Off\n\
                          WSGIDispatchScript \"SITE/apps/kept.wsgi\"\n</Location>";
        site.write("apps/kept.wsgi", &site.read("apps/mine.wsgi"));
        Instance::of(site, "event", directives)
    };
    for target in ["/", "/kept"] {
        assert_eq!(instance.get(target).text(), "other other");
    }
    for script in ["mine", "kept"] {
        let text = "def callable_object(environ):\n    return 'Class'\n";
        instance.site.write(&format!("apps/{script}.wsgi"), text);
    }
    assert_eq!(instance.get("/").text(), "class");
    assert_eq!(instance.get("/kept").text(), "other other");
}

#[test]
fn the_innermost_script_chooses() {
    let instance = {
        let site = Site::new();
        for name in ["outer", "inner"] {
            let text = format!("def application_group(environ):\n    return '{name}'\n");
            site.write(&format!("apps/{name}.wsgi"), &text);
        }
        let directives = "WSGIScriptAlias / \"SITE/apps/environ.wsgi\"\n\
                          WSGIDispatchScript \"SITE/apps/outer.wsgi\"\n\
                          <Location /in>\nWSGIDispatchScript \"SITE/apps/inner.wsgi\"\n</Location>";
        Instance::of(site, "event", directives)
    };
    for (target, group) in [("/", "outer"), ("/in", "inner")] {
        let environ = instance.get(target).expect(200).json();
        assert_eq!(environ["mod_wsgi.application_group"][1], group, "{target}");
    }
}

/// Handler scripts are dispatched as well.
#[test]
fn a_handler_script_may_be_dispatched() {
    let instance = Instance::new(&format!(
        "WSGIHandlerScript mine \"SITE/apps/handler.wsgi\"\nAddHandler mine .mine\n{DISPATCH}"
    ));
    instance.site.write("htdocs/page.mine", "not shown");
    let reply = choose(&instance, "/page.mine", "X-Group", "'chosen'").expect(200);
    assert_eq!(reply.text().lines().nth(3), Some("chosen"));
}
