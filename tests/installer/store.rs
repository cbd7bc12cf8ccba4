//! Trees that are built once: kept for other prefixes of the machine, and shared with
//! other machines by a folder, a web server and a real registry.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::real::{apt_install, command, free_port};
use crate::sandbox::{Sandbox, names_in};
use crate::upstream::{Part, Upstream};

impl Sandbox {
    /// A key of somebody who has a store of their own.
    fn stranger(&self) -> (PathBuf, PathBuf) {
        let words = ["another", "--new-key", "others.key"];
        self.at_prefix("push", &words).expect(0).prints("is now in another");
        (self.path("others.key"), self.path("others.key.pub"))
    }

    fn plan(&self) -> String {
        let link = std::fs::read_link(self.prefix().join("current")).unwrap();
        link.file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn kept(&self) -> PathBuf {
        self.cache().join("trees").join(self.plan())
    }

    fn program(&self, below: &str) -> PathBuf {
        self.path(below).join("bin/httpd")
    }
}

/// A sandbox with an httpd that lies signed in the folder `store`.
fn shared() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let words = ["store", "--new-key", "ours.key"];
    sandbox.at_prefix("push", &words).expect(0).prints("is now in store");
    let mode = sandbox.path("ours.key").metadata().unwrap().mode();
    assert_eq!(mode & 0o7777, 0o600, "others can read the key");
    sandbox.at_prefix("push", &words).expect(2).says("File exists");
    let public = sandbox.path("ours.key.pub");
    (sandbox, public)
}

/// Words that pull into another prefix by another cache.
fn elsewhere<'w>(store: &'w str, key: &'w Path) -> Vec<&'w str> {
    vec!["pull", store, "--prefix", "elsewhere", "--public-key", key.to_str().unwrap()]
}

fn forget(sandbox: &Sandbox) {
    std::fs::remove_dir_all(sandbox.cache()).unwrap();
}

#[test]
fn another_prefix_gets_the_tree_by_link() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0).says("Building httpd");
    let again = sandbox.run(&["install", "--prefix", "other"]).expect(0);
    again.says("Restored").says_nothing_of("Building");
    let files = [sandbox.program("prefix"), sandbox.program("other")];
    assert_eq!(std::fs::read(&files[0]).unwrap(), std::fs::read(&files[1]).unwrap());
    sandbox.run(&["verify", "--prefix", "other"]).expect(0);
    // One file, or, where the file system shares blocks, two.
    let [one, other] = files.map(|file| file.metadata().unwrap());
    assert!(one.ino() == other.ino() || one.nlink() == 1, "{one:?} {other:?}");
    // Whoever wants it built has it built.
    sandbox.run(&["install", "--prefix", "other", "--force"]).expect(0).says("Building httpd");
}

#[test]
fn what_was_kept_is_checked_file_by_file() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let kept = sandbox.kept().join("bin/httpd");
    // Not the inode that the first prefix may share.
    let text = std::fs::read(&kept).unwrap();
    std::fs::remove_file(&kept).unwrap();
    std::fs::write(&kept, [text, b"#".to_vec()].concat()).unwrap();
    let outcome = sandbox.run(&["install", "--prefix", "other"]).expect(0);
    outcome.says("is damaged and is made again").says("Building httpd");
    sandbox.run(&["verify", "--prefix", "other"]).expect(0);
    sandbox.run(&["install", "--prefix", "third"]).expect(0).says("Restored");
}

#[test]
fn what_nothing_uses_is_cleaned_away() {
    let sandbox = Sandbox::new();
    sandbox.install(&[]).expect(0);
    let kept = sandbox.kept();
    sandbox.at_prefix("clean", &["--unused", "30"]).expect(0);
    assert!(kept.is_dir());
    let long_ago = SystemTime::now() - Duration::from_secs(31 * 24 * 60 * 60);
    std::fs::File::open(&kept).unwrap().set_modified(long_ago).unwrap();
    sandbox.at_prefix("clean", &["--unused", "30"]).expect(0);
    assert!(!kept.exists());
    sandbox.at_prefix("verify", &[]).expect(0);
    // What is used is young.
    sandbox.at_prefix("install", &["--force"]).expect(0);
    std::fs::File::open(&kept).unwrap().set_modified(long_ago).unwrap();
    sandbox.run(&["install", "--prefix", "other"]).expect(0).says("Restored");
    sandbox.at_prefix("clean", &["--unused", "30"]).expect(0);
    assert!(kept.is_dir());
    sandbox.at_prefix("clean", &["--builds"]).expect(0);
    assert!(!kept.exists());
}

#[test]
fn a_folder_hands_on_a_signed_tree() {
    let (sandbox, public) = shared();
    let plan = sandbox.plan();
    forget(&sandbox);
    // What is asked for here is what was built there.
    let outcome = sandbox.run(&elsewhere("store", &public)).expect(0);
    outcome.says("Pulled").prints("httpd 1.0 is ready").says_nothing_of("Building");
    sandbox.run(&["verify", "--prefix", "elsewhere"]).expect(0);
    let names = |prefix| names_in(&sandbox.path(prefix).join("current"));
    assert_eq!(names("elsewhere"), names("prefix"));
    // By name, too, and on a machine that asks for something else.
    let list = sandbox.run(&["pull", "store", "--list", "--public-key", public.to_str().unwrap()]);
    list.expect(0).prints(&plan).prints("httpd 1.0");
    let other = Sandbox::new();
    let store = sandbox.path("store");
    let mut words = elsewhere(store.to_str().unwrap(), &public);
    other.run(&words).expect(20).says("does not hold what").says(&plan);
    words.insert(2, &plan);
    other.run(&words).expect(0).prints("httpd 1.0 is ready");
    // A second push of the same changes nothing.
    let secret = sandbox.path("ours.key");
    let before = std::fs::read(store.join("index.json")).unwrap();
    let words = ["store", "--key", secret.to_str().unwrap()];
    sandbox.at_prefix("push", &words).expect(0).prints("was already in");
    assert_eq!(std::fs::read(store.join("index.json")).unwrap(), before);
}

#[test]
fn two_trees_lie_side_by_side() {
    let (sandbox, public) = shared();
    let first = sandbox.plan();
    let secret = sandbox.path("ours.key");
    sandbox.install(&["--profile", "quick"]).expect(0);
    assert_ne!(sandbox.plan(), first);
    let words = ["store", "--key", secret.to_str().unwrap()];
    sandbox.at_prefix("push", &words).expect(0);
    let list = sandbox.run(&["pull", "store", "--list", "--public-key", public.to_str().unwrap()]);
    list.expect(0).prints(&first).prints(&sandbox.plan());
    // The one that was asked for, whatever came later.
    forget(&sandbox);
    sandbox.run(&elsewhere("store", &public)).expect(0);
    let link = std::fs::read_link(sandbox.path("elsewhere/current")).unwrap();
    assert!(link.ends_with(&first), "{}", link.display());
}

#[test]
fn nothing_is_taken_without_the_right_signature() {
    let (sandbox, public) = shared();
    let (others, stranger) = sandbox.stranger();
    forget(&sandbox);
    let nothing = |words: &[&str], status, text: &str| {
        sandbox.run(words).expect(status).says(text);
        assert!(!sandbox.path("elsewhere/current").exists());
        assert!(names_in(&sandbox.cache().join("trees")).is_empty());
    };
    nothing(&["pull", "store", "--prefix", "elsewhere"], 2, "--public-key");
    nothing(&elsewhere("store", &stranger), 21, "is not signed by the named key");
    nothing(&elsewhere("store", Path::new("prefix")), 2, "is no public key of minisign");
    // Who cannot sign it cannot add to it.
    let words = ["store", "--key", others.to_str().unwrap()];
    sandbox.at_prefix("push", &words).expect(21).says("is not signed by the named key");
    sandbox.at_prefix("push", &["store", "--unsigned"]).expect(2).says("is signed");
    sandbox.at_prefix("push", &["store"]).expect(2).says("--key");

    // One word of the index, with the old signature.
    let index = sandbox.path("store/index.json");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replace("\"1.0\"", "\"1.1\"")).unwrap();
    nothing(&elsewhere("store", &public), 21, "is not signed by the named key");
    std::fs::write(&index, &text).unwrap();
    // One byte of what the index names.
    let blobs = sandbox.path("store/blobs/sha256");
    for name in names_in(&blobs) {
        let path = blobs.join(&name);
        let bytes = std::fs::read(&path).unwrap();
        if bytes == b"{}" {
            continue;
        }
        let mut broken = bytes.clone();
        broken[bytes.len() / 2] ^= 1;
        std::fs::write(&path, broken).unwrap();
        nothing(&elsewhere("store", &public), 21, "checksum of");
        std::fs::write(&path, bytes).unwrap();
    }
    std::fs::remove_file(sandbox.path("store/index.json.minisig")).unwrap();
    nothing(&elsewhere("store", &public), 21, "found    no signature");
    sandbox.run(&["pull", "store", "--prefix", "elsewhere", "--unsigned"]).expect(0);
}

#[test]
fn what_the_own_program_of_minisign_signs_and_checks_is_the_same() {
    apt_install("minisign");
    let (sandbox, public) = shared();
    let check = command("minisign")
        .args(["-V", "-m", "index.json", "-p"])
        .arg(&public)
        .current_dir(sandbox.path("store"))
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
    // With a password that no terminal can be asked for, there is no key.
    let mut make = command("sh");
    make.args(["-c", "printf 'secret\\nsecret\\n' | minisign -G -p m.pub -s m.key"]);
    let made = make.current_dir(sandbox.path("")).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let words = ["store", "--key", "m.key"];
    sandbox.at_prefix("push", &words).expect(2).says("is no secret key").says("--new-key");
}

#[test]
fn a_web_server_shows_a_store() {
    let (sandbox, public) = shared();
    forget(&sandbox);
    let folder = sandbox.path("store");
    let server = Upstream::start(move |request| {
        let answer = match std::fs::read(folder.join(request.path.trim_start_matches('/'))) {
            Ok(bytes) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", bytes.len());
                [head.into_bytes(), bytes].concat()
            }
            Err(_) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        };
        vec![Part::Bytes(answer)]
    });
    let url = server.url("");
    sandbox.at_prefix("push", &[&url, "--unsigned"]).expect(2).says("is only read from");
    let gone = server.url("/nowhere");
    sandbox.run(&elsewhere(&gone, &public)).expect(20).says("404 Not Found");
    let mut offline = elsewhere(&url, &public);
    offline.push("--offline");
    sandbox.run(&offline).expect(20).says("--offline was asked for");
    sandbox.run(&elsewhere(&url, &public)).expect(0).prints("httpd 1.0 is ready");
    sandbox.run(&["verify", "--prefix", "elsewhere"]).expect(0);
}

#[test]
fn a_changed_tree_is_not_shared() {
    let (sandbox, _) = shared();
    let words = ["new", "--new-key", "new.key"];
    let path = sandbox.program("prefix");
    let text = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, [text, b"#".to_vec()].concat()).unwrap();
    // The kept one is as it was built; without it there is none.
    sandbox.at_prefix("push", &words).expect(0);
    forget(&sandbox);
    let outcome = sandbox.at_prefix("push", &["other", "--unsigned"]);
    outcome.expect(50).says("is not as it was installed").says("bin/httpd was changed");
    sandbox.at_prefix("push", &["other", "nothing", "--unsigned"]).expect(2).says("list");
    sandbox.run(&["pull", "other", "--unsigned", "--list"]).expect(20).says("holds no trees");
    sandbox.run(&["pull", "ftp://x", "--unsigned", "--list"]).expect(2).says("is no store");
}

/// A registry that keeps what it gets in a folder.
struct Registry {
    process: Child,
    host: String,
}

impl Registry {
    fn start(sandbox: &Sandbox) -> Self {
        apt_install("docker-registry");
        let host = format!("127.0.0.1:{}", free_port());
        let config = sandbox.path("registry.yml");
        let folder = sandbox.path("registry");
        let text = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {host}\n",
            folder.display()
        );
        std::fs::write(&config, text).unwrap();
        let process = command("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let registry = Self { process, host };
        let begin = Instant::now();
        while std::net::TcpStream::connect(&registry.host).is_err() {
            assert!(begin.elapsed() < Duration::from_secs(30), "the registry does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

#[test]
fn a_registry_hands_on_a_signed_tree() {
    let (sandbox, public) = shared();
    let registry = Registry::start(&sandbox);
    let secret = sandbox.path("ours.key");
    let store = format!("oci://{}/fleet/httpd", registry.host);
    sandbox.run(&elsewhere(&store, &public)).expect(20).says("holds no trees");
    let words = [&*store, "--key", secret.to_str().unwrap()];
    sandbox.at_prefix("push", &words).expect(0).prints("is now in");
    sandbox.at_prefix("push", &words).expect(0).prints("was already in");
    sandbox.at_prefix("push", &[&store, "--unsigned"]).expect(2).says("is signed");
    let plan = sandbox.plan();
    let (_, stranger) = sandbox.stranger();
    forget(&sandbox);
    sandbox.run(&elsewhere(&store, &stranger)).expect(21).says("is not signed by the named key");
    sandbox.run(&elsewhere(&store, &public)).expect(0).prints("httpd 1.0 is ready");
    sandbox.run(&["verify", "--prefix", "elsewhere"]).expect(0);
    // Other clients find it by its plan hash.
    let url = format!("http://{}/v2/fleet/httpd/manifests/{plan}", registry.host);
    let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
    let answer = command("curl").args(["-sf", "-H", accept, &url]).output().unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
    let wrong = "oci://Upper/Case";
    sandbox.run(&["pull", wrong, "--unsigned", "--list"]).expect(2).says("is no repository");
    drop(registry);
    sandbox.run(&elsewhere(&store, &public)).expect(20).says("the registry");
}
