//! `--reload-on-changes`: what changes among the loaded files, and how soon it is
//! served.

use std::time::{Duration, Instant};

use super::{Express, Folder};

/// A server whose application shows `part.VALUE`, where `part` is in `lib` and 1.
#[track_caller]
fn reloading(folder: Folder) -> Express {
    folder.write("lib/part.py", "VALUE = 1\n");
    folder.write("app.wsgi", &format!("{}\nimport part\n", super::APPLICATION));
    let words = ["app.wsgi", "--python-path", "lib", "--reload-on-changes"];
    let mut express = Express::of(folder, &words);
    assert_eq!(express.eval("part.VALUE"), "1");
    express.wait("a monitor", |express| express.log().contains("Starting change monitor."));
    // It has seen the files as they are.
    std::thread::sleep(Duration::from_millis(500));
    express
}

/// How long it takes until the application sees that value.
#[track_caller]
fn served(express: &mut Express, value: &str) -> Duration {
    let begin = Instant::now();
    express.wait(value, |express| {
        let answer = express.curl("/", &["-H", "X-Eval: part.VALUE"]);
        answer.status == 200 && answer.body == value
    });
    begin.elapsed()
}

fn restarts(express: &Express) -> usize {
    express.log().matches("Triggering process restart.").count()
}

#[test]
fn changes_are_served_at_once_however_they_are_made() {
    let mut express = reloading(Folder::new());
    // Whoever changes `part` in place, by a new file that takes its place, and by one
    // that is made after it was gone.
    for (value, how) in [("22", "write"), ("333", "rename"), ("4444", "remove"), ("5", "rename")] {
        let (path, text) = (express.folder.path("lib/part.py"), format!("VALUE = {value}\n"));
        match how {
            "write" => std::fs::write(&path, text).unwrap(),
            "rename" => {
                let new = express.folder.write("lib/.part.py.swp", &text);
                std::fs::rename(new, &path).unwrap();
            }
            _ => {
                std::fs::remove_file(&path).unwrap();
                std::fs::write(&path, text).unwrap();
            }
        }
        let took = served(&mut express, value);
        // On an idle machine it takes 0.3 s; who looks every second would need more
        // than this at least once in four times.
        assert!(took < Duration::from_millis(700), "{how}: {took:?}\n{}", express.log());
        std::thread::sleep(Duration::from_millis(500));
    }
    assert_eq!(restarts(&express), 4, "{}", express.log());
    let watched = express.log();
    assert!(!watched.contains("inotify"), "{watched}");
}

#[test]
fn a_burst_of_writes_is_few_restarts() {
    let mut express = reloading(Folder::new());
    for value in 0..100 {
        express.folder.write("lib/part.py", &format!("VALUE = {}\n", 1000 + value));
        std::thread::sleep(Duration::from_millis(5));
    }
    served(&mut express, "1099");
    assert!((1..=3).contains(&restarts(&express)), "{}", express.log());
}

#[test]
fn modules_that_are_imported_later_are_watched() {
    let folder = Folder::new();
    folder.write("real/late/__init__.py", "VALUE = 1\n");
    std::fs::create_dir(folder.path("lib")).unwrap();
    std::os::unix::fs::symlink("../real/late", folder.path("lib/late")).unwrap();
    let mut express = reloading(folder);
    let value = "__import__('late').VALUE";
    assert_eq!(express.eval(value), "1");
    std::thread::sleep(Duration::from_millis(500));
    // Under its real name, not by the link that Python knows.
    express.folder.write("real/late/__init__.py", "VALUE = 22\n");
    express.wait("the changed module", |express| express.eval(value) == "22");
    assert_eq!(restarts(&express), 1, "{}", express.log());
}

/// No inotify: a Python without `ctypes`.
#[test]
fn without_inotify_changes_are_served_too() {
    let folder = Folder::new();
    folder.write("lib/ctypes.py", "raise ImportError('there is no ctypes')\n");
    let mut express = reloading(folder);
    let said = "inotify is not to be had, so changes are seen later: there is no ctypes";
    assert!(express.log().contains(said), "{}", express.log());
    express.folder.write("lib/part.py", "VALUE = 22\n");
    let took = served(&mut express, "22");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_changed_script_is_served() {
    let mut express = reloading(Folder::new());
    express.folder.write(
        "app.wsgi",
        "def application(environ, start_response):\n    \
         start_response('200 OK', [])\n    return [b'new']\n",
    );
    express.wait("the changed script", |express| express.ask("/") == "new");
}
