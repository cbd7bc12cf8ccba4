//! Exit codes and the README's table of them.

use mod_wsgi_httpd::exit::TABLE;

use crate::sandbox::Sandbox;

#[test]
fn the_readme_lists_every_exit_code() {
    let readme = std::fs::read_to_string("README.md").unwrap();
    for (code, meaning) in TABLE {
        let row = format!("| {code} | {meaning} |");
        assert!(readme.contains(&row), "README.md has no row `{row}`");
    }
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&["install", "--colour"]).expect(2);
    sandbox.install(&["--features", "warp"]).expect(2).says("there is no feature `warp`");
    sandbox.install(&["--engine", "steam"]).expect(2).says("known: direct, upstream");
}
