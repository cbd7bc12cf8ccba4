//! What options do to a running server, asked over HTTP.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::getuid;

use super::{Express, Folder};
use crate::sandbox::names_in;

#[test]
fn files_go_before_the_application() {
    let folder = Folder::new();
    folder.write("docs/page.html", "a page");
    folder.write("docs/sub/index.html", "an index");
    folder.write("docs/empty/x.txt", "");
    folder.write("static/deep/file.txt", "deep");
    folder.write("static/one.txt", "one");
    folder.write("rules", "RewriteRule ^old$ /page.html [R=301,L]\n");
    folder.write("docs/.htaccess", "Header set X-From htaccess\n");
    folder.write("more.conf", "<Location /included>\nRedirect 302 /page.html\n</Location>\n");
    let express = Express::of(
        folder,
        &[
            "app.wsgi",
            "--document-root",
            "docs",
            "--directory-index",
            "index.html",
            "--directory-listing",
            "--url-alias",
            "/static",
            "static",
            "--url-alias",
            "/static/deep",
            "static/one.txt",
            "--rewrite-rules",
            "rules",
            "--allow-override",
            "FileInfo",
            "--include-file",
            "more.conf",
        ],
    );
    assert_eq!(express.ask("/page.html"), "a page");
    assert_eq!(express.curl("/page.html", &[]).header("x-from"), Some("htaccess"));
    assert_eq!(express.ask("/sub/"), "an index");
    assert_eq!(express.curl("/sub", &[]).status, 301);
    assert!(express.ask("/empty/").contains("x.txt"));
    assert_eq!(express.ask("/static/one.txt"), "one");
    // The longer URL has its own target.
    assert_eq!(express.ask("/static/deep"), "one");
    assert_eq!(express.curl("/static/missing", &[]).status, 404);
    assert_eq!(express.curl("/old", &[]).status, 301);
    assert_eq!(express.curl("/included", &[]).status, 302);
    assert!(express.ask("/page.htm/x").starts_with(" /page.htm/x "));
    // Nothing else of the machine, or of the server, is to be had.
    for path in ["/../root/httpd.conf", "/handler.wsgi", "/%2e%2e/app.wsgi"] {
        let answer = express.curl(path, &[]);
        assert!(
            !answer.body.contains("WSGI") && !answer.body.contains("import"),
            "{path} {answer:?}"
        );
    }
}

#[test]
fn an_application_may_be_mounted_below_the_root() {
    let folder = Folder::new();
    folder.write("docs/page.html", "a page");
    let express = Express::of(
        folder,
        &[
            "app.wsgi",
            "--document-root",
            "docs",
            "--mount-point",
            "/wiki/en",
            "--directory-index",
            "index.html",
        ],
    );
    let group = format!("localhost:{}", express.port);
    assert_eq!(express.ask("/wiki/en/a/b"), format!("/wiki/en /a/b {group}"));
    // The folder that stands for the mount point is no folder to be shown.
    assert_eq!(express.ask("/wiki/en/"), format!("/wiki/en / {group}"));
    assert_eq!(express.ask("/page.html"), "a page");
    for outside in ["/", "/wiki/english", "/other"] {
        assert_ne!(express.curl(outside, &[]).status, 200, "{outside}");
    }
}

#[test]
fn a_folder_may_be_all_that_is_served() {
    let folder = Folder::new();
    folder.write("docs/index.html", "static");
    let express = Express::of(
        folder,
        &["--application-type", "static", "docs", "--directory-index", "index.html"],
    );
    assert_eq!(express.ask("/"), "static");
    assert_eq!(express.curl("/missing", &[]).status, 404);
}

#[test]
fn modules_are_served_by_name() {
    let folder = Folder::new();
    folder.write("lib/site.py", "raise ImportError\n");
    folder.write("lib/project/__init__.py", "");
    folder.write("lib/project/serve.py", &super::APPLICATION.replace("def application", "def app"));
    let express = Express::of(
        folder,
        &[
            "--application-type",
            "module",
            "project.serve",
            "--callable-object",
            "app",
            "--python-path",
            "lib",
            "--working-directory",
            "lib",
            "--setenv",
            "SOME KEY",
            "it's \"$VIRTUAL_ENV\" ${X}",
            "--processes",
            "2",
            "--process-group",
            "my site",
            "--locale",
            "C.UTF-8",
        ],
    );
    assert_eq!(express.eval("mod_wsgi.process_group"), "my site");
    assert_eq!(
        express.eval("environ['wsgi.multiprocess'], environ['wsgi.multithread']"),
        "(True, True)"
    );
    assert!(express.eval("os.getcwd()").ends_with("/lib"));
    assert!(express.eval("sys.path[0], sys.path[1]").contains("/lib'"));
    let home = super::python().home.display().to_string();
    assert_eq!(express.eval("environ['SOME KEY']"), format!("it's \"{home}\" ${{X}}"));
    assert_eq!(express.eval("os.environ['LANG'], os.environ['LC_ALL']"), "('C.UTF-8', 'C.UTF-8')");
    assert_eq!(express.eval("os.environ['MOD_WSGI_EXPRESS']"), "true");
    assert_eq!(express.titled("(wsgi:my site)").len(), 2);
}

/// As the README has it: from the folder of a project, nothing else said.
#[test]
fn modules_of_the_current_folder_are_found() {
    for words in [&[][..], &["--processes", "2"], &["--embedded-mode"]] {
        let folder = Folder::ordinary();
        folder.write("project/wsgi.py", super::APPLICATION);
        let module = ["--application-type", "module", "project.wsgi"];
        let express = Express::of(folder, &[&module, words].concat());
        assert!(express.ask("/x").starts_with(" /x "), "{words:?}");
        let folder = express.folder.path("").canonicalize().unwrap();
        let folder = folder.to_str().unwrap().trim_end_matches('/');
        assert_eq!(express.eval("os.getcwd()"), folder, "{words:?}");
    }
}

/// A folder that the account may not enter is none to run in.
#[test]
fn a_closed_folder_keeps_no_server_from_starting() {
    if getuid().is_root() {
        let folder = Folder::new();
        std::fs::set_permissions(folder.path(""), Permissions::from_mode(0o700)).unwrap();
        let root = tempfile::tempdir().unwrap();
        let root = root.path().join("root");
        folder.set_up(&["--server-root", root.to_str().unwrap()]).expect(0);
        let conf = std::fs::read_to_string(root.join("httpd.conf")).unwrap();
        assert!(!conf.contains(" home="), "{conf}");
    }
}

#[test]
fn a_welcome_page_is_there_when_nothing_is_named() {
    let express = Express::of(Folder::new(), &[]);
    let answer = express.curl("/", &[]);
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("text/html"));
}

#[test]
fn errors_have_pages() {
    let folder = Folder::new();
    folder.write("docs/gone.html", "our own page");
    folder.write(
        "app.wsgi",
        "def application(environ, start_response):\n    \
         start_response('404 Not Found', [('Content-Length', '3')])\n    return [b'app']\n",
    );
    let words = ["app.wsgi", "--document-root", "docs", "--error-document", "404", "/gone.html"];
    let express = Express::of(folder, &[&words[..], &["--error-override"]].concat());
    let answer = express.curl("/x", &[]);
    assert_eq!((answer.status, &*answer.body), (404, "our own page"));
}

#[test]
fn requests_are_limited() {
    let express = Express::start(&[
        "--limit-request-body",
        "10",
        "--keep-alive-timeout",
        "0",
        "--map-head-to-get",
        "on",
    ]);
    assert_eq!(express.curl("/", &["-d", "0123456789"]).status, 200);
    assert_eq!(express.curl("/", &["-d", "0123456789x"]).status, 413);
    assert_eq!(express.curl("/", &["-H", "Transfer-Encoding: chunked", "-d", "1"]).status, 411);
    assert_eq!(express.curl("/", &[]).header("connection"), Some("close"));
    let head = express.curl("/", &["--head", "-H", "X-Eval: environ['REQUEST_METHOD']"]);
    assert_eq!(head.header("content-length"), Some("3"));
}

#[test]
fn answers_are_compressed_and_bodies_come_in_chunks() {
    let express =
        Express::start(&["--compress-responses", "--chunked-request", "--enable-sendfile"]);
    let answer = express.curl("/", &["--compressed", "-H", "X-Eval: 'x' * 5000"]);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.body.len(), 5000);
    let chunked = [
        "-H",
        "Transfer-Encoding: chunked",
        "-d",
        "abc",
        "-H",
        "X-Eval: environ['wsgi.input'].read()",
    ];
    assert_eq!(express.curl("/", &chunked).body, "b'abc'");
}

#[test]
fn users_and_hosts_are_asked_for() {
    let folder = Folder::ordinary();
    folder.write(
        "hosts.py",
        "def allow_access(environ, host):\n    return environ['QUERY_STRING'] != 'no'\n",
    );
    folder.write(
        "users.py",
        "def check_password(environ, user, password):\n    return password == user + '!' or None\n",
    );
    folder.write("groups.py", "def groups_for_user(environ, user):\n    return ['staff'] if user == 'ann' else ['guests']\n");
    let express = Express::of(
        folder,
        &[
            "app.wsgi",
            "--host-access-script",
            "hosts.py",
            "--auth-user-script",
            "users.py",
            "--auth-group-script",
            "groups.py",
            "--auth-group",
            "staff",
        ],
    );
    assert_eq!(express.curl("/", &[]).status, 401);
    assert_eq!(express.curl("/", &["-u", "ann:wrong"]).status, 401);
    assert_eq!(express.curl("/", &["-u", "bob:bob!"]).status, 401);
    assert_eq!(express.curl("/", &["-u", "ann:ann!"]).status, 200);
    assert_eq!(express.curl("/?no", &["-u", "ann:ann!"]).status, 403);
    let realm = format!("Basic realm=\"localhost:{}\"", express.port);
    assert_eq!(express.curl("/", &[]).header("www-authenticate"), Some(&*realm));
    assert_eq!(
        express
            .curl(
                "/",
                &[
                    "-u",
                    "ann:ann!",
                    "-H",
                    "X-Eval: environ['REMOTE_USER'], environ['HTTP_AUTHORIZATION'][:5]"
                ]
            )
            .body,
        "('ann', 'Basic')"
    );
}

#[test]
fn digests_are_asked_for() {
    let folder = Folder::ordinary();
    folder.write(
        "users.py",
        "import hashlib\n\ndef get_realm_hash(environ, user, realm):\n    \
         return hashlib.md5(f'{user}:{realm}:secret'.encode()).hexdigest()\n",
    );
    let express = Express::of(
        folder,
        &["app.wsgi", "--auth-user-script", "users.py", "--auth-type", "Digest"],
    );
    assert_eq!(express.curl("/", &["--digest", "-u", "ann:wrong"]).status, 401);
    let last = express.curl("/", &["--digest", "-u", "ann:secret"]);
    assert!(last.body.contains("200 OK"), "{last:?}");
}

#[test]
fn other_scripts_are_run_by_extension() {
    let folder = Folder::new();
    folder.write("docs/page.tpl", "a template");
    folder.write(
        "docs/script.cgi",
        "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\ncgi says %s' \"$QUERY_STRING\"\n",
    );
    std::fs::set_permissions(folder.path("docs/script.cgi"), Permissions::from_mode(0o755))
        .unwrap();
    folder.write(
        "template.py",
        "def application(environ, start_response):\n    \
         start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
         return [('%s %s' % (environ['SCRIPT_NAME'], environ['PATH_INFO'])).encode()]\n",
    );
    let express = Express::of(
        folder,
        &[
            "app.wsgi",
            "--document-root",
            "docs",
            "--add-handler",
            ".tpl",
            "template.py",
            "--with-cgi",
        ],
    );
    assert_eq!(express.ask("/page.tpl/more"), "/page.tpl /more");
    assert_eq!(express.ask("/script.cgi?x"), "cgi says x");
    assert!(express.ask("/other").starts_with(" /other "));
}

#[test]
fn figures_are_shown_to_this_machine() {
    let mut express = Express::start(&[
        "--server-status",
        "--access-log",
        "--access-log-format",
        "%m \"%U\" %>s",
        "--access-log-name",
        "requests",
        "--error-log-name",
        "errors",
        "--error-log-format",
        "%M",
        "--log-level",
        "info",
    ]);
    assert!(express.ask("/server-status?auto").contains("ServerMPM: event"));
    assert!(express.folder.read("out").contains("Server Status      : http://localhost:"));
    express.ask("/x");
    express.wait("a logged request", |express| {
        express.folder.read("root/requests").contains("GET \"/x\" 200")
    });
    assert!(express.folder.read("root/errors").contains("Starting process"));
}

#[test]
fn logs_go_where_they_are_sent() {
    let mut express = Express::start(&[
        "--log-to-terminal",
        "--access-log",
        "--log-level",
        "info",
        "--startup-log",
    ]);
    express.ask("/x");
    express
        .wait("a logged request", |express| express.folder.read("out").contains("GET /x HTTP/1.1"));
    assert!(express.folder.read("err").contains("Starting process"));
    // The summary is still there: the file was not emptied.
    assert!(express.folder.read("out").contains("Server URL"));
    drop(express);
    let mut express = Express::start(&[
        "--log-directory",
        "logs dir",
        "--rotate-logs",
        "--log-level",
        "info",
        "--access-log",
    ]);
    express.ask("/x");
    express.wait("rotated logs", |express| {
        let names = names_in(&express.folder.path("logs dir"));
        names.iter().any(|name| name.starts_with("error_log.2"))
            && names.iter().any(|name| name.starts_with("access_log.2"))
    });
}

#[test]
fn modes_and_mpms_serve_alike() {
    for (words, mpm, mode) in [
        (&["--server-mpm", "prefork"][..], "prefork", "daemon"),
        (&["--server-mpm", "worker"], "worker", "daemon"),
        (&["--embedded-mode"], "worker", "embedded"),
        (&["--debug-mode"], "worker", "debug"),
    ] {
        let mut express = Express::start_as_user(words);
        assert!(express.folder.read("out").contains(&format!("Operating Mode     : {mode}")));
        let group =
            if mode == "daemon" { format!("localhost:{}", express.port) } else { String::new() };
        assert_eq!(express.ask("/a"), format!(" /a {group}"), "{words:?}");
        let conf = express.folder.read("root/httpd.conf");
        assert!(conf.contains(&format!("LoadModule mpm_{mpm}_module")), "{words:?}");
        assert_eq!(express.stop(), 0, "{words:?}\n{}", express.log());
    }
}

#[test]
fn a_script_sets_the_environment_of_the_server() {
    let folder = Folder::new();
    folder.write("set.sh", "export FROM_SCRIPT=\"a b\"\n");
    let express = Express::of(
        folder,
        &[
            "app.wsgi",
            "--envvars-script",
            "set.sh",
            "--passenv",
            "FROM_SCRIPT",
            "--process-name",
            "my server",
        ],
    );
    assert_eq!(express.eval("os.environ['FROM_SCRIPT'], environ['FROM_SCRIPT']"), "('a b', 'a b')");
    assert_eq!(super::title_of(express.httpd()), "my server");
}

#[test]
fn proxies_in_front_are_trusted() {
    let express =
        Express::start(&["--trust-proxy-header", "X-Forwarded-For", "--trust-proxy", "127.0.0.1"]);
    let answer = express
        .curl("/", &["-H", "X-Forwarded-For: 9.8.7.6", "-H", "X-Eval: environ['REMOTE_ADDR']"]);
    assert_eq!(answer.body, "9.8.7.6");
}

#[test]
fn requests_and_processes_are_recycled() {
    let mut express = Express::start(&[
        "--maximum-requests",
        "3",
        "--request-timeout",
        "2",
        "--interrupt-timeout",
        "3",
        "--queue-timeout",
        "5",
    ]);
    let first = express.eval("os.getpid()");
    express.wait("a new process", |express| express.eval("os.getpid()") != first);
    // A request that takes too long is interrupted.
    let answer = express.curl("/", &["-H", "X-Eval: [time.sleep(0.05) for i in range(1000)]"]);
    assert!(answer.status >= 500, "{answer:?}\n{}", express.log());
}

#[test]
fn debugging_tools_leave_their_files() {
    let mut express = Express::start_as_user(&[
        "--enable-profiler",
        "--enable-recorder",
        "--recorder-directory",
        "records",
    ]);
    assert!(express.ask("/a").starts_with(" /a "));
    assert_eq!(express.stop(), 0);
    let names = |below: &str| names_in(&express.folder.path(below));
    assert!(names("root/pstats").iter().any(|name| name.ends_with(".pstats")), "{}", express.log());
    assert!(names("records").iter().any(|name| name.ends_with(".oheaders")), "{}", express.log());
}

#[test]
fn processes_run_as_the_user_that_is_named() {
    if getuid().is_root() {
        let express = Express::start(&["--user", "daemon", "--group", "daemon"]);
        assert_eq!(express.eval("os.getuid(), os.getgid()"), "(1, 1)");
    }
}
