//! Scripts that change or load while others ask: nobody gets half of one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use super::super::{DAEMON, Instance, Site};
use super::{attempt, more, under_load};

/// A version of a script: its number stands at its begin and at its end.
fn publish(site: &Site, version: usize) {
    let padding = "# nothing but length\n".repeat(500);
    let text = format!(
        "first = {version}\n{padding}\ndef application(environ, start_response):\n    body = f'{{first}} {{last}}'.encode()\n    \
         start_response('200 OK', [('Content-Length', str(len(body)))])\n    return [body]\n{padding}\nlast = {version}\n"
    );
    site.write("kept/next", &text);
    let next = site.path("kept/next");
    // Two in one tick of the file system's clock would look the same.
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + version as u64);
    std::fs::File::options().append(true).open(&next).unwrap().set_modified(time).unwrap();
    // Whoever reads it reads all of the old or all of the new one.
    std::fs::rename(next, site.path("apps/versions.wsgi")).unwrap();
}

#[test]
fn a_script_that_changes_under_load_answers_as_one_of_its_versions() {
    // A fresh process for each takes longer than a fresh module.
    const VERSIONS: usize = if DAEMON { 20 } else { 200 };
    let site = Site::new();
    publish(&site, 1);
    let directives = "WSGIScriptAlias / \"SITE/apps/versions.wsgi\"\n\
                      WSGIScriptAlias /main \"SITE/apps/versions.wsgi\" application-group=%{GLOBAL}";
    let instance = Instance::of(site, "event", directives);
    // The newest that is there for sure, and that may be there.
    let (published, begun) = (AtomicUsize::new(1), AtomicUsize::new(1));
    let answered = AtomicUsize::new(0);
    let ask = || {
        let number = answered.fetch_add(1, Ordering::AcqRel);
        let target = if number.is_multiple_of(4) { "/main" } else { "/" };
        let least = published.load(Ordering::Acquire);
        let (status, body) = attempt(instance.port, target).expect("an answer is lost");
        assert_eq!(status, 200, "{body}\n{}", instance.log());
        let (first, last) = body.split_once(' ').unwrap();
        assert_eq!(first, last, "a mixture of two versions");
        let version: usize = first.parse().unwrap();
        // A daemon process serves on until another one has taken its place.
        assert!(DAEMON || version >= least, "version {version}, {least} was there already");
        assert!(version <= begun.load(Ordering::Acquire), "version {version} is not there yet");
    };
    under_load(ask, || {
        for version in 2..=VERSIONS {
            begun.store(version, Ordering::Release);
            publish(&instance.site, version);
            published.store(version, Ordering::Release);
            // Some ask while it is new.
            more(&answered, 5);
        }
    });
    for target in ["/", "/main"] {
        assert_eq!(instance.get(target).expect(200).text(), format!("{VERSIONS} {VERSIONS}"));
    }
    assert!(!instance.log().contains("Traceback"), "{}", instance.log());
}

/// A script that is broken for a while fails for that while, and no longer.
#[test]
fn a_script_that_breaks_under_load_heals() {
    let site = Site::new();
    publish(&site, 1);
    let instance = Instance::of(site, "event", "WSGIScriptAlias / \"SITE/apps/versions.wsgi\"");
    let (good, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let ask = || {
        let (status, body) = attempt(instance.port, "/").expect("an answer is lost");
        assert!([200, 500].contains(&status), "{status} {body}");
        (if status == 200 { &good } else { &failed }).fetch_add(1, Ordering::Release);
    };
    let (broken, script) =
        (instance.site.path("kept/broken"), instance.site.path("apps/versions.wsgi"));
    under_load(ask, || {
        for version in [2, 4, 6] {
            more(&good, 10);
            std::fs::write(&broken, "def application(:\n").unwrap();
            std::fs::rename(&broken, &script).unwrap();
            more(&failed, 10);
            publish(&instance.site, version);
            more(&good, 10);
        }
    });
    assert_eq!(instance.get("/").expect(200).text(), "6 6");
}

/// Each interpreter imports for itself.
#[test]
fn a_slow_load_in_one_group_holds_up_no_other_and_happens_once() {
    let instance = Instance::new(
        "WSGIScriptAlias /slow \"SITE/apps/slow.wsgi\" application-group=slow\n\
         WSGIScriptAlias /quick \"SITE/apps/names.wsgi\" application-group=quick\n\
         WSGIScriptAlias /new \"SITE/apps/names.wsgi\" application-group=new\n\
         WSGIScriptAlias /main \"SITE/apps/names.wsgi\" application-group=%{GLOBAL}",
    );
    instance.get("/quick").expect(200);
    let request = b"GET /slow HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut slow: Vec<_> = (0..4).map(|_| instance.raw(request)).collect();
    instance.comes("kept/loading", "loading");
    // An interpreter that is not there yet comes too.
    for target in ["/quick", "/new", "/main"] {
        for _again in 0..20 {
            instance.get(target).expect(200);
        }
    }
    assert_eq!(instance.site.read("kept/loaded"), "", "the others have waited");
    instance.site.write("kept/go", "");
    for wire in &mut slow {
        let reply = wire.reply("GET");
        assert_eq!((reply.status, reply.text().as_str()), (200, "slow"));
    }
    let log = instance.log();
    let loads = log
        .lines()
        .filter(|line| line.contains("oading WSGI script") && line.contains("slow.wsgi"));
    assert_eq!(loads.count(), 1, "four at once load it once\n{log}");
    assert_eq!(log.matches("Creating sub-interpreter 'slow'").count(), 1, "{log}");
}
