//! Options of old that no longer do what they did: what they do now, and the word
//! about it.

use super::{Express, Folder};

/// A server with these words, and what its launcher has said.
#[track_caller]
fn started(folder: Folder, words: &[&str]) -> (Express, String) {
    let express = Express::of(folder, &[&["app.wsgi"], words].concat());
    let said = express.folder.read("err");
    (express, said)
}

#[test]
fn options_without_effect_say_so_and_do_no_harm() {
    for (words, word) in [
        (&["--enable-docs"][..], "--enable-docs has no effect"),
        (&["--isatty"], "--isatty has no effect"),
        (&["--with-newrelic-platform"], "--with-newrelic-platform has no effect"),
        (
            &[
                "--enable-telemetry",
                "--telemetry-ui-port",
                "9999",
                "--telemetry-options",
                "+CaptureUserAgent",
            ],
            "no telemetry is sent; --status-port has live figures",
        ),
        (
            &["--telemetry-service", "unix:/tmp/x", "--telemetry-interval", "2"],
            "no telemetry is sent; --status-port has live figures",
        ),
    ] {
        let (express, said) = started(Folder::new(), words);
        assert!(said.contains(&format!("mod_wsgi-express: warning: {word}")), "{words:?}\n{said}");
        // The original answers 403 here for files that are not there (9.2, row 19).
        for url in ["/__wsgi__/docs", "/__wsgi__/docs/", "/__wsgi__/images/x.png"] {
            assert!(express.ask(url).starts_with(&format!(" {url} ")), "{words:?}");
        }
    }
    let (_express, said) = started(Folder::new(), &[]);
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn telemetry_options_reach_the_module() {
    let folder = Folder::new();
    let words = ["app.wsgi", "--enable-telemetry", "--telemetry-options", "+CaptureUserAgent"];
    let conf = folder.configuration(&words);
    for line in [
        "WSGITelemetryService unix:HERE/root/telemetry.sock interval=1",
        "WSGITelemetryOptions +CaptureUserAgent",
    ] {
        assert!(conf.lines().any(|found| found == line), "{line}\n{conf}");
    }
    let words = ["app.wsgi", "--enable-telemetry", "--telemetry-service", "unix:/tmp/x"];
    let refused = folder.set_up(&words).expect(2);
    assert!(refused.stderr.contains("cannot be used with"), "{}", refused.stderr);
}

#[test]
fn php_5_needs_its_module() {
    let refused = Folder::new().set_up(&["app.wsgi", "--with-php5"]).expect(2);
    assert!(refused.stderr.contains("option --with-php5: there is no `"), "{}", refused.stderr);
    assert!(refused.stderr.contains("libphp5.so`"), "{}", refused.stderr);
}

/// An agent as New Relic's package has it.
const AGENT: &str = r#"
import os

CALLS = []

def initialize(file, environment):
    CALLS.append((os.path.basename(file or ''), environment, os.environ['NEW_RELIC_LOG']))

def register_application():
    CALLS.append('registered')

def WSGIApplicationWrapper(application):
    def wrapped(environ, start_response):
        environ['agent'] = CALLS
        return application(environ, start_response)
    return wrapped
"#;

#[test]
fn the_agent_of_new_relic_watches_the_application() {
    let file = ["--newrelic-config-file", "newrelic.ini", "--newrelic-environment", "trial"];
    for option in ["--with-newrelic", "--with-newrelic-agent"] {
        let folder = Folder::new();
        folder.write("lib/newrelic/__init__.py", "");
        folder.write("lib/newrelic/agent.py", AGENT);
        let words = [&[option, "--python-path", "lib"][..], &file].concat();
        let (express, said) = started(folder, &words);
        let calls = "[('newrelic.ini', 'trial', 'stderr'), 'registered']";
        assert_eq!(express.eval("environ['agent']"), calls);
        let names =
            "os.environ['NEW_RELIC_ENVIRONMENT'], os.environ['NEW_RELIC_CONFIG_FILE'][-13:]";
        assert_eq!(express.eval(names), "('trial', '/newrelic.ini')");
        let warned = said.contains("--with-newrelic-platform has no effect");
        assert_eq!(warned, option == "--with-newrelic", "{said}");
    }
}

#[test]
fn without_its_package_the_agent_is_missed_in_the_log() {
    let (mut express, _) = started(Folder::new(), &["--with-newrelic-agent"]);
    assert_eq!(express.eval("1 + 1"), "2");
    express.wait("a word", |express| {
        express.log().contains("--with-newrelic-agent is without effect: No module named 'newrelic")
    });
}
