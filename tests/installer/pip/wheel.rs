//! The wheel in an environment.

use std::path::Path;

use super::environment::home_in;
use super::{done, only_file, workshop};
use crate::real::command;
use crate::sandbox::{Outcome, sha256};

#[test]
fn the_wheel_serves_also_where_it_is_moved_to_and_leaves_nothing() {
    let mut environment = workshop().environment();
    let verified = done(command(environment.bin("mod_wsgi-httpd")).arg("verify"));
    assert!(verified.stdout.contains("files are as installed"), "{}", verified.stdout);
    let home = environment.home.display().to_string();
    assert_eq!(home_in(&environment.serve(&["mod_wsgi-express"])), home);
    // It is pip's: nothing of ours changes it.
    let changers: [&[&str]; 3] =
        [&["install", "--profile", "quick"], &["uninstall"], &["rollback"]];
    for changer in changers {
        let mut tool = command(environment.bin("mod_wsgi-httpd"));
        let outcome = Outcome::of(tool.args(changer).output().unwrap());
        outcome.expect(2).says("came in a package").says("pip");
    }
    let apxs = done(command(environment.bin("mod_wsgi-apxs")).args(["-q", "LIBEXECDIR", "NONE"]));
    assert!(apxs.stdout.trim().ends_with("mod_wsgi_packages/httpd/modules;;"), "{}", apxs.stdout);

    let there = environment.folder.path().join("a møved one");
    std::fs::rename(&environment.home, &there).unwrap();
    environment.home = there;
    let home = environment.home.display().to_string();
    assert_eq!(home_in(&environment.serve(&["python", "-m", "mod_wsgi.express"])), home);

    assert!(!environment.ours().is_empty());
    environment.pip(&["uninstall", "--yes", "mod-wsgi-rs"]);
    assert_eq!(environment.ours(), Vec::<String>::new(), "left by pip uninstall");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let again = workshop().folder.path().join("again");
    let mut pip = workshop().wheel_into(&again);
    // Neither the place of temporary files nor the umask is an input.
    let elsewhere = workshop().folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    pip.env("TMPDIR", &elsewhere);
    let mut shell = command("sh");
    shell.args(["-c", "umask 077; exec \"$@\"", "sh"]).arg(pip.get_program()).args(pip.get_args());
    shell.envs(pip.get_envs().filter_map(|(name, value)| Some((name, value?))));
    done(shell.current_dir(workshop().folder.path()));
    let digest = |path: &Path| sha256(&std::fs::read(path).unwrap());
    assert_eq!(digest(&only_file(&again)), digest(workshop().wheel()));
}

#[test]
fn a_wheel_has_the_time_that_is_asked_for() {
    let folder = workshop().folder.path().join("then");
    done(workshop().wheel_into(&folder).env("SOURCE_DATE_EPOCH", "1700000000"));
    let code = "import sys, zipfile; print({item.date_time for item in \
                zipfile.ZipFile(sys.argv[1]).infolist()})";
    let mut python = command(&workshop().python);
    let times = done(python.args(["-c", code]).arg(only_file(&folder))).stdout;
    assert_eq!(times.trim(), "{(2023, 11, 14, 22, 13, 20)}");
}

#[test]
fn the_original_builds_against_it() {
    let environment = workshop().environment();
    environment.pip(&["install", "--quiet", "setuptools", "wheel"]);
    // One that was built for another httpd may be in the cache.
    let fresh = ["--no-build-isolation", "--no-cache-dir", "--no-deps"];
    environment.pip(&[&["install"], &fresh[..], &["mod_wsgi==6.1.1"]].concat());
    let code = "from mod_wsgi.express import apxs_config as a; print(a.HTTPD)";
    let asked = done(command(environment.bin("python")).args(["-c", code]));
    let httpd = asked.stdout.trim();
    assert!(httpd.ends_with("site-packages/mod_wsgi_packages/httpd/bin/httpd"), "{httpd}");
    let home = environment.home.display().to_string();
    assert_eq!(home_in(&environment.serve(&["mod_wsgi-express"])), home);
}
