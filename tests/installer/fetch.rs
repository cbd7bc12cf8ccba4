//! Fetching from an upstream that misbehaves.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rcgen::{CertifiedIssuer, KeyPair};

use crate::sandbox::{Outcome, Release, Sandbox, names_in, sha256, tiny_httpd};
use crate::upstream::{
    Door, Part, Request, Upstream, answer, authority, certificate_for, self_signed, signed_by,
    whole_or_range,
};

/// A sandbox whose recipe names these addresses.
fn sandbox_with(archive: &[u8], urls: &[&str]) -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.recipe(&[Release::of("1.0", archive).at(urls)], "");
    sandbox
}

/// The archive with one byte changed: as long, and not the same.
fn changed(archive: &[u8]) -> Vec<u8> {
    let mut bytes = archive.to_vec();
    bytes[100] ^= 1;
    bytes
}

/// Fails unless the cache has the archive, whole.
#[track_caller]
fn assert_cached(sandbox: &Sandbox, archive: &[u8]) {
    let digest = sha256(archive);
    let bytes = std::fs::read(sandbox.cache().join("sources/sha256").join(&digest)).unwrap();
    assert_eq!(sha256(&bytes), digest);
}

fn rejected(sandbox: &Sandbox) -> PathBuf {
    sandbox.cache().join("sources/rejected")
}

/// Runs to the end, which must come soon enough.
#[track_caller]
fn ends_within(seconds: u64, command: &mut Command) -> Outcome {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(child, seconds)
}

#[track_caller]
fn wait_for(mut child: Child, seconds: u64) -> Outcome {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > Duration::from_secs(seconds) {
            child.kill().unwrap();
            let outcome = Outcome::of(child.wait_with_output().unwrap());
            panic!("still running after {seconds} s\n{}", outcome.stderr);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Outcome::of(child.wait_with_output().unwrap())
}

/// An answer that is cut off after the first bytes of its body.
fn cut_off(mut parts: Vec<Part>, length: usize) -> Vec<Part> {
    if let Some(Part::Bytes(body)) = parts.last_mut() {
        body.truncate(length);
    }
    parts
}

/// A folder with one file.
fn folder_with(sandbox: &Sandbox, folder: &str, name: &str, bytes: &[u8]) -> String {
    let path = sandbox.path(folder);
    std::fs::create_dir_all(&path).unwrap();
    std::fs::write(path.join(name), bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

mod trust {
    use super::*;

    #[test]
    fn wrong_bytes_are_refused_set_aside_and_not_used_again() {
        let archive = tiny_httpd("1.0");
        let (good, bad) = (archive.clone(), changed(&archive));
        let upstream = Upstream::start(move |request| {
            let bytes = if request.before == 0 { &bad } else { &good };
            whole_or_range(request, bytes, "\"one\"")
        });
        let url = upstream.url("/httpd-1.0.tar.gz");
        let sandbox = sandbox_with(&archive, &[&url]);
        let bad = changed(&archive);

        sandbox
            .run(&["fetch"])
            .expect(21)
            .says("checksum of `httpd-1.0.tar.gz` is wrong")
            .says(&format!("expected {}", sha256(&archive)))
            .says(&format!("found    {}", sha256(&bad)))
            .says(&url);
        assert_eq!(names_in(&sandbox.cache().join("sources/sha256")), Vec::<String>::new());
        assert_eq!(std::fs::read(rejected(&sandbox).join("httpd-1.0.tar.gz")).unwrap(), bad);

        sandbox.run(&["fetch"]).expect(0);
        assert_cached(&sandbox, &archive);
        let ranges: Vec<_> = upstream.requests().iter().map(Request::range).collect();
        assert_eq!(ranges, [None, None], "bytes of the bad file were used");
    }

    #[test]
    fn wrong_bytes_are_named_even_if_the_next_mirror_is_good() {
        let archive = tiny_httpd("1.0");
        let bad = Upstream::with(changed(&archive));
        let good = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[]);
        let mirrors = [bad.url("/mirror"), good.url("/mirror")];
        let args = ["fetch", "--mirror", &mirrors[0], "--mirror", &mirrors[1]];
        let outcome = sandbox.run(&args).expect(0).says("warning:");
        outcome.says(&format!("{}/{} gives other bytes", mirrors[0], sha256(&archive)));
        assert_cached(&sandbox, &archive);
        assert_eq!(names_in(&rejected(&sandbox)), ["httpd-1.0.tar.gz"]);
    }

    #[test]
    fn wrong_bytes_stay_the_error_when_all_other_addresses_lack_the_file() {
        let archive = tiny_httpd("1.0");
        let bad = Upstream::with(changed(&archive));
        let absent = Upstream::start(|_| answer("404 Not Found", &[], b""));
        let sandbox = sandbox_with(&archive, &[&absent.url("/x")]);
        let args = ["fetch", "--mirror", &bad.url("/m"), "--mirror", &absent.url("/m")];
        sandbox.run(&args).expect(21).says(&bad.url("/m"));
        assert_eq!(absent.requests().len(), 3);
    }

    #[test]
    fn wrong_bytes_do_not_make_way_for_an_older_release() {
        let (old, new) = (tiny_httpd("1.0"), tiny_httpd("1.1"));
        let bad = Upstream::with(changed(&new));
        let good = Upstream::with(old.clone());
        let sandbox = Sandbox::empty();
        let releases = [
            Release::of("1.1", &new).at(&[&bad.url("/1.1")]),
            Release::of("1.0", &old).at(&[&good.url("/1.0")]),
        ];
        sandbox.recipe(&releases, "");
        sandbox.run(&["fetch"]).expect(21).says("httpd-1.1.tar.gz");
        assert_eq!(good.connections(), 0);
    }

    #[test]
    fn a_digest_in_upper_case_works() {
        let archive = tiny_httpd("1.0");
        let upstream = Upstream::with(archive.clone());
        let sandbox = Sandbox::empty();
        let mut release = Release::of("1.0", &archive).at(&[&upstream.url("/x")]);
        release.sha256.make_ascii_uppercase();
        sandbox.recipe(&[release], "");
        sandbox.install(&[]).expect(0);
        assert_eq!(sandbox.installed_version(), "Apache/1.0");
        sandbox.run(&["fetch"]).expect(0);
        assert_eq!(upstream.requests().len(), 1, "the cached file was not recognised");
    }

    #[test]
    fn a_digest_in_upper_case_is_asked_for_in_lower_case() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let path = format!("/{}", sha256(&archive));
        let mirror = Upstream::start(move |request| match request.path == path {
            true => answer("200 OK", &[], &bytes),
            false => answer("404 Not Found", &[], b""),
        });
        let sandbox = Sandbox::empty();
        let mut release = Release::of("1.0", &archive);
        release.sha256.make_ascii_uppercase();
        sandbox.recipe(&[release], "");
        let vendor = folder_with(&sandbox, "vendor", &sha256(&archive), &archive);
        sandbox.run(&["fetch", "--mirror", &mirror.url("")]).expect(0);
        sandbox.run(&["fetch", "--sources", "vendor", "--vendor", &vendor]).expect(0);
    }

    #[test]
    fn a_file_damaged_in_the_cache_is_set_aside_and_fetched_anew() {
        let archive = tiny_httpd("1.0");
        let upstream = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        sandbox.run(&["fetch"]).expect(0);
        let cached = sandbox.cache().join("sources/sha256").join(sha256(&archive));

        std::fs::write(&cached, changed(&archive)).unwrap();
        sandbox.install(&[]).expect(0).says("cached httpd-1.0.tar.gz is damaged");
        assert_cached(&sandbox, &archive);
        let aside = std::fs::read(rejected(&sandbox).join("httpd-1.0.tar.gz")).unwrap();
        assert_eq!(aside, changed(&archive));
        assert_eq!(upstream.requests().len(), 2);

        std::fs::write(&cached, b"").unwrap();
        sandbox.run(&["fetch", "--offline"]).expect(20).says("is damaged");
    }

    #[test]
    fn a_file_damaged_in_the_cache_does_not_pass_for_a_download() {
        let archive = tiny_httpd("1.0");
        let upstream = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        sandbox.run(&["fetch"]).expect(0);
        let cached = sandbox.cache().join("sources/sha256").join(sha256(&archive));
        std::fs::write(&cached, changed(&archive)).unwrap();
        sandbox.run(&["fetch", "--sources", "upstream"]).expect(0);
        assert_cached(&sandbox, &archive);
    }

    /// While a second component is on its way, the archive of the first one,
    /// already checked, is replaced.
    #[test]
    fn an_archive_that_changes_after_the_check_is_refused() {
        let archive = tiny_httpd("1.0");
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let (bytes, waiting) = (archive.clone(), Arc::clone(&gate));
        let upstream = Upstream::start(move |request| {
            let (open, opened) = &*waiting;
            let closed = |open: &mut bool| !*open;
            let limit = Duration::from_secs(10);
            drop(opened.wait_timeout_while(open.lock().unwrap(), limit, closed).unwrap());
            whole_or_range(request, &bytes, "\"one\"")
        });
        let sandbox = Sandbox::empty();
        let mut slow = Release::of("1.0", &archive).at(&[&upstream.url("/slow")]);
        slow.file = "slow-1.0.tar.gz".to_owned();
        sandbox.recipe(&[slow], "");
        let recipe = std::fs::read_to_string(sandbox.path("recipes/httpd.toml")).unwrap();
        let recipe = recipe.replace("name = \"httpd\"", "name = \"slow\"");
        std::fs::write(sandbox.path("recipes/slow.toml"), recipe).unwrap();
        // Another digest, so that the two do not wait for one file.
        let httpd = tiny_httpd("1.1");
        let extra = "[features.slow]\nsummary = \"slow\"\ndefault = true\nneeds = [\"slow\"]\nwith = []\nwithout = []";
        sandbox.recipe(&[Release::of("1.1", &httpd)], extra);
        let vendor = folder_with(&sandbox, "vendor", "httpd-1.1.tar.gz", &httpd);

        let mut child = sandbox.start_install(&["--vendor", &vendor]);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut text = String::new();
        while !text.contains("httpd 1.1 (vendor)") {
            let count = stderr.read_line(&mut text).unwrap();
            assert_ne!(count, 0, "ended too early:\n{text}");
        }
        std::fs::write(sandbox.path("vendor/httpd-1.1.tar.gz"), changed(&httpd)).unwrap();
        *gate.0.lock().unwrap() = true;
        gate.1.notify_all();
        stderr.read_to_string(&mut text).unwrap();
        let mut outcome = wait_for(child, 20);
        outcome.stderr = text;
        outcome.expect(21).says("checksum of `httpd-1.1.tar.gz` is wrong");
        sandbox.assert_nothing_installed();
    }

    #[test]
    fn a_file_that_the_vendor_folder_lacks_is_named() {
        let archive = tiny_httpd("1.0");
        let upstream = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        let vendor = folder_with(&sandbox, "vendor", "README", b"nothing here");
        let missing = format!("`{vendor}/httpd-1.0.tar.gz` does not exist");
        sandbox.run(&["fetch", "--offline", "--vendor", &vendor]).expect(20).says(&missing);
        assert_eq!(upstream.connections(), 0);
        sandbox.run(&["fetch", "--vendor", &vendor]).expect(0).says(&upstream.url("/x"));
    }

    #[test]
    fn a_changed_file_in_the_vendor_folder_stops_the_run() {
        let archive = tiny_httpd("1.0");
        let upstream = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        for name in ["httpd-1.0.tar.gz", sha256(&archive).as_str()] {
            let vendor = folder_with(&sandbox, &format!("by-{name}"), name, &changed(&archive));
            let outcome = sandbox.install(&["--vendor", &vendor]).expect(21);
            outcome.says(&format!("checksum of `{vendor}/{name}` is wrong"));
            // It is the user's, not ours to move.
            assert_eq!(names_in(Path::new(&vendor)), [name]);
        }
        assert_eq!(upstream.connections(), 0);
        sandbox.assert_nothing_installed();
    }

    #[test]
    fn a_link_in_the_vendor_folder_is_refused() {
        let archive = tiny_httpd("1.0");
        let sandbox = Sandbox::new();
        let target = sandbox.path("upstream/httpd-1.0.tar.gz");
        for name in ["httpd-1.0.tar.gz", sha256(&archive).as_str()] {
            let vendor = sandbox.path(&format!("by-{name}"));
            std::fs::create_dir(&vendor).unwrap();
            symlink(&target, vendor.join(name)).unwrap();
            let args = ["fetch", "--vendor", vendor.to_str().unwrap()];
            let outcome = sandbox.run(&args).expect(21).says("is not a plain file");
            outcome.says(vendor.join(name).to_str().unwrap());
        }
    }

    #[test]
    fn other_files_in_the_vendor_folder_do_no_harm() {
        let archive = tiny_httpd("1.0");
        let sandbox = sandbox_with(&archive, &[]);
        let vendor = folder_with(&sandbox, "vendor", "httpd-1.0.tar.gz", &archive);
        folder_with(&sandbox, "vendor", "httpd-0.9.tar.gz", b"other");
        folder_with(&sandbox, "vendor", "mod_wsgi-httpd.lock", b"not a lock file");
        symlink("/nowhere", sandbox.path("vendor/link")).unwrap();
        sandbox.install(&["--offline", "--vendor", &vendor]).expect(0);
        assert_eq!(sandbox.installed_version(), "Apache/1.0");
    }
}

mod origins {
    use super::*;

    #[test]
    fn origins_are_asked_in_order_and_mirrors_by_digest_and_then_by_name() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let server = Upstream::start(move |request| match request.path.as_str() {
            "/upstream/x" => answer("200 OK", &[], &bytes),
            _ => answer("404 Not Found", &[], b""),
        });
        let sandbox = sandbox_with(&archive, &[&server.url("/upstream/x")]);
        let mirrors = [server.url("/one/"), server.url("/two")];
        let args = ["fetch", "--mirror", &mirrors[0], "--mirror", &mirrors[1]];
        sandbox.run(&args).expect(0).says(&server.url("/upstream/x"));
        let digest = sha256(&archive);
        let expected = [
            format!("/one/{digest}"),
            "/one/httpd-1.0.tar.gz".to_owned(),
            format!("/two/{digest}"),
            "/two/httpd-1.0.tar.gz".to_owned(),
            "/upstream/x".to_owned(),
        ];
        assert_eq!(server.paths(), expected);

        sandbox.run(&args).expect(0);
        assert_eq!(server.connections(), 5, "the cache comes before the network");

        let vendor = folder_with(&sandbox, "vendor", "httpd-1.0.tar.gz", &archive);
        let outcome = sandbox.run(&["fetch", "--vendor", &vendor]).expect(0);
        outcome.says("httpd 1.0 (vendor)");
    }

    #[test]
    fn a_mirror_that_has_the_file_is_enough() {
        let archive = tiny_httpd("1.0");
        let digest = format!("/by-digest/{}", sha256(&archive));
        let bytes = archive.clone();
        let known = [digest, "/by-name/httpd-1.0.tar.gz".to_owned()];
        let mirror = Upstream::start(move |request| match known.contains(&request.path) {
            true => answer("200 OK", &[], &bytes),
            false => answer("404 Not Found", &[], b""),
        });
        for (folder, requests) in [("/by-digest", 1), ("/by-name", 2)] {
            let upstream = Upstream::with(archive.clone());
            let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
            let before = mirror.requests().len();
            sandbox.run(&["fetch", "--mirror", &mirror.url(folder)]).expect(0);
            assert_cached(&sandbox, &archive);
            assert_eq!(mirror.requests().len() - before, requests);
            assert_eq!(upstream.connections(), 0);
        }
    }

    #[test]
    fn only_the_named_sources_are_asked() {
        let archive = tiny_httpd("1.0");
        let (mirror, upstream) = (Upstream::with(archive.clone()), Upstream::with(archive.clone()));
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        let vendor = folder_with(&sandbox, "vendor", "httpd-1.0.tar.gz", &archive);
        let url = mirror.url("/mirror");
        let with = |sources: &str| {
            let args = ["fetch", "--vendor", &vendor, "--mirror", &url, "--sources", sources];
            sandbox.run(&args)
        };
        with("cache").expect(20);
        with("cache,distribution").expect(20);
        assert_eq!((mirror.connections(), upstream.connections()), (0, 0));
        with("upstream").expect(0).says(&upstream.url("/x"));
        assert_eq!((mirror.connections(), upstream.connections()), (0, 1));
        std::fs::remove_dir_all(sandbox.cache()).unwrap();
        with("cache,mirror").expect(0).says(&url);
        assert_eq!((mirror.connections(), upstream.connections()), (1, 1));
        with("vendor").expect(0).says("(vendor)");
    }

    #[test]
    fn offline_makes_not_one_connection() {
        let archive = tiny_httpd("1.0");
        let server = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&server.url("/x")]);
        let mirror = server.url("/mirror");
        let args = ["--offline", "--mirror", &mirror];
        sandbox.install(&args).expect(20).says("not in the cache");
        assert_eq!(server.connections(), 0);
        sandbox.assert_nothing_installed();

        sandbox.run(&["fetch"]).expect(0);
        let before = server.connections();
        sandbox.install(&args).expect(0);
        assert_eq!(sandbox.installed_version(), "Apache/1.0");
        assert_eq!(server.connections(), before);
    }

    #[test]
    fn a_lock_file_holds_a_release_although_a_newer_one_is_there() {
        let sandbox = Sandbox::empty();
        let old = sandbox.publish("1.0", &tiny_httpd("1.0"));
        let new = sandbox.publish("1.1", &tiny_httpd("1.1"));
        sandbox.recipe(std::slice::from_ref(&old), "");
        sandbox.run(&["vendor", "vendor"]).expect(0);
        sandbox.recipe(&[new, old], "");

        sandbox.install(&[]).expect(0);
        assert_eq!(sandbox.installed_version(), "Apache/1.1");
        sandbox.install(&["--locked", "--lock", "vendor/mod_wsgi-httpd.lock"]).expect(0);
        assert_eq!(sandbox.installed_version(), "Apache/1.0");
        let outcome = sandbox.run(&["fetch", "--locked", "--vendor", "vendor"]).expect(0);
        outcome.says("httpd 1.0 (vendor)");
    }

    #[test]
    fn a_locked_release_does_not_give_way_to_another() {
        let archive = tiny_httpd("1.0");
        let sandbox = Sandbox::empty();
        let gone = Release::of("1.0", &archive).at(&["file:///nowhere/httpd-1.0.tar.gz"]);
        let new = sandbox.publish("1.1", &tiny_httpd("1.1"));
        let old = sandbox.publish("0.9", &tiny_httpd("0.9"));
        sandbox.recipe(&[new, gone.clone(), old], "");
        std::fs::write(sandbox.path("lock"), lock_for(&gone)).unwrap();
        let args = ["fetch", "--locked", "--lock", "lock", "--allow-vulnerable"];
        sandbox.run(&args).expect(20).says("1.0: ").says_nothing_of("Fetched");
    }

    #[test]
    fn a_lock_file_that_cannot_be_followed_is_refused() {
        let sandbox = Sandbox::new();
        let archive = tiny_httpd("1.0");
        let good = lock_for(&Release::of("1.0", &archive));
        let run = |text: &str| {
            std::fs::write(sandbox.path("lock"), text).unwrap();
            sandbox.run(&["fetch", "--locked", "--lock", "lock"])
        };
        run("version = 1\n").expect(10).says("does not name `httpd`");
        run(&format!("colour = \"red\"\n{good}")).expect(10).says("colour");
        run(&format!("{good}colour = \"red\"\n")).expect(10).says("colour");
        run(&good.replace("version = 1\n", "version = 2\n")).expect(10).says("form 2");
        run(&good.replace("\"1.0\"", "\"7.0\"")).expect(10).says("no recipe pins httpd 7.0");
        run("").expect(10);
        run(&good).expect(0);
        std::fs::remove_file(sandbox.path("lock")).unwrap();
        sandbox.run(&["fetch", "--locked", "--lock", "lock"]).expect(10).says("lock file `lock`");
    }

    #[test]
    fn a_lock_file_with_a_digest_that_no_recipe_pins_is_refused() {
        let sandbox = Sandbox::new();
        let other = Release::of("1.0", b"other bytes");
        std::fs::write(sandbox.path("lock"), lock_for(&other)).unwrap();
        let outcome = sandbox.run(&["fetch", "--locked", "--lock", "lock"]).expect(10);
        outcome.says(&other.sha256);
    }

    #[test]
    fn an_older_release_is_taken_with_a_warning_when_the_newest_cannot_be_had() {
        let (old, new) = (tiny_httpd("1.0"), tiny_httpd("1.1"));
        let absent = Upstream::start(|_| answer("404 Not Found", &[], b""));
        let sandbox = Sandbox::empty();
        let old = sandbox.publish("1.0", &old);
        sandbox.recipe(&[Release::of("1.1", &new).at(&[&absent.url("/1.1")]), old], "");
        let outcome = sandbox.install(&[]).expect(0).says("warning: httpd 1.0 is taken");
        outcome.says("1.1, cannot be had");
        assert_eq!(sandbox.installed_version(), "Apache/1.0");
        assert_eq!(absent.requests().len(), 1);
        sandbox.run(&["fetch", "--release", "httpd=1.1"]).expect(20).says(&absent.url("/1.1"));
    }

    #[test]
    fn a_release_with_known_holes_needs_leave() {
        let absent = Upstream::start(|_| answer("404 Not Found", &[], b""));
        let old = tiny_httpd("0.9");
        let server = Upstream::with(old.clone());
        let sandbox = Sandbox::empty();
        let safe = Release::of("1.0", &tiny_httpd("1.0")).at(&[&absent.url("/1.0")]);
        let old = Release::of("0.9", &old).at(&[&server.url("/0.9")]);
        sandbox.recipe(&[safe, old], "");

        sandbox.install(&[]).expect(20).says("--allow-vulnerable");
        let args = ["--release", "httpd=0.9"];
        sandbox.install(&args).expect(10).says("httpd 0.9 has known holes");
        assert_eq!(server.connections(), 0);
        sandbox.assert_nothing_installed();

        let outcome = sandbox.install(&["--allow-vulnerable"]).expect(0);
        outcome.says("httpd 0.9 HAS KNOWN HOLES (safe from 1.0 on)");
        assert_eq!(sandbox.installed_version(), "Apache/0.9");
    }

    /// A lock file that takes this release.
    fn lock_for(release: &Release) -> String {
        format!(
            "version = 1\n[[component]]\nname = \"httpd\"\nversion = {:?}\nfile = {:?}\nsha256 = {:?}\norigin = \"x\"\n",
            release.version, release.file, release.sha256
        )
    }
}

mod redirects {
    use super::*;

    fn redirect(to: &str) -> Vec<Part> {
        answer("302 Found", &[("Location", to)], b"")
    }

    #[test]
    fn a_redirect_to_another_server_is_followed() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let target = good.url("/x");
        let first = Upstream::start(move |_| redirect(&target));
        let sandbox = sandbox_with(&archive, &[&first.url("/x")]);
        sandbox.run(&["fetch"]).expect(0);
        assert_cached(&sandbox, &archive);
    }

    #[test]
    fn a_redirect_in_a_circle_is_given_up() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let circle = Upstream::start(|request| match request.path.as_str() {
            "/one" => redirect("/two"),
            _ => redirect("/one"),
        });
        let url = circle.url("/one");
        let sandbox = sandbox_with(&archive, &[&url]);
        let outcome = ends_within(30, &mut sandbox.command(&["fetch"])).expect(20);
        outcome.says(&format!("{url}: ")).says("redirect");
        assert!(circle.requests().len() <= 10, "{} requests", circle.requests().len());

        let sandbox = sandbox_with(&archive, &[&url, &good.url("/x")]);
        ends_within(30, &mut sandbox.command(&["fetch"])).expect(0);
    }

    #[test]
    fn a_redirect_to_a_local_file_is_refused() {
        let archive = tiny_httpd("1.0");
        let sandbox = Sandbox::empty();
        let mut release = sandbox.publish("1.0", &archive);
        let target = release.urls.remove(0);
        let server = Upstream::start(move |_| redirect(&target));
        sandbox.recipe(&[release.at(&[&server.url("/x")])], "");
        sandbox.run(&["fetch"]).expect(20).says(&format!("{}: ", server.url("/x")));
        assert_eq!(server.requests().len(), 1);
    }

    #[test]
    fn a_redirect_from_https_to_http_is_refused() {
        let archive = tiny_httpd("1.0");
        let plain = Upstream::with(archive.clone());
        let target = plain.url("/x");
        let issuer = authority();
        let config = signed_by(&issuer, &certificate_for(&["127.0.0.1"]));
        let server = Upstream::start_behind(Door::Tls(config), move |_| redirect(&target));
        let sandbox = sandbox_with(&archive, &[&server.url("/x")]);
        let mut command = trusting(&sandbox, &issuer, &["fetch"]);
        ends_within(30, &mut command).expect(20).says("a redirect away from https");
        assert_eq!((server.requests().len(), plain.connections()), (1, 0));
    }

    #[test]
    fn a_redirect_to_another_https_host_is_followed() {
        let archive = tiny_httpd("1.0");
        let issuer = authority();
        let config = signed_by(&issuer, &certificate_for(&["localhost"]));
        let bytes = archive.clone();
        let good = Upstream::start_behind(Door::Tls(config), move |request| {
            whole_or_range(request, &bytes, "\"one\"")
        });
        let target = good.url_as("localhost", "/x");
        let config = signed_by(&issuer, &certificate_for(&["127.0.0.1"]));
        let first = Upstream::start_behind(Door::Tls(config), move |_| redirect(&target));
        let sandbox = sandbox_with(&archive, &[&first.url("/x")]);
        ends_within(30, &mut trusting(&sandbox, &issuer, &["fetch"])).expect(0);
        assert_cached(&sandbox, &archive);
    }

    #[test]
    fn a_redirect_to_a_dead_server_does_not_condemn_the_one_that_sent_it() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let server = Upstream::start(move |request| match request.path.as_str() {
            "/dead" => redirect(&format!("http://{REFUSING}/x")),
            _ => whole_or_range(request, &bytes, "\"one\""),
        });
        let sandbox = sandbox_with(&archive, &[&server.url("/dead"), &server.url("/x")]);
        ends_within(30, &mut sandbox.command(&["fetch"])).expect(0);
        assert_cached(&sandbox, &archive);
    }
}

mod trouble {
    use super::*;

    #[test]
    fn a_busy_server_is_asked_again_no_sooner_than_it_says() {
        let archive = tiny_httpd("1.0");
        for status in ["429 Too Many Requests", "500 Internal Server Error", "503 Unavailable"] {
            let bytes = archive.clone();
            let times = Arc::new(Mutex::new(Vec::new()));
            let clock = Arc::clone(&times);
            let upstream = Upstream::start(move |request| {
                clock.lock().unwrap().push(Instant::now());
                match request.before {
                    0 => answer(status, &[("Retry-After", "1")], b"busy"),
                    _ => whole_or_range(request, &bytes, "\"one\""),
                }
            });
            let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
            ends_within(30, &mut sandbox.command(&["fetch"])).expect(0);
            assert_cached(&sandbox, &archive);
            let times = times.lock().unwrap();
            assert_eq!(times.len(), 2, "{status}");
            let pause = times[1] - times[0];
            assert!(pause >= Duration::from_secs(1), "{status}: asked again after {pause:?}");
        }
    }

    #[test]
    fn a_server_that_asks_for_an_hour_gets_some_seconds() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let upstream = Upstream::start(move |request| match request.before {
            0 => answer("503 Unavailable", &[("Retry-After", "3600")], b""),
            _ => whole_or_range(request, &bytes, "\"one\""),
        });
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        ends_within(40, &mut sandbox.command(&["fetch"])).expect(0);
        assert_eq!(upstream.requests().len(), 2);
    }

    #[test]
    fn a_server_that_always_fails_is_given_up_and_all_addresses_are_named() {
        let archive = tiny_httpd("1.0");
        let upstream = Upstream::start(|_| answer("500 Internal Server Error", &[], b""));
        let urls = [upstream.url("/one"), upstream.url("/two")];
        let sandbox = sandbox_with(&archive, &[&urls[0], &urls[1]]);
        let outcome = ends_within(40, &mut sandbox.command(&["fetch"])).expect(20);
        outcome
            .says(&format!("{}: answered 500", urls[0]))
            .says(&format!("{}: answered 500", urls[1]));
        for path in ["/one", "/two"] {
            let tries = upstream.paths().iter().filter(|seen| *seen == path).count();
            assert!((2..=5).contains(&tries), "{path} was tried {tries} times");
        }
    }

    #[test]
    fn a_server_that_never_answers_gives_way_to_the_next() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let silent = Upstream::start(|_| vec![Part::Pause(FOREVER)]);
        assert_gives_way(&archive, &silent, &good, 1);
    }

    #[test]
    fn a_server_that_falls_silent_gives_way_to_the_next() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let bytes = archive.clone();
        let stalling = Upstream::start(move |request| {
            let mut parts = match request.range() {
                None => cut_off(whole_or_range(request, &bytes, "\"one\""), 200),
                Some(_) => cut_off(whole_or_range(request, &bytes, "\"one\""), 0),
            };
            parts.push(Part::Pause(FOREVER));
            parts
        });
        assert_gives_way(&archive, &stalling, &good, 1);
    }

    #[test]
    fn a_server_that_drips_gives_way_to_the_next() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let bytes = archive.clone();
        let dripping = Upstream::start(move |request| {
            let mut parts = cut_off(whole_or_range(request, &bytes, "\"one\""), 0);
            for byte in bytes.iter().skip(request.range().unwrap_or(0)) {
                parts.extend([Part::Bytes(vec![*byte]), Part::Pause(Duration::from_secs(1))]);
            }
            parts
        });
        assert_gives_way(&archive, &dripping, &good, 2);
    }

    #[track_caller]
    fn assert_gives_way(archive: &[u8], bad: &Upstream, good: &Upstream, timeout: u64) {
        let sandbox = sandbox_with(archive, &[&bad.url("/x"), &good.url("/x")]);
        let timeout = timeout.to_string();
        let mut command = sandbox.command(&["fetch", "--timeout", &timeout]);
        ends_within(30, &mut command).expect(0).says(&good.url("/x"));
        assert!(!bad.requests().is_empty());
        assert_cached(&sandbox, archive);
    }

    #[test]
    fn a_body_longer_than_the_recipe_says_is_refused_at_once() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let upstream = Upstream::start(move |_| {
            let mut parts =
                answer("200 OK", &[("Content-Length", "1000000000000")], &bytes.repeat(2));
            parts.push(Part::Pause(FOREVER));
            parts
        });
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        let outcome = ends_within(15, &mut sandbox.command(&["fetch"])).expect(21);
        outcome
            .says(&format!("`httpd-1.0.tar.gz` is longer than the {} bytes", archive.len()))
            .says(&upstream.url("/x"));
        assert_eq!(names_in(&sandbox.cache().join("sources/sha256")), Vec::<String>::new());
    }

    #[test]
    fn a_wrong_content_length_does_no_harm() {
        let archive = tiny_httpd("1.0");
        for length in ["200", "1000000"] {
            let bytes = archive.clone();
            let upstream = Upstream::start(move |request| match request.before {
                0 => answer("200 OK", &[("Content-Length", length)], &bytes),
                _ => whole_or_range(request, &bytes, "\"one\""),
            });
            let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
            sandbox.run(&["fetch"]).expect(0);
            assert_cached(&sandbox, &archive);
        }
    }

    #[test]
    fn an_address_that_cannot_be_reached_costs_little() {
        let archive = tiny_httpd("1.0");
        let urls = [format!("https://{REFUSING}/x"), "https://nothing.invalid/x".to_owned()];
        let sandbox = sandbox_with(&archive, &[&urls[0], &urls[1]]);
        let outcome = ends_within(15, &mut sandbox.command(&["fetch"])).expect(20);
        outcome
            .says(&format!("{}: cannot be reached", urls[0]))
            .says(&format!("{}: cannot be reached", urls[1]));
    }

    #[test]
    fn a_closed_port_does_not_condemn_the_others_of_its_host() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let dead = format!("http://{REFUSING}/x");
        let sandbox = sandbox_with(&archive, &[&dead, &good.url("/x")]);
        ends_within(30, &mut sandbox.command(&["fetch"])).expect(0);
        assert_cached(&sandbox, &archive);
    }

    #[test]
    fn an_html_page_gives_way_to_the_next_address() {
        let archive = tiny_httpd("1.0");
        let page = Upstream::start(|_| answer("200 OK", &[], HTML));
        let good = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&page.url("/x"), &good.url("/x")]);
        ends_within(30, &mut sandbox.command(&["fetch"])).expect(0);
        assert_cached(&sandbox, &archive);
    }

    #[test]
    fn an_html_page_shorter_than_the_archive_is_called_one() {
        assert_called_html(HTML.to_vec());
    }

    #[test]
    fn an_html_page_as_long_as_the_archive_is_called_one() {
        let mut page = HTML.to_vec();
        page.resize(tiny_httpd("1.0").len(), b' ');
        assert_called_html(page);
    }

    #[test]
    fn an_html_page_longer_than_the_archive_is_called_one() {
        let mut page = HTML.to_vec();
        page.resize(tiny_httpd("1.0").len() * 3, b' ');
        assert_called_html(page);
    }

    #[track_caller]
    fn assert_called_html(page: Vec<u8>) {
        let server = Upstream::start(move |request| match request.path.as_str() {
            "/page" => answer("200 OK", &[("Content-Type", "text/html")], &page),
            _ => answer("404 Not Found", &[], b""),
        });
        let urls = [server.url("/page"), server.url("/absent")];
        let sandbox = sandbox_with(&tiny_httpd("1.0"), &[&urls[0], &urls[1]]);
        let outcome = ends_within(30, &mut sandbox.command(&["fetch"])).expect(21);
        outcome.says("an HTML or XML page").says(&urls[0]);
    }

    const HTML: &[u8] = b"<!DOCTYPE html><title>Sign in</title><p>Welcome to our network.";
}

mod resuming {
    use super::*;

    /// Fetches from a server that cuts the first answer off, gives the second
    /// one as told, and behaves after that.
    fn assert_right_in_the_end(
        archive: &[u8],
        first: &[u8],
        second: impl Fn(&Request) -> Vec<Part> + Send + Sync + 'static,
    ) -> Vec<Option<usize>> {
        let (first, bytes) = (first.to_vec(), archive.to_vec());
        let upstream = Upstream::start(move |request| match request.before {
            0 => cut_off(whole_or_range(request, &first, "\"old\""), 200),
            1 => second(request),
            _ => whole_or_range(request, &bytes, "\"new\""),
        });
        let sandbox = sandbox_with(archive, &[&upstream.url("/x")]);
        ends_within(30, &mut sandbox.command(&["fetch"])).expect(0);
        assert_cached(&sandbox, archive);
        let ranges: Vec<_> = upstream.requests().iter().map(Request::range).collect();
        assert_eq!(ranges[..2], [None, Some(200)], "did not go on where it ended");
        ranges
    }

    /// The bytes from `start` on, said to be those from `said` on.
    fn part_of(bytes: &[u8], start: usize, said: usize, headers: &[(&str, &str)]) -> Vec<Part> {
        let range = format!("bytes {said}-{}/{}", bytes.len() - 1, bytes.len());
        let headers = [headers, &[("Content-Range", &range)]].concat();
        answer("206 Partial Content", &headers, &bytes[start..])
    }

    #[test]
    fn a_cut_off_download_goes_on_where_it_ended() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let ranges = assert_right_in_the_end(&archive, &archive, move |request| {
            whole_or_range(request, &bytes, "\"old\"")
        });
        assert_eq!(ranges.len(), 2);
    }

    #[test]
    fn what_one_run_has_fetched_the_next_one_goes_on_with() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let upstream = Upstream::start(move |request| match request.before {
            0 => cut_off(whole_or_range(request, &bytes, "\"one\""), 200),
            1 => answer("404 Not Found", &[], b""),
            _ => whole_or_range(request, &bytes, "\"one\""),
        });
        let sandbox = sandbox_with(&archive, &[&upstream.url("/x")]);
        sandbox.run(&["fetch"]).expect(20);
        sandbox.run(&["fetch"]).expect(0);
        assert_cached(&sandbox, &archive);
        let requests = upstream.requests();
        assert_eq!(requests[2].range(), Some(200));
        assert_eq!(requests[2].header("if-range"), Some("\"one\""));
    }

    #[test]
    fn a_resume_answered_with_the_whole_file_starts_anew() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let ranges = assert_right_in_the_end(&archive, &archive, move |_| {
            answer("200 OK", &[("ETag", "\"old\"")], &bytes)
        });
        assert_eq!(ranges.len(), 2);
    }

    #[test]
    fn a_resume_of_a_file_with_another_tag_starts_anew() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        assert_right_in_the_end(&archive, &changed(&archive), move |_| {
            part_of(&bytes, 200, 200, &[("ETag", "\"new\"")])
        });
    }

    #[test]
    fn a_resume_with_a_shifted_range_starts_anew() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        assert_right_in_the_end(&archive, &archive, move |_| {
            part_of(&bytes, 150, 150, &[("ETag", "\"old\"")])
        });
    }

    #[test]
    fn a_resume_that_lies_about_its_range_starts_anew() {
        let archive = tiny_httpd("1.0");
        let mut shifted = archive[150..].to_vec();
        shifted.truncate(archive.len() - 200);
        let bytes = [vec![0; 200], shifted].concat();
        assert_right_in_the_end(&archive, &archive, move |_| {
            part_of(&bytes, 200, 200, &[("ETag", "\"old\"")])
        });
    }

    #[test]
    fn a_file_that_changes_before_the_resume_is_fetched_anew() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        let ranges = assert_right_in_the_end(&archive, &changed(&archive), move |request| {
            whole_or_range(request, &bytes, "\"new\"")
        });
        assert_eq!(ranges.len(), 2, "the server was not told which file the part is of");
    }

    #[test]
    fn a_file_that_changes_without_a_word_is_fetched_anew() {
        let archive = tiny_httpd("1.0");
        let bytes = archive.clone();
        assert_right_in_the_end(&archive, &changed(&archive), move |_| {
            part_of(&bytes, 200, 200, &[])
        });
    }

    #[test]
    fn a_resume_past_the_end_of_the_servers_file_starts_anew() {
        let archive = tiny_httpd("1.0");
        assert_right_in_the_end(&archive, &archive, |_| {
            answer("416 Range Not Satisfiable", &[("Content-Range", "bytes */10")], b"")
        });
    }

    #[test]
    fn an_absent_file_gives_way_to_the_next_address_and_all_are_named() {
        let archive = tiny_httpd("1.0");
        let good = Upstream::with(archive.clone());
        let bad = Upstream::start(|request| match request.path.as_str() {
            "/gone" => answer("410 Gone", &[], b""),
            _ => answer("404 Not Found", &[], b""),
        });
        let urls = [bad.url("/absent"), bad.url("/gone"), good.url("/x")];
        let sandbox = sandbox_with(&archive, &[&urls[0], &urls[1], &urls[2]]);
        sandbox.run(&["fetch"]).expect(0);

        let sandbox = sandbox_with(&archive, &[&urls[0], &urls[1]]);
        let outcome = sandbox.run(&["fetch"]).expect(20);
        outcome
            .says(&format!("{}: answered 404", urls[0]))
            .says(&format!("{}: answered 410", urls[1]));
    }
}

mod proxies {
    use super::*;

    #[test]
    fn a_proxy_for_http_is_used_whatever_the_case_of_its_variable() {
        let archive = tiny_httpd("1.0");
        for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
            let proxy = Upstream::with(archive.clone());
            let sandbox = sandbox_with(&archive, &[]);
            let mut command = sandbox.command(&["fetch", "--mirror", "http://mirror.invalid"]);
            ends_within(30, command.env(variable, proxy.url(""))).expect(0);
            let asked = format!("http://mirror.invalid/{}", sha256(&archive));
            assert_eq!(proxy.paths(), [asked], "{variable}");
        }
    }

    #[test]
    fn a_proxy_for_https_is_used_whatever_the_case_of_its_variable() {
        let archive = tiny_httpd("1.0");
        let issuer = authority();
        for variable in ["https_proxy", "HTTPS_PROXY"] {
            let config = signed_by(&issuer, &certificate_for(&["upstream.invalid"]));
            let bytes = archive.clone();
            let proxy = Upstream::start_behind(Door::Tunnel(config), move |request| {
                whole_or_range(request, &bytes, "\"one\"")
            });
            let sandbox = sandbox_with(&archive, &["https://upstream.invalid/x"]);
            let mut command = trusting(&sandbox, &issuer, &["fetch"]);
            ends_within(30, command.env(variable, proxy.url(""))).expect(0);
            assert_eq!(proxy.paths(), ["upstream.invalid:443", "/x"], "{variable}");
        }
    }

    #[test]
    fn an_address_that_is_not_for_the_proxy_is_asked_directly() {
        let archive = tiny_httpd("1.0");
        for (variable, exceptions, host, direct) in [
            ("NO_PROXY", "127.0.0.1", "127.0.0.1", true),
            ("no_proxy", "example.invalid, 127.0.0.0/8", "127.0.0.1", true),
            ("no_proxy", "*", "localhost", true),
            ("NO_PROXY", "example.invalid", "127.0.0.1", false),
        ] {
            let mirror = Upstream::with(archive.clone());
            let proxy = Upstream::with(archive.clone());
            let sandbox = sandbox_with(&archive, &[]);
            let mut command = sandbox.command(&["fetch", "--mirror", &mirror.url_as(host, "")]);
            command.env("http_proxy", proxy.url("")).env(variable, exceptions);
            ends_within(30, &mut command).expect(0);
            let expected = if direct { (1, 0) } else { (0, 1) };
            assert_eq!((mirror.connections(), proxy.connections()), expected, "{exceptions}");
        }
    }

    #[test]
    fn the_login_of_a_proxy_is_sent_and_not_shown() {
        let archive = tiny_httpd("1.0");
        let proxy = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[]);
        let args = ["fetch", "--verbose", "--mirror", "http://mirror.invalid"];
        let mut command = sandbox.command(&args);
        command.env("http_proxy", proxy.url("").replace("://", "://wendy:hush@"));
        assert_keeps_quiet(ends_within(30, &mut command).expect(0));
        let sent = proxy.requests()[0].header("proxy-authorization").map(str::to_owned);
        assert_eq!(sent.as_deref(), Some("Basic d2VuZHk6aHVzaA=="));
        let record = sandbox.cache().join("sources/sha256").join(sha256(&archive));
        let record = std::fs::read_to_string(record.with_extension("origin")).unwrap();
        assert!(!record.contains("hush"), "{record}");
    }

    #[test]
    fn a_proxy_for_https_that_is_down_is_named_without_its_login() {
        let archive = tiny_httpd("1.0");
        let sandbox = sandbox_with(&archive, &["https://upstream.invalid/x"]);
        for variable in ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
            let mut command = sandbox.command(&["fetch", "--verbose"]);
            command.env(variable, format!("http://wendy:hush@{REFUSING}"));
            let outcome = ends_within(15, &mut command).expect(20);
            assert_keeps_quiet(outcome.says(&format!("proxy http://{REFUSING}")));
        }
    }

    #[test]
    fn a_proxy_for_http_that_is_down_is_named_without_its_login() {
        let archive = tiny_httpd("1.0");
        let sandbox = sandbox_with(&archive, &[]);
        for variable in ["http_proxy", "HTTP_PROXY"] {
            let args = ["fetch", "--verbose", "--mirror", "http://mirror.invalid"];
            let mut command = sandbox.command(&args);
            command.env(variable, format!("http://wendy:hush@{REFUSING}"));
            let outcome = ends_within(15, &mut command).expect(20);
            assert_keeps_quiet(outcome.says(&format!("proxy http://{REFUSING}")));
        }
    }

    #[test]
    fn a_proxy_that_refuses_is_named_without_its_login() {
        let archive = tiny_httpd("1.0");
        let proxy =
            Upstream::start(|_| answer("407 Proxy Authentication Required", &[], b"go away"));
        let sandbox = sandbox_with(&archive, &["https://upstream.invalid/x"]);
        let mut command = sandbox.command(&["fetch", "--verbose"]);
        command.env("https_proxy", proxy.url("").replace("://", "://wendy:hush@"));
        let outcome = ends_within(15, &mut command).expect(20);
        assert_keeps_quiet(outcome.says(&format!("proxy {}", proxy.url(""))));
        assert_eq!(proxy.paths()[0], "upstream.invalid:443");
    }

    #[test]
    fn a_proxy_that_was_not_asked_is_not_blamed() {
        let archive = tiny_httpd("1.0");
        let proxy = Upstream::with(archive.clone());
        let sandbox = sandbox_with(&archive, &[&format!("https://{REFUSING}/x")]);
        let mut command = sandbox.command(&["fetch"]);
        command.env("https_proxy", proxy.url("")).env("NO_PROXY", "127.0.0.1");
        ends_within(15, &mut command).expect(20).says_nothing_of("proxy");
        assert_eq!(proxy.connections(), 0);
    }

    #[track_caller]
    fn assert_keeps_quiet(outcome: Outcome) {
        assert!(!outcome.stdout.contains("hush"), "{}", outcome.stdout);
        outcome.says_nothing_of("hush").says_nothing_of("d2VuZHk6aHVzaA");
    }
}

mod certificates {
    use std::sync::Arc;

    use rustls::ServerConfig;

    use super::*;

    fn secure(config: Arc<ServerConfig>, archive: &[u8]) -> Upstream {
        let bytes = archive.to_vec();
        Upstream::start_behind(Door::Tls(config), move |request| {
            whole_or_range(request, &bytes, "\"one\"")
        })
    }

    /// Fails unless the server is refused for its certificate, unasked.
    #[track_caller]
    fn assert_refused(command: &mut Command, server: &Upstream, why: &str) {
        let outcome = ends_within(30, command).expect(20).says("certificate").says(why);
        outcome.says("SSL_CERT_FILE and the clock").says(&server.url("/x"));
        assert_ne!(server.connections(), 0);
        assert_eq!(server.paths(), Vec::<String>::new());
    }

    #[test]
    fn a_self_signed_certificate_is_refused_unless_it_is_given() {
        let archive = tiny_httpd("1.0");
        let (config, pem) = self_signed(&certificate_for(&["127.0.0.1"]));
        let server = secure(config, &archive);
        let sandbox = sandbox_with(&archive, &[&server.url("/x")]);
        // Another authority, so that the test needs none of the machine's.
        let mut command = trusting(&sandbox, &authority(), &["fetch"]);
        assert_refused(&mut command, &server, "UnknownIssuer");

        std::fs::write(sandbox.path("self.pem"), pem).unwrap();
        let mut command = sandbox.command(&["fetch"]);
        command.env("SSL_CERT_FILE", sandbox.path("self.pem"));
        ends_within(30, &mut command).expect(0);
        assert_cached(&sandbox, &archive);
    }

    #[test]
    fn a_certificate_of_a_companys_own_authority_works() {
        let archive = tiny_httpd("1.0");
        let issuer = authority();
        let server = secure(signed_by(&issuer, &certificate_for(&["127.0.0.1"])), &archive);
        let sandbox = sandbox_with(&archive, &[&server.url("/x")]);
        ends_within(30, &mut trusting(&sandbox, &issuer, &["fetch"])).expect(0);
        assert_cached(&sandbox, &archive);
    }

    #[test]
    fn an_expired_certificate_is_refused() {
        let mut params = certificate_for(&["127.0.0.1"]);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        assert_untrusted(&params, "expired");
    }

    #[test]
    fn a_certificate_that_is_not_valid_yet_is_refused() {
        let mut params = certificate_for(&["127.0.0.1"]);
        params.not_before = rcgen::date_time_ymd(3000, 1, 1);
        assert_untrusted(&params, "not valid yet");
    }

    #[test]
    fn a_certificate_for_another_name_is_refused() {
        assert_untrusted(&certificate_for(&["other.invalid"]), "not valid for name");
    }

    /// Fails unless a server with such a certificate, signed by an authority
    /// that is trusted, is refused.
    #[track_caller]
    fn assert_untrusted(params: &rcgen::CertificateParams, why: &str) {
        let archive = tiny_httpd("1.0");
        let issuer = authority();
        let server = secure(signed_by(&issuer, params), &archive);
        let sandbox = sandbox_with(&archive, &[&server.url("/x")]);
        let mut command = trusting(&sandbox, &issuer, &["fetch"]);
        assert_refused(&mut command, &server, why);
    }

    #[test]
    fn a_broken_bundle_of_certificates_is_an_error_that_says_so() {
        let archive = tiny_httpd("1.0");
        let issuer = authority();
        let server = secure(signed_by(&issuer, &certificate_for(&["127.0.0.1"])), &archive);
        let sandbox = sandbox_with(&archive, &[&server.url("/x")]);
        std::fs::write(sandbox.path("broken.pem"), b"-----BEGIN CERTIFICATE-----\nx\n").unwrap();
        for bundle in ["broken.pem", "absent.pem"] {
            let mut command = sandbox.command(&["fetch"]);
            command.env("SSL_CERT_FILE", sandbox.path(bundle));
            ends_within(30, &mut command).expect(20).says("SSL_CERT_FILE");
        }
        assert_eq!(server.paths(), Vec::<String>::new());
    }
}

/// The program, with that authority in place of the machine's.
fn trusting(sandbox: &Sandbox, issuer: &CertifiedIssuer<'_, KeyPair>, args: &[&str]) -> Command {
    std::fs::write(sandbox.path("authority.pem"), issuer.pem()).unwrap();
    let mut command = sandbox.command(args);
    command.env("SSL_CERT_FILE", sandbox.path("authority.pem"));
    command
}

/// Where nobody listens: the port is privileged, so no other test gets it.
const REFUSING: &str = "127.0.0.1:1";
/// Longer than any run may take.
const FOREVER: Duration = Duration::from_secs(120);
