//! The status page, in a browser.

use rustix::process::Signal;
use serde_json::json;

use super::status::{page_of, with_page};
use super::{Folder, command, is_gone, signal};
use crate::browser::Browser;

/// A cell of the only process.
fn cell(name: &str) -> String {
    format!("document.querySelector('#groups td[data-name=\"{name}\"]').innerText")
}

#[test]
fn the_page_shows_what_goes_on() {
    let (mut express, port) = with_page(&["--threads", "3"]);
    let pid = express.eval("os.getpid()");
    let mut browser = Browser::open(&format!("http://localhost:{port}/"));
    browser.wait("document.querySelector('#word')?.innerText === 'serving'");
    let head = "document.querySelector('#groups th[scope=row]').innerText";
    assert_eq!(browser.eval(head), pid);
    assert_eq!(browser.eval("document.querySelector('#capacity').innerText"), "of 3");
    assert_eq!(browser.eval("document.querySelector('#live').innerText"), "0");
    let memory = browser.eval(&cell("Memory"));
    assert!(memory.as_str().unwrap().ends_with("MiB"), "{memory}");

    let mut curl = command("curl");
    curl.args(["-s", "-o", "/dev/null", "-H", "X-Eval: time.sleep(60)"]);
    let mut curl =
        curl.arg(format!("http://127.0.0.1:{}/slow?secret", express.port)).spawn().unwrap();
    browser.wait("document.querySelector('#live').innerText === '1'");
    browser.wait("document.querySelector('#groups .load b').innerText === '1 of 3'");
    browser.wait("document.querySelector('#groups .bar .b').offsetWidth > 10");
    browser.wait("document.querySelector('#lines code')?.innerText === 'GET /slow'");

    let old: u32 = pid.parse().unwrap();
    signal(old, Signal::KILL);
    express.wait("the end of a process", |_| is_gone(old));
    browser.wait(&format!("{head} !== '{pid}'"));
    browser.wait(&format!("{}.startsWith('1')", cell("Restarts")));
    browser.wait(&format!("{}.includes('SIGKILL')", cell("Restarts")));
    browser.wait("document.querySelector('#spark .curve').getAttribute('d').includes('L')");
    curl.wait().unwrap();
    assert_eq!(browser.complaints, Vec::<serde_json::Value>::new());

    express.stop();
    browser.wait("document.querySelector('#word').innerText.startsWith('no answer since')");
    assert_eq!(browser.eval("document.body.className"), "stale");
}

/// Started by root, where root runs the tests: it serves as somebody else.
#[test]
fn the_page_is_the_same_with_every_mpm() {
    for mpm in ["event", "worker", "prefork"] {
        let words = ["--server-mpm", mpm, "--processes", "2", "--threads", "3"];
        let (express, port) = page_of(Folder::new(), &words);
        let mut browser = Browser::open(&format!("http://localhost:{port}/"));
        browser.wait("document.querySelector('#word')?.innerText === 'serving'");
        browser.wait("document.querySelectorAll('#groups th[scope=row]').length === 2");
        assert_eq!(browser.eval("document.querySelector('#capacity').innerText"), "of 6", "{mpm}");
        let mut curl = command("curl");
        curl.args(["-s", "-o", "/dev/null", "-H", "X-Eval: time.sleep(3)"]);
        let mut curl = curl.arg(format!("http://127.0.0.1:{}/", express.port)).spawn().unwrap();
        browser.wait("document.querySelector('#live').innerText === '1'");
        curl.wait().unwrap();
        browser.wait("document.querySelector('#live').innerText === '0'");
        let memory = browser.eval(&cell("Memory"));
        assert!(memory.as_str().unwrap().ends_with("MiB"), "{mpm} {memory}");
        assert_eq!(browser.complaints, Vec::<serde_json::Value>::new(), "{mpm}");
    }
}

#[test]
fn the_page_fits_a_telephone_and_the_night() {
    let (_express, port) = with_page(&["--processes", "2"]);
    let mut browser = Browser::open(&format!("http://127.0.0.1:{port}/"));
    browser.wait("document.querySelector('#word')?.innerText === 'serving'");
    let phone = json!({"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", phone);
    browser.wait("innerWidth === 360");
    assert_eq!(browser.eval("document.documentElement.scrollWidth"), 360);
    let ground = "getComputedStyle(document.body).backgroundColor";
    let mut in_scheme = |scheme: &str| {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        browser.call("Emulation.setEmulatedMedia", json!({"features": [feature]}));
        browser.eval(ground)
    };
    assert_ne!(in_scheme("light"), in_scheme("dark"));
}
