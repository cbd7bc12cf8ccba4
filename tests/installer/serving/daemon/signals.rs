//! Signals to processes, and what these tell and do at their end.

use rustix::process::Signal;

use super::{
    begin, begin_sleep, gone, group, note_reason, pid, reason, serving, signal, successor, wait,
};
use crate::serving::Instance;

#[test]
fn an_application_may_hear_of_signals() {
    let instance = serving("");
    let code = "import signal\n\
                def note(name, **payload):\n    \
                kept.setdefault('seen', []).append((name, payload['signame'], payload['signum']))\n\
                kept['expected'] = [('process_signal', 'SIGHUP', int(signal.SIGHUP)), \
                ('process_signal', 'SIGUSR2', int(signal.SIGUSR2))]\n\
                answer = mod_wsgi.subscribe_signals(note) is note\n";
    assert_eq!(instance.ask(code), "True");
    let old = pid(&instance);
    let seen = |count: &str| instance.ask("len(kept.get('seen', []))") == count;
    signal(old, Signal::HUP);
    wait("the first", &instance, || seen("1"));
    signal(old, Signal::USR2);
    wait("the second", &instance, || seen("2"));
    assert_eq!(instance.ask("kept['seen'] == kept['expected'] or kept['seen']"), "True");
    assert_eq!(pid(&instance), old);
}

#[test]
fn signals_that_nobody_listens_to_are_ignored() {
    let instance = serving("");
    let old = pid(&instance);
    for one in [Signal::HUP, Signal::USR2] {
        signal(old, one);
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert_eq!(pid(&instance), old, "{one:?}");
    }
}

#[test]
fn a_process_that_is_told_to_end_does() {
    for one in [Signal::TERM, Signal::INT] {
        let instance = serving("");
        let old = pid(&instance);
        note_reason(&instance);
        signal(old, one);
        assert!(gone(&instance, old) < 4.0, "{one:?}");
        assert_eq!(reason(&instance), "shutdown_signal", "{one:?}");
        successor(&instance, old);
    }
}

#[test]
fn every_interpreter_hears_of_the_end() {
    let mut instance = Instance::new(&group(
        "",
        "SetEnv KEPT \"SITE/kept\"\n\
         WSGIScriptAlias /main \"SITE/apps/ending.wsgi\" application-group=%{GLOBAL}\n\
         WSGIScriptAlias /sub \"SITE/apps/ending.wsgi\" application-group=sub",
    ));
    for (round, reason) in [(1, "shutdown_signal"), (2, "shutdown_signal")] {
        instance.get("/main").expect(200);
        instance.get("/sub").expect(200);
        let old = pid(&instance);
        if round == 1 {
            signal(old, Signal::TERM);
            successor(&instance, old);
        } else {
            instance.stop();
        }
        let notes = instance.site.read("kept/notes");
        let mut notes: Vec<&str> = notes.lines().collect();
        notes.sort_unstable();
        assert_eq!(
            notes,
            [
                "atexit in main".to_owned(),
                "atexit in sub".to_owned(),
                format!("process_stopping in main '{reason}'"),
                format!("process_stopping in sub '{reason}'"),
            ],
            "round {round}"
        );
        instance.site.write("kept/notes", "");
        let path = instance.site.path("kept/notes");
        let mode = <std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
        std::fs::set_permissions(path, mode).unwrap();
    }
}

#[test]
fn a_process_that_is_killed_is_replaced() {
    let instance = serving("");
    let old = pid(&instance);
    let mut wire = begin_sleep(&instance, "long", 20.0);
    signal(old, Signal::KILL);
    wire.reply("POST").expect(502);
    let begin = std::time::Instant::now();
    successor(&instance, old);
    assert!(begin.elapsed().as_secs_f64() < 5.0);
}

#[test]
fn requests_that_come_between_two_processes_wait() {
    let instance = serving("");
    for one in [Signal::TERM, Signal::USR1, Signal::KILL] {
        let old = pid(&instance);
        signal(old, one);
        gone(&instance, old);
        let mut wires = [0; 5].map(|_| begin(&instance, "/", super::PID));
        for wire in &mut wires {
            let text = wire.reply("POST").expect(200).text();
            assert_ne!(text, old.to_string(), "{one:?}");
        }
    }
}

#[test]
fn a_process_that_the_application_forks_ends_by_itself() {
    let instance = serving("");
    let old = pid(&instance);
    let code = "import os, signal, time\n\
                child = os.fork()\n\
                if child == 0:\n    time.sleep(20)\n    os._exit(1)\n\
                time.sleep(0.3)\n\
                os.kill(child, signal.SIGTERM)\n\
                answer = os.waitpid(child, 0)[1] != 256\n";
    let begin = std::time::Instant::now();
    assert_eq!(instance.ask(code), "True");
    assert!(begin.elapsed().as_secs_f64() < 10.0);
    assert_eq!(pid(&instance), old);
}

#[test]
fn handlers_of_the_application_are_not_set() {
    let instance = serving("");
    let code = "import signal\nhandler = lambda *arguments: None\n\
                signal.signal(signal.SIGTERM, handler)\n\
                answer = signal.getsignal(signal.SIGTERM) is handler\n";
    assert_eq!(instance.ask(code), "False");
    let old = pid(&instance);
    signal(old, Signal::TERM);
    successor(&instance, old);
}

/// The application hears of the end; Python itself does not end.
#[test]
fn exit_functions_do_not_run_where_interpreters_are_left() {
    let directives = "SetEnv KEPT \"SITE/kept\"\nWSGIDestroyInterpreter Off\n\
                      WSGIScriptAlias /ending \"SITE/apps/ending.wsgi\"";
    let instance = Instance::new(&group("", directives));
    instance.get("/ending").expect(200);
    let old = pid(&instance);
    signal(old, Signal::TERM);
    gone(&instance, old);
    let notes = instance.site.read("kept/notes");
    assert_eq!(notes, "process_stopping in main 'shutdown_signal'\n");
}
