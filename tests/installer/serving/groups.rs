//! Which interpreter an application runs in.

use super::{DAEMON, GROUP, Instance, NAMED, Site};

#[test]
fn the_group_is_named_by_the_configuration() {
    let instance = Instance::new(
        "WSGIScriptAlias /app \"SITE/apps/environ.wsgi\"\nSetEnv NAME from-env\nSetEnv AGAIN %{SERVER}\nSetEnv LOOP %{ENV:NAME}\n\
         PassEnv PATH\n\
         <Location /app/global>\nWSGIApplicationGroup %{GLOBAL}\n</Location>\n\
         <Location /app/server>\nWSGIApplicationGroup %{SERVER}\n</Location>\n\
         <Location /app/host>\nWSGIApplicationGroup %{HOST}\n</Location>\n\
         <Location /app/resource>\nWSGIApplicationGroup %{RESOURCE}\n</Location>\n\
         <Location /app/env>\nWSGIApplicationGroup %{ENV:NAME}\n</Location>\n\
         <Location /app/again>\nWSGIApplicationGroup %{ENV:AGAIN}\n</Location>\n\
         <Location /app/loop>\nWSGIApplicationGroup %{ENV:LOOP}\n</Location>\n\
         <Location /app/unset>\nWSGIApplicationGroup %{ENV:UNSET}\n</Location>\n\
         <Location /app/odd>\nWSGIApplicationGroup %{ODD}\n</Location>\n\
         <Location /app/plain>\nWSGIApplicationGroup \"two words\"\n</Location>",
    );
    let port = instance.port;
    for (target, group) in [
        ("/app", format!("localhost:{port}|/app")),
        ("/app/global", String::new()),
        ("/app/server", format!("localhost:{port}")),
        ("/app/host", format!("localhost:{port}")),
        ("/app/resource", format!("localhost:{port}|/app")),
        ("/app/env", "from-env".into()),
        ("/app/again", format!("localhost:{port}")),
        ("/app/loop", "%{ENV:NAME}".into()),
        ("/app/unset", "%{ENV:UNSET}".into()),
        ("/app/odd", "%{ODD}".into()),
        ("/app/plain", "two words".into()),
        ("//app//x", format!("localhost:{port}|/app")),
    ] {
        let environ = instance.get(target).expect(200).json();
        assert_eq!(environ["mod_wsgi.application_group"][1], group, "{target}");
        assert_eq!(environ["mod_wsgi.process_group"][1], GROUP, "{target}");
    }
}

#[test]
fn the_host_of_a_request_names_its_group() {
    let instance = Instance::new(
        "WSGIScriptAlias /app \"SITE/apps/environ.wsgi\"\nWSGIApplicationGroup %{HOST}\n\
         UseCanonicalPhysicalPort Off",
    );
    for (host, group) in [("other.test", "other.test"), ("other.test:8123", "other.test:8123")] {
        let request = format!("GET /app HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let environ = instance.raw(request.as_bytes()).reply("GET").expect(200).json();
        assert_eq!(environ["mod_wsgi.application_group"][1], group, "{host}");
    }
}

#[test]
fn scripts_run_apart_unless_they_share_a_group() {
    let instance = Instance::new(
        "WSGIScriptAlias /one \"SITE/apps/ask.wsgi\"\nWSGIScriptAlias /two \"SITE/apps/ask.wsgi\"\n\
         WSGIScriptAlias /shared \"SITE/apps/ask.wsgi\" application-group=shared\n\
         WSGIScriptAlias /also \"SITE/apps/ask.wsgi\" application-group=shared",
    );
    visit(&instance);
    let pid = "environ['mod_wsgi.server_pid'] == str(__import__('os').getpid())";
    assert_eq!(instance.ask_at("/one", pid), if DAEMON { "False" } else { "True" });
    let log = instance.logs("Creating sub-interpreter");
    assert_eq!(log.matches("Creating sub-interpreter '").count(), 3, "{log}");
}

#[test]
fn scripts_may_share_the_main_interpreter() {
    let instance = Instance::new(
        "WSGIScriptAlias /shared \"SITE/apps/ask.wsgi\"\nWSGIScriptAlias /also \"SITE/apps/ask.wsgi\"\n\
         WSGIApplicationGroup %{GLOBAL}",
    );
    for (target, count) in [("/shared", "1"), ("/also", "2"), ("/shared", "3")] {
        assert_eq!(instance.ask_at(target, MARK), count, "{target}");
    }
    let main = "__import__('threading').main_thread().name, mod_wsgi.application_group";
    assert_eq!(instance.ask_at("/shared", main), "('MainThread', '')");
    assert!(!instance.log().contains("Creating sub-interpreter '"), "{}", instance.log());
}

/// Counts its evaluations in one interpreter.
const MARK: &str = "sys.__dict__.setdefault('marks', []).append(1) or len(sys.marks)";

/// Asks scripts of which two share an interpreter and two have their own.
#[track_caller]
fn visit(instance: &Instance) {
    for (target, count) in [
        ("/one", "1"),
        ("/one", "2"),
        ("/two", "1"),
        ("/shared", "1"),
        ("/also", "2"),
        ("/one", "3"),
        ("/two", "2"),
        ("/shared", "3"),
    ] {
        assert_eq!(instance.ask_at(target, MARK), count, "{target}");
    }
}

#[test]
fn requests_are_served_at_the_same_time() {
    let instance =
        Instance::new("WSGIScriptAlias / \"SITE/apps/reply.wsgi\"\nSetEnv KEPT \"SITE/kept\"");
    let request = b"GET /stream HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut waiting: Vec<_> = (0..4).map(|_| instance.raw(request)).collect();
    for wire in &mut waiting {
        wire.until("first");
    }
    assert_eq!(instance.get("/plain").text(), "plain");
    instance.site.write("kept/go", "");
    for mut wire in waiting {
        wire.until("second");
    }
}

#[test]
fn every_mpm_serves() {
    for mpm in ["event", "worker", "prefork"] {
        let instance = Instance::with_mpm(
            mpm,
            "WSGIScriptAlias /reply \"SITE/apps/reply.wsgi\"\nWSGIScriptAlias /ask \"SITE/apps/ask.wsgi\"\n\
             WSGIScriptAlias /files \"SITE/apps/files.wsgi\"\nSetEnv KEPT \"SITE/kept\"\nSetEnv FILE \"SITE/file\"",
        );
        instance.site.write("file", "of the site");
        assert_eq!(instance.get("/reply/generator").text(), "one two", "{mpm}");
        assert_eq!(instance.get("/files/whole").text(), "of the site", "{mpm}");
        assert_eq!(instance.ask_at("/ask", "6 * 7"), "42", "{mpm}");
        assert_eq!(instance.get("/reply/raises").status, 500, "{mpm}");
        assert!(!instance.get("/reply/raises_after_output").complete, "{mpm}");
        assert_eq!(instance.get("/reply/plain").text(), "plain", "{mpm}");
    }
}

/// What the end of each of these tests relies on.
#[test]
#[should_panic(expected = "` is in the error log")]
fn a_crash_of_a_child_fails_a_test() {
    let instance = Instance::serving("ask", "");
    let code =
        b"import os, resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nos.abort()\n";
    let head = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", code.len());
    instance.raw(&[head.as_bytes(), code].concat()).rest();
    instance.logs(if DAEMON { "(SIGABRT)" } else { "exit signal" });
}

#[test]
fn process_groups_that_may_not_be_used_are_refused() {
    let instance = Instance::new(&format!(
        "WSGIScriptAlias /app \"SITE/apps/names.wsgi\"\n\
         <Location /app/unknown>\nWSGIProcessGroup nowhere\n</Location>\n\
         <Location /app/limited>\nWSGIRestrictProcess one two\n</Location>\n\
         <Location /app/allowed>\nWSGIRestrictProcess one {NAMED}\n</Location>\n\
         <Location /app/global>\nWSGIProcessGroup %{{GLOBAL}}\n</Location>",
    ));
    for (target, status) in [
        ("/app", 200),
        ("/app/unknown", 500),
        ("/app/limited", 500),
        ("/app/allowed", 200),
        ("/app/global", 200),
    ] {
        instance.get(target).expect(status);
    }
    let log = instance.logs("WSGI0149");
    assert!(log.contains("WSGI0150") || log.contains("WSGI0151"), "{log}");
}

#[test]
fn an_inner_list_replaces_the_outer_one() {
    let instance = Instance::new(&format!(
        "WSGIScriptAlias /app \"SITE/apps/names.wsgi\"\nWSGIRestrictProcess one\nWSGICallableObject other\n\
         <Location /app/in>\nWSGIRestrictProcess {NAMED} two\n</Location>\n\
         <Location /app/in/deep>\nWSGICallableObject application\n</Location>\n\
         <Location /app/in/shut>\nWSGIRestrictProcess two\n</Location>",
    ));
    instance.get("/app").expect(500);
    assert_eq!(instance.get("/app/in").expect(200).text(), "other other");
    assert_eq!(instance.get("/app/in/deep").expect(200).text(), "default application");
    instance.get("/app/in/shut").expect(500);
}

#[test]
fn many_requests_leave_nothing_behind() {
    let instance = Instance::serving("ask", "");
    let objects = || {
        let count = "(__import__('gc').collect(), len(__import__('gc').get_objects()))[1]";
        instance.ask(count).parse::<usize>().unwrap()
    };
    let hundreds = || {
        std::thread::scope(|scope| {
            let client = || (0..50).filter(|_| instance.post("/", b"1 + 1").text() == "2").count();
            let clients: Vec<_> = (0..4).map(|_| scope.spawn(client)).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>()
        })
    };
    // The first ones make what each thread keeps.
    assert_eq!(hundreds(), 200);
    let before = objects();
    assert_eq!(hundreds(), 200);
    let after = objects();
    assert!(after < before + 100, "{before} objects, then {after}");
    assert_eq!(instance.ask("len(mod_wsgi.active_requests)"), "1");
}

/// In the original a thread whose first request is for a sub-interpreter that
/// another one has made runs in that also what belongs to the main interpreter.
#[test]
fn one_thread_serves_every_interpreter() {
    let directives = format!(
        "WSGIScriptAlias /one \"SITE/apps/ask.wsgi\" process-group={NAMED} application-group=one\n\
         WSGIScriptAlias /two \"SITE/apps/ask.wsgi\"\n\
         WSGIScriptAlias /shared \"SITE/apps/ask.wsgi\" application-group=%{{GLOBAL}}\n\
         WSGIScriptAlias /also \"SITE/apps/ask.wsgi\" application-group=%{{GLOBAL}}\n\
         ThreadsPerChild 1\nMaxRequestWorkers 1"
    );
    let instance = Instance::with_options(Site::new(), "threads=1", &directives);
    instance.logs("sub-interpreter 'one'");
    visit(&instance);
}
