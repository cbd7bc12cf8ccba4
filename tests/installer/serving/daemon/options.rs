//! Options of `WSGIDaemonProcess` that a process shows at once: who it is, where
//! it lives, what its Python is told.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use std::path::Path;

use crate::sandbox::may_unshare;

use super::{
    Instance, Site, begin, group, is_root, members, pid, python, serving, stop, title_of, wait,
};

#[test]
fn an_option_shows_in_the_process() {
    const OS: &str = "__import__('os')";
    for (options, code, answer) in [
        ("", "mod_wsgi.process_group, mod_wsgi.application_group", "('g', '')"),
        ("", "environ['mod_wsgi.process_group']", "'g'"),
        ("", "environ['wsgi.multiprocess'], environ['wsgi.multithread']", "(False, True)"),
        ("processes=1", "environ['wsgi.multiprocess']", "True"),
        ("threads=1", "environ['wsgi.multithread']", "False"),
        ("", "mod_wsgi.threads_per_process, mod_wsgi.maximum_processes", "(15, 1)"),
        (
            "processes=2 threads=3",
            "mod_wsgi.threads_per_process, mod_wsgi.maximum_processes",
            "(3, 2)",
        ),
        ("umask=0027", "oct(OS.umask(0o27))", "'0o27'"),
        ("umask=7", "oct(OS.umask(7))", "'0o7'"),
        (
            "home=SITE/kept",
            "OS.getcwd() == sys.path[0] == OS.path.realpath(OS.path.dirname(module.__file__) + '/../kept')",
            "True",
        ),
        ("lang=xx_YY.UTF-8", "OS.environ['LANG']", "'xx_YY.UTF-8'"),
        ("locale=C.UTF-8", "OS.environ['LC_ALL']", "'C.UTF-8'"),
        (
            "locale=C.UTF-8",
            "__import__('locale').setlocale(__import__('locale').LC_ALL)",
            "'C.UTF-8'",
        ),
        ("locale=xx_YY", "6 * 7", "42"),
        ("python-eggs=SITE/kept/eggs", "OS.environ['PYTHON_EGG_CACHE'][-10:]", "'/kept/eggs'"),
        ("switch-interval=0.25", "sys.getswitchinterval()", "0.25"),
        ("switch-interval=1e-3", "sys.getswitchinterval()", "0.001"),
        ("cpu-priority=5", "OS.getpriority(OS.PRIO_PROCESS, 0)", "5"),
        ("cpu-time-limit=20 shutdown-timeout=2", "limit('CPU')", "(20, 23)"),
        ("memory-limit=1500000000", "limit('DATA')[0]", "1500000000"),
        ("virtual-memory-limit=3000000000", "limit('AS')[0]", "3000000000"),
        ("stack-size=1048576", "1 << 20 <= stack() <= (1 << 20) + (1 << 16)", "True"),
        ("server-metrics=Off", "mod_wsgi.server_metrics()", "None"),
        ("", "mod_wsgi.server_metrics()", "None"),
        ("send-buffer-size=100000", "listener().getsockopt(1, 7)", "200000"),
        ("receive-buffer-size=100000", "listener().getsockopt(1, 8)", "200000"),
        // Large enough to hold what is asked for, and what is answered.
        ("response-buffer-size=65536 header-buffer-size=8192", "len('x' * 300)", "300"),
    ] {
        let instance = serving(options);
        let text = format!("{HELPERS}answer = {}\n", code.replace("OS", OS));
        assert_eq!(instance.ask(&text), answer, "{options}: {code}");
        if options == "locale=xx_YY" {
            instance.logs("WSGI0079");
        }
        stop(instance, &["g"]);
    }
}

/// That of the whole server is for its own processes.
#[test]
fn the_folder_for_eggs_is_an_option_of_the_group() {
    let directives = group("", "WSGIPythonEggs SITE/kept/eggs");
    let instance = Instance::new(&directives);
    assert_eq!(instance.ask("__import__('os').environ.get('PYTHON_EGG_CACHE')"), "None");
}

#[test]
fn the_log_says_where_a_script_is_loaded() {
    let instance = Instance::new(&group(
        "",
        "WSGIScriptAlias /sub \"SITE/apps/names.wsgi\"
        <Location /sub>\nWSGIApplicationGroup sub\n</Location>",
    ));
    instance.ask("1");
    instance.get("/sub").expect(200);
    for (script, interpreter) in [("ask", "main interpreter"), ("names", "sub-interpreter 'sub'")] {
        let script = instance.site.path(&format!("apps/{script}.wsgi"));
        let script = script.display();
        instance.logs(&format!(
            "Loading WSGI script '{script}' into {interpreter} of daemon process 'g'."
        ));
    }
    instance.logs("Creating sub-interpreter 'sub' in daemon process 'g'.");
}

/// The original's processes are copies of httpd's, and see it in their own memory.
#[test]
fn the_server_is_told_about_where_that_is_allowed() {
    let directives = "WSGIServerMetrics On\nExtendedStatus On\n\
                      WSGIDaemonProcess other\nWSGIScriptAlias /other \"SITE/apps/ask.wsgi\" \
                      process-group=other application-group=%{GLOBAL}";
    for options in ["server-metrics=On", "server-metrics=On preload=On"] {
        let instance = Instance::new(&group(options, directives));
        instance.ask("1 + 1");
        for round in 0..2 {
            let code = "m = mod_wsgi.server_metrics()\n\
                        workers = [(process, worker) for process in m['processes'] \
                        for worker in process['workers'] if worker['status'] == 'W']\n\
                        [(process, worker)] = workers\n\
                        answer = (m['server_limit'], m['thread_limit'], m['running_generation'], \
                        len(m['processes']), len(process['workers']), \
                        str(process['pid']) == environ['mod_wsgi.server_pid'], \
                        process['quiescing'], worker['request'], worker['client'], \
                        0 < worker['start_time'] <= m['current_time'])\n";
            let expected =
                format!("(1, 8, {round}, 1, 8, True, False, 'POST / HTTP/1.1', '127.0.0.1', True)");
            assert_eq!(instance.ask(code), expected, "{options}");
            assert_eq!(instance.ask_at("/other", "mod_wsgi.server_metrics()"), "None");
            // The supervisor of the next generation has it, too.
            let old = members(&instance, "g");
            instance.signal(rustix::process::Signal::USR1);
            wait("the end of the old ones", &instance, || {
                members(&instance, "g").is_disjoint(&old) && members(&instance, "g").len() == 1
            });
        }
    }
}

/// Sockets let nobody else through; should one do, its process does not.
#[test]
fn other_accounts_are_refused() {
    if !is_root("somebody else who connects") {
        return;
    }
    let instance = serving("");
    instance.ask("1");
    let socket = instance.site.path(&super::sockets(&instance)[0]);
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777)).unwrap();
    let code = format!(
        "import socket\nwire = socket.socket(socket.AF_UNIX)\nwire.connect({socket:?})\n\
         print(wire.recv(1))\n"
    );
    let python = python().home.join(format!("bin/python{}", python().version));
    let mut asks = crate::real::command(python);
    let asks = std::os::unix::process::CommandExt::uid(&mut asks, super::uid_of("daemon"));
    let output = asks.arg("-c").arg(code).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b''\n", "{output:?}");
    instance.logs("connection to daemon process 'g' refused");
    assert_eq!(instance.ask("6 * 7"), "42");
}

/// What code may call in `an_option_shows_in_the_process`.
const HELPERS: &str = r#"
import ctypes, os, resource, socket

def limit(name):
    return resource.getrlimit(getattr(resource, 'RLIMIT_' + name))

def stack():
    library = ctypes.CDLL(None)
    library.pthread_self.restype = ctypes.c_ulong
    attributes, size = ctypes.create_string_buffer(256), ctypes.c_size_t()
    library.pthread_getattr_np(ctypes.c_ulong(library.pthread_self()), attributes)
    library.pthread_attr_getstacksize(attributes, ctypes.byref(size))
    return size.value

def listener():
    for name in os.listdir('/proc/self/fd'):
        try:
            one = socket.socket(fileno=os.dup(int(name)))
            if one.family == socket.AF_UNIX and one.getsockopt(1, socket.SO_ACCEPTCONN):
                return one
        except OSError:
            pass

"#;

#[test]
fn a_title_is_what_is_asked_for() {
    for (option, title) in [("display-name=%{GROUP}", "(wsgi:h)"), ("display-name=mine", "mine")] {
        let instance = Instance::new(&group(
            "",
            &format!(
                "WSGIDaemonProcess h {option}\n\
                 WSGIScriptAlias /h \"SITE/apps/ask.wsgi\" process-group=h"
            ),
        ));
        let found: u32 = instance.ask_at("/h", super::PID).parse().unwrap();
        assert_eq!(title_of(found), title);
        assert_ne!(found, pid(&instance));
    }
}

#[test]
fn processes_are_as_many_as_asked_for_and_all_serve() {
    let instance = serving("processes=3 threads=1");
    super::all_of(&instance, "g", 3);
    let mut seen = std::collections::BTreeSet::new();
    wait("each has answered", &instance, || {
        let wires = [0; 3]
            .map(|_| begin(&instance, "/", &format!("({}, {})", super::sleep(0.2), super::PID)));
        for mut wire in wires {
            let text = wire.reply("POST").expect(200).text();
            seen.insert(text.trim_matches(['(', ')']).split(' ').nth(1).unwrap().parse().unwrap());
        }
        seen.len() == 3
    });
    assert_eq!(seen, members(&instance, "g"));
    stop(instance, &["g"]);
}

#[test]
fn threads_are_as_many_as_asked_for() {
    let instance = serving("threads=2");
    let code = "import time\nnow = kept.setdefault('now', [])\nnow.append(1)\nanswer = len(now)\n\
                time.sleep(0.3)\nnow.pop()\n";
    let wires = [0; 6].map(|_| begin(&instance, "/", code));
    let most = wires.map(|mut wire| wire.reply("POST").expect(200).text()).into_iter().max();
    assert_eq!(most.as_deref(), Some("2"));
}

/// Its root has the Python and what that needs of the machine, but nothing of ours.
#[test]
fn a_process_may_have_another_root() {
    if !is_root("chroot") || !may_unshare() {
        return;
    }
    const MOUNT: &str = "jail=$1; shift; while [ \"$1\" != : ]; do \
        mkdir -p \"$jail$1\"; mount --rbind \"$1\" \"$jail$1\"; shift; done; shift; exec \"$@\"";
    let mut site = Site::new();
    let jail = site.path("jail");
    site.write("jail/apps/ask.wsgi", &site.read("apps/ask.wsgi"));
    let mut words: Vec<&str> = vec!["unshare", "--mount", "sh", "-ec", MOUNT, "sh"];
    words.push(jail.to_str().unwrap());
    let system = ["/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/usr"];
    words.extend(system.iter().filter(|folder| Path::new(folder).exists()));
    words.extend([python().home.to_str().unwrap(), ":"]);
    site.below = words.into_iter().map(str::to_owned).collect();
    let directives =
        group("chroot=SITE/jail home=/apps", "WSGIScriptAlias / \"SITE/jail/apps/ask.wsgi\"");
    let instance = Instance::of(site, "event", &directives);
    let code = "import os\nanswer = module.__file__, os.getcwd(), os.path.exists('/var'), \
                os.stat('/').st_ino\n";
    let inode = jail.metadata().unwrap().ino();
    let expected = format!("('/apps/ask.wsgi', '/apps', False, {inode})");
    assert_eq!(instance.ask(code), expected);
}

#[test]
fn a_process_is_whom_it_is_told_to_be() {
    if !is_root("user, group and supplementary-groups") {
        return;
    }
    let who = "import grp, os, pwd\n\
               answer = os.getuid(), os.geteuid(), os.getgid(), sorted(set(os.getgroups()))\n";
    let names = "import grp, pwd\nanswer = [pwd.getpwnam('daemon')[2], grp.getgrnam('daemon')[2], \
                 grp.getgrnam('bin')[2], grp.getgrnam('sys')[2]]\n";
    let instance = serving("");
    let nobody = instance.ask("__import__('pwd').getpwnam('nobody')[2]");
    assert_eq!(instance.ask(who), format!("({nobody}, {nobody}, 65534, [65534])"));
    let ids = instance.ask(names);
    drop(instance);
    let ids: Vec<u32> =
        ids.trim_matches(['[', ']']).split(", ").map(|id| id.parse().unwrap()).collect();
    let [user, group, bin, sys] = ids[..] else { panic!("{ids:?}") };
    let mut all = [group, bin, sys];
    all.sort_unstable();
    for (options, answer) in [
        ("user=daemon group=daemon".to_owned(), format!("({user}, {user}, {group}, [{group}])")),
        (format!("user=#{user} group=#{group}"), format!("({user}, {user}, {group}, [{group}])")),
        (
            "user=daemon group=daemon supplementary-groups=bin,sys".to_owned(),
            format!("({user}, {user}, {group}, {all:?})"),
        ),
    ] {
        let instance = serving(&options);
        assert_eq!(instance.ask(who), answer, "{options}");
        // Lives in the home of its user.
        let home = "import os, pwd\nanswer = os.getcwd() == pwd.getpwuid(os.getuid())[5]\n";
        assert_eq!(instance.ask(home), "True", "{options}");
    }
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    if !is_root("socket-user") {
        return;
    }
    // The process of Apache that would connect is not the other user.
    for (option, name, status) in [("", "nobody", 200), ("socket-user=daemon", "daemon", 503)] {
        let instance = serving(&format!("user=nobody {option}"));
        let sockets = super::sockets(&instance);
        let [socket] = &sockets[..] else { panic!("{sockets:?}") };
        let data = std::fs::metadata(instance.site.path(socket)).unwrap();
        assert_eq!(data.permissions().mode() & 0o7777, 0o700);
        assert_eq!(data.uid(), super::uid_of(name), "{option}");
        instance.post("/", b"6 * 7").expect(status);
        assert_eq!(instance.log().contains("WSGI0117"), status == 503, "{}", instance.log());
    }
}

#[test]
fn scripts_must_belong_to_whom_the_group_says() {
    let owner = |path: &Path| std::fs::metadata(path).unwrap();
    for (option, mode, folder, status) in [
        ("script-user=MINE", 0o644, 0o755, 200),
        ("script-user=OTHER", 0o644, 0o755, 403),
        ("script-user=MINE", 0o664, 0o755, 403),
        ("script-user=MINE", 0o646, 0o755, 403),
        ("script-user=MINE", 0o644, 0o775, 403),
        ("script-user=MINE", 0o644, 0o757, 403),
        ("script-group=MINE", 0o664, 0o775, 200),
        ("script-group=OTHER", 0o644, 0o755, 403),
        ("script-group=MINE", 0o646, 0o755, 403),
        ("script-group=MINE", 0o644, 0o757, 403),
    ] {
        let site = Site::new();
        let script = site.path("apps/ask.wsgi");
        let data = owner(&script);
        let (mine, other) = match option.starts_with("script-user") {
            true => (data.uid(), "daemon"),
            false => (data.gid(), "daemon"),
        };
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(&script, mode);
        set(&site.path("apps"), folder);
        let options = option.replace("MINE", &format!("#{mine}")).replace("OTHER", other);
        let instance = Instance::of(site, "event", &group(&options, ""));
        let reply = instance.post("/", b"6 * 7");
        assert_eq!(reply.status, status, "{option} {mode:o} {folder:o}\n{}", instance.log());
    }
}

#[test]
fn a_group_may_have_a_python_of_its_own() {
    let site = Site::new();
    let library = format!("lib/python{}", python().version);
    std::fs::create_dir_all(site.path("own/lib")).unwrap();
    std::os::unix::fs::symlink(python().home.join(&library), site.path("own").join(&library))
        .unwrap();
    let (own, home) = (site.path("own"), python().home.display());
    site.write(
        "own/bin/python",
        &format!("#!/bin/sh\nPYTHONHOME={} exec {home}/bin/python \"$@\"\n", own.display()),
    );
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(site.path("own/bin/python"), mode).unwrap();
    let instance = Instance::of(
        site,
        "event",
        &group(
            "python-home=SITE/own",
            "WSGIDaemonProcess h\n\
             WSGIScriptAlias /h \"SITE/apps/ask.wsgi\" process-group=h",
        ),
    );
    let own = instance.site.path("own");
    assert_eq!(instance.ask("sys.prefix"), format!("'{}'", own.display()));
    assert_eq!(instance.ask_at("/h", "sys.prefix"), format!("'{}'", python().home.display()));
}

#[test]
fn a_group_has_a_python_path_of_its_own() {
    let site = Site::new();
    for (below, text) in [("a/one.py", "x = 1"), ("b/two.py", "x = 2"), ("c/three.py", "x = 3")] {
        site.write(below, text);
    }
    let instance = Instance::of(
        site,
        "event",
        &group(
            "python-path=SITE/a:SITE/b",
            "WSGIPythonPath \"SITE/c\"\nWSGIDaemonProcess h\n\
             WSGIScriptAlias /h \"SITE/apps/ask.wsgi\" process-group=h",
        ),
    );
    let code = "import importlib.util\n\
                answer = [name for name in ('one', 'two', 'three') if importlib.util.find_spec(name)]\n";
    assert_eq!(instance.ask(code), "['one', 'two']");
    assert_eq!(instance.ask_at("/h", code), "[]");
}

#[test]
fn mistakes_in_options_are_told() {
    let mut cases: Vec<(String, &'static str)> = [
        ("processes=0", "Invalid process count"),
        ("processes=-1", "Invalid process count"),
        ("processes=", "Invalid process count"),
        ("threads=-1", "Invalid thread count"),
        ("threads=", "Invalid thread count"),
        ("umask=", "Invalid umask"),
        ("home=relative", "Invalid home directory"),
        ("stack-size=0", "Invalid stack size"),
        ("switch-interval=0", "Invalid switch interval"),
        ("switch-interval=-1", "Invalid switch interval"),
        ("maximum-requests=-1", "Invalid request count"),
        ("listen-backlog=-1", "Invalid listen backlog"),
        ("server-metrics=maybe", "Invalid server metrics flag"),
        ("send-buffer-size=511", "Send buffer size must be >= 512 bytes"),
        ("receive-buffer-size=511", "Receive buffer size must be >= 512 bytes"),
        ("header-buffer-size=8191", "Header buffer size must be >= 8192 bytes"),
        ("response-buffer-size=65535", "Response buffer size must be >= 65536 bytes"),
        ("response-buffer-size=1", "Response buffer size must be >= 65536 bytes"),
        ("eviction-timeout=-1", "nvalid eviction timeout"),
        ("script-user=daemon script-group=daemon", "Only one of script-user and script-group"),
        ("newrelic-config-file=x", "Invalid option to WSGI daemon process definition"),
        ("unknown=1", "Invalid option to WSGI daemon process definition"),
        ("threads", "Invalid option to WSGI daemon process definition"),
        ("\nWSGIDaemonProcess g", "Name duplicates previous WSGI daemon definition"),
        ("\nWSGIImportScript /x process-group=later application-group=x", "not yet configured"),
    ]
    .map(|(options, words)| (format!("WSGIDaemonProcess g {options}"), words))
    .to_vec();
    for (option, words) in [
        ("startup-timeout", "startup timeout"),
        ("inactivity-timeout", "inactivity timeout"),
        ("request-timeout", "request timeout"),
        ("interrupt-timeout", "interrupt timeout"),
        ("deadlock-timeout", "deadlock timeout"),
        ("graceful-timeout", "graceful timeout"),
        ("shutdown-timeout", "shutdown timeout"),
        ("connect-timeout", "connect timeout"),
        ("socket-timeout", "socket timeout"),
        ("queue-timeout", "queue timeout"),
        ("response-socket-timeout", "response socket timeout"),
        ("restart-interval", "restart interval"),
        ("memory-limit", "memory limit"),
        ("virtual-memory-limit", "virtual memory limit"),
        ("cpu-time-limit", "CPU time limit"),
    ] {
        cases.push((format!("WSGIDaemonProcess g {option}=-1"), words));
        cases.push((format!("WSGIDaemonProcess g {option}="), words));
    }
    Site::new().refuses(cases);
}

#[test]
fn users_that_cannot_be_are_told() {
    let site = Site::new();
    if is_root("daemons of root") {
        site.refuses([
            ("WSGIDaemonProcess g user=root", "WSGI process blocked from running as root"),
            ("WSGIDaemonProcess g user=#0", "WSGI process blocked from running as root"),
            ("WSGIDaemonProcess g user=#54321", "Couldn't determine user name from uid"),
            ("WSGIDaemonProcess g socket-user=#54321", "Couldn't determine user name from socket"),
            ("WSGIDaemonProcess g user=no-such-user", "no-such-user"),
        ]);
    } else {
        site.refuses([("WSGIDaemonProcess g chroot=/", "Cannot chroot WSGI daemon process")]);
    }
}

#[test]
fn values_at_the_limits_are_accepted() {
    let site = Site::new();
    for options in [
        "response-buffer-size=65536",
        "response-buffer-size=0",
        "header-buffer-size=8192",
        "header-buffer-size=0",
        "send-buffer-size=512 receive-buffer-size=512",
        "send-buffer-size=0 receive-buffer-size=0",
        "threads=0",
        "processes=1",
        "response-flush-delay=0",
        "eviction-timeout=0 graceful-timeout=0 shutdown-timeout=0 queue-timeout=0",
    ] {
        let outcome = site.check(&format!("WSGIDaemonProcess g {options}"));
        assert_eq!(outcome.status, 0, "{options}\n{}", outcome.stderr);
    }
}

/// The original speaks of an invalid option alone.
#[test]
fn the_old_name_of_the_response_buffer_is_refused_with_the_new_one() {
    for options in ["proxy-buffer-size=65536", "proxy-buffer-size=0"] {
        Site::new().refuses([(format!("WSGIDaemonProcess g {options}"), "response-buffer-size")]);
    }
}

/// The original takes what is no number for 0, or for its first digits, and so
/// makes a service of `threads=abc`.
#[test]
fn numbers_that_are_none_are_refused() {
    let site = Site::new();
    for (option, value) in [
        ("threads", "abc"),
        ("threads", "5x"),
        ("processes", "2.5"),
        ("eviction-timeout", "soon"),
        ("request-timeout", "1m"),
        ("maximum-requests", "1e3"),
        ("memory-limit", "1G"),
        ("umask", "8"),
        ("cpu-priority", "high"),
        ("switch-interval", "fast"),
    ] {
        let outcome = site.check(&format!("WSGIDaemonProcess g {option}={value}"));
        assert_eq!(outcome.status, 1, "{option}={value}\n{}", outcome.stderr);
        for word in [option, value] {
            assert!(outcome.stderr.contains(word), "{option}={value}: {word}\n{}", outcome.stderr);
        }
    }
}
