//! A real browser, Chromium, told what to do by its debugging protocol, over a pair of
//! pipes.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::real::{apt_install, command};
use crate::sandbox::Outcome;

/// A browser with one page; ended with it.
pub(crate) struct Browser {
    child: Child,
    commands: File,
    messages: Receiver<Value>,
    session: String,
    number: u64,
    /// What the page has complained of.
    pub(crate) complaints: Vec<Value>,
    _folder: TempDir,
}

impl Browser {
    /// Opens a page.
    pub(crate) fn open(url: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("browser-").tempdir().unwrap();
        let (to, from) = (folder.path().join("to"), folder.path().join("from"));
        Outcome::of(command("mkfifo").args([&to, &from]).output().unwrap()).expect(0);
        let mut shell = command("sh");
        shell.args(["-c", r#"exec "$@" 3<"$TO" 4>"$FROM""#, "browser", program()]);
        shell.args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]);
        shell.args(["--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-pipe"]);
        shell.arg(format!("--user-data-dir={}", folder.path().join("data").display()));
        shell.arg("about:blank").env("TO", &to).env("FROM", &from).env("HOME", folder.path());
        let child = shell.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let commands = File::options().write(true).open(to).unwrap();
        let answers = BufReader::new(File::open(from).unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            for message in answers.split(0).map_while(Result::ok) {
                let _nobody_listens = sender.send(serde_json::from_slice(&message).unwrap());
            }
        });
        let mut browser = Self {
            child,
            commands,
            messages,
            session: String::new(),
            number: 0,
            complaints: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", attach);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        for part in ["Runtime", "Log", "Page"] {
            browser.call(&format!("{part}.enable"), json!({}));
        }
        browser.call("Page.navigate", json!({"url": url}));
        browser
    }

    /// Has the browser do something; its answer.
    #[track_caller]
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": parameters});
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.commands.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = self.messages.recv_timeout(PATIENCE).unwrap();
            let method = answer["method"].as_str().unwrap_or_default();
            if ["Runtime.exceptionThrown", "Log.entryAdded"].contains(&method) {
                self.complaints.push(answer["params"].take());
            } else if answer["id"] == self.number {
                assert!(answer["error"].is_null(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// What an expression of JavaScript is in the page.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "returnByValue": true});
        let mut answer = self.call("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub(crate) fn wait(&mut self, expression: &str) {
        let begin = Instant::now();
        while self.eval(expression) != true {
            if begin.elapsed() > PATIENCE {
                let text = self.eval("document.body.innerText");
                panic!("not so: {expression}\n{}", text.as_str().unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // One that has gone needs no killing.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}

/// Chromium. A machine that has none gets that of its distribution.
fn program() -> &'static str {
    static PROGRAM: OnceLock<&str> = OnceLock::new();
    const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
    let find = || {
        let folders = std::env::var_os("PATH").unwrap();
        let folders: Vec<_> = std::env::split_paths(&folders).collect();
        NAMES.into_iter().find(|name| folders.iter().any(|folder| folder.join(name).exists()))
    };
    PROGRAM.get_or_init(|| {
        find().unwrap_or_else(|| {
            apt_install(NAMES[0]);
            find().unwrap()
        })
    })
}

/// Longer than anything takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);
