//! Gates: scripts that are asked before a request is served, and the one about
//! its access.
//!
//! `gate.wsgi` answers with an expression that the request brings along. What
//! gates say about users is in `users.rs`, what they are told in `children/gates.rs`.

use super::{Instance, Site};
use crate::real::command;

/// user:secret
pub(super) const USER: (&str, &str) = ("Authorization", "Basic dXNlcjpzZWNyZXQ=");

/// Directives that let a script decide about access, a user or groups.
pub(super) fn gate(kind: &str, script: &str) -> String {
    let basic = "AuthType Basic\nAuthName realm\nAuthBasicProvider wsgi\nWSGIAuthUserScript";
    let digest = "AuthType Digest\nAuthName realm\nAuthDigestProvider wsgi\nWSGIAuthUserScript";
    let usual = "\"SITE/apps/gate.wsgi\"";
    let script = format!("\"SITE/apps/{script}.wsgi\"");
    match kind {
        "access" => format!("WSGIAccessScript {script}"),
        "user" => format!("{basic} {script}\nRequire valid-user"),
        "hash" => format!("{digest} {script}\nRequire valid-user"),
        _ => {
            format!("{basic} {usual}\nWSGIAuthGroupScript {script}\nRequire wsgi-group Staff other")
        }
    }
}

/// Directives for these places.
fn places(gates: &[(&str, &str)]) -> String {
    let place =
        |(place, gates): &(&str, &str)| format!("<Location {place}>\n{gates}\n</Location>\n");
    gates.iter().map(place).collect()
}

/// A server whose application shares an interpreter with the gates.
pub(super) fn guarded(gates: &[(&str, &str)]) -> Instance {
    Instance::serving("ask", &format!("WSGIApplicationGroup %{{GLOBAL}}\n{}", places(gates)))
}

/// What becomes of a request with that expression in that header, and what it
/// adds to the log.
#[track_caller]
pub(super) fn check(instance: &Instance, target: &str, header: &str, cases: &[(&str, u16, &str)]) {
    for (answer, status, text) in cases {
        let before = instance.log().len();
        let reply = instance.send("POST", target, &[USER, (header, answer)], b"6 * 7");
        let log = instance.log();
        assert_eq!(reply.status, *status, "{answer}\n{log}");
        assert_eq!(reply.text() == "42", *status == 200, "{answer}\n{reply:?}");
        assert!(log[before..].contains(text), "{answer}: `{text}` is not in\n{log}");
    }
}

/// Status and body for a client that knows digests, and user:secret.
pub(super) fn digest(
    instance: &Instance,
    target: &str,
    answer: &str,
    code: &str,
) -> (String, String) {
    let mut curl = command("curl");
    curl.args(["--silent", "--noproxy", "*", "--digest", "--user", "user:secret"]);
    curl.args(["--write-out", "\n%{http_code}", "--data-binary", code]);
    if !answer.is_empty() {
        curl.args(["--header", &format!("X-Hash: {answer}")]);
    }
    curl.arg(format!("http://127.0.0.1:{}{target}", instance.port));
    let output = curl.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn only_true_and_no_opinion_give_access() {
    let (access, user) = (gate("access", "gate"), gate("user", "gate"));
    let instance = guarded(&[("/a", &access), ("/both", &format!("{access}\n{user}"))]);
    check(
        &instance,
        "/a",
        "X-Access",
        &[
            ("True", 200, ""),
            ("None", 200, ""),
            ("False", 403, "WSGI0057"),
            ("1", 403, "WSGI0055: Result returned from 'allow_access' in"),
            ("0", 403, "must be a boolean or None."),
            ("''", 403, "WSGI0055"),
            ("host", 403, "WSGI0055"),
            ("[].pop()", 403, "IndexError: pop from empty list"),
            ("sys.exit(3)", 403, "WSGI0175"),
        ],
    );
    // Access comes before the user, and all must agree.
    assert_eq!(instance.get("/both").status, 401);
    check(&instance, "/both", "X-Access", &[("False", 403, ""), ("True", 200, "")]);
    check(&instance, "/both", "X-User", &[("False", 401, ""), ("True", 200, "")]);
    assert_eq!(instance.ask_at("/", "6 * 7"), "42", "nobody guards this one");
}

#[test]
fn a_gate_that_cannot_answer_stays_shut() {
    let site = Site::new();
    site.write("apps/lacks.wsgi", "x = 1\n");
    site.write("apps/syntax.wsgi", "def (\n");
    site.write("apps/fails.wsgi", "raise RuntimeError('while loading')\n");
    site.write("apps/exits.wsgi", "raise SystemExit(1)\n");
    let names = "allow_access = check_password = get_realm_hash = groups_for_user = 'x'\n";
    site.write("apps/text.wsgi", names);
    let kinds = [("access", 403), ("user", 500), ("hash", 500), ("groups", 401)];
    let mut directives = String::from("WSGIScriptAlias / \"SITE/apps/ask.wsgi\"\n");
    for script in ["lacks", "syntax", "fails", "exits", "text", "absent"] {
        for (kind, _) in kinds {
            directives += &places(&[(&format!("/{script}/{kind}"), &gate(kind, script))]);
        }
    }
    for kind in ["user", "groups"] {
        let named = gate(kind, "none");
        let lines: Vec<&str> = named.lines().filter(|line| !line.contains("none.wsgi")).collect();
        directives += &places(&[(&format!("/none/{kind}"), &lines.join("\n"))]);
    }
    let instance = Instance::of(site, "event", &directives);
    for (script, text) in [
        ("syntax", "SyntaxError"),
        ("fails", "RuntimeError: while loading"),
        ("exits", "SystemExit"),
        ("text", "TypeError: 'str' object is not callable"),
        ("absent", "absent.wsgi"),
    ] {
        for (kind, status) in kinds {
            assert_eq!(visit(&instance, &format!("/{script}/{kind}")), status, "{script} {kind}");
        }
        let log = instance.logs(text);
        assert!(log.matches(text).count() >= kinds.len(), "{script}\n{log}");
    }
    for (target, status, text) in [
        ("/lacks/access", 403, "does not provide 'allow_access' callable."),
        ("/lacks/user", 500, "does not provide 'Basic' auth provider."),
        ("/lacks/hash", 500, "does not provide 'Digest' auth provider."),
        ("/lacks/groups", 401, "does not provide 'groups_for_user' callable."),
        ("/none/user", 500, "WSGI0041"),
        ("/none/groups", 401, "WSGI0058"),
    ] {
        assert_eq!(visit(&instance, target), status, "{target}");
        instance.logs(text);
    }
}

/// The status for a client that shows who it is.
fn visit(instance: &Instance, target: &str) -> u16 {
    if target.ends_with("/hash") {
        return digest(instance, target, "", "1").0.parse().unwrap();
    }
    instance.send("GET", target, &[USER], b"").status
}

#[test]
fn a_gate_writes_to_the_log_of_its_request() {
    let instance = guarded(&[("/a", &gate("access", "gate"))]);
    let errors = "environ['wsgi.errors'].write('a line of the gate\\n') > 0";
    instance.send("POST", "/a", &[("X-Access", errors)], b"1").expect(200);
    instance.send("POST", "/a", &[("X-Access", "print('printed')")], b"1").expect(200);
    instance.logs("[wsgi:error]");
    let log = instance.logs("printed");
    let line = log.lines().find(|line| line.ends_with("a line of the gate")).unwrap();
    let script = instance.site.path("apps/ask.wsgi");
    assert!(line.contains("[wsgi:error]") && line.contains("[client 127.0.0.1:"), "{line}");
    assert!(line.contains(&format!("[script {}]", script.display())), "{line}");
}

/// Under Python 3.11 and older the original gives only the last line.
#[test]
fn an_exception_of_a_gate_is_logged_with_its_traceback() {
    let instance = guarded(&[("/a", &gate("access", "gate"))]);
    instance.send("GET", "/a", &[("X-Access", "[].pop()")], b"").expect(403);
    let log = instance.logs("IndexError: pop from empty list");
    for text in ["WSGI0174", "IndexError exception raised", "Traceback", "in allow_access"] {
        assert!(log.contains(text), "{text} is not in\n{log}");
    }
}

#[test]
fn a_gate_runs_in_the_group_of_its_option() {
    let groups = ["", "%{GLOBAL}", "%{SERVER}", "%{HOST}", "%{RESOURCE}", "%{ENV:NAME}", "mine"];
    let kinds = [
        ("access", "X-Access", "True"),
        ("user", "X-User", "True"),
        ("groups", "X-Groups", "['staff']"),
    ];
    let mut directives = String::from("WSGIApplicationGroup other\nSetEnv NAME x\n");
    for (number, group) in groups.iter().enumerate() {
        let option = match *group {
            "" => "gate.wsgi\"".to_owned(),
            group => format!("gate.wsgi\" application-group={group}"),
        };
        for (kind, ..) in kinds {
            let gates = gate(kind, "gate").replace("gate.wsgi\"", &option);
            directives += &places(&[(&format!("/{kind}/{number}"), &gates)]);
        }
    }
    let instance = Instance::serving("ask", &directives);
    let found = ["", "", "localhost:81", "host.test:81", "%{RESOURCE}", "%{ENV:NAME}", "mine"];
    for (number, group) in found.iter().enumerate() {
        for (kind, header, accepts) in kinds {
            let tells = "print(environ['REQUEST_URI'], repr(__import__('mod_wsgi').application_group), \
                         repr(environ['mod_wsgi.application_group']))";
            let request = format!(
                "GET /{kind}/{number} HTTP/1.1\r\nHost: host.test:81\r\n{header}: {tells} or {accepts}\r\n\
                 {}: {}\r\nConnection: close\r\n\r\n",
                USER.0, USER.1
            );
            instance.raw(request.as_bytes()).reply("GET").expect(200);
            instance.logs(&format!("/{kind}/{number} '{group}' '{group}'"));
        }
    }
}

#[test]
fn a_changed_gate_is_loaded_again() {
    let access = gate("access", "mine");
    let off = gate("access", "kept");
    let site = Site::new();
    let says = |site: &Site, answer: &str| {
        let text = format!("def allow_access(environ, host):\n    return {answer}\n");
        site.write("apps/mine.wsgi", &text);
        site.write("apps/kept.wsgi", &text);
    };
    says(&site, "True");
    let gates = places(&[("/on", &access), ("/off", &format!("{off}\nWSGIScriptReloading Off"))]);
    let directives = format!("WSGIScriptAlias / \"SITE/apps/names.wsgi\"\n{gates}");
    let instance = Instance::of(site, "event", &directives);
    for (answer, status) in [("True", 200), ("False", 403), ("None", 200), ("missing", 403)] {
        says(&instance.site, answer);
        instance.get("/on").expect(status);
        instance.get("/off").expect(200);
    }
    instance.logs("Reloading WSGI script '");
    std::fs::remove_file(instance.site.path("apps/mine.wsgi")).unwrap();
    instance.get("/on").expect(403);
}

#[test]
fn a_gate_guards_whatever_httpd_serves() {
    let instance = Instance::new(&format!(
        "WSGIRestrictEmbedded On\n{}",
        places(&[("/page.html", &gate("access", "gate"))])
    ));
    instance.site.write("htdocs/page.html", "a page");
    let ask = |answer: &str| instance.send("GET", "/page.html", &[("X-Access", answer)], b"");
    assert_eq!(ask("True").expect(200).text(), "a page", "gates are no applications");
    ask("False").expect(403);
}

#[test]
fn a_folder_may_have_gates_where_authconfig_is_allowed() {
    let instance = Instance::new(
        "<Directory \"SITE/htdocs\">\nAllowOverride AuthConfig\n</Directory>\n\
         <Directory \"SITE/htdocs/other\">\nAllowOverride FileInfo Limit\n</Directory>",
    );
    let site = |text: &str| {
        text.replace("SITE", instance.site.path("").to_str().unwrap().trim_end_matches('/'))
    };
    for folder in ["htdocs/mine", "htdocs/other"] {
        instance.site.write(&format!("{folder}/page.html"), "a page");
    }
    for kind in ["access", "user", "groups"] {
        instance.site.write("htdocs/mine/.htaccess", &site(&gate(kind, "gate")));
        let answers = [("X-Access", "None"), ("X-User", "True"), USER];
        instance.send("GET", "/mine/page.html", &answers, b"").expect(200);
        let answers = [("X-Access", "False"), ("X-User", "False"), USER];
        let status = instance.send("GET", "/mine/page.html", &answers, b"").status;
        assert_eq!(status, if kind == "access" { 403 } else { 401 }, "{kind}");
    }
    for directive in ["WSGIAccessScript", "WSGIAuthUserScript", "WSGIAuthGroupScript"] {
        instance.site.write("htdocs/other/.htaccess", &format!("{directive} /x"));
        instance.get("/other/page.html").expect(500);
        instance.logs(&format!("{directive} not allowed here"));
    }
}
