//! Defects of the original that no other test here names (reference 9.2, by row):
//!
//! 1 `root`; 3 `hosts`; 4 `seed`; 5 `configuration`, `tools`; 6, 8 `effects`; 9 `hosts`,
//! `configuration`; 10 `grammar`; 11 `seed`; 12 `root`; 15 `grammar`; 16 `seed`; 17
//! `logs`; 19 `legacy`; 20 `django`; 21 `stop`.

use std::os::unix::fs::MetadataExt as _;
use std::process::Stdio;

use super::tools::Terminal;
use super::{Express, Folder};
use crate::sandbox::Outcome;

/// Row 2: on a terminal, too, a start that fails is no success.
#[test]
fn a_start_that_fails_on_a_terminal_has_its_exit_code() {
    let first = Express::start(&[]);
    let folder = Folder::new();
    let words = ["app.wsgi", "--port", &first.port.to_string()];
    let mut terminal = Terminal::open(&folder, &words);
    terminal.until("httpd has not started");
    assert_eq!(terminal.exit(), 1);
}

/// Row 7: each tool is debug mode, whether that is said or not.
#[test]
fn tools_are_debug_mode() {
    let folder = Folder::new();
    for tool in ["debugger", "coverage", "profiler", "recorder", "gdb"] {
        let tool = format!("--enable-{tool}");
        let conf = folder.configuration(&["app.wsgi", &tool, "--python-path", "lib"]);
        for line in
            ["LoadModule mpm_worker_module ", "WSGIPythonPath HERE/lib", "Define ONE_PROCESS"]
        {
            assert!(conf.lines().any(|found| found.starts_with(line)), "{tool} {line}\n{conf}");
        }
        assert!(!conf.contains("WSGIDaemonProcess"), "{tool}\n{conf}");
    }
}

/// Row 12: tools write as the account that serves, also where root starts it.
#[test]
fn folders_of_tools_are_those_of_the_account() {
    let folder = Folder::new();
    let tools = ["--enable-recorder", "--enable-profiler", "--profiler-directory", "my profiles"];
    folder.set_up(&[&["app.wsgi"], &tools[..]].concat()).expect(0);
    let owner = match folder.ordinary {
        true => rustix::process::getuid().as_raw(),
        false => 65534,
    };
    for name in ["root/archive", "my profiles"] {
        let meta = folder.path(name).metadata().unwrap();
        assert!(meta.is_dir() && meta.uid() == owner, "{name} {}", meta.uid());
    }
}

/// Row 13: who reads the summary may go, and what is written is whole.
#[test]
fn a_reader_that_has_gone_leaves_no_half_of_a_server() {
    let folder = Folder::new();
    folder.set_up(&["app.wsgi"]).expect(0);
    let lines = folder.read("root/httpd.conf").lines().count();
    let other = ["--threads", "9"];
    let mut launcher = folder.launcher(&["setup-server", "app.wsgi"]);
    launcher.args(folder.always(&other)).args(other).stdout(Stdio::piped());
    let mut child = launcher.spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    let now = folder.read("root/httpd.conf");
    assert!(now.contains(" threads=9 "), "{now}");
    assert_eq!(now.lines().count(), lines);
    assert!(folder.read("root/handler.wsgi").contains("app.wsgi"));
}

/// Row 14: a locale that this machine has not is none to use.
#[test]
fn a_locale_that_there_is_not_is_not_chosen() {
    let folder = Folder::new();
    for name in ["xx_YY.UTF-8", "C", "nonsense"] {
        let mut launcher = folder.launcher(&["setup-server", "app.wsgi"]);
        launcher.args(folder.always(&[])).env("LANG", name);
        let outcome = Outcome::of(launcher.output().unwrap()).expect(0);
        assert!(outcome.stdout.contains("Locale Setting     : C.UTF-8\n"), "{}", outcome.stdout);
    }
}

/// Row 18: what is typed counts more than what is in the environment.
#[test]
fn the_named_httpd_is_used() {
    let folder = Folder::new();
    let mut launcher = folder.launcher(&["setup-server", "app.wsgi"]);
    launcher.args(folder.always(&[])).env("HTTPD", "/no/such/httpd");
    Outcome::of(launcher.output().unwrap()).expect(0);
    let script = folder.read("root/apachectl");
    assert!(!script.contains("/no/such/httpd"), "{script}");
}
