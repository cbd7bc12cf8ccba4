//! Processes that serve nobody: a script that runs for as long as it likes.

use std::time::Duration;

use rustix::process::Signal;

use super::{PID, all_of, gone, group, is_gone, members, pid, signal, stop, title_of, wait};
use crate::serving::{Instance, Site};

/// A server with the group `g` and the service `service:s`, which runs this.
fn service(options: &str, script: &str) -> Instance {
    let site = Site::new();
    let kept = site.path("kept");
    site.write("apps/service.py", &format!("KEPT = {kept:?}\n{BEGIN}{script}"));
    let directives = format!(
        "WSGIDaemonProcess service:s display-name=%{{GROUP}} {options}\n\
         WSGIImportScript \"SITE/apps/service.py\" process-group=service:s \
         application-group=%{{GLOBAL}}"
    );
    Instance::of(site, "event", &group("", &directives))
}

/// Notes its starts and its ends.
const BEGIN: &str = r#"
import atexit, os, signal, sys, threading, time
import mod_wsgi

def note(name, *words):
    with open(os.path.join(KEPT, name), 'a') as file:
        print(*words, file=file)

atexit.register(note, 'ends', os.getpid())
note('starts', time.monotonic())
note('pids', os.getpid())
"#;

const LOOP: &str = "while True:\n    time.sleep(0.1)\n";

/// The process of the service that has started as the n-th.
#[track_caller]
fn nth(instance: &Instance, count: usize) -> u32 {
    let mut found = 0;
    wait(&format!("start {count}"), instance, || {
        let pids = instance.site.read("kept/pids");
        let line = pids.lines().nth(count - 1).filter(|_| pids.ends_with('\n'));
        found = line.map_or(0, |line| line.parse().unwrap());
        found != 0
    });
    found
}

#[test]
fn a_service_runs_beside_the_application() {
    let code = "note('context', mod_wsgi.process_group, repr(mod_wsgi.application_group), \
                threading.current_thread() is threading.main_thread(), \
                os.path.basename(__file__), mod_wsgi.threads_per_process)\n";
    let instance = service("threads=0", &format!("{code}{LOOP}"));
    let found = nth(&instance, 1);
    assert_eq!(title_of(found), "(wsgi:service:s)");
    assert_eq!(members(&instance, "service:s").into_iter().collect::<Vec<_>>(), [found]);
    assert_ne!(pid(&instance), found);
    let context = instance.comes("kept/context", "\n");
    assert_eq!(context, "service:s '' True service.py 0\n");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(instance.site.read("kept/pids").lines().count(), 1, "it runs once");
    stop(instance, &["g", "service:s"]);
}

#[test]
fn a_service_is_who_and_where_it_is_told_to_be() {
    let code = "import site\n\
                note('context', os.getcwd() == os.path.realpath(KEPT), \
                KEPT + '/path' in sys.path, os.getuid())\n";
    let options = "threads=0 home=SITE/kept python-path=SITE/kept/path";
    for (options, name) in
        [(options.to_owned(), "nobody"), (format!("{options} user=daemon"), "daemon")]
    {
        if !super::is_root("a service of another user") {
            continue;
        }
        let instance = service(&options, &format!("{code}{LOOP}"));
        let context = instance.comes("kept/context", "\n");
        assert_eq!(context, format!("True True {}\n", super::uid_of(name)), "{options}");
    }
}

#[test]
fn a_service_ends_with_a_clean_exit() {
    let instance = service("threads=0", LOOP);
    let old = nth(&instance, 1);
    signal(old, Signal::TERM);
    gone(&instance, old);
    instance.comes("kept/ends", &format!("{old}\n"));
    let new = nth(&instance, 2);
    let application = pid(&instance);
    signal(new, Signal::KILL);
    gone(&instance, new);
    let last = nth(&instance, 3);
    assert_eq!(pid(&instance), application);
    let log = stop(instance, &["g", "service:s"]);
    assert!(is_gone(last));
    assert!(!log.contains("Traceback") && !log.contains("[wsgi:error]"), "{log}");
}

#[test]
fn a_service_ends_with_its_server() {
    let mut instance = service("threads=0", LOOP);
    let only = nth(&instance, 1);
    instance.stop();
    assert!(is_gone(only));
    assert_eq!(instance.site.read("kept/ends"), format!("{only}\n"));
}

#[test]
fn a_service_may_handle_signals() {
    let code = "signal.signal(signal.SIGUSR1, lambda *arguments: note('heard', 'it'))\n\
                note('ready', 'yes')\n";
    let instance = service("threads=0", &format!("{code}{LOOP}"));
    let only = nth(&instance, 1);
    instance.comes("kept/ready", "yes");
    signal(only, Signal::USR1);
    instance.comes("kept/heard", "it");
    assert!(!is_gone(only));
}

#[test]
fn a_service_that_leaves_is_no_error_and_starts_again() {
    let instance = service("threads=0", "sys.exit(0)\n");
    nth(&instance, 2);
    let log = instance.log();
    assert!(!log.contains("Traceback") && !log.contains("[wsgi:error]"), "{log}");
}

#[test]
fn a_service_that_fails_says_why() {
    let instance = service("threads=0", "raise ValueError('of the service')\n");
    nth(&instance, 2);
    instance.logs("ValueError: of the service");
    assert_eq!(instance.ask("6 * 7"), "42");
}

/// What releases before 4.6 needed: the script keeps the process from serving.
#[test]
fn a_service_may_have_a_thread() {
    let mut instance = service("threads=1", LOOP);
    let only = nth(&instance, 1);
    assert_eq!(title_of(only), "(wsgi:service:s)");
    assert_ne!(pid(&instance), only);
    instance.stop();
    assert!(is_gone(only));
}

#[test]
fn services_are_apart() {
    let site = Site::new();
    let kept = site.path("kept");
    site.write(
        "apps/service.py",
        &format!("KEPT = {kept:?}\n{BEGIN}note(mod_wsgi.process_group, os.getpid())\n{LOOP}"),
    );
    let directives: String = ["one", "two"]
        .iter()
        .map(|name| {
            format!(
                "WSGIDaemonProcess {name} threads=0 display-name=%{{GROUP}}\n\
                 WSGIImportScript \"SITE/apps/service.py\" process-group={name} \
                 application-group=%{{GLOBAL}}\n"
            )
        })
        .collect();
    let instance = Instance::of(site, "event", &group("", &directives));
    for name in ["one", "two"] {
        let found = instance.comes(&format!("kept/{name}"), "\n");
        let found: u32 = found.trim().parse().unwrap();
        assert_eq!(all_of(&instance, name, 1).first(), Some(&found));
    }
    instance.ask(PID);
    stop(instance, &["g", "one", "two"]);
}

#[test]
fn a_service_starts_anew_with_its_server() {
    let instance = service("threads=0", LOOP);
    let old = nth(&instance, 1);
    instance.signal(Signal::USR1);
    gone(&instance, old);
    let new = nth(&instance, 2);
    assert_eq!(all_of(&instance, "service:s", 1).first(), Some(&new));
}

/// The next one starts when the old one has ended, or was ended by force.
#[test]
fn a_service_is_alone_at_a_restart() {
    let patient = "try:\n    while True:\n        time.sleep(0.1)\nfinally:\n    \
                   time.sleep(1.5)\n    note(f'at{os.getpid()}', time.monotonic())\n";
    let deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True:\n    \
                time.sleep(0.02)\n    note(f'at{os.getpid()}', time.monotonic())\n";
    for script in [patient, deaf] {
        let instance = service("threads=0 shutdown-timeout=2", script);
        let old = nth(&instance, 1);
        std::thread::sleep(Duration::from_millis(500));
        instance.signal(Signal::USR1);
        nth(&instance, 2);
        assert!(is_gone(old), "{script}");
        let last = |file: &str| -> f64 {
            instance.site.read(file).lines().last().unwrap().parse().unwrap()
        };
        let (over, start) = (last(&format!("kept/at{old}")), last("kept/starts"));
        assert!(over < start, "{over} {start}\n{script}");
    }
}

/// The original starts it again each second, for ever.
#[test]
fn a_service_that_does_not_last_starts_less_and_less_often() {
    for script in ["", "raise ValueError('again')\n", "os._exit(3)\n"] {
        let instance = service("threads=0", script);
        nth(&instance, 4);
        let pauses = super::pauses(&instance.site.read("kept/starts"));
        super::grow(&pauses, script);
    }
}
