//! `--response-buffer-size`, rows 4 to 6 of reference 8.5; the first three are the
//! module's (`serving::daemon::options`).

use super::{Express, Folder, command};
use crate::sandbox::Outcome;

/// Rows 4 and 5.
#[test]
fn the_launcher_knows_the_option_by_its_new_name() {
    let folder = Folder::new();
    assert!(folder.configuration(&["app.wsgi"]).contains(" response-buffer-size=0 "));
    let words = ["app.wsgi", "--response-buffer-size", "0x20000"];
    assert!(folder.configuration(&words).contains(" response-buffer-size=131072 "));
    let refused = folder.set_up(&["app.wsgi", "--proxy-buffer-size", "131072"]).expect(2);
    assert!(refused.stderr.contains("no such option: --proxy-buffer-size"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--response-buffer-size"), "{}", refused.stderr);
}

/// Row 6: httpd's filters keep what they like of an answer, until it is more than the
/// buffer holds; here one that compresses.
#[test]
fn more_than_the_buffer_holds_is_sent() {
    let first_byte = |size: &str| {
        let folder = Folder::new();
        folder.write(
            "app.wsgi",
            "import time\n\ndef application(environ, start_response):\n    \
             start_response('200 OK', [('Content-Type', 'text/plain')])\n    \
             for part in range(10):\n        yield b'x' * 10000\n    \
             time.sleep(3)\n    yield b'end'\n",
        );
        // Nothing is sent because time has passed.
        let words = ["app.wsgi", "--compress-responses", "--response-flush-delay", "60000"];
        let size = ["--response-buffer-size", size];
        let express = Express::of(folder, &[&words[..], &size].concat());
        let mut curl = command("curl");
        curl.args([
            "-sS",
            "--compressed",
            "--noproxy",
            "*",
            "-o",
            "/dev/null",
            "-w",
            "%{time_starttransfer}",
        ]);
        let url = format!("http://127.0.0.1:{}/", express.port);
        let said = Outcome::of(curl.arg(url).output().unwrap()).expect(0).stdout;
        said.parse::<f64>().unwrap()
    };
    let (small, usual) = (first_byte("65536"), first_byte("0"));
    assert!(small < 2.0 && usual >= 3.0, "{small} {usual}");
}
