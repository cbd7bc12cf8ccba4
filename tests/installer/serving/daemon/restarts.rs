//! Restarts of the server and of single processes: who serves meanwhile, and what
//! is left behind.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::{
    all_of, begin_sleep, gone, group, is_gone, members, note_reason, pid, reason, serving, sockets,
    stop, successor, timed, wait,
};
use crate::serving::{Instance, Site};

#[test]
fn sockets_are_named_after_the_server() {
    for (directive, between) in [
        ("", "0".to_owned()),
        ("WSGISocketRotation On", "0".to_owned()),
        ("WSGISocketRotation Off", format!("u{}", who())),
    ] {
        let instance = Instance::new(&group("", &format!("WSGIDaemonProcess h\n{directive}")));
        instance.ask("1");
        let parent = instance.child.id();
        let expected = ["1", "2"].map(|number| format!("wsgi.{parent}.{between}.{number}.sock"));
        let found = sockets(&instance);
        if between == "0" {
            // One more for each time the configuration is read.
            let fixed: Vec<String> = found
                .iter()
                .map(|name| name.replacen(".1.1.", ".0.1.", 1).replacen(".1.2.", ".0.2.", 1))
                .collect();
            assert_eq!(fixed, expected, "{directive}");
        } else {
            assert_eq!(found, expected, "{directive}");
        }
    }
}

/// The user of Apache's processes.
fn who() -> u32 {
    let mine = rustix::process::geteuid();
    if mine.is_root() { super::uid_of("nobody") } else { mine.as_raw() }
}

#[test]
fn an_end_leaves_nothing_behind() {
    for options in ["processes=3", "processes=2 threads=1 shutdown-timeout=30"] {
        let mut instance = serving(options);
        instance.ask("1");
        let all = members(&instance, "g");
        let _cut = begin_sleep(&instance, "long", 30.0);
        // Apache gives its own process time, which waits for the reply.
        let (_, took) = timed(|| instance.stop());
        assert!(took < 25.0, "{options}: {took}");
        assert_eq!(all.into_iter().filter(|pid| !is_gone(*pid)).count(), 0, "{options}");
        assert_eq!(sockets(&instance), Vec::<String>::new(), "{options}");
    }
}

#[test]
fn a_restart_replaces_every_process() {
    for one in [Signal::USR1, Signal::HUP] {
        let instance = serving("processes=2");
        instance.ask("1");
        let old = all_of(&instance, "g", 2);
        instance.signal(one);
        wait("the end of the old ones", &instance, || old.iter().all(|pid| is_gone(*pid)));
        let new = all_of(&instance, "g", 2);
        assert!(new.is_disjoint(&old));
        assert!(new.contains(&pid(&instance)));
        // One for the group or one for each process; none of the old ones is left.
        assert!([1, 2].contains(&sockets(&instance).len()), "{:?}", sockets(&instance));
        stop(instance, &["g"]);
    }
}

#[test]
fn a_changed_configuration_counts_after_a_restart() {
    let instance = serving("processes=2");
    instance.ask("1");
    let old = all_of(&instance, "g", 2);
    let text = instance.site.read("httpd.conf").replace("processes=2", "processes=1 lang=xx");
    instance.site.write("httpd.conf", &text);
    instance.signal(Signal::USR1);
    wait("the end of the old ones", &instance, || old.iter().all(|pid| is_gone(*pid)));
    all_of(&instance, "g", 1);
    assert_eq!(instance.ask("__import__('os').environ['LANG']"), "'xx'");
}

#[test]
fn a_group_that_is_gone_leaves_no_process() {
    let instance = Instance::new(&group("", "WSGIDaemonProcess h display-name=%{GROUP}"));
    instance.ask("1");
    let old = all_of(&instance, "h", 1);
    let text = instance.site.read("httpd.conf");
    let text = text.replace("WSGIDaemonProcess h display-name=%{GROUP}", "");
    instance.site.write("httpd.conf", &text);
    instance.signal(Signal::USR1);
    wait("the end of the old one", &instance, || old.iter().all(|pid| is_gone(*pid)));
    all_of(&instance, "g", 1);
    assert_eq!(members(&instance, "h").len(), 0);
    assert_eq!(instance.ask("6 * 7"), "42");
}

#[test]
fn a_changed_script_replaces_its_process() {
    let site = Site::new();
    let script = |word: &str| {
        format!(
            "import os\n\ndef application(environ, start_response):\n    \
             start_response('200 OK', [])\n    return [b'{word} %d' % os.getpid()]\n"
        )
    };
    site.write("apps/changed.wsgi", &script("old"));
    let directives = "WSGIScriptAlias /changed \"SITE/apps/changed.wsgi\"";
    let instance = Instance::of(site, "event", &group("", directives));
    let old = pid(&instance);
    note_reason(&instance);
    assert_eq!(instance.get("/changed").text(), format!("old {old}"));
    instance.site.write("apps/changed.wsgi", &script("new, longer"));
    // Nobody is refused; whoever has seen the new one is not sent back.
    wait("the new script", &instance, || {
        instance.get("/changed").expect(200).text().starts_with("new")
    });
    let text = instance.get("/changed").expect(200).text();
    assert!(text.starts_with("new") && !text.ends_with(&format!(" {old}")), "{text}");
    gone(&instance, old);
    assert_eq!(reason(&instance), "script_reload");
}

#[test]
fn a_changed_script_replaces_nothing_where_that_is_off() {
    let instance = Instance::new(&group("", "WSGIScriptReloading Off"));
    let old = pid(&instance);
    let script = instance.site.read("apps/ask.wsgi");
    instance.site.write("apps/ask.wsgi", &format!("{script}\n# longer\n"));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(pid(&instance), old);
}

#[test]
fn every_change_of_a_script_is_seen_and_costs_no_request() {
    let instance = serving("");
    let mut last = pid(&instance);
    for round in 0..3 {
        let script = instance.site.read("apps/ask.wsgi");
        instance.site.write("apps/ask.wsgi", &format!("{script}# longer\n"));
        wait("another process", &instance, || pid(&instance) != last);
        last = pid(&instance);
        assert!(!is_gone(last), "{round}");
    }
}

/// The original ends every process within three seconds, and starts others then:
/// what takes longer is cut off, and what comes between is refused or waits.
#[test]
fn graceful_restarts_lose_nothing() {
    for rotation in ["On", "Off"] {
        let directives = format!("WSGISocketRotation {rotation}\nServerLimit 8");
        let instance = Instance::new(&group("processes=2 graceful-timeout=30", &directives));
        instance.ask("1");
        let (answered, slowest) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let ask = || {
            let (reply, took) = timed(|| instance.post("/", b"6 * 7"));
            assert_eq!(reply.expect(200).text(), "42", "{rotation}");
            slowest.fetch_max((took * 1000.0) as usize, Ordering::AcqRel);
            answered.fetch_add(1, Ordering::AcqRel);
            std::thread::sleep(Duration::from_millis(5));
        };
        super::under_load(ask, || {
            for round in 0..2 {
                let old = all_of(&instance, "g", 2);
                let mut long = begin_sleep(&instance, &format!("long{round}"), 5.0);
                let before = answered.load(Ordering::Acquire);
                instance.signal(Signal::USR1);
                // New ones serve while old ones are still busy.
                wait("new ones", &instance, || {
                    members(&instance, "g").difference(&old).count() == 2
                });
                assert_eq!(long.reply("POST").expect(200).text(), "'slept'", "{rotation}");
                wait("the end of the old ones", &instance, || old.iter().all(|pid| is_gone(*pid)));
                assert!(answered.load(Ordering::Acquire) > before + 100, "{rotation}");
            }
        });
        let slowest = slowest.into_inner();
        assert!(slowest < 2500, "{rotation}: {slowest} ms");
        stop(instance, &["g"]);
    }
}

#[test]
fn a_socket_that_is_not_rotated_keeps_its_name() {
    let instance = Instance::new(&group("", "WSGISocketRotation Off"));
    let mut old = pid(&instance);
    let names = sockets(&instance);
    for one in [Signal::USR1, Signal::HUP] {
        instance.signal(one);
        old = successor(&instance, old);
        assert_eq!(sockets(&instance), names, "{one:?}");
    }
}

/// What was only half sent at a restart belongs to an old process of Apache, which
/// asks for the old socket: 503.
#[test]
fn requests_of_old_connections_are_answered() {
    half_sent_at_a_restart("On");
}

/// In the original the name stays, but who has the old secret is refused: 502.
#[test]
fn requests_of_old_connections_are_answered_over_a_socket_that_stays() {
    half_sent_at_a_restart("Off");
}

fn half_sent_at_a_restart(rotation: &str) {
    let instance =
        Instance::new(&group("", &format!("WSGISocketRotation {rotation}\nServerLimit 4")));
    let old = BTreeSet::from([pid(&instance)]);
    let mut half = instance.raw(b"POST / HTTP/1.1\r\nHost: localhost\r\n");
    // Until it is read; then its process of Apache waits for the rest.
    std::thread::sleep(Duration::from_millis(500));
    instance.signal(Signal::USR1);
    wait("a new one", &instance, || !members(&instance, "g").is_subset(&old));
    assert_eq!(instance.ask("6 * 7"), "42");
    half.write(b"Connection: close\r\nContent-Length: 5\r\n\r\n6 * 7");
    assert_eq!(half.reply("POST").expect(200).text(), "42");
}

/// All processes of the original may end together, and each answers only once it
/// has loaded its script.
#[test]
fn a_group_keeps_its_capacity_while_its_processes_are_replaced() {
    for (options, touched) in
        [("maximum-requests=40", false), ("restart-interval=3", false), ("", true)]
    {
        let alias = "WSGIScriptAlias /late \"SITE/apps/late.wsgi\" process-group=g \
                     application-group=%{GLOBAL}";
        let instance = Instance::new(&group(&format!("processes=4 threads=2 {options}"), alias));
        let first = all_of(&instance, "g", 4);
        // Each has loaded it.
        let get = || instance.get("/late?0.01").expect(200).text();
        let mut seen = BTreeSet::new();
        wait("all of them", &instance, || {
            seen.insert(get());
            seen.len() == 4 || !first.is_subset(&members(&instance, "g"))
        });
        let begin = Instant::now();
        let ask = || {
            let (_, took) = timed(get);
            // The first requests after a change wait for the script as it is now.
            let limit = if touched { 5.0 } else { 1.5 };
            assert!(took < limit, "{options}: a request took {took} s");
            std::thread::sleep(Duration::from_millis(10));
        };
        super::under_load(ask, || {
            if touched {
                let script = instance.site.read("apps/late.wsgi");
                instance.site.write("apps/late.wsgi", &format!("{script}# longer\n"));
            }
            wait("others everywhere", &instance, || {
                let now = members(&instance, "g");
                assert!(now.len() >= 4, "{options}: {now:?} after {:?}", begin.elapsed());
                now.is_disjoint(&first)
            });
        });
    }
}

/// A virtual host without directives of ours shares the configuration of the main
/// server, with the groups in it.
#[test]
fn virtual_hosts_do_not_multiply_a_group() {
    let hosts = "<VirtualHost *:PORT>\nServerName a.test\n</VirtualHost>\n\
                 <VirtualHost *:PORT>\nServerName b.test\nWSGIPassAuthorization On\n</VirtualHost>";
    let instance = Instance::new(&group("", hosts));
    pid(&instance);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(members(&instance, "g").len(), 1);
}
