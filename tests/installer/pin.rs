//! Pinning a release that no recipe knows.

use crate::sandbox::{Release, Sandbox, sha256, tiny_httpd};
use crate::upstream::Upstream;

#[test]
fn a_release_that_nobody_signs_is_pinned_only_when_told_so() {
    let (old, new) = (tiny_httpd("1.0"), tiny_httpd("1.1"));
    let upstream = Upstream::with(new.clone());
    let sandbox = Sandbox::empty();
    let release = Release::of("1.0", &old).at(&[&upstream.url("/httpd-1.0.tar.gz")]);
    sandbox.recipe(&[release], "");
    sandbox.run(&["pin", "httpd", "1.1"]).expect(21).says("nobody signs `httpd-1.1.tar.gz`");
    let outcome = sandbox.run(&["pin", "httpd", "1.1", "--without-signature"]).expect(0);
    assert_eq!(upstream.requests()[0].path, "/httpd-1.1.tar.gz");
    for part in ["version = \"1.1\"", &sha256(&new), "folder = \"httpd-1.1\"", "tar-sha256"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    // What it prints is what the recipe needs.
    let recipe = std::fs::read_to_string(sandbox.path("recipes/httpd.toml")).unwrap();
    let recipe = recipe.replacen("[[release]]", &format!("{}\n[[release]]", outcome.stdout), 1);
    std::fs::write(sandbox.path("recipes/httpd.toml"), recipe).unwrap();
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.1");
}

#[test]
fn an_archive_that_could_not_be_unpacked_is_not_pinned() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("page.html"), "<html>no such release</html>").unwrap();
    let args = ["pin", "httpd", "1.1", "--without-signature", "--archive", "page.html"];
    sandbox.run(&args).expect(30).says("an HTML or XML page");
    sandbox.run(&["pin", "httpd", "../1", "--without-signature"]).expect(2);
    sandbox.run(&["pin", "nginx", "1.1"]).expect(10).says("there is no recipe `nginx`");
}
