//! The server root: what is written there, whose it is, and whom it is refused to
//! (reference 4.1, 9.2).

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::process::{Signal, getuid};

use super::{Express, Folder, command, is_gone, signal};
use crate::sandbox::Outcome;

#[test]
fn the_summary_says_where_everything_is() {
    let folder = Folder::new();
    let said = folder.set_up(&["app.wsgi", "--port", "8123", "--processes", "2"]).expect(0).stdout;
    let here = folder.path("root");
    let here = here.display();
    for line in [
        "Server URL         : http://localhost:8123/".to_owned(),
        format!("Server Root        : {here}"),
        format!("Server Conf        : {here}/httpd.conf"),
        format!("Error Log File     : {here}/error_log (warn)"),
        format!("Rewrite Rules      : {here}/rewrite.conf"),
        format!("Environ Variables  : {here}/envvars"),
        format!("Control Script     : {here}/apachectl"),
        "Operating Mode     : daemon".to_owned(),
        "Request Capacity   : 10 (2 processes * 5 threads)".to_owned(),
        "Request Timeout    : 60 (seconds)".to_owned(),
        "Startup Timeout    : 15 (seconds)".to_owned(),
        "Queue Backlog      : 100 (connections)".to_owned(),
        "Queue Timeout      : 45 (seconds)".to_owned(),
        "Server Capacity    : 36 (event/worker), 25 (prefork)".to_owned(),
        "Server Backlog     : 500 (connections)".to_owned(),
        "Locale Setting     : C.UTF-8".to_owned(),
    ] {
        assert!(said.lines().any(|found| found == line), "`{line}` is not in\n{said}");
    }
    for name in ["httpd.conf", "apachectl", "handler.wsgi", "default.wsgi", "rewrite.conf"] {
        assert!(folder.path("root").join(name).is_file(), "{name}");
    }
}

#[test]
fn the_default_root_is_named_by_host_port_and_user() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("tmp")).unwrap();
    let mut launcher = folder.launcher(&["setup-server", "app.wsgi", "--port", "8124"]);
    launcher.env("HTTPD", super::base().join("bin/httpd"));
    if getuid().is_root() {
        launcher.args(["--user", "nobody", "--group", "#65534"]);
    }
    Outcome::of(launcher.output().unwrap()).expect(0);
    let root = folder.path(&format!("tmp/mod_wsgi-localhost:8124:{}", getuid().as_raw()));
    assert!(root.join("httpd.conf").is_file());
    // Nobody else may write there, or, unless the server serves as another, read.
    let mode = root.metadata().unwrap().mode() & 0o777;
    assert_eq!(mode, if getuid().is_root() { 0o755 } else { 0o700 });
}

/// What somebody else has put there would run with our rights.
#[test]
fn a_root_that_others_can_change_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("root")).unwrap();
    std::fs::set_permissions(folder.path("root"), Permissions::from_mode(0o777)).unwrap();
    let outcome = folder.set_up(&["app.wsgi"]).expect(1);
    assert!(outcome.stderr.contains("can be changed by other users (mode 777)"));
    assert!(outcome.stderr.contains("--server-root"));
    assert!(!folder.path("root/httpd.conf").exists());
    std::fs::remove_dir(folder.path("root")).unwrap();
    std::os::unix::fs::symlink("/", folder.path("root")).unwrap();
    assert!(folder.set_up(&["app.wsgi"]).expect(1).stderr.contains("is not a folder"));
    if getuid().is_root() {
        std::fs::remove_file(folder.path("root")).unwrap();
        std::fs::create_dir(folder.path("root")).unwrap();
        std::os::unix::fs::chown(folder.path("root"), Some(65534), None).unwrap();
        assert!(folder.set_up(&["app.wsgi"]).expect(1).stderr.contains("belongs to user 65534"));
    }
}

#[test]
fn files_of_the_user_stay_and_others_are_written_anew() {
    let folder = Folder::new();
    folder.set_up(&["app.wsgi"]).expect(0);
    folder.write("root/envvars", "export KEPT=1\n");
    folder.write("root/rewrite.conf", "# kept\n");
    folder.write("root/httpd.conf", "# lost\n");
    folder.set_up(&["app.wsgi"]).expect(0);
    assert_eq!(folder.read("root/envvars"), "export KEPT=1\n");
    assert_eq!(folder.read("root/rewrite.conf"), "# kept\n");
    assert!(folder.read("root/httpd.conf").contains("WSGIHandlerScript"));
}

/// A server that runs goes on with the configuration that it has.
#[test]
fn a_configuration_that_httpd_refuses_replaces_none() {
    let folder = Folder::new();
    folder.set_up(&["app.wsgi"]).expect(0);
    let before = folder.read("root/httpd.conf");
    folder.write("bad.conf", "NoSuchDirective On\n");
    let outcome = folder.set_up(&["app.wsgi", "--include-file", "bad.conf"]).expect(1);
    assert!(outcome.stderr.contains("NoSuchDirective"), "{}", outcome.stderr);
    assert_eq!(folder.read("root/httpd.conf"), before);

    // httpd that is started at once says the same.
    let words = ["app.wsgi", "--include-file", "bad.conf"];
    let mut launcher = folder.launcher(&["start-server"]);
    let outcome = launcher.args(folder.always(&words)).args(words).output().unwrap();
    let outcome = Outcome::of(outcome).expect(1);
    assert!(outcome.stderr.contains("NoSuchDirective"), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("httpd.conf.refused`"), "{}", outcome.stderr);
    assert_eq!(folder.read("root/httpd.conf"), before);
    assert!(folder.read("root/httpd.conf.refused").contains("bad.conf"));
}

#[test]
fn a_strict_umask_changes_nothing() {
    let folder = Folder::new();
    let mut shell = command("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]);
    let launcher = folder.launcher(&["setup-server", "app.wsgi"]);
    shell.env("VIRTUAL_ENV", &super::python().home).current_dir(folder.path(""));
    shell.arg(launcher.get_program()).args(launcher.get_args()).args(folder.always(&[]));
    Outcome::of(shell.output().unwrap()).expect(0);
    for (name, mode) in [
        ("handler.wsgi", 0o644),
        ("apachectl", 0o700),
        ("httpd.conf", 0o600),
        ("python/mod_wsgi", 0o755),
    ] {
        let found = folder.path("root").join(name).metadata().unwrap().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
}

#[test]
fn the_control_script_starts_and_stops_the_server() {
    let folder = Folder::new();
    let port = super::free_port().to_string();
    folder.set_up(&["app.wsgi", "--port", &port]).expect(0);
    folder.write("root/envvars", "export FROM_ENVVARS=yes\n");
    let control = |word: &str| {
        let mut script = command(folder.path("root/apachectl"));
        Outcome::of(script.arg(word).env("PATH", "/usr/bin:/bin").output().unwrap())
    };
    control("configtest").expect(0).says("Syntax OK");
    control("start").expect(0);
    let pid = || folder.read("root/httpd.pid").trim().parse::<u32>().ok();
    let begin = std::time::Instant::now();
    let get = || {
        let url = format!("http://127.0.0.1:{port}/");
        let expression = "X-Eval: os.environ['FROM_ENVVARS'] + str(mod_wsgi.version)";
        let curl = command("curl").args(["-sS", "--noproxy", "*", "-H", expression, &url]).output();
        String::from_utf8_lossy(&curl.unwrap().stdout).into_owned()
    };
    while !get().starts_with("yes(") {
        assert!(begin.elapsed() < super::PATIENCE, "{} {}", get(), folder.read("root/error_log"));
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let running = pid().unwrap();
    control("graceful").expect(0);
    control("stop").expect(0);
    while !is_gone(running) {
        assert!(begin.elapsed() < super::PATIENCE, "it does not stop");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// A failed start is seen, with what the log has about it.
#[test]
fn a_port_that_is_taken_ends_the_start() {
    let first = Express::start(&[]);
    let folder = Folder::new();
    let mut launcher = folder.launcher(&["start-server", "app.wsgi"]);
    launcher.args(folder.always(&[])).args(["--port", &first.port.to_string()]);
    let outcome = Outcome::of(launcher.output().unwrap()).expect(1);
    assert!(outcome.stderr.contains("could not bind to address"), "{}", outcome.stderr);
    let hint = format!("hint: port {} is another program's: --port takes another", first.port);
    assert!(outcome.stderr.contains(&hint), "{}", outcome.stderr);
}

#[test]
fn root_must_name_an_account() {
    if !getuid().is_root() {
        return;
    }
    let folder = Folder::new();
    let words = ["start-server", "app.wsgi", "--user", "root", "--group", "root"];
    let mut launcher = folder.launcher(&words);
    let outcome = Outcome::of(launcher.args(folder.always(&words)).output().unwrap()).expect(1);
    assert!(outcome.stderr.contains("--user and --group"), "{}", outcome.stderr);
}

#[test]
fn signals_reach_httpd_and_its_end_is_the_end() {
    let mut express = Express::start(&["--processes", "1"]);
    let old = express.eval("os.getpid()");
    // Of a terminal whose size changes.
    signal(express.child.id(), Signal::WINCH);
    signal(express.child.id(), Signal::USR1);
    express.wait("a graceful restart", |express| express.eval("os.getpid()") != old);
    let httpd = express.httpd();
    assert_eq!(express.stop(), 0);
    assert!(is_gone(httpd));
    assert!(!express.folder.path("root/httpd.pid").exists());
}

#[test]
fn what_would_be_done_is_shown() {
    let folder = Folder::new();
    folder.write("my app.wsgi", "");
    let summary = folder.set_up(&["app.wsgi", "--dry-run"]).expect(0).stdout;
    assert!(summary.starts_with("Server URL         : http://localhost:8000/\n"), "{summary}");
    let conf = folder.set_up(&["app.wsgi", "--print-config"]).expect(0).stdout;
    assert!(conf.contains("\nListen 8000\n"), "{conf}");
    let words = ["my app.wsgi", "--print-unit", "--setenv", "A", "$50 %x"];
    let unit = folder.set_up(&words).expect(0).stdout;
    assert!(!folder.path("root").exists());
    for line in ["Type=notify", "ExecReload=/bin/kill -USR1 $MAINPID", "WantedBy=multi-user.target"]
    {
        assert!(unit.lines().any(|found| found == line), "{line}\n{unit}");
    }
    let start = unit.lines().find(|line| line.starts_with("ExecStart=/")).unwrap();
    assert!(start.contains(" start-server "), "{start}");
    assert!(start.ends_with(" \"my app.wsgi\" --setenv A \"$$50 %%x\""), "{start}");
}

/// A service manager is told when the server takes requests.
#[test]
fn readiness_is_told() {
    let folder = Folder::new();
    let path = folder.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
    socket.set_read_timeout(Some(super::PATIENCE)).unwrap();
    let port = super::free_port().to_string();
    let mut launcher = folder.launcher(&["start-server", "app.wsgi", "--port", &port]);
    launcher.args(folder.always(&[])).env("NOTIFY_SOCKET", &path);
    let mut child = launcher.stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut bytes = [0; 100];
    let count = socket.recv(&mut bytes).unwrap();
    assert!(String::from_utf8_lossy(&bytes[..count]).contains("READY=1"));
    assert!(std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).is_ok());
    signal(child.id(), Signal::TERM);
    assert!(child.wait().unwrap().success());
}

/// Whom it serves as may be said when the control script is called.
#[test]
fn root_may_set_up_a_server_without_an_account() {
    if getuid().is_root() {
        Folder::new().set_up(&["app.wsgi", "--user", "root"]).expect(0);
    }
}

#[test]
fn a_running_server_takes_over_other_options() {
    let mut express = Express::start(&["--threads", "2"]);
    assert_eq!(express.eval("mod_wsgi.threads_per_process"), "2");
    let (httpd, port) = (express.httpd(), express.port.to_string());
    let words = ["app.wsgi", "--graceful", "--port", &port, "--threads", "7"];
    let reload = |words: &[&str]| {
        let folder = &express.folder;
        let mut launcher = folder.launcher(&["start-server"]);
        Outcome::of(launcher.args(folder.always(words)).args(words).output().unwrap())
    };
    // What httpd refuses is not taken over.
    let refused = reload(&[&words[..], &["--include-file", "app.wsgi"]].concat()).expect(1);
    assert!(refused.stderr.contains("httpd refuses"), "{}", refused.stderr);
    assert_eq!(express.eval("mod_wsgi.threads_per_process"), "2");
    reload(&words).expect(0);
    express
        .wait("the new processes", |express| express.eval("mod_wsgi.threads_per_process") == "7");
    assert_eq!(express.httpd(), httpd);
}

#[test]
fn a_server_that_does_not_run_takes_over_nothing() {
    let folder = Folder::new();
    let none = folder.set_up(&["app.wsgi", "--graceful"]).expect(1);
    assert!(none.stderr.contains("no server runs from the server root"), "{}", none.stderr);
    assert!(!folder.path("root").exists(), "something was written");
    folder.set_up(&["app.wsgi"]).expect(0);
    // The number of a process that is no server.
    folder.write("root/httpd.pid", &std::process::id().to_string());
    let ended = folder.set_up(&["app.wsgi", "--graceful"]).expect(1);
    assert!(ended.stderr.contains("of one that has ended"), "{}", ended.stderr);
}
