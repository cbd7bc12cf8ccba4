//! Installing: all or nothing, once or again, alone or side by side, in odd
//! places and odd surroundings.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use crate::real::command;
use crate::sandbox::{CONFIGURE, Outcome, Sandbox, names_in, tiny_httpd, tiny_httpd_with};
use crate::upstream::Upstream;

#[test]
fn a_second_install_has_nothing_to_do() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    let again = sandbox.install(&[]).expect(0);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
}

#[test]
fn the_tree_before_is_kept_and_rolled_back_to() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    sandbox.at_prefix("rollback", &[]).expect(2).says("keeps no earlier httpd");
    let releases = ["1.1", "1.0"].map(|version| sandbox.publish(version, &tiny_httpd(version)));
    sandbox.recipe(&releases, "");
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.1");
    sandbox.at_prefix("rollback", &[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    let listed = sandbox.at_prefix("list", &[]).expect(0).stdout;
    assert!(listed.contains("1.0  current") && listed.contains("1.1  previous"), "{listed}");
    sandbox.at_prefix("rollback", &[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.1");
    sandbox.at_prefix("clean", &["--trees"]).expect(0);
    assert_eq!(names_in(&sandbox.prefix().join("store")).len(), 1);
    assert_eq!(sandbox.installed_version(), "Apache/1.1");
}

#[test]
fn a_failed_step_shows_its_last_lines_and_leaves_the_old_tree() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let configure = "#!/bin/sh\necho looking around\necho no anvil found >&2\nexit 7\n";
    let cases = [
        ("1.1", tiny_httpd_with("1.1", configure, ""), 40, "| no anvil found"),
        ("1.2", tiny_httpd_with("1.2", CONFIGURE, "\tforge --hot\n"), 41, "forge"),
    ];
    for (version, archive, status, line) in cases {
        sandbox.recipe(&[sandbox.publish(version, &archive)], "");
        let outcome = sandbox.install(&[]).expect(status).says(line).says("log: ");
        let log = outcome.stderr.lines().find_map(|line| line.strip_prefix("log: ")).unwrap();
        assert!(std::fs::read_to_string(log).unwrap().contains("+ "), "the log has the command");
        assert_eq!(sandbox.installed_version(), "Apache/1.0");
        assert_eq!(names_in(&sandbox.path("tmp")), Vec::<String>::new());
    }
}

#[test]
fn a_tree_whose_check_fails_is_not_installed() {
    let sandbox = Sandbox::empty();
    let mut release = sandbox.publish("1.1", &tiny_httpd("1.0"));
    release.folder = "httpd-1.0".into();
    sandbox.recipe(&[release], "");
    sandbox.install(&[]).expect(50).says("expected Apache/1.1").says("found    Apache/1.0");
    sandbox.assert_nothing_installed();
}

#[test]
fn verify_finds_what_was_changed_and_force_mends_it() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    sandbox.at_prefix("verify", &[]).expect(0);
    let httpd = sandbox.prefix().join("bin/httpd");
    std::fs::write(&httpd, "#!/bin/sh\necho mine\n").unwrap();
    std::fs::remove_file(sandbox.prefix().join("licences/httpd/LICENSE")).unwrap();
    sandbox
        .at_prefix("verify", &[])
        .expect(50)
        .says("bin/httpd: was changed")
        .says("licences/httpd/LICENSE: is missing");
    sandbox.install(&["--force"]).expect(0);
    sandbox.at_prefix("verify", &[]).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
}

#[test]
fn uninstall_leaves_nothing_of_ours_and_names_what_is_not() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    sandbox.at_prefix("uninstall", &[]).expect(0);
    assert!(!sandbox.prefix().exists(), "{:?}", names_in(&sandbox.prefix()));

    sandbox.install(&[]).expect(0);
    let foreign = sandbox.prefix().join("modules_of_mine");
    std::fs::write(&foreign, "").unwrap();
    let inside = sandbox.prefix().canonicalize().unwrap().join("current/bin/extra");
    std::fs::write(&inside, "").unwrap();
    let outcome = sandbox.at_prefix("uninstall", &[]).expect(0);
    outcome.says("modules_of_mine is not ours").says("bin/extra is not ours");
    assert!(foreign.exists());
    assert!(!sandbox.prefix().join("current").exists());
    sandbox.at_prefix("uninstall", &[]).expect(2).says("no private httpd is installed");
}

#[test]
fn ten_installs_at_once_make_one_tree() {
    let sandbox = Sandbox::empty();
    let slow = tiny_httpd_with("1.0", "#!/bin/sh\nsleep 0.5\ncp makefile.in Makefile\n", "");
    sandbox.recipe(&[sandbox.publish("1.0", &slow)], "");
    let runs: Vec<_> = (0..10).map(|_| sandbox.start_install(&[])).collect();
    let outcomes: Vec<Outcome> = runs
        .into_iter()
        .map(|run| Outcome::of(run.wait_with_output().unwrap()).expect(0))
        .collect();
    let built = outcomes.iter().filter(|outcome| outcome.stderr.contains("Built")).count();
    let waited = outcomes.iter().filter(|outcome| outcome.stderr.contains("Waiting")).count();
    assert_eq!((built, waited), (1, 9));
    assert_eq!(names_in(&sandbox.prefix().join("store")).len(), 1);
    sandbox.at_prefix("verify", &[]).expect(0);
}

#[test]
fn the_umask_changes_no_mode() {
    for umask in ["077", "000"] {
        let sandbox = Sandbox::new();
        let script = format!("umask {umask}; exec \"$@\"");
        sandbox.through(&["sh", "-c", &script, "sh"], &sandbox.install_args()).expect(0);
        let mut checked = 0;
        each_file_below(&sandbox.prefix(), &mut |path| {
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.permissions().mode() & 0o7777;
            let allowed: &[u32] = match path.file_name().and_then(|name| name.to_str()) {
                // Only who may write to the folder has a use for it.
                Some(".lock") => &[0o600, 0o644],
                _ if metadata.is_dir() => &[0o755],
                _ => &[0o755, 0o644],
            };
            if !metadata.is_symlink() {
                assert!(allowed.contains(&mode), "umask {umask}: {} has {mode:o}", path.display());
                checked += 1;
            }
        });
        assert!(checked > 8, "only {checked} files were checked");
    }
}

#[test]
fn odd_places_work_or_are_refused_at_once() {
    let sandbox = Sandbox::new();
    for name in ["a b", "ä é", "it's", "d$HOME", "s;x", "h#1", "q\"q", "trailing/", "x/../y"] {
        let prefix = format!("{}/{name}", sandbox.path("places").display());
        sandbox.run(&["install", "--prefix", &prefix]).expect(0);
        sandbox.run(&["verify", "--prefix", &prefix]).expect(0);
        assert!(Path::new(&prefix).join("bin/httpd").exists(), "{prefix}");
    }
    let long = format!("{}/{}", sandbox.path("places").display(), "long/".repeat(60));
    sandbox.run(&["install", "--prefix", &long]).expect(0);
    let too_long = format!("{}/{}", sandbox.path("places").display(), "long/".repeat(820));
    sandbox.run(&["install", "--prefix", &too_long]).expect(2).says("is too long");
    sandbox.run(&["install", "--prefix", "a\nb"]).expect(2).says("line break");
    sandbox.run(&["install", "--prefix", "relative"]).expect(0);
    assert!(sandbox.path("relative/bin/httpd").exists());
    sandbox.run(&["install", "--prefix", "~/below-home"]).expect(0);
    assert!(sandbox.path("home/below-home/bin/httpd").exists());
    symlink(sandbox.path("relative"), sandbox.path("link")).unwrap();
    let again = sandbox.run(&["install", "--prefix", "link"]).expect(0);
    assert!(again.stdout.contains("nothing to do"), "{}", again.stdout);
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_is_fetched() {
    let archive = tiny_httpd("1.0");
    let upstream = Upstream::with(archive.clone());
    let sandbox = Sandbox::empty();
    let release = crate::sandbox::Release::of("1.0", &archive).at(&[&upstream.url("/x")]);
    sandbox.recipe(&[release], "");
    std::fs::write(sandbox.path("file"), "").unwrap();
    sandbox.run(&["install", "--prefix", "file/below"]).expect(50).says("--prefix");

    std::fs::create_dir(sandbox.path("open")).unwrap();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(sandbox.path("open"), everybody).unwrap();
    sandbox.run(&["install", "--prefix", "open"]).expect(50).says("changed by other users");

    std::fs::create_dir(sandbox.path("fixed")).unwrap();
    let args = ["install", "--prefix", "fixed"];
    if let Some(outcome) =
        sandbox.with_mounts("mount --bind fixed fixed && mount -o remount,bind,ro fixed", &args)
    {
        outcome.expect(50).says("fixed");
    }
    assert_eq!(upstream.requests().len(), 0, "something was fetched");
}

#[test]
fn a_machine_without_tools_is_told_what_to_install() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["install", "--prefix", "p"]);
    let outcome = Outcome::of(command.env("PATH", sandbox.path("home")).output().unwrap());
    outcome.expect(40).says("there is no C compiler").says("hint: install one");

    // All that is needed save make.
    for tool in ["cc", "ar", "strip", "sh", "as", "ld", "perl"] {
        let search = std::env::var_os("PATH").unwrap();
        let found = std::env::split_paths(&search).map(|folder| folder.join(tool));
        let found = found.into_iter().find(|path| path.exists()).unwrap();
        symlink(found, sandbox.path("home").join(tool)).unwrap();
    }
    let mut command = sandbox.command(&["install", "--prefix", "p"]);
    let outcome = Outcome::of(command.env("PATH", sandbox.path("home")).output().unwrap());
    outcome.expect(40).says("make: is not there").says("hint: ");
    assert!(!sandbox.path("p").exists());
}

#[test]
fn nothing_of_the_callers_environment_reaches_the_build() {
    let hostile = [
        ("CFLAGS", "-DBROKEN"),
        ("LDFLAGS", "-L/nowhere"),
        ("CPATH", "/nowhere"),
        ("LD_LIBRARY_PATH", "/nowhere"),
        ("PKG_CONFIG_PATH", "/nowhere"),
        ("CONFIG_SITE", "/nowhere"),
        ("MAKEFLAGS", "-n"),
        ("DESTDIR", "/nowhere"),
        ("CDPATH", "/"),
        ("GREP_OPTIONS", "-v"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("PYTHONHOME", "/nowhere"),
        ("PERL5LIB", "/nowhere"),
    ];
    let seen = |variables: &[(&str, &str)]| {
        let sandbox = Sandbox::empty();
        let note = sandbox.path("seen");
        let configure =
            format!("{CONFIGURE}env | grep -v -e ^PWD= -e ^OLDPWD= | sort > {}\n", note.display());
        let archive = tiny_httpd_with("1.0", &configure, "");
        sandbox.recipe(&[sandbox.publish("1.0", &archive)], "");
        let mut command = sandbox.command(&sandbox.install_args());
        Outcome::of(command.envs(variables.iter().copied()).output().unwrap()).expect(0);
        let root = sandbox.path("").display().to_string();
        let text = std::fs::read_to_string(note).unwrap().replace(&root, "ROOT/");
        // The work folder has a random name.
        text.lines()
            .filter(|line| !line.starts_with("TMPDIR="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let (clean, other) = (seen(&[]), seen(&hostile));
    assert!(clean.iter().any(|line| line == "LC_ALL=C"), "{clean:?}");
    assert_eq!(clean, other);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command(&sandbox.install_args());
    let output = command.stdout(writer.try_clone().unwrap()).stderr(writer).output().unwrap();
    Outcome::of(output).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
}

#[test]
fn a_folder_that_runs_no_programs_is_passed_over() {
    let sandbox = Sandbox::new();
    let args = sandbox.install_args();
    let Some(outcome) = sandbox.with_mounts("mount -t tmpfs -o noexec none tmp", &args) else {
        return;
    };
    outcome.expect(0);
    let args = [&args[..], &["--work-dir", "tmp", "--force"]].concat();
    let outcome = sandbox.with_mounts("mount -t tmpfs -o noexec none tmp", &args);
    outcome.unwrap().expect(40).says("noexec").says("--work-dir");
}

#[test]
fn a_full_disk_stops_the_run_and_leaves_room_for_the_next() {
    let noise = noise(3 << 20);
    for (place, size, status) in [("cache", "1m", 20), ("tmp", "4m", 30), ("prefix", "2m", 50)] {
        let sandbox = Sandbox::empty();
        // The build fits where only unpacking does not, and so on.
        let archive = crate::sandbox::tiny_httpd_and("1.0", &[("noise", &noise)]);
        sandbox.recipe(&[sandbox.publish("1.0", &archive)], "");
        std::fs::create_dir_all(sandbox.path(place)).unwrap();
        let report = sandbox.path("left");
        let mount = format!("mount -t tmpfs -o size={size},mode=755 none {place}");
        // `--work-dir` keeps the run from moving on to a folder with more room.
        let args = [&sandbox.install_args()[..], &["--work-dir", "tmp"]].concat();
        let after = format!("du -sk {place} > {}", report.display());
        let Some(outcome) = sandbox.with_mounts_then(&mount, &args, &after) else { return };
        outcome.expect(status).says("free some space");
        let left = std::fs::read_to_string(&report).unwrap();
        let left: u64 = left.split_whitespace().next().unwrap().parse().unwrap();
        assert!(place == "cache" || left < 256, "{place}: {left} KiB are left behind");
        sandbox.install(&[]).expect(0);
        sandbox.at_prefix("verify", &[]).expect(0);
    }
}

#[test]
fn the_base_lies_under_the_python_of_the_virtual_environment_and_moves_with_it() {
    let sandbox = Sandbox::new();
    let venv = sandbox.venv("venv");
    let mut install = sandbox.command(&["install"]);
    Outcome::of(install.env("VIRTUAL_ENV", &venv).output().unwrap()).expect(0);
    let moved = sandbox.path("mövéd venv");
    std::fs::rename(&venv, &moved).unwrap();
    assert_eq!(
        std::fs::read_link(moved.join("bin/mod_wsgi-apxs")).unwrap(),
        Path::new("../lib/mod_wsgi-httpd/current/bin/mod_wsgi-apxs")
    );
    let httpd = moved.join("lib/mod_wsgi-httpd/bin/httpd");
    assert!(httpd.exists());
    assert!(moved.join("bin/mod_wsgi-express").exists());
    let mut import = command(moved.join("bin/python3"));
    import.args(["-c", "import mod_wsgi.express, mod_wsgi.server; print(mod_wsgi.__file__)"]);
    let found = Outcome::of(import.output().unwrap()).expect(0).stdout;
    assert!(found.contains("mövéd venv/lib/python"), "{found}");
    let python = moved.join("bin/python3");
    let python = python.to_str().unwrap();
    sandbox.run(&["verify", "--python", python]).expect(0);
    sandbox.run(&["uninstall", "--python", python]).expect(0);
    assert!(!moved.join("lib/mod_wsgi-httpd").exists());
    assert!(std::fs::symlink_metadata(moved.join("bin/mod_wsgi-httpd")).is_err());
}

#[test]
fn a_python_prefix_that_cannot_be_written_gives_way_to_the_users_data_folder() {
    let sandbox = Sandbox::new();
    sandbox.venv("venv");
    let mounts = "mount --bind venv venv && mount -o remount,bind,ro venv";
    let args = ["install", "--python", "venv/bin/python3"];
    let Some(outcome) = sandbox.with_mounts(mounts, &args) else { return };
    outcome.expect(0);
    assert!(sandbox.path("home/.local/share/mod_wsgi-httpd/bin/httpd").exists());
}

/// Bytes that no compression shrinks.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn each_file_below(folder: &Path, visit: &mut impl FnMut(&Path)) {
    for item in std::fs::read_dir(folder).unwrap().flatten() {
        let path = item.path();
        visit(&path);
        if item.file_type().unwrap().is_dir() {
            each_file_below(&path, visit);
        }
    }
}

#[test]
fn a_killed_uninstall_is_finished_by_the_next() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let tree = sandbox.prefix().canonicalize().unwrap().join("current").canonicalize().unwrap();
    // What a kill in the middle of it leaves.
    std::fs::rename(tree.join("manifest.json"), tree.join("manifest.removing")).unwrap();
    std::fs::remove_file(tree.join("bin/httpd")).unwrap();
    std::fs::remove_file(sandbox.prefix().join("current")).unwrap();
    sandbox.at_prefix("uninstall", &[]).expect(0).says_nothing_of("not ours");
    assert!(!sandbox.prefix().exists());

    // And what a failed first install leaves.
    let broken = tiny_httpd_with("1.0", "#!/bin/sh\nexit 1\n", "");
    sandbox.recipe(&[sandbox.publish("1.0", &broken)], "");
    sandbox.install(&[]).expect(40);
    sandbox.at_prefix("uninstall", &[]).expect(0);
    assert!(!sandbox.prefix().exists());
}

#[test]
fn force_keeps_what_others_put_into_the_tree() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    std::fs::write(sandbox.prefix().join("bin/mine"), "mine").unwrap();
    sandbox.install(&["--force"]).expect(0).says("Kept bin/mine");
    assert_eq!(std::fs::read(sandbox.prefix().join("bin/mine")).unwrap(), b"mine");
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    assert_eq!(names_in(&sandbox.prefix().join("store")).len(), 1);
}

#[test]
fn the_mode_of_a_folder_that_was_there_is_its_owners() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.prefix()).unwrap();
    let mode = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(sandbox.prefix(), mode).unwrap();
    };
    mode(0o1777);
    sandbox.install(&[]).expect(50).says("changed by other users (mode 1777)");
    mode(0o700);
    sandbox.install(&[]).expect(0);
    assert_eq!(sandbox.prefix().metadata().unwrap().permissions().mode() & 0o7777, 0o700);
}

#[test]
fn the_lock_file_is_that_of_the_tree_in_use() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let releases = ["1.1", "1.0"].map(|version| sandbox.publish(version, &tiny_httpd(version)));
    sandbox.recipe(&releases, "");
    sandbox.install(&[]).expect(0);
    sandbox.at_prefix("rollback", &[]).expect(0);
    let lock = std::fs::read_to_string(sandbox.prefix().join("mod_wsgi-httpd.lock")).unwrap();
    assert!(lock.contains("version = \"1.0\""), "{lock}");
}
