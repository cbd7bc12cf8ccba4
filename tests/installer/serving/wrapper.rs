//! The wrapper that the launcher puts around an application, in a real server: the
//! scripts of `crates/express/src/python`, filled in as the launcher does, and
//! routed to as by its configuration.

use std::io::{BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::daemon::{is_gone, python};
use super::venv::venv;
use super::{Instance, Site, copy, free_port, listens};
use crate::sandbox::names_in;

/// Tells what the application was asked for, and who answers.
const TELLS: &str = "import os\n\
    def application(environ, start_response):\n\
    \x20   start_response('200 OK', [('X-Pid', str(os.getpid()))])\n\
    \x20   return [(environ['SCRIPT_NAME'] + '|' + environ['PATH_INFO']).encode()]\n";

/// A site with the package and the scripts of the launcher.
fn site(settings: &Value) -> Site {
    let site = Site::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    copy(&root.join("python"), &site.path("python"));
    let package = site.path("python/mod_wsgi");
    // JSON of a text is a text for Python, too.
    let literal = |text: &str| serde_json::to_string(text).unwrap();
    let settings = settings.to_string().replace("SITE", site.folder.path().to_str().unwrap());
    for name in ["handler.wsgi", "resource.wsgi", "default.wsgi"] {
        let template = root.join("crates/express/src/python").join(name);
        let text = std::fs::read_to_string(template).unwrap();
        let text = text.replace("@PACKAGE@", &literal(package.to_str().unwrap()));
        let settings = format!("__import__('json').loads({})", literal(&settings));
        site.write(name, &text.replace("@SETTINGS@", &settings));
    }
    site.write("app.wsgi", TELLS);
    site
}

/// The directives that send what is no file to the wrapper, in the group `g` or in
/// the processes of httpd.
fn directives(mount_point: &str, group: &str) -> String {
    format!(
        "<Directory \"SITE/htdocs{mount_point}\">\nRewriteEngine On\n\
         RewriteCond %{{REQUEST_FILENAME}} !-f\nRewriteRule .* - [H=wsgi-handler]\n</Directory>\n\
         WSGIHandlerScript wsgi-handler \"SITE/handler.wsgi\" process-group={group} \
         application-group=%{{GLOBAL}}\n\
         WSGIHandlerScript wsgi-resource \"SITE/resource.wsgi\" process-group={group} \
         application-group=%{{GLOBAL}}\nAddHandler wsgi-resource .told\n\
         WSGIImportScript \"SITE/handler.wsgi\" process-group={group} \
         application-group=%{{GLOBAL}}\n"
    )
}

/// A server with a process for the application, for these settings.
fn serving(settings: &Value, options: &str) -> Instance {
    with_directives(site(settings), options, "")
}

fn with_directives(site: Site, options: &str, more: &str) -> Instance {
    let directives = format!(
        "User nobody\nGroup \"#65534\"\nWSGIPythonHome \"{}\"\nWSGISocketPrefix \"SITE/wsgi\"\n\
         WSGIDaemonProcess g {options}\n{}{more}",
        python().home.display(),
        directives("", "g")
    );
    Instance::of(site, "event", &directives)
}

/// The settings of a script.
fn script(more: Value) -> Value {
    let mut settings = json!({
        "entry_point": "SITE/app.wsgi",
        "application_type": "script",
        "callable_object": "application",
        "mount_point": "/",
        "server_name": null,
        "server_aliases": [],
        "host": null,
        "port": 8000,
        "working_directory": null,
        "python_paths": [],
        "disable_reloading": false,
        "reload_on_changes": false,
        "debug_mode": false,
    });
    let Value::Object(more) = more else { panic!("not an object") };
    settings.as_object_mut().unwrap().extend(more);
    settings
}

/// A server in debug mode: one process, whose folder is `kept`, and its terminal.
struct Debugged {
    instance: Instance,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Debugged {
    fn new(mut settings: Value, home: &Path) -> Self {
        settings["debug_mode"] = true.into();
        let site = site(&settings);
        let directives = format!(
            "WSGIPythonHome \"{}\"\nThreadsPerChild 1\nMaxRequestWorkers 1\n{}",
            home.display(),
            directives("", "%{GLOBAL}")
        );
        let port = free_port();
        site.configure("worker", port, &directives);
        let mut httpd = site.httpd();
        httpd.arg("-DONE_PROCESS").current_dir(site.path("kept"));
        let mut child = httpd.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert!(listens(&site, &mut child, port), "{}", site.read("error_log"));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { instance: Instance { site, child, port, stopped: false }, input, output }
    }

    /// The names of the files in a folder below `kept`.
    fn files(&self, below: &str) -> Vec<String> {
        names_in(&self.instance.site.path("kept").join(below))
    }

    /// What the terminal shows until that text.
    fn until(&mut self, text: &str) -> String {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(text) {
            let mut byte = [0];
            self.output.read_exact(&mut byte).unwrap();
            shown.push(byte[0]);
        }
        String::from_utf8(shown).unwrap()
    }
}

/// The text of the answer, and who gave it.
#[track_caller]
fn told(instance: &Instance, target: &str) -> (String, u32) {
    let reply = instance.get(target).expect(200);
    let pid = reply.header("x-pid").unwrap().parse().unwrap();
    (reply.text(), pid)
}

/// Gives a file another time, in the past, as a text editor would not.
fn touch(site: &Site, name: &str) {
    let file = std::fs::File::options().append(true).open(site.path(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(1000)).unwrap();
}

#[test]
fn paths_are_the_applications() {
    let instance = serving(&script(json!({})), "");
    instance.site.write("htdocs/file.txt", "a file");
    instance.site.write("htdocs/folder/index", "");
    for target in ["/", "/foo/bar", "/foo/", "/folder/x", "/caf%C3%A9"] {
        let expected = format!("|{}", target.replace("%C3%A9", "\u{c3}\u{a9}"));
        let text = instance.get(target).expect(200);
        assert_eq!(String::from_utf8(text.body).unwrap(), expected);
    }
    assert_eq!(instance.get("/file.txt").expect(200).text(), "a file");
}

#[test]
fn paths_are_split_at_a_mount_point() {
    let site = site(&script(json!({"mount_point": "/a/wiki"})));
    std::fs::create_dir_all(site.path("htdocs/a/wiki")).unwrap();
    let directives = directives("/a/wiki", "%{GLOBAL}");
    let instance = Instance::of(site, "event", &directives);
    for (target, expected) in [
        ("/a/wiki/", "/a/wiki|/"),
        ("/a/wiki/page", "/a/wiki|/page"),
        ("/a/wiki/page/more", "/a/wiki|/page/more"),
    ] {
        assert_eq!(instance.get(target).expect(200).text(), expected);
    }
    assert_eq!(
        instance.get("/a/wiki").expect(301).header("location").map(|to| to.ends_with("/a/wiki/")),
        Some(true)
    );
    for outside in ["/a/wikis", "/a/", "/page"] {
        instance.get(outside).expect(404);
    }
}

#[test]
fn a_trusted_proxy_says_where_the_application_is() {
    for (mount_point, rest) in [("/", "/wiki/page"), ("/wiki", "/page")] {
        let site = site(&script(json!({"mount_point": mount_point})));
        std::fs::create_dir_all(site.path("htdocs/wiki")).unwrap();
        let instance = with_directives(site, "", "WSGITrustedProxyHeaders X-Script-Name");
        let reply =
            instance.send("GET", "/wiki/page", &[("X-Script-Name", "/outside")], b"").expect(200);
        assert_eq!(reply.text(), format!("/outside|{rest}"));
    }
}

#[test]
fn a_module_is_found_in_the_folder_of_the_process() {
    let settings = script(json!({
        "application_type": "module",
        "entry_point": "project.site",
        "callable_object": "app",
    }));
    let site = site(&settings);
    site.write("work/project/__init__.py", "");
    site.write("work/project/site.py", &TELLS.replace("application", "app"));
    let instance = with_directives(site, "home=SITE/work", "");
    let (text, old) = told(&instance, "/x/y");
    assert_eq!(text, "|/x/y");
    touch(&instance.site, "work/project/site.py");
    let (_, new) = told(&instance, "/");
    assert_ne!(new, old, "its file has changed");
}

#[test]
fn paste_deploys_an_application() {
    let settings = script(json!({"application_type": "paste", "entry_point": "SITE/site.ini"}));
    let site = site(&settings);
    site.write("site.ini", "[app:main]\npaste.app_factory = deployed:factory\n");
    site.write(
        "path/deployed.py",
        &format!("{TELLS}\ndef factory(settings):\n    return application\n"),
    );
    let directives = format!(
        "WSGIPythonHome \"{}\"\nWSGIPythonPath \"SITE/path\"\n{}",
        venv().home.display(),
        directives("", "%{GLOBAL}")
    );
    let instance = Instance::of(site, "event", &directives);
    assert_eq!(instance.get("/page").expect(200).text(), "|/page");
}

#[test]
fn a_changed_script_is_answered_by_a_new_process() {
    let instance = serving(&script(json!({})), "");
    let (_, old) = told(&instance, "/");
    assert_eq!(told(&instance, "/").1, old);
    for _again in 0..2 {
        let (_, before) = told(&instance, "/");
        instance.site.write("app.wsgi", &TELLS.replace("'|'", "'changed'"));
        touch(&instance.site, "app.wsgi");
        let (text, after) = told(&instance, "/");
        assert_eq!(text, "changed/", "the very next request");
        assert_ne!(after, before);
        instance.site.write("app.wsgi", TELLS);
        let (text, last) = told(&instance, "/");
        assert_eq!(text, "|/");
        assert_ne!(last, after);
    }
}

#[test]
fn reloading_can_be_off() {
    let instance = serving(&script(json!({"disable_reloading": true})), "");
    let (_, old) = told(&instance, "/");
    touch(&instance.site, "app.wsgi");
    assert_eq!(told(&instance, "/").1, old);
}

#[test]
fn processes_are_replaced_soon_after_an_imported_module_changes() {
    let text = format!("import part\n{}", TELLS.replace("'|'", "part.text"));
    let site = site(&script(json!({"reload_on_changes": true})));
    site.write("app.wsgi", &text);
    site.write("work/part.py", "text = 'old'\n");
    let instance = with_directives(site, "home=SITE/work processes=2", "");
    let started = || instance.log().matches("): Starting change monitor.").count();
    let wait = |what: &str, done: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !done() {
            assert!(begin.elapsed() < super::PATIENCE, "{what}\n{}", instance.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        begin.elapsed()
    };
    wait("both look at files", &|| started() == 2);
    assert_eq!(told(&instance, "/").0, "old/");
    let pids: Vec<u32> = instance
        .log()
        .lines()
        .filter(|line| line.contains("Starting change monitor."))
        .map(|line| {
            line.split_once("monitor (pid=").unwrap().1.split(')').next().unwrap().parse().unwrap()
        })
        .collect();
    assert!(!pids.iter().any(|pid| is_gone(*pid)));
    // They have seen the file as it is.
    std::thread::sleep(Duration::from_millis(500));

    instance.site.write("work/part.py", "text = 'new'\n");
    touch(&instance.site, "work/part.py");
    let took =
        wait("both are replaced", &|| pids.iter().all(|pid| is_gone(*pid)) && started() == 4);
    // inotify tells of it: on an idle machine it takes 0.2 to 0.3 s.
    assert!(took < Duration::from_millis(800), "{took:?}\n{}", instance.log());
    for _request in 0..4 {
        let (text, pid) = told(&instance, "/");
        assert_eq!(text, "new/");
        assert!(!pids.contains(&pid));
    }
    let log = instance.log();
    let path = instance.site.path("work/part.py");
    for pid in pids {
        for text in [
            format!("monitor (pid={pid}): Change detected to \"{}\".", path.display()),
            format!("monitor (pid={pid}): Triggering process restart."),
        ] {
            assert!(log.contains(&text), "`{text}` is not in\n{log}");
        }
    }
}

#[test]
fn an_application_may_have_other_files_watched() {
    let site = site(&script(json!({"reload_on_changes": true})));
    let file = site.path("data.ini");
    site.write("data.ini", "1");
    let text = format!(
        "from mod_wsgi.express.reloader import start_reloader, track_changes\n\
         start_reloader(interval=0.1)\ntrack_changes({:?})\n{TELLS}",
        file.to_str().unwrap()
    );
    site.write("app.wsgi", &text);
    let instance = with_directives(site, "", "");
    let (_, old) = told(&instance, "/");
    instance.site.write("data.ini", "22");
    instance.logs("Change detected to");
    instance.logs("Triggering process restart.");
    let deadline = Instant::now() + super::PATIENCE;
    while !is_gone(old) {
        assert!(Instant::now() < deadline, "{}", instance.log());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_ne!(told(&instance, "/").1, old);
}

#[test]
fn an_error_of_the_application_is_a_500_with_its_traceback() {
    let text = format!("{TELLS}\n    raise ValueError('of the application')\n");
    let site = site(&script(json!({})));
    site.write("app.wsgi", &text.replace("return [", "1 / 0, ["));
    let instance = with_directives(site, "", "");
    instance.get("/").expect(500);
    let log = instance.logs("ZeroDivisionError: division by zero");
    let path = instance.site.path("app.wsgi");
    assert!(log.contains(&format!("File \"{}\", line 4, in application", path.display())), "{log}");
    assert!(log.contains("1 / 0, ["), "{log}");
}

#[test]
fn an_application_that_cannot_be_loaded_is_tried_again() {
    let site = site(&script(json!({"reload_on_changes": true, "callable_object": "app"})));
    let instance = with_directives(site, "", "");
    for _request in 0..3 {
        instance.get("/").expect(500);
    }
    let path = instance.site.path("app.wsgi");
    // The two ways into the log are not in step.
    instance.logs("Starting change monitor.");
    let log = instance.logs(&format!("AttributeError: `{}` has no `app`", path.display()));
    assert_eq!(log.matches("Starting change monitor.").count(), 1, "{log}");
    instance.site.write("app.wsgi", &TELLS.replace("application", "app"));
    assert_eq!(told(&instance, "/").0, "|/");
}

#[test]
fn without_an_application_there_is_a_page_that_says_so() {
    let instance = serving(&script(json!({"entry_point": "SITE/default.wsgi"})), "");
    let reply = instance.get("/").expect(200);
    assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(reply.text().contains("No application was named"), "{reply:?}");
    let head = instance.send("HEAD", "/", &[], b"").expect(200);
    assert_eq!(head.header("content-length"), Some(&*reply.body.len().to_string()));
}

#[test]
fn scripts_answer_for_files_with_their_extension() {
    let settings = json!({"application_type": "static", "resources": [[".told", "SITE/told.py"]]});
    let site = site(&settings);
    let ask = "def reload_required(resource):\n    return resource.endswith('/new.told')\n";
    site.write("told.py", &format!("{TELLS}\n{ask}"));
    for name in ["file", "new"] {
        site.write(&format!("htdocs/below/{name}.told"), "");
    }
    let instance = with_directives(site, "", "");
    let (text, first) = told(&instance, "/below/file.told/more/path");
    assert_eq!(text, "/below/file.told|/more/path");
    assert_eq!(told(&instance, "/below/file.told"), ("/below/file.told|".to_owned(), first));
    instance.get("/below/absent.told").expect(404);
    let (_, old) = told(&instance, "/below/new.told/more");
    assert_ne!(old, first, "the script has asked for it");
    assert_eq!(told(&instance, "/below/file.told").1, old);
    touch(&instance.site, "told.py");
    assert_ne!(told(&instance, "/below/file.told").1, old, "its script has changed");
}

/// Inside of httpd `mod_wsgi` is a module of the server's own; which submodules it
/// has is not left to what else is installed.
#[test]
fn submodules_are_those_of_the_launcher() {
    let site = site(&script(json!({})));
    for name in ["__init__", "express/__init__", "express/handler"] {
        site.write(
            &format!("other/mod_wsgi/{name}.py"),
            "raise AssertionError('of somebody else')\n",
        );
    }
    site.write("other/mod_wsgi/more.py", "");
    site.write(
        "app.wsgi",
        "import mod_wsgi, mod_wsgi.express.handler\n\
         def application(environ, start_response):\n\
         \x20   start_response('200 OK', [('X-Pid', '0')])\n\
         \x20   text = f'{mod_wsgi.express.handler.__file__} {mod_wsgi.version} {mod_wsgi.process_group}'\n\
         \x20   return [text.encode()]\n",
    );
    let instance = with_directives(site, "python-path=SITE/other", "");
    let (text, _) = told(&instance, "/");
    let file = instance.site.path("python/mod_wsgi/express/handler.py");
    let package =
        std::fs::read_to_string(instance.site.path("python/mod_wsgi/__init__.py")).unwrap();
    let version = package.split_once("] = ").unwrap().1.lines().next().unwrap();
    assert_eq!(text, format!("{} {version} g", file.display()));
}

#[test]
fn requests_are_recorded() {
    let recorder = json!({"enable_recorder": true, "recorder_directory": "SITE/kept/archive"});
    let mut debugged = Debugged::new(script(recorder), &python().home);
    debugged.instance.post("/page?q=1", b"the body").expect(200);
    debugged.instance.stop();
    let files = debugged.files("archive");
    assert_eq!(files.len(), 7, "{files:?}");
    let part = |name: &str| {
        let file = files.iter().find(|file| file.ends_with(name)).unwrap();
        debugged.instance.site.read(&format!("kept/archive/{file}"))
    };
    assert!(part(".iheaders").contains("'QUERY_STRING': 'q=1'"), "{}", part(".iheaders"));
    assert_eq!(part(".icontent"), "the body");
    assert!(part(".oheaders").starts_with("('200 OK', [('X-Pid'"), "{}", part(".oheaders"));
    assert_eq!(part(".ocontent"), "|/page");
}

#[test]
fn a_profile_is_written_at_the_end() {
    let profiler = json!({"enable_profiler": true, "profiler_directory": "SITE/kept/pstats"});
    let mut debugged = Debugged::new(script(profiler), &python().home);
    for _request in 0..3 {
        debugged.instance.get("/").expect(200);
    }
    assert_eq!(debugged.files("pstats"), Vec::<String>::new());
    let log = debugged.instance.stop();
    let files = debugged.files("pstats");
    assert_eq!(files.len(), 1, "{files:?}\n{log}");
    assert!(files[0].ends_with(".pstats"), "{files:?}");
    let file = debugged.instance.site.path("kept/pstats").join(&files[0]);
    let code = "import pstats, sys\nfor key, value in pstats.Stats(sys.argv[1]).stats.items():\n    \
                if key[2] == 'application': print(key[0], value[0])";
    let mut show = crate::real::command("python3");
    show.args(["-c", code]).arg(file);
    let shown = crate::sandbox::Outcome::of(show.output().unwrap()).expect(0).stdout;
    let script = debugged.instance.site.path("app.wsgi");
    assert_eq!(shown, format!("{} 3\n", script.display()));
}

#[test]
fn a_report_of_coverage_is_written_at_the_end() {
    let coverage = json!({"enable_coverage": true, "coverage_directory": "SITE/kept/htmlcov"});
    let mut debugged = Debugged::new(script(coverage), &venv().home);
    debugged.instance.get("/").expect(200);
    let log = debugged.instance.stop();
    let report = debugged.instance.site.read("kept/htmlcov/index.html");
    // Both lines of the application have been run, by a thread of the server's.
    let line = report.split("app.wsgi").nth(1).unwrap_or_else(|| panic!("{report}\n{log}"));
    assert!(line.split("</tr>").next().unwrap().contains(">100%<"), "{line}");
    assert!(debugged.files("").contains(&".coverage".to_owned()));
}

#[test]
fn an_exception_opens_the_debugger_on_the_terminal() {
    let debugger = json!({"enable_debugger": true, "debugger_startup": true});
    let mut debugged = Debugged::new(script(debugger), &python().home);
    let script = TELLS.replace("return [", "number = 6\n    1 / 0, [");
    debugged.instance.site.write("app.wsgi", &script);
    let mut wire = debugged.instance.raw(b"GET / HTTP/1.0\r\n\r\n");
    debugged.until("(Pdb) ");
    debugged.input.write_all(b"c\n").unwrap();
    let shown = debugged.until("(Pdb) ");
    assert!(shown.contains("ZeroDivisionError: division by zero"), "{shown}");
    debugged.input.write_all(b"p number * 7\nq\n").unwrap();
    debugged.until("42\n");
    assert_eq!(wire.reply("GET").status, 500);
}
