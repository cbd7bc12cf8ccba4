//! Which script answers for which address.

use super::Instance;

#[test]
fn an_alias_ends_at_the_boundary_of_a_path() {
    let instance = Instance::new(
        "WSGIScriptAlias /app \"SITE/apps/names.wsgi\"\nWSGIScriptAlias /deep/er/ \"SITE/apps/names.wsgi/\"",
    );
    for (target, status) in [
        ("/app", 200),
        ("/app/", 200),
        ("/app/x", 200),
        ("//app//x", 200),
        ("/app?x", 200),
        ("/apple", 404),
        ("/app.x", 404),
        ("/ap", 404),
        ("/APP", 404),
    ] {
        assert_eq!(instance.get(target).status, status, "{target}");
    }
}

#[test]
fn the_first_alias_that_matches_wins() {
    let instance = Instance::new(
        "WSGIScriptAlias /a/b \"SITE/apps/names.wsgi\" callable-object=other\n\
         WSGIScriptAlias /a \"SITE/apps/names.wsgi\"\n\
         WSGIScriptAlias /a/c \"SITE/apps/names.wsgi\" callable-object=other\n\
         WSGIScriptAlias /a/b \"SITE/apps/names.wsgi\" callable-object=Class\n\
         Alias /a/static \"SITE/htdocs\"\n\
         Alias /b \"SITE/htdocs\"\nWSGIScriptAlias /b \"SITE/apps/names.wsgi\"",
    );
    instance.site.write("htdocs/page.html", "static");
    for (target, text) in [
        ("/a/b", "other other"),
        ("/a/b/c", "other other"),
        ("/a", "default application"),
        ("/a/bc", "default application"),
        ("/a/c", "default application"),
        ("/a/static/page.html", "static"),
        ("/b/page.html", "static"),
    ] {
        assert_eq!(instance.get(target).text(), text, "{target}");
    }
}

#[test]
fn aliases_of_a_host_come_before_those_of_the_server() {
    let instance = Instance::new(
        "WSGIScriptAlias /both \"SITE/apps/names.wsgi\"\nWSGIScriptAlias /server \"SITE/apps/names.wsgi\"\n\
         <VirtualHost *>\nServerName first.test\nWSGIScriptAlias /both \"SITE/apps/names.wsgi\" callable-object=other\n\
         WSGIScriptAlias /host \"SITE/apps/names.wsgi\" callable-object=other\n</VirtualHost>\n\
         <VirtualHost *>\nServerName second.test\n</VirtualHost>",
    );
    for (host, target, text) in [
        ("first.test", "/both", Some("other other")),
        ("first.test", "/host", Some("other other")),
        ("first.test", "/server", Some("default application")),
        ("second.test", "/both", Some("default application")),
        ("second.test", "/host", None),
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let reply = instance.raw(request.as_bytes()).reply("GET");
        match text {
            Some(text) => assert_eq!(reply.text(), text, "{host} {target}"),
            None => assert_eq!(reply.status, 404, "{host} {target}"),
        }
    }
}

#[test]
fn a_folder_of_scripts_is_an_alias_too() {
    let instance = Instance::new(
        "WSGIScriptAlias /d \"SITE/apps\"\nWSGIScriptAlias /e/ \"SITE/apps/\"\nDirectorySlash Off",
    );
    std::fs::create_dir(instance.site.path("apps/folder")).unwrap();
    for (target, script, info) in [
        ("/d/environ.wsgi", "/d/environ.wsgi", ""),
        ("/d/environ.wsgi/x/y", "/d/environ.wsgi", "/x/y"),
        ("/d//environ.wsgi//x", "/d/environ.wsgi", "/x"),
        ("/e/environ.wsgi/x", "/e/environ.wsgi", "/x"),
    ] {
        let environ = instance.get(target).expect(200).json();
        assert_eq!(environ["SCRIPT_NAME"][1], script, "{target}");
        assert_eq!(environ["PATH_INFO"][1], info, "{target}");
        let file = instance.site.path("apps/environ.wsgi");
        assert_eq!(environ["SCRIPT_FILENAME"][1], file.to_str().unwrap(), "{target}");
    }
    instance.get("/d/absent.wsgi").expect(404);
    instance.logs("WSGI0135");
    instance.get("/d/folder").expect(403);
    instance.logs("WSGI0136");
    instance.get("/d/../httpd.conf").expect(404);
}

#[test]
fn an_alias_may_be_a_regular_expression() {
    let instance = Instance::new(
        "WSGIScriptAliasMatch \"^/wiki/([a-z]+)\" \"SITE/apps/$1.wsgi\"\n\
         WSGIScriptAliasMatch \"^/(any|other)$\" \"SITE/apps/environ.wsgi\" application-group=named\n\
         WSGIScriptAliasMatch \"\\.page\" \"SITE/apps/environ.wsgi\"",
    );
    for (target, script, info) in [
        ("/wiki/environ", "/wiki/environ", ""),
        ("/wiki/environ/x/y", "/wiki/environ", "/x/y"),
        ("/any", "/any", ""),
    ] {
        let environ = instance.get(target).expect(200).json();
        assert_eq!(environ["SCRIPT_NAME"][1], script, "{target}");
        assert_eq!(environ["PATH_INFO"][1], info, "{target}");
        let group = &environ["mod_wsgi.application_group"][1];
        assert_eq!(group == "named", target == "/any", "{target}");
    }
    instance.get("/x.page").expect(200);
    assert_eq!(instance.get("/wiki/names").text(), "default application");
    for target in ["/wiki/absent", "/wiki/", "/any/x", "/WIKI/environ"] {
        instance.get(target).expect(404);
    }
}

#[test]
fn files_with_the_handler_are_scripts_where_that_is_allowed() {
    let instance = Instance::new(
        "AddHandler wsgi-script .wsgi\nDirectorySlash Off\n\
         Alias /yes \"SITE/apps\"\nAlias /no \"SITE/htdocs\"\n\
         <Directory \"SITE/apps\">\nOptions ExecCGI\nDirectoryIndex names.wsgi\n</Directory>\n\
         <Location /set>\nSetHandler wsgi-script\n</Location>\nAlias /set \"SITE/apps\"\n\
         <Location /strict>\nAcceptPathInfo Off\n</Location>\nAlias /strict \"SITE/apps\"\n\
         <Location /type>\nSetHandler application/x-httpd-wsgi\n</Location>\nAlias /type \"SITE/apps\"",
    );
    std::fs::copy(instance.site.path("apps/names.wsgi"), instance.site.path("htdocs/names.wsgi"))
        .unwrap();
    std::fs::create_dir(instance.site.path("apps/folder")).unwrap();
    let environ = instance.get("/yes/environ.wsgi/more//info?q").expect(200).json();
    for (key, value) in [
        ("SCRIPT_NAME", "/yes/environ.wsgi"),
        ("PATH_INFO", "/more/info"),
        ("QUERY_STRING", "q"),
        ("mod_wsgi.request_handler", "wsgi-script"),
    ] {
        assert_eq!(environ[key][1], value, "{key}");
    }
    assert_eq!(instance.get("/type/names.wsgi").text(), "default application");
    assert_eq!(instance.get("/yes/").text(), "default application", "as a page of the folder");
    for (target, status, code) in [
        ("/no/names.wsgi", 403, "WSGI0134"),
        ("/set/absent.wsgi", 404, "WSGI0135"),
        ("/set/folder", 403, "WSGI0136"),
        ("/strict/names.wsgi/x", 404, "WSGI0137"),
        ("/strict/names.wsgi", 200, ""),
        ("/yes/users", 200, ""),
    ] {
        instance.get(target).expect(status);
        assert!(instance.logs(code).contains("[wsgi:"), "{target}");
    }
}

#[test]
fn a_handler_script_answers_for_other_files() {
    let instance = Instance::new(
        "WSGIHandlerScript mine \"SITE/apps/handler.wsgi\"\n\
         WSGIHandlerScript grouped \"SITE/apps/handler.wsgi\" application-group=named pass-authorization=On\n\
         AddHandler mine .mine\n<Location /grouped>\nSetHandler grouped\n</Location>",
    );
    instance.site.write("htdocs/page.mine", "not shown");
    let file = |below: &str| instance.site.path(below).to_str().unwrap().to_owned();
    let credentials = [("Authorization", "Basic eDp5")];
    let text = instance.send("GET", "/page.mine/info", &credentials, b"").expect(200).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["mine", &file("apps/handler.wsgi"), "handle_request"]);
    assert_eq!(lines[4..], ["/page.mine", "/info", &file("htdocs/page.mine"), "none"]);
    let text = instance.send("GET", "/grouped/absent", &credentials, b"").expect(200).text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], lines[3], *lines.last().unwrap()), ("grouped", "named", "Basic eDp5"));
}

#[test]
fn an_inner_handler_script_of_the_same_name_wins() {
    let instance = Instance::new(
        "WSGIHandlerScript mine \"SITE/apps/absent.wsgi\"\nAddHandler mine .mine\n\
         <Location /inner>\nSetHandler mine\nWSGIHandlerScript mine \"SITE/apps/handler.wsgi\" application-group=inner\n</Location>",
    );
    let text = instance.get("/inner/x.mine").expect(200).text();
    assert_eq!(text.lines().nth(3), Some("inner"));
    let status = instance.get("/x.mine").status;
    assert!(status == 500 || status == 404, "{status}");
}

#[test]
fn the_callable_is_configured_in_any_scope() {
    let instance = Instance::new(
        "WSGIScriptAlias /app \"SITE/apps/names.wsgi\"\n\
         WSGIScriptAlias /option \"SITE/apps/names.wsgi\" callable-object=other\n\
         WSGIScriptAlias /class \"SITE/apps/names.wsgi\" callable-object=Class\n\
         <Location /app/other>\nWSGICallableObject other\n</Location>\n\
         <Location /app/env>\nWSGICallableObject %{ENV:NAME}\nSetEnv NAME other\n</Location>\n\
         <Location /app/unset>\nWSGICallableObject %{ENV:UNSET}\n</Location>\n\
         <Location /app/odd>\nWSGICallableObject %{ODD}\n</Location>\n\
         <Location /app/class>\nWSGICallableObject Class\n</Location>",
    );
    for (target, text) in [
        ("/app", "default application"),
        ("/app/other", "other other"),
        ("/app/env", "other other"),
        ("/app/unset", "default application"),
        ("/app/odd", "default application"),
        ("/app/class", "class"),
        ("/option", "other other"),
        ("/class", "class"),
    ] {
        assert_eq!(instance.get(target).expect(200).text(), text, "{target}");
    }
}

/// The manual promises more of them; that they are refused is the safe side.
#[test]
fn a_folder_may_have_directives_of_its_own() {
    let allowed = [
        "WSGICallableObject other",
        "WSGIPassAuthorization On",
        "WSGIScriptReloading Off",
        "WSGIChunkedRequest On",
        "WSGIMapHEADToGET On",
        "WSGIErrorOverride On",
        "WSGIEnableSendfile On",
        "WSGIIgnoreActivity On",
        "WSGITrustedProxyHeaders X-Forwarded-For",
        "WSGITrustedProxies 10.0.0.1",
    ];
    let refused = [
        "WSGIApplicationGroup x",
        "WSGIProcessGroup x",
        "WSGIRestrictProcess x",
        "WSGIDispatchScript /x",
        "WSGIHandlerScript x /x",
        "WSGIPassApacheRequest On",
        "WSGIScriptAlias /x /x",
        "WSGIPythonPath /x",
        "WSGIRestrictStdout On",
    ];
    let instance = Instance::new(
        "AddHandler wsgi-script .wsgi\nAlias /s \"SITE/apps\"\n\
         <Directory \"SITE/apps\">\nOptions ExecCGI\nAllowOverride FileInfo\n</Directory>",
    );
    for directive in allowed {
        instance.site.write("apps/.htaccess", directive);
        let reply = instance.get("/s/names.wsgi").expect(200);
        let other = directive.starts_with("WSGICallableObject");
        assert_eq!(reply.text().starts_with("other"), other, "{directive}");
    }
    for directive in refused {
        instance.site.write("apps/.htaccess", directive);
        assert_eq!(instance.get("/s/names.wsgi").status, 500, "{directive}");
        let name = directive.split(' ').next().unwrap();
        instance.logs(&format!("{name} not allowed here"));
    }
    instance.site.write("apps/.htaccess", "");
    instance.get("/s/names.wsgi").expect(200);
}
