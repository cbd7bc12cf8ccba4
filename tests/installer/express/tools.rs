//! Tools around the server: shells, debuggers, the log of the start.

use std::fs::Permissions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use super::{Express, Folder, command, free_port, signal};
use crate::sandbox::Outcome;

/// A program of ours in the folder.
fn write_program(folder: &Folder, name: &str, text: &str) {
    let path = folder.write(name, text);
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_httpd_says_at_its_start_has_a_log() {
    let first = Express::start(&[]);
    let folder = Folder::new();
    let words = ["app.wsgi", "--startup-log", "--startup-log-name", "my start"];
    let mut launcher = folder.launcher(&["start-server"]);
    launcher.args(folder.always(&words)).args(words).args(["--port", &first.port.to_string()]);
    let outcome = Outcome::of(launcher.output().unwrap()).expect(1);
    let log = folder.read("root/my start");
    assert!(log.contains("could not bind to address"), "{log}");
    let place = format!("Startup Log File   : {}\n", folder.path("root/my start").display());
    assert!(outcome.stdout.contains(&place), "{}", outcome.stdout);
    // Nobody must look there to learn what has happened.
    assert!(outcome.stderr.contains("could not bind to address"), "{}", outcome.stderr);
}

#[test]
fn the_control_script_is_run_by_that_shell() {
    let folder = Folder::new();
    std::fs::copy("/bin/sh", folder.path("shell")).unwrap();
    let port = free_port().to_string();
    let words = ["app.wsgi", "--port", &port, "--shell-executable", "./shell"];
    folder.set_up(&words).expect(0);
    let script = folder.read("root/apachectl");
    let first = format!("#!{}\n", folder.path("shell").display());
    assert!(script.starts_with(&first), "{script}");
    let mut control = command(folder.path("root/apachectl"));
    control.arg("configtest").env("PATH", "/usr/bin:/bin");
    Outcome::of(control.output().unwrap()).expect(0).says("Syntax OK");
    // A name is looked up now, not by whoever starts the script.
    folder.set_up(&["app.wsgi", "--shell-executable", "sh"]).expect(0);
    assert!(folder.read("root/apachectl").starts_with("#!/"));
    let refused = folder.set_up(&["app.wsgi", "--shell-executable", "./none"]).expect(2);
    assert!(refused.stderr.contains("option --shell-executable: there is no program `./none`"));
}

/// A debugger that notes how it was called, and does what its commands say.
const GDB: &str = r#"#!/bin/sh
printf '%s\n' "$@" > "$(dirname "$0")/words"
test "$1" = -x || exit 9
read -r run rest < "$2"
test "$run" = run || exit 9
eval "exec \"$3\" $rest"
"#;

/// The original runs the `gdb` of the search path, whatever the option says.
#[test]
fn httpd_runs_under_that_gdb() {
    let folder = Folder::ordinary();
    write_program(&folder, "my gdb", GDB);
    std::fs::create_dir(folder.path("work")).unwrap();
    let words = ["app.wsgi", "--enable-gdb", "--gdb-executable", "./my gdb"];
    let express = Express::of(folder, &[&words[..], &["--working-directory", "work"]].concat());
    assert_eq!(
        express.eval("os.environ['MOD_WSGI_GDB_ENABLED'], mod_wsgi.process_group"),
        "('true', '')"
    );
    assert!(express.folder.read("out").contains("Operating Mode     : debug"));
    let words = express.folder.read("words");
    let commands = express.folder.path("root/gdb.cmds");
    assert!(words.starts_with(&format!("-x\n{}\n/", commands.display())), "{words}");
    assert!(words.trim_end().ends_with("/httpd"), "{words}");
    let refused = Folder::new().set_up(&["app.wsgi", "--enable-gdb", "--gdb-executable", "none"]);
    let said = "option --gdb-executable: there is no program `none`";
    assert!(refused.expect(2).stderr.contains(said));
}

/// A launcher on a terminal of its own, and what that shows.
pub(super) struct Terminal {
    child: Child,
    shown: String,
}

impl Terminal {
    pub(super) fn open(folder: &Folder, words: &[&str]) -> Self {
        let launcher = folder.launcher(&["start-server"]);
        let mut terminal = command("python3");
        terminal.args(["-c", "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"]);
        terminal.arg(launcher.get_program()).args(launcher.get_args());
        terminal.args(folder.always(words)).args(words).current_dir(folder.path(""));
        terminal.env("VIRTUAL_ENV", &super::python().home).env("TMPDIR", folder.path("tmp"));
        let terminal = terminal.stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { child: terminal.spawn().unwrap(), shown: String::new() }
    }

    /// Types a line.
    fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads on until the terminal has shown that.
    #[track_caller]
    pub(super) fn until(&mut self, text: &str) {
        let mut part = Vec::new();
        let output = self.child.stdout.as_mut().unwrap();
        while !String::from_utf8_lossy(&part).contains(text) {
            let mut byte = [0];
            let count = output.read(&mut byte).unwrap();
            assert!(count == 1, "{}{}", self.shown, String::from_utf8_lossy(&part));
            part.push(byte[0]);
        }
        self.shown += &String::from_utf8_lossy(&part);
    }
}

impl Terminal {
    /// The exit code of the launcher, which is about to end.
    pub(super) fn exit(mut self) -> i32 {
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // What is on the terminal goes with it.
        let _has_ended = self.child.kill();
        let _was_waited_for = self.child.wait();
    }
}

/// Otherwise the only sign of it is that pages fail.
#[test]
fn an_application_that_does_not_load_is_told_of_on_the_terminal() {
    let folder = Folder::ordinary();
    folder.write("app.wsgi", "import no_such_module\n");
    let port = free_port().to_string();
    let mut terminal = Terminal::open(&folder, &["app.wsgi", "--port", &port]);
    terminal.until("ready: http://localhost:");
    terminal.until("No module named 'no_such_module'");
    terminal.until(&format!("log: {}", folder.path("root/error_log").display()));
    terminal.types("\u{3}");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.shown);
}

#[test]
fn the_debugger_has_the_terminal() {
    let folder = Folder::ordinary();
    let port = free_port().to_string();
    let words = ["app.wsgi", "--port", &port, "--enable-debugger", "--debugger-startup"];
    let mut terminal = Terminal::open(&folder, &words);
    terminal.until("(Pdb) ");
    terminal.types("continue");
    let url = format!("http://127.0.0.1:{port}/");
    let ask = |header: &'static str| {
        let mut curl = command("curl");
        curl.args(["-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*"]);
        let curl = curl
            .args(["--max-time", "60", "-H", header, &url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        move || Outcome::of(curl.wait_with_output().unwrap()).stdout
    };
    let begin = std::time::Instant::now();
    while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
        assert!(begin.elapsed() < super::PATIENCE, "{}", terminal.shown);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let failing = ask("X-Eval: 1 / 0");
    terminal.until("ZeroDivisionError: division by zero");
    terminal.until("(Pdb) ");
    terminal.types("p 'asked for', asked");
    terminal.until("('asked for', '1 / 0')");
    // A terminal whose size changes, and what it keeps.
    let httpd: u32 = folder.read("root/httpd.pid").trim().parse().unwrap();
    signal(httpd, Signal::WINCH);
    terminal.types("q");
    assert_eq!(failing(), "500");
    assert_eq!(ask("X-Eval: 1")(), "200", "{}", terminal.shown);
    // The key that ends programs.
    terminal.types("\u{3}");
    assert!(terminal.child.wait().unwrap().success(), "{}", terminal.shown);
}
