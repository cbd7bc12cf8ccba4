//! The end of a server with requests in work (reference 9.2, row 21: in the original
//! it takes 13 seconds, whatever its options say).

use std::time::{Duration, Instant};

use super::{Express, command, is_gone};

/// How long a server with a request that takes a minute needs to end.
#[track_caller]
fn stopped(words: &[&str]) -> Duration {
    let mut express = Express::start_as_user(words);
    let url = format!("http://127.0.0.1:{}/", express.port);
    let begun = express.folder.path("begun");
    let ask = format!("X-Eval: open({begun:?}, 'w').close() or time.sleep(60)");
    let mut curl = command("curl");
    curl.args(["-sS", "-o", "/dev/null", "--noproxy", "*", "-H", &ask, &url]);
    let mut curl = curl.stderr(std::process::Stdio::null()).spawn().unwrap();
    express.wait("the slow request", |_| begun.exists());
    let httpd = express.httpd();
    let begin = Instant::now();
    assert_eq!(express.stop(), 0);
    let took = begin.elapsed();
    assert!(is_gone(httpd));
    curl.wait().unwrap();
    took
}

#[test]
fn a_stop_waits_as_long_as_the_application_may_take() {
    // Of processes of the application httpd kills all after three seconds.
    for (seconds, least) in [("1", 0.9), ("30", 2.5)] {
        for mpm in ["event", "worker", "prefork"] {
            let took = stopped(&["--shutdown-timeout", seconds, "--server-mpm", mpm]);
            assert!((least..7.0).contains(&took.as_secs_f64()), "{mpm} {seconds}: {took:?}");
        }
    }
}

#[test]
fn a_stop_of_embedded_applications_is_bounded_too() {
    let took = stopped(&["--embedded-mode"]);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
