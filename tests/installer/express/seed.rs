//! What release 4.4.7 brought (reference 8): service scripts, proxied URLs and
//! hosts, the eviction timeout.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getuid};

use super::{Express, Folder, is_gone, signal};

/// A service that notes its starts and its end.
const SERVICE: &str = r#"
import atexit, os, sys, time
import mod_wsgi

HERE = os.path.dirname(os.path.abspath(__file__))

def note(name, text):
    with open(os.path.join(HERE, name), 'a') as file:
        print(text, file=file)

NAME = mod_wsgi.process_group.split(':')[1]
atexit.register(note, NAME + '.ends', os.getpid())
note(NAME + '.pids', os.getpid())
note(NAME + '.facts', (mod_wsgi.process_group, mod_wsgi.application_group, os.getuid(), os.getcwd(), sys.path[:2]))
while True:
    time.sleep(0.05)
"#;

/// A server with services that run the script above.
#[track_caller]
fn with_services(names: &[&str], words: &[&str]) -> Express {
    let folder = Folder::new();
    folder.write("service.py", SERVICE);
    let mut all = vec!["app.wsgi"];
    for name in names {
        all.extend(["--service-script", name, "service.py"]);
    }
    all.extend(words);
    let mut express = Express::of(folder, &all);
    for name in names {
        express.wait(name, |express| !express.folder.read(&format!("{name}.facts")).is_empty());
    }
    express
}

/// The process of a service that has started as the n-th.
#[track_caller]
fn nth(express: &mut Express, name: &str, count: usize) -> u32 {
    let file = format!("{name}.pids");
    express.wait(&format!("start {count} of {name}"), |express| {
        express.folder.read(&file).lines().count() >= count
    });
    express.folder.read(&file).lines().nth(count - 1).unwrap().parse().unwrap()
}

#[test]
fn a_service_runs_beside_the_application() {
    let mut express =
        with_services(&["tasks", "mail"], &["--working-directory", ".", "--python-path", "lib"]);
    let tasks = nth(&mut express, "tasks", 1);
    assert_eq!(express.titled("(wsgi:service:tasks)"), [tasks]);
    assert_eq!(express.titled("(wsgi:service:mail)").len(), 1);
    let application: u32 = express.eval("os.getpid()").parse().unwrap();
    assert_ne!(application, tasks);
    let title = format!("(wsgi:localhost:{}:{})", express.port, getuid().as_raw());
    assert_eq!(express.titled(&title), [application]);
    let facts = express.folder.read("tasks.facts");
    let here = express.folder.path("").canonicalize().unwrap();
    let here = here.to_str().unwrap().trim_end_matches('/');
    assert!(facts.starts_with("('service:tasks', '', "), "{facts}");
    assert!(facts.contains(&format!("'{here}'")), "{facts}");
    assert!(facts.contains(&format!("'{here}/lib'")), "{facts}");

    // One that is killed comes back, and nobody else notices.
    for (count, how) in [(2, Signal::KILL), (3, Signal::TERM)] {
        let old = nth(&mut express, "tasks", count - 1);
        signal(old, how);
        assert_ne!(nth(&mut express, "tasks", count), old);
        assert_eq!(express.eval("os.getpid()").parse::<u32>().unwrap(), application);
    }

    // A graceful restart replaces it.
    let old = nth(&mut express, "tasks", 3);
    signal(express.child.id(), Signal::USR1);
    let last = nth(&mut express, "tasks", 4);
    express.wait("the end of the old service", |_| is_gone(old));

    assert_eq!(express.stop(), 0);
    assert!(is_gone(last));
    assert!(express.folder.read("tasks.ends").contains(&last.to_string()));
}

#[test]
fn a_service_may_have_an_account_of_its_own() {
    if !getuid().is_root() {
        return;
    }
    let words = ["--service-user", "tasks", "daemon", "--service-group", "tasks", "daemon"];
    let express = with_services(&["tasks", "mail"], &words);
    let uid = |name: &str| {
        express.folder.read(&format!("{name}.facts")).split(", ").nth(2).unwrap().to_owned()
    };
    assert_eq!(uid("tasks"), "1");
    assert_eq!(uid("mail"), "65534");
    assert_eq!(express.eval("os.getuid()"), "65534");
}

#[test]
fn a_service_may_have_a_log_of_its_own() {
    let mut express = {
        let folder = Folder::new();
        folder.write(
            "service.py",
            "print('the service says this', flush=True)\nimport time\ntime.sleep(600)\n",
        );
        Express::of(
            folder,
            &[
                "app.wsgi",
                "--service-script",
                "s",
                "service.py",
                "--service-log-file",
                "s",
                "s_log",
                "--server-name",
                "a.test",
            ],
        )
    };
    express.wait("the log", |express| {
        express.folder.read("root/s_log").contains("the service says this")
    });
    assert!(!express.log().contains("the service says this"));
    // The log's virtual host answers nobody.
    for host in ["localhost", "s.service.invalid", "127.0.0.1"] {
        assert_eq!(express.curl("/", &["-H", &format!("Host: {host}")]).status, 403, "{host}");
    }
    assert_eq!(express.curl("/", &["-H", "Host: a.test"]).status, 200);
}

/// A server that answers every request with what it was asked, and as a WebSocket says
/// what it is told; and where it listens.
pub(super) fn backend() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection, port));
        }
    });
    port
}

fn answer(mut connection: TcpStream, port: u16) {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut head = String::new();
    for line in reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty()) {
        head += &(line + "\n");
    }
    if head.to_lowercase().contains("\nupgrade: websocket\n") {
        let upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
                       Upgrade: websocket\r\n\r\n";
        let _gone = connection.write_all(upgrade.as_bytes());
        let _gone = std::io::copy(&mut reader, &mut connection);
        return;
    }
    let location = match head.contains("/redirect") {
        true => format!("Location: http://127.0.0.1:{port}/else\r\n"),
        false => String::new(),
    };
    let status = if location.is_empty() { "200 OK" } else { "302 Found" };
    let _gone = write!(
        connection,
        "HTTP/1.1 {status}\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n{head}",
        head.len()
    );
}

/// Reference 8.2, column "old".
#[test]
fn a_url_is_passed_on_as_4_4_7_does() {
    let port = backend();
    let to = |path: &str| format!("http://127.0.0.1:{port}{path}");
    let (plain, based, slash, file) = (to(""), to("/base"), to("/base/"), to("/icon"));
    let dead = format!("http://127.0.0.1:{}", super::free_port());
    let express = Express::start(&[
        "--proxy-url-alias",
        "/api",
        &plain,
        "--proxy-url-alias",
        "/b",
        &based,
        "--proxy-url-alias",
        "/sl/",
        &slash,
        "--proxy-url-alias",
        "/fav.ico",
        &file,
        "--proxy-url-alias",
        "/dead",
        &dead,
        "--url-alias",
        "/api/file",
        "app.wsgi",
    ]);
    for (asked, got) in [
        ("/api/x?q=1", "GET /x?q=1 HTTP/1.1"),
        ("/api", "GET / HTTP/1.1"),
        ("/api/file", "GET /file HTTP/1.1"),
        ("/b", "GET /base HTTP/1.1"),
        ("/b/c", "GET /base/c HTTP/1.1"),
        ("/sl/x", "GET /base/x HTTP/1.1"),
        ("/fav.ico", "GET /icon HTTP/1.1"),
    ] {
        let answer = express.ask(asked);
        assert!(answer.starts_with(&format!("{got}\n")), "{asked}\n{answer}");
    }
    let answer = express.ask("/api/x");
    for header in [
        format!("Host: 127.0.0.1:{port}"),
        "X-Forwarded-For: 127.0.0.1".to_owned(),
        format!("X-Forwarded-Host: 127.0.0.1:{}", express.port),
    ] {
        assert!(answer.lines().any(|line| line == header), "{header}\n{answer}");
    }
    let redirect = express.curl("/api/redirect", &[]);
    assert_eq!(redirect.header("location"), Some(&*to("/else")));
    assert_eq!(express.ask("/apix"), format!(" /apix localhost:{}", express.port));
    assert_eq!(express.curl("/dead/x", &[]).status, 503);
}

#[test]
fn a_whole_site_may_be_passed_on() {
    let port = backend();
    for option in ["--proxy-url-alias", "--proxy-mount-point"] {
        let express = Express::start(&[option, "/", &format!("http://127.0.0.1:{port}/")]);
        assert!(express.ask("/x/y").starts_with("GET /x/y HTTP/1.1\n"), "{option}");
    }
}

/// Reference 8.2, column "today".
#[test]
fn a_mount_point_is_passed_on_as_later_releases_do() {
    let port = backend();
    let target = format!("http://127.0.0.1:{port}");
    let express = Express::start(&["--proxy-mount-point", "/api", &target]);
    let answer = express.ask("/api/x?q=1");
    assert!(answer.starts_with("GET /x?q=1 HTTP/1.1\n"), "{answer}");
    for header in
        ["X-Forwarded-Prefix: /api".to_owned(), format!("X-Forwarded-Port: {}", express.port)]
    {
        assert!(answer.lines().any(|line| line == header), "{header}\n{answer}");
    }
    let bare = express.curl("/api", &[]);
    let here = format!("http://127.0.0.1:{}", express.port);
    assert_eq!((bare.status, bare.header("location")), (302, Some(&*format!("{here}/api/"))));
    let redirect = express.curl("/api/redirect", &[]);
    assert_eq!(redirect.header("location"), Some(&*format!("{here}/api/else")));
    assert_eq!(express.ask("/apix"), format!(" /apix localhost:{}", express.port));
}

/// Reference 8.3.
#[test]
fn a_host_is_passed_on() {
    let port = backend();
    let target = format!("http://127.0.0.1:{port}/");
    let express = Express::start(&[
        "--proxy-virtual-host",
        "other.test",
        &target,
        "--proxy-virtual-host",
        "third.test",
        &target,
        "--server-name",
        "a.test",
    ]);
    for host in ["other.test", "third.test"] {
        let answer = express.curl("/x?q=1", &["-H", &format!("Host: {host}")]);
        assert!(answer.body.starts_with("GET /x?q=1 HTTP/1.1\n"), "{answer:?}");
        let port = format!("X-Forwarded-Port: {}", express.port);
        assert!(answer.body.lines().any(|line| line == port), "{answer:?}");
    }
    let redirect = express.curl("/redirect", &["-H", "Host: other.test"]);
    assert_eq!(redirect.header("location"), Some("http://other.test/else"));
    assert_eq!(express.curl("/", &["-H", "Host: a.test"]).status, 200);
    assert_eq!(express.curl("/", &["-H", "Host: unknown.test"]).status, 403);
}

/// Reference 8.4, rows 1 and 2, through the launcher's option.
#[test]
fn an_evicted_process_goes_when_its_time_is_over() {
    let mut express = Express::start(&[
        "--eviction-timeout",
        "2",
        "--graceful-timeout",
        "30",
        "--shutdown-timeout",
        "1",
    ]);
    let first = express.eval("os.getpid()");
    signal(first.parse().unwrap(), Signal::USR1);
    express.wait("a new process", |express| express.eval("os.getpid()") != first);
    let second: u32 = express.eval("os.getpid()").parse().unwrap();
    let url = format!("http://127.0.0.1:{}/", express.port);
    let begin = Instant::now();
    let slow = std::thread::spawn(move || {
        let mut curl = super::command("curl");
        curl.args(["-sS", "-i", "--noproxy", "*", "-H", "X-Eval: time.sleep(20)", &url]);
        String::from_utf8_lossy(&curl.output().unwrap().stdout).into_owned()
    });
    std::thread::sleep(Duration::from_millis(500));
    signal(second, Signal::USR1);
    express.wait("the end of the evicted process", |_| is_gone(second));
    assert!((2.0..15.0).contains(&begin.elapsed().as_secs_f64()), "{:?}", begin.elapsed());
    assert!(slow.join().unwrap().starts_with("HTTP/1.1 502 "));
    assert!(express.eval("os.getpid()") != second.to_string());
}

/// Reference 8.1, row 5.
#[test]
fn a_service_needs_an_account_that_is_there() {
    let folder = Folder::new();
    folder.write("service.py", SERVICE);
    for (option, what) in [("--service-user", "user"), ("--service-group", "group")] {
        let words = ["app.wsgi", "--service-script", "s", "service.py", option, "s", "nobody-here"];
        let refused = folder.set_up(&words).expect(2);
        let said = format!("option {option}: bad {what} name `nobody-here`");
        assert!(refused.stderr.contains(&said), "{}", refused.stderr);
    }
}

/// Reference 8.1, row 12: both are started again, after pauses that grow.
#[test]
fn a_service_that_ends_comes_back_ever_later() {
    let folder = Folder::new();
    let note = "import os, time\nHERE = os.path.dirname(os.path.abspath(__file__))\n\
        def note(name):\n    with open(os.path.join(HERE, name), 'a') as file:\n        \
        print(time.time(), file=file)\n";
    folder.write("returns.py", &format!("{note}note('returns')\n"));
    folder.write("raises.py", &format!("{note}note('raises')\nraise ValueError('as it is')\n"));
    let script = "--service-script";
    let words = ["app.wsgi", script, "a", "returns.py", script, "b", "raises.py"];
    let mut express = Express::of(folder, &words);
    for name in ["returns", "raises"] {
        express.wait(name, |express| express.folder.read(name).lines().count() >= 4);
        let text = express.folder.read(name);
        let starts: Vec<f64> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert!(starts[3] - starts[2] > 1.3 * (starts[1] - starts[0]), "{name}: {starts:?}");
    }
    assert!(express.log().contains("ValueError: as it is"));
    assert_eq!(express.curl("/", &[]).status, 200);
}
