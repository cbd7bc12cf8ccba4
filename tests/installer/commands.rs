//! The commands beside `install`, with the tiny httpd.

use serde_json::Value;

use crate::sandbox::{Sandbox, names_in, tiny_httpd};
use crate::upstream::Upstream;

/// The last JSON object that a command printed.
fn result_of(sandbox: &Sandbox, args: &[&str]) -> Value {
    let prefix = sandbox.prefix();
    let place = ["--json", "--prefix", prefix.to_str().unwrap()];
    let outcome = sandbox.run(&[args, &place].concat()).expect(0);
    let last: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "result");
    last
}

#[test]
fn plan_touches_nothing() {
    let archive = tiny_httpd("1.0");
    let upstream = Upstream::with(archive.clone());
    let sandbox = Sandbox::empty();
    let release = crate::sandbox::Release::of("1.0", &archive).at(&[&upstream.url("/x")]);
    sandbox.recipe(&[release], "");
    let plan = result_of(&sandbox, &["plan"]);
    assert_eq!(plan["components"][0]["version"], "1.0");
    assert_eq!(plan["components"][0]["cached"], false);
    assert_eq!(plan["to_fetch"], archive.len());
    assert!(!sandbox.cache().exists() && !sandbox.prefix().exists());
    assert_eq!(upstream.requests().len(), 0);
    sandbox.run(&["fetch"]).expect(0);
    let plan = result_of(&sandbox, &["plan"]);
    assert_eq!((&plan["components"][0]["cached"], &plan["to_fetch"]), (&true.into(), &0.into()));
}

#[test]
fn a_vendor_folder_is_enough_for_another_machine() {
    let archive = tiny_httpd("1.0");
    let upstream = Upstream::with(archive.clone());
    let sandbox = Sandbox::empty();
    let release = crate::sandbox::Release::of("1.0", &archive).at(&[&upstream.url("/x")]);
    sandbox.recipe(&[release], "");
    sandbox.run(&["vendor", "vendored"]).expect(0);
    assert_eq!(names_in(&sandbox.path("vendored")), ["httpd-1.0.tar.gz", "mod_wsgi-httpd.lock"]);
    let asked = upstream.requests().len();
    std::fs::remove_dir_all(sandbox.cache()).unwrap();
    sandbox.install(&["--offline", "--locked", "--vendor", "vendored"]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    assert_eq!(upstream.requests().len(), asked, "the network was asked");
}

#[test]
fn update_check_says_what_a_newer_recipe_would_change() {
    let sandbox = Sandbox::new();
    sandbox.install(&["--features", "-tls"]).expect(0);
    assert_eq!(result_of(&sandbox, &["update", "--check"])["changed"], false);
    let releases = ["1.2", "1.0"].map(|version| sandbox.publish(version, &tiny_httpd(version)));
    sandbox.recipe(&releases, "");
    let check = result_of(&sandbox, &["update", "--check"]);
    assert_eq!(check["changed"], true);
    assert_eq!(check["components"][0]["installed"], "1.0");
    assert_eq!(check["components"][0]["newest"], "1.2");
    assert_eq!(sandbox.installed_version(), "Apache/1.0", "--check changes nothing");
    sandbox.at_prefix("update", &[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.2");
    let features = &result_of(&sandbox, &["info", "features"])["features"];
    assert_eq!(features, &Value::Array(Vec::new()), "options of the last install are kept");
}

/// A release that could not be had comes when it can, although the recipes are
/// still the same.
#[test]
fn update_takes_a_release_that_has_become_available() {
    let sandbox = Sandbox::new();
    let old = sandbox.publish("1.0", &tiny_httpd("1.0"));
    let new = sandbox.publish("1.1", &tiny_httpd("1.1"));
    let file = sandbox.path("upstream").join(&new.file);
    let aside = sandbox.path("aside");
    std::fs::rename(&file, &aside).unwrap();
    sandbox.recipe(&[new, old], "");
    sandbox.install(&[]).expect(0).says("the newest pinned release, 1.1, cannot be had");
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    let again = sandbox.at_prefix("update", &[]).expect(0);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
    std::fs::rename(&aside, &file).unwrap();
    sandbox.at_prefix("update", &[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.1");
}

#[test]
fn a_vulnerable_release_is_named_each_time() {
    let sandbox = Sandbox::empty();
    let release = sandbox.publish("0.9", &tiny_httpd("0.9"));
    sandbox.recipe(&[release], "");
    sandbox.install(&[]).expect(20).says("--allow-vulnerable");
    sandbox.install(&["--allow-vulnerable"]).expect(0).says("httpd 0.9 HAS KNOWN HOLES");
    sandbox.install(&[]).expect(0).says("httpd 0.9 HAS KNOWN HOLES");
}

#[test]
fn the_sbom_lists_archives_licences_and_patches() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    sandbox.at_prefix("sbom", &["--output", "sbom.json"]).expect(0);
    let text = std::fs::read_to_string(sandbox.path("sbom.json")).unwrap();
    let sbom: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&sbom["bomFormat"], &sbom["specVersion"]), (&"CycloneDX".into(), &"1.6".into()));
    let httpd = &sbom["components"][0];
    assert_eq!(httpd["hashes"][0]["content"], crate::sandbox::sha256(&tiny_httpd("1.0")));
    let licence = httpd["licenses"][0]["license"]["text"]["content"].as_str().unwrap();
    assert!(licence.contains("Do as you like."));
    sandbox.at_prefix("sbom", &["-o", "again.json"]).expect(0);
    assert_eq!(text, std::fs::read_to_string(sandbox.path("again.json")).unwrap());
}

#[test]
fn info_answers_one_fact_bare_and_names_the_others() {
    let sandbox = Sandbox::new();
    sandbox.at_prefix("info", &[]).expect(2).says("no private httpd is installed");
    sandbox.install(&[]).expect(0);
    let bare = |name: &str| sandbox.at_prefix("info", &[name]).expect(0).stdout;
    assert_eq!(bare("version"), "1.0\n");
    assert_eq!(bare("httpd").trim(), sandbox.prefix().join("current/bin/httpd").to_str().unwrap());
    sandbox.at_prefix("info", &["colour"]).expect(2).says("known: ");
}

#[test]
fn clean_empties_the_cache_as_asked() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    assert_eq!(names_in(&sandbox.cache().join("logs")).len(), 1);
    sandbox.at_prefix("clean", &[]).expect(0);
    assert_eq!(names_in(&sandbox.cache().join("logs")).len(), 0);
    assert_ne!(names_in(&sandbox.cache().join("sources/sha256")).len(), 0);
    sandbox.at_prefix("clean", &["--all"]).expect(0);
    assert_eq!(names_in(&sandbox.cache().join("sources/sha256")).len(), 0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
}

#[test]
fn every_event_is_one_json_object_a_line() {
    let sandbox = Sandbox::new();
    let prefix = sandbox.prefix();
    let args = ["install", "--json", "--prefix", prefix.to_str().unwrap()];
    let outcome = sandbox.run(&args).expect(0);
    assert_eq!(outcome.stderr, "");
    let events: Vec<Value> =
        outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "step" && event["verb"] == "Built"));
    sandbox.recipe(&[sandbox.publish("2", b"nothing")], "");
    let outcome = sandbox.run(&args).expect(30);
    let last: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((&last["event"], &last["code"]), (&"error".into(), &30.into()));
}

#[test]
fn quiet_says_nothing_unless_something_is_wrong() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.install(&["--quiet"]).expect(0);
    assert_eq!(outcome.stderr, "");
}

#[test]
fn pages_and_completions_know_every_command() {
    let sandbox = Sandbox::new();
    let page = sandbox.run(&["man"]).expect(0).stdout;
    sandbox.run(&["man", "pages"]).expect(0);
    let pages = names_in(&sandbox.path("pages"));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(&["completions", shell]).expect(0).stdout;
        for command in ["install", "vendor", "doctor", "uninstall"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    for command in ["install", "plan", "vendor", "doctor", "sbom", "apxs", "update"] {
        assert!(page.contains(command), "{command}");
        assert!(pages.contains(&format!("mod_wsgi-httpd-{command}.1")), "{pages:?}");
    }
}

#[test]
fn doctor_answers_in_words_and_json() {
    let sandbox = Sandbox::new();
    let outcome = sandbox.at_prefix("doctor", &[]).expect(0);
    for subject in
        ["compiler", "C library", "make", "Perl", "Python", "prefix", "build in", "locale"]
    {
        assert!(outcome.stdout.contains(subject), "{subject}: {}", outcome.stdout);
    }
    let findings = &result_of(&sandbox, &["doctor"])["findings"];
    assert_eq!(findings[0]["state"], "good");
}

#[test]
fn plan_and_options_refuse_what_install_would() {
    let sandbox = Sandbox::new();
    sandbox.run(&["plan", "--release", "httpd=9.9"]).expect(10).says("no recipe pins httpd 9.9");
    sandbox.run(&["plan", "--locked", "--lock", "nowhere"]).expect(10).says("nowhere");
    sandbox.run(&["install", "--lock", "x"]).expect(2).says("--locked");
    sandbox.install(&["--vendor", "nowhere"]).expect(2).says("there is no folder `nowhere`");
}

#[test]
fn no_color_beats_every_wish_for_colour() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["rollback", "--prefix", "p"]);
    command.env("CLICOLOR_FORCE", "1");
    let coloured = crate::sandbox::Outcome::of(command.output().unwrap());
    assert!(coloured.stderr.contains("\x1b["), "{}", coloured.stderr);
    let plain = crate::sandbox::Outcome::of(command.env("NO_COLOR", "1").output().unwrap());
    assert!(!plain.stderr.contains("\x1b["), "{}", plain.stderr);
}

#[test]
fn doctor_prints_what_the_compiler_was_asked() {
    let sandbox = Sandbox::new();
    sandbox.run(&["doctor", "--probe"]).expect(2).says("has asked nothing yet");
    // As the direct engine keeps them, the older of two first.
    let folder = sandbox.cache().join("probes");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, value) in [("apr-1f", "null"), ("apr-2f", "\"1\"")] {
        let text = format!(r#"{{"HAVE_DUP3": {{"value": {value}, "how": "links"}}}}"#);
        std::fs::write(folder.join(name).with_extension("json"), text).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let outcome = sandbox.run(&["doctor", "--probe"]).expect(0);
    let words: Vec<&str> = outcome.stdout.split_whitespace().collect();
    assert_eq!(words, ["apr", "HAVE_DUP3", "1", "links"]);
}
