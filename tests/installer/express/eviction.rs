//! How long a process that is to go waits for its requests (reference 8.4), by the
//! launcher's options.

use std::thread::JoinHandle;

use rustix::process::Signal;

use super::{Express, Folder, command, is_gone, signal};

/// A server whose process, at work for so many seconds, is told to go. The answer to
/// that request, and the process.
#[track_caller]
fn evicted(seconds: u32, words: &[&str]) -> (Express, JoinHandle<String>, u32) {
    let mut express = Express::start(&[&["--shutdown-timeout", "1"], words].concat());
    let process: u32 = express.eval("os.getpid()").parse().unwrap();
    let slow = slow(&mut express, seconds);
    signal(process, Signal::USR1);
    (express, slow, process)
}

/// A request that takes so long, and has begun.
#[track_caller]
fn slow(express: &mut Express, seconds: u32) -> JoinHandle<String> {
    let url = format!("http://127.0.0.1:{}/", express.port);
    let begun = express.folder.path("begun");
    let ask = format!("X-Eval: open({begun:?}, 'w').close() or time.sleep({seconds})");
    let slow = std::thread::spawn(move || {
        let mut curl = command("curl");
        curl.args(["-sS", "-i", "--noproxy", "*", "-H", &ask, &url]);
        String::from_utf8_lossy(&curl.output().unwrap().stdout).into_owned()
    });
    express.wait("the slow request", |_| begun.exists());
    slow
}

#[track_caller]
fn is_replaced(express: &mut Express, process: u32) {
    express.wait("another process", |express| express.eval("os.getpid()") != process.to_string());
    express.wait("the end of the old process", |_| is_gone(process));
}

#[test]
fn without_an_eviction_timeout_the_graceful_one_counts() {
    let words = ["--eviction-timeout", "0", "--graceful-timeout", "2"];
    let (mut express, slow, process) = evicted(30, &words);
    is_replaced(&mut express, process);
    assert!(slow.join().unwrap().starts_with("HTTP/1.1 502 "));
}

#[test]
fn without_both_timeouts_requests_are_waited_for() {
    let words = ["--eviction-timeout", "0", "--graceful-timeout", "0", "--request-timeout", "0"];
    let (mut express, slow, process) = evicted(4, &words);
    assert!(slow.join().unwrap().starts_with("HTTP/1.1 200 "));
    is_replaced(&mut express, process);
}

#[test]
fn a_request_that_ends_in_time_is_answered() {
    let (mut express, slow, process) = evicted(2, &["--eviction-timeout", "30"]);
    assert!(slow.join().unwrap().starts_with("HTTP/1.1 200 "));
    is_replaced(&mut express, process);
}

#[test]
fn the_eviction_timeout_is_not_for_recycled_processes() {
    let words = ["--eviction-timeout", "1", "--graceful-timeout", "30", "--maximum-requests", "2"];
    let mut express = Express::start(&words);
    let process: u32 = express.eval("os.getpid()").parse().unwrap();
    let slow = slow(&mut express, 4);
    assert!(slow.join().unwrap().starts_with("HTTP/1.1 200 "));
    is_replaced(&mut express, process);
}

/// Reference 8.4, row 6: nor is it for those that have used up their CPU time.
#[test]
fn the_eviction_timeout_is_not_for_tired_processes() {
    let words = ["--eviction-timeout", "1", "--graceful-timeout", "30", "--cpu-time-limit", "1"];
    let mut express = Express::start(&[&["--log-level", "info"], &words[..]].concat());
    let process: u32 = express.eval("os.getpid()").parse().unwrap();
    // Two seconds of work, of which the limit is reached in the first, and a rest.
    let work = "X-Eval: [end for end in [time.process_time() + 2] \
                for working in iter(lambda: time.process_time() < end, False)] \
                and time.sleep(2) or os.getpid()";
    let answer = express.curl("/", &["-H", work]);
    assert_eq!((answer.status, answer.body), (200, process.to_string()), "{}", express.log());
    is_replaced(&mut express, process);
    assert!(express.log().contains("CPU time limit"), "{}", express.log());
}

#[test]
fn an_eviction_timeout_is_a_number() {
    let folder = Folder::new();
    for value in ["soon", "-1"] {
        let refused = folder.set_up(&["app.wsgi", "--eviction-timeout", value]).expect(2);
        assert!(refused.stderr.contains("--eviction-timeout"), "{}", refused.stderr);
    }
    assert!(folder.configuration(&["app.wsgi"]).contains(" eviction-timeout=0 "));
}
