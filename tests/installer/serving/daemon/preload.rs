//! `preload=on`: scripts are loaded once, in a process that forks the others.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use super::{
    all_of, begin_sleep, gone, group, is_gone, members, parent_of, pid, signal, stop, stop_crashed,
    timed, title_of, wait,
};
use crate::serving::{Instance, Site, under_load};

/// Notes who imports it; answers who that was, and who serves.
const SCRIPT: &str = r#"
import os, sys, time

def note(name, *words):
    with open(os.path.join(KEPT, name), 'a') as file:
        print(*words, file=file)

importer = os.getpid()
note('imports', importer)

def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [f'{WORD} {importer} {os.getpid()}'.encode()]
"#;

/// The text of a script that notes its import, and then does this.
fn script(site: &Site, word: &str, more: &str) -> String {
    format!("KEPT = {:?}\nWORD = {word:?}\n{SCRIPT}\n{more}", site.path("kept"))
}

/// A server whose group `g` has the script `first.wsgi` at `/first`, and `ask` at `/`,
/// which nobody loads in advance.
fn preloading(options: &str, more: &str) -> Instance {
    with(options, more, "")
}

fn with(options: &str, more: &str, directives: &str) -> Instance {
    let site = Site::new();
    site.write("apps/first.wsgi", &script(&site, "first", more));
    let alias = "WSGIScriptAlias /first \"SITE/apps/first.wsgi\" process-group=g \
                 application-group=%{GLOBAL}";
    let directives = group(&format!("preload=on {options}"), &format!("{alias}\n{directives}"));
    Instance::of(site, "event", &directives)
}

/// Word, importer and server of an answer.
#[track_caller]
fn first(instance: &Instance) -> (String, u32, u32) {
    let text = instance.get("/first").expect(200).text();
    let words: Vec<&str> = text.split(' ').collect();
    (words[0].to_owned(), words[1].parse().unwrap(), words[2].parse().unwrap())
}

/// Who has imported the script so far.
fn importers(instance: &Instance) -> Vec<u32> {
    let text = instance.site.read("kept/imports");
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// The one zygote of the group, once it is the only one.
#[track_caller]
fn zygote(instance: &Instance) -> u32 {
    let mut found = Vec::new();
    wait("the zygote", instance, || {
        let folders = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
        let parent = instance.child.id();
        let is_ours = |pid: &u32| {
            title_of(*pid) == "(wsgi:g) zygote"
                && !is_gone(*pid)
                && parent_of(*pid).and_then(parent_of) == Some(parent)
        };
        found = pids.filter(is_ours).collect();
        found.len() == 1
    });
    found[0]
}

#[test]
fn what_is_imported_once_serves_in_all_processes() {
    let instance = preloading("processes=3", "");
    let members = all_of(&instance, "g", 3);
    let zygote = zygote(&instance);
    assert!(!members.contains(&zygote));
    let mut seen = BTreeSet::new();
    wait("all of them", &instance, || {
        let (word, importer, server) = first(&instance);
        assert_eq!((word.as_str(), importer), ("first", zygote));
        seen.insert(server);
        seen.len() == 3
    });
    assert_eq!(seen, members);
    assert_eq!(importers(&instance), [zygote]);
    assert_eq!(instance.ask("6 * 7"), "42");
    let log = stop(instance, &["g"]);
    assert!(is_gone(zygote));
    assert!(!log.contains("[wsgi:warn]") && !log.contains("[wsgi:error]"), "{log}");
}

#[test]
fn processes_have_most_of_their_memory_in_common() {
    let instance =
        preloading("processes=2", "ballast = [str(number) for number in range(500000)]\n");
    let members = all_of(&instance, "g", 2);
    first(&instance);
    for pid in members {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let figure = |name: &str| -> u64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let own = figure("Private_Dirty:");
        let all = figure("Rss:");
        assert!(all > 30_000 && own * 4 < all, "{own} KiB of {all} KiB are its own");
    }
}

#[test]
fn a_process_that_was_killed_is_followed_by_a_copy() {
    let instance = preloading("", "time.sleep(2)\n");
    let (_, importer, old) = first(&instance);
    signal(old, Signal::KILL);
    let ((_, same, new), took) = timed(|| first(&instance));
    assert!(is_gone(old) && new != old);
    assert_eq!(same, importer);
    assert!(took < 1.0, "{took}");
    assert_eq!(importers(&instance), [importer]);
    instance.logs("signal: 9");
    // What comes after a request in it is told with the request.
    let mut wire = begin_sleep(&instance, "cut", 30.0);
    signal(new, Signal::KILL);
    wire.reply("POST").expect(502);
    stop_crashed(instance);
}

#[test]
fn a_changed_script_is_imported_once_more() {
    let instance = preloading("processes=3", "");
    let (_, importer, _) = first(&instance);
    let old = all_of(&instance, "g", 3);
    let text = script(&instance.site, "changed", "# longer\n");
    // Nobody is refused; whoever has seen the new one is not sent back.
    let ask = || drop(first(&instance));
    under_load(ask, || {
        instance.site.write("apps/first.wsgi", &text);
        wait("the new script", &instance, || first(&instance).0 == "changed");
        wait("the end of the old ones", &instance, || old.iter().all(|pid| is_gone(*pid)));
    });
    let changed = first(&instance);
    assert_eq!(changed.0, "changed");
    all_of(&instance, "g", 3);
    let zygote = zygote(&instance);
    assert!(is_gone(importer));
    assert_eq!(importers(&instance), [importer, zygote]);
    assert_eq!(changed.1, zygote);
    // A script that the zygote knows nothing of counts as well.
    let ask = pid(&instance);
    let text = instance.site.read("apps/ask.wsgi");
    instance.site.write("apps/ask.wsgi", &format!("{text}# longer\n"));
    wait("others", &instance, || {
        let now = members(&instance, "g");
        let pid = pid(&instance);
        pid != ask && now.len() == 3 && importers(&instance).len() == 3
    });
}

#[test]
fn recycled_processes_are_copies_and_lose_no_request() {
    for options in ["maximum-requests=20", "restart-interval=1"] {
        let instance = preloading(&format!("processes=2 threads=2 {options}"), "time.sleep(1)\n");
        let (_, importer, _) = first(&instance);
        let mut seen = BTreeSet::new();
        let ask = || {
            let (answer, took) = timed(|| first(&instance));
            assert_eq!((answer.0.as_str(), answer.1), ("first", importer), "{options}");
            assert!(took < 2.0, "{options}: {took}");
        };
        under_load(ask, || {
            wait("ten of them", &instance, || {
                seen.extend(members(&instance, "g"));
                seen.len() >= 10
            });
        });
        assert_eq!(importers(&instance), [importer], "{options}");
        let log = stop(instance, &["g"]);
        assert!(!log.contains("[wsgi:error]"), "{log}");
    }
}

#[test]
fn a_graceful_restart_imports_once_more_and_loses_nothing() {
    let instance = with("processes=2", "", "ServerLimit 8");
    let (_, importer, _) = first(&instance);
    let old = all_of(&instance, "g", 2);
    let ask = || {
        first(&instance);
        std::thread::sleep(Duration::from_millis(5));
    };
    under_load(ask, || {
        instance.signal(Signal::USR1);
        wait("the end of the old ones", &instance, || old.iter().all(|pid| is_gone(*pid)));
    });
    gone(&instance, importer);
    let zygote = zygote(&instance);
    assert_eq!(importers(&instance), [importer, zygote]);
    // The older supervisor, as the new one, has processes of its own forked.
    all_of(&instance, "g", 2);
    stop(instance, &["g"]);
}

/// Processes of a server that has another configuration by now are copies, too.
#[test]
fn an_old_generation_goes_on_forking() {
    let instance = with("", "", "ServerLimit 4");
    let (_, importer, old) = first(&instance);
    let mut half = instance.raw(b"GET /first HTTP/1.1\r\nHost: localhost\r\n");
    std::thread::sleep(Duration::from_millis(500));
    instance.signal(Signal::USR1);
    wait("a new one", &instance, || importers(&instance).len() == 2);
    signal(old, Signal::KILL);
    gone(&instance, old);
    half.write(b"Connection: close\r\n\r\n");
    let text = half.reply("GET").expect(200).text();
    assert!(text.starts_with(&format!("first {importer} ")), "{text}");
    assert_eq!(importers(&instance).len(), 2);
    gone(&instance, importer);
    stop_crashed(instance);
}

#[test]
fn a_zygote_that_was_killed_is_followed_by_another_one() {
    let instance = preloading("", "");
    let (_, importer, server) = first(&instance);
    // It may serve before the zygote has told of it.
    instance.logs(&format!("(pid={server})"));
    signal(importer, Signal::KILL);
    wait("another import", &instance, || importers(&instance).len() == 2);
    let second = zygote(&instance);
    assert_eq!(first(&instance), ("first".to_owned(), importer, server), "nobody was replaced");
    signal(server, Signal::KILL);
    gone(&instance, server);
    assert_eq!(first(&instance).1, second);
    stop_crashed(instance);
}

#[test]
fn a_zygote_that_does_not_get_ready_is_given_up() {
    let ways = [
        ("time.sleep(3600)\n", "startup-timeout expired"),
        ("os._exit(3)\n", "has ended before it was ready (exit status: 3)"),
    ];
    for (more, why) in ways {
        let stamped = format!("note('times', time.monotonic())\n{more}");
        let instance = preloading("startup-timeout=2", &stamped);
        let tries = || instance.site.read("kept/times").matches('\n').count();
        wait("four tries", &instance, || tries() >= 4);
        let log = instance.logs(why);
        assert!(log.contains("Zygote of processes 'g' is started again"), "{log}");
        let pauses = super::pauses(&instance.site.read("kept/times"));
        super::grow(&pauses, more);
        let (reply, took) = timed(|| instance.get("/first"));
        reply.expect(503);
        assert!(took < 5.0, "{took}");
        // Repaired, it serves.
        instance.site.write("apps/first.wsgi", &script(&instance.site, "repaired", ""));
        wait("the repaired one", &instance, || instance.get("/first").status == 200);
        assert_eq!(first(&instance).0, "repaired");
        stop_crashed(instance);
    }
}

#[test]
fn a_zygote_that_hangs_in_a_fork_is_given_up() {
    // The first fork of the first one is the last.
    let more = "
def hang():
    if os.path.exists(os.path.join(KEPT, 'hung')):
        return
    note('hung', 'yes')
    time.sleep(3600)
os.register_at_fork(before=hang)
";
    let instance = preloading("startup-timeout=3", more);
    instance.logs("it does not fork");
    wait("a reply", &instance, || instance.get("/first").status == 200);
    assert_eq!(importers(&instance).len(), 2);
    stop_crashed(instance);
}

/// What a zygote says is what the application may say in its place.
#[test]
fn a_pid_of_another_account_is_not_believed() {
    if !super::is_root("a process of another account") {
        return;
    }
    let more = "
def lie():
    import socket
    if not os.path.exists(os.path.join(KEPT, 'lied')):
        note('lied', 'yes')
        httpd = open(f'/proc/{os.getppid()}/stat').read().rpartition(')')[2].split()[1]
        control = socket.socket(fileno=os.dup(3))
        control.send(f'{{\"Forked\":[0,{httpd}]}}'.encode())
os.register_at_fork(before=lie)
";
    let instance = preloading("", more);
    let log = instance.logs("WSGI0010: Couldn't spawn process 'g'");
    assert!(log.contains("it is gone or somebody else's"), "{log}");
    wait("a reply", &instance, || instance.get("/first").status == 200);
    // The one that was not believed in has ended by itself.
    let members = all_of(&instance, "g", 1);
    assert_eq!(members.first(), Some(&first(&instance).2));
    assert_eq!(instance.ask("6 * 7"), "42");
}

#[test]
fn another_supervisor_has_another_zygote() {
    let instance = preloading("", "");
    let (_, importer, server) = first(&instance);
    signal(parent_of(importer).unwrap(), Signal::KILL);
    gone(&instance, importer);
    gone(&instance, server);
    wait("another import", &instance, || importers(&instance).len() == 2);
    assert_eq!(first(&instance).1, zygote(&instance));
    stop_crashed(instance);
}

/// Old processes serve until there are new ones.
#[test]
fn a_change_that_hangs_leaves_the_old_ones_at_work() {
    let instance = preloading("startup-timeout=3", "");
    let (_, importer, server) = first(&instance);
    let text = script(&instance.site, "hanging", "time.sleep(3600)\n");
    instance.site.write("apps/first.wsgi", &text);
    // Whoever finds it waits for one that has it.
    let _waits = instance.raw(b"GET /first HTTP/1.1\r\nHost: localhost\r\n\r\n");
    wait("two tries", &instance, || importers(&instance).len() >= 3);
    assert_eq!(first(&instance), ("first".to_owned(), importer, server));
    let text = script(&instance.site, "changed", "# much longer\n");
    instance.site.write("apps/first.wsgi", &text);
    wait("the new script", &instance, || first(&instance).0 == "changed");
    stop_crashed(instance);
}

#[test]
fn a_script_that_fails_is_tried_again_by_the_processes() {
    let fails = "import nowhere\n";
    let instance = preloading("processes=2", fails);
    instance.logs("No module named 'nowhere'");
    assert_eq!(importers(&instance).len(), 1);
    instance.get("/first").expect(500);
    assert_eq!(importers(&instance).len(), 2);
    instance.site.write("apps/first.wsgi", &script(&instance.site, "repaired", ""));
    assert_eq!(first(&instance).0, "repaired");
}

#[test]
fn functions_that_are_registered_for_forks_run() {
    let more = "
import threading
def done(what):
    note('forks', what, os.getpid(), threading.current_thread() is threading.main_thread())
    sys.stderr.write(f'{what} of {os.getpid()}\\n')
os.register_at_fork(before=lambda: done('before'), after_in_parent=lambda: done('parent'),
                    after_in_child=lambda: done('child'))
";
    let instance = preloading("processes=2", more);
    let members = all_of(&instance, "g", 2);
    let zygote = zygote(&instance);
    wait("both forks", &instance, || instance.site.read("kept/forks").lines().count() == 6);
    let text = instance.site.read("kept/forks");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = members.iter().map(|pid| format!("child {pid} True")).collect();
    for what in ["before", "parent"] {
        expected.extend([format!("{what} {zygote} True"), format!("{what} {zygote} True")]);
    }
    expected.sort_unstable();
    assert_eq!(lines, expected);
    for pid in members {
        instance.logs(&format!("child of {pid}"));
    }
}

#[test]
fn what_is_random_differs() {
    let more = "import random\nrandom.random()\n";
    let instance = preloading("processes=2 threads=1", more);
    let ask = "(__import__('os').getpid(), __import__('random').random())";
    let mut seen = std::collections::BTreeMap::new();
    wait("both", &instance, || {
        let answer = instance.ask(ask);
        let (pid, number) = answer.trim_matches(['(', ')']).split_once(", ").unwrap();
        seen.entry(pid.to_owned()).or_insert_with(|| number.to_owned());
        seen.len() == 2
    });
    let numbers: BTreeSet<&String> = seen.values().collect();
    assert_eq!(numbers.len(), 2, "{seen:?}");
}

#[test]
fn a_forked_process_is_like_any_other() {
    let more = "
import atexit, mod_wsgi, signal
mod_wsgi.subscribe_shutdown(lambda name, **payload: note('ends', name, os.getpid()))
atexit.register(lambda: note('ends', 'atexit', os.getpid()))
signal.signal(signal.SIGUSR2, lambda *arguments: None)
";
    let instance = preloading("maximum-requests=1000 memory-limit=4000000000", more);
    let (_, importer, server) = first(&instance);
    for (code, answer) in [
        ("mod_wsgi.process_group", "'g'"),
        ("__import__('resource').getrlimit(2)", "(4000000000, 4000000000)"),
        // It is not its to handle.
        ("__import__('signal').signal(10, 'x')", "'x'"),
        ("__import__('threading').active_count() >= 1", "True"),
        ("len(mod_wsgi.shutdown_callbacks)", "1"),
    ] {
        assert_eq!(instance.ask(code), answer, "{code}");
    }
    // What it has used is its own.
    let figures = "(mod_wsgi.start_recording_metrics(), mod_wsgi.process_metrics())[1]";
    let age = instance.ask(&format!("{figures}['running_time'] <= {figures}['current_time']"));
    assert_eq!(age, "True");
    signal(server, Signal::TERM);
    gone(&instance, server);
    let ends = instance.site.read("kept/ends");
    assert_eq!(ends, format!("process_stopping {server}\natexit {server}\n"));
    signal(importer, Signal::TERM);
    gone(&instance, importer);
    assert_eq!(instance.site.read("kept/ends"), ends, "the zygote has served nobody");
}

#[test]
fn other_interpreters_load_their_scripts_after_the_fork() {
    let site = Site::new();
    site.write("apps/first.wsgi", &script(&site, "first", ""));
    let directives = group(
        "preload=on processes=2",
        "WSGIImportScript \"SITE/apps/first.wsgi\" process-group=g application-group=sub\n\
         WSGIScriptAlias /first \"SITE/apps/first.wsgi\" process-group=g application-group=sub",
    );
    let instance = Instance::of(site, "event", &directives);
    let members = all_of(&instance, "g", 2);
    wait("both imports", &instance, || importers(&instance).len() == 2);
    assert_eq!(BTreeSet::from_iter(importers(&instance)), members);
    let (_, importer, server) = first(&instance);
    assert_eq!(importer, server);
    instance.logs("has no script to load in advance");
}

#[test]
fn threads_of_a_script_are_warned_of() {
    let more = "
import threading
threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
";
    let instance = preloading("", more);
    assert_eq!(first(&instance).0, "first");
    let log = instance.logs("started 1 thread(s)");
    assert!(log.contains("[wsgi:warn]"), "{log}");
}

/// What an application leaves behind becomes a child of the supervisor: it must not
/// stay there when it has ended.
#[test]
fn orphans_are_buried() {
    let instance = preloading("", "");
    let orphan = "__import__('subprocess').check_output(['sh', '-c', '(sleep 0.5 & echo $!)'], \
                  stderr=-3, text=True)";
    let code = orphan.replace("sleep 0.5 &", "sleep 0.5 >/dev/null &");
    let answer = instance.ask(&code);
    let pid: u32 = answer.trim_matches(['\'', '\\', 'n']).parse().unwrap();
    wait("its end", &instance, || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_service_is_not_preloaded() {
    let site = Site::new();
    site.refuses([
        ("WSGIDaemonProcess s threads=0 preload=on", "preload=on is not for a service daemon"),
        ("WSGIDaemonProcess s preload=maybe", "Invalid preload flag for WSGI daemon process."),
    ]);
}
