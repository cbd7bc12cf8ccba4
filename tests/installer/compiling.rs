//! Files that the direct engine compiles by itself: one that is wrong, and a run
//! that is told to end while one compiles.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Signal, kill_process, test_kill_process};

use crate::interrupted::{pid_of, wait_for};
use crate::sandbox::{Outcome, Sandbox, tiny_httpd, tiny_httpd_and};

/// A sandbox whose tiny httpd needs a library of two C files.
fn sandbox(second: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    let httpd = sandbox.publish("1.0", &tiny_httpd("1.0"));
    sandbox.recipe(&[httpd], "");
    let path = sandbox.path("recipes/httpd.toml");
    let recipe = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("needs = [\"part\"]\n{recipe}")).unwrap();
    // The longest is compiled first.
    let first = format!("int first(void) {{ return 1; }}\n/*{}*/\n", "-".repeat(4096));
    let files: [(&str, &[u8]); 3] = [
        ("first.c", first.as_bytes()),
        ("second.c", second.as_bytes()),
        ("part.h", b"int first(void);\n"),
    ];
    let part = sandbox.publish("2.0", &tiny_httpd_and("2.0", &files));
    std::fs::write(sandbox.path("recipes/part.toml"), format!("{PART}\n{}", part.toml())).unwrap();
    sandbox
}

const PART: &str = r#"
name = "part"
summary = "two files"
licence = "Apache-2.0"
licence-files = ["LICENSE"]
homepage = "https://part.invalid"
placement = "private"
minimum-safe = "2.0"

[build.compile]
library = "libpart.a"
sources = ["*.c"]
include = ["."]

[[install]]
from = ["part.h"]
to = "include"

[[check]]
[check.program]
source = '''
#include <stdio.h>
#include <part.h>
int main(void) { printf("part %d\n", first()); return 0; }
'''
libraries = ["libpart.a"]
prints = "part 1"
"#;

const DIRECT: [&str; 4] = ["--engine", "direct", "--jobs", "1"];

#[test]
fn a_file_that_does_not_compile_is_named_with_command_and_complaint() {
    let sandbox = sandbox("int second(void) { return third; }\n");
    let outcome = sandbox.install(&DIRECT).expect(41);
    let outcome = outcome.says("second.c").says("command: ").says("-c ");
    outcome.says("error: ").says("third").says(".log").says_nothing_of("first.c");
    sandbox.assert_nothing_installed();
}

#[test]
fn a_compiler_that_is_interrupted_leaves_nothing_but_what_it_has_done() {
    let sandbox = sandbox("int second(void) { return 2; }\n");
    let (note, calls, cc) = (sandbox.path("stopped"), sandbox.path("calls"), sandbox.path("cc"));
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in */first.c|*/second.c) echo \"${{word##*/}}\" >> {1}\n\
         ;; esac; done\ncase \"$*\" in *second.c*) test -e {0} || {{ echo $$ > {0}; exec sleep 20; }}\n\
         ;; esac\nexec cc \"$@\"\n",
        note.display(),
        calls.display()
    );
    std::fs::write(&cc, script).unwrap();
    std::fs::set_permissions(&cc, Permissions::from_mode(0o755)).unwrap();
    let options = [&DIRECT[..], &["--cc", cc.to_str().unwrap()]].concat();

    let run = sandbox.start_install(&options);
    let stopped = wait_for(&note);
    kill_process(pid_of(&run), Signal::INT).unwrap();
    let outcome = Outcome::of(run.wait_with_output().unwrap()).expect(130);
    outcome.says("interrupted by signal");
    assert!(test_kill_process(stopped).is_err(), "the compiler lives on");
    sandbox.assert_nothing_installed();

    sandbox.install(&options).expect(0);
    assert_eq!(sandbox.installed_version(), "Apache/1.0");
    sandbox.at_prefix("verify", &[]).expect(0);
    let calls = std::fs::read_to_string(&calls).unwrap();
    assert_eq!(calls, "first.c\nsecond.c\nsecond.c\n", "what was compiled is compiled once");
}
