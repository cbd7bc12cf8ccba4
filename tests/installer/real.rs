//! The real httpd with its module: built once for all of these tests, on a
//! machine made to look as if it had neither a network nor a development package.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use mod_wsgi_httpd::env::Env;
use mod_wsgi_httpd::module::{self, Crates, Workspace};
use mod_wsgi_httpd::place;
use mod_wsgi_httpd::python::{self, Python};
use mod_wsgi_httpd::report::{Level, Report};
use mod_wsgi_httpd::stage::smoke;
use serde_json::Value;
use tempfile::TempDir;

use crate::sandbox::{Outcome, may_unshare, program};

/// What all of these tests share.
pub(crate) struct Real {
    folder: TempDir,
    pub(crate) base: PathBuf,
    vendor: PathBuf,
    cache: PathBuf,
}

/// Builds it, once: `vendor` with the network, then an install without.
pub(crate) fn real() -> &'static Real {
    static REAL: OnceLock<Real> = OnceLock::new();
    REAL.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("real-").tempdir().unwrap();
        // Archives and built libraries may come from an earlier run; httpd, APR,
        // APR-util and the module are always built anew.
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let real = Real {
            base: folder.path().join("base"),
            vendor: folder.path().join("vendor"),
            cache: kept.join("cache-of-a-bare-machine"),
            folder,
        };
        let fetched = kept.join("cache");
        let vendor =
            ["vendor".as_ref(), real.vendor.as_os_str(), "--cache".as_ref(), fetched.as_os_str()];
        Outcome::of(tool().args(vendor).output().unwrap()).expect(0);
        forget_module(&real.cache);
        let mut install = on_a_bare_machine(real.folder.path());
        // The crates must come from the vendor folder, too.
        install.env("CARGO_HOME", real.folder.path().join("cargo"));
        install.args(["install", "--offline", "--locked", "--vendor"]).arg(&real.vendor);
        install.arg("--cache").arg(&real.cache).arg("--prefix").arg(&real.base);
        Outcome::of(install.output().unwrap()).expect(0);
        real
    })
}

/// Makes the next install build the module and the tree anew.
fn forget_module(cache: &Path) {
    let _none_or_gone = std::fs::remove_dir_all(cache.join("trees"));
    for name in crate::sandbox::names_in(&cache.join("builds")) {
        if name.starts_with("mod_wsgi-") {
            std::fs::remove_dir_all(cache.join("builds").join(name)).unwrap();
        }
    }
}

/// Brings a program, by the package of its name, to a machine that lacks it.
pub(crate) fn apt_install(name: &str) {
    apt_install_package(name, name);
}

/// Brings a program to a machine that lacks it, by a package of another name.
pub(crate) fn apt_install_package(name: &str, program: &str) {
    let folders = std::env::var_os("PATH").unwrap();
    if std::env::split_paths(&folders).any(|folder| folder.join(program).exists()) {
        return;
    }
    for words in [&["update"][..], &["install", "-y", "--no-install-recommends", name]] {
        let mut apt = command("apt-get");
        apt.args(["-qq", "-o", "DPkg::Lock::Timeout=300"]).args(words);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        let done = apt.output().is_ok_and(|output| output.status.success());
        assert!(done, "there is no {program}: install the package {name}");
    }
}

pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

fn tool() -> Command {
    command(program())
}

/// The program where every header, library and tool that it must not need is
/// worse than missing, and where the network has no interface that is up.
fn on_a_bare_machine(folder: &Path) -> Command {
    if !may_unshare() {
        eprintln!("this user may not hide anything: built on the machine as it is");
        return tool();
    }
    let mut shell = command("unshare");
    shell.args(["--net", "--mount", "sh", "-c", HIDE, "sh"]).arg(folder).arg(program());
    shell
}

/// An `#error` for whoever includes a header, an empty file for the linker, a
/// failure for whoever asks a tool.
const HIDE: &str = r#"
folder=$1
shift
echo '#error a header of the machine is read' > "$folder/header"
: > "$folder/library"
printf '#!/bin/sh\nexit 77\n' > "$folder/tool"
chmod 755 "$folder/tool"
for include in /usr/include /usr/local/include /usr/include/*-linux-gnu; do
    for name in zlib zconf expat expat_config expat_external pcre2 pcre uuid/uuid openssl/ssl \
        openssl/opensslv openssl/crypto openssl/evp brotli/encode brotli/types nghttp2/nghttp2 \
        apr-1.0/apr apr-1/apr apache2/httpd libxml2/libxml/parser lua5.4/lua ldap curl/curl; do
        if [ -e "$include/$name.h" ]; then mount --bind "$folder/header" "$include/$name.h" || exit 99; fi
    done
done
for library in /usr/lib /usr/lib/*-linux-gnu /usr/local/lib; do
    for name in z expat pcre2-8 pcre uuid ssl crypto brotlienc brotlicommon nghttp2 apr-1 aprutil-1 xml2; do
        # A `.so` is a link to what the machine's own programs run with.
        file=$library/lib$name.a
        if [ -e "$file" ]; then mount --bind "$folder/library" "$file" || exit 99; fi
    done
done
for name in pkg-config pkgconf apxs apxs2 apr-1-config apu-1-config pcre2-config pcre-config xml2-config curl-config; do
    file=$(command -v $name) && mount --bind "$folder/tool" "$(readlink -f "$file")"
done
exec "$@"
"#;

fn record(base: &Path) -> Value {
    json_file(&base.join("current/build.json"))
}

fn json_file(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Files that say where archives came from and how far the check came.
const ORIGINS: [&str; 2] = ["build.json", "mod_wsgi-httpd.lock"];

fn manifest(base: &Path) -> BTreeMap<String, Value> {
    let manifest = json_file(&base.join("current/manifest.json"));
    let entries = manifest.as_object().unwrap().clone();
    entries.into_iter().filter(|(name, _)| !ORIGINS.contains(&name.as_str())).collect()
}

#[test]
fn a_bare_machine_without_a_network_builds_all_of_it() {
    let real = real();
    let record = record(&real.base);
    let names: Vec<&str> = record["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["name"].as_str().unwrap())
        .collect();
    for name in [
        "apr", "apr-util", "expat", "pcre2", "zlib", "openssl", "nghttp2", "brotli", "httpd",
        "mod_wsgi",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for part in record["components"].as_array().unwrap() {
        let origin = if part["name"] == "mod_wsgi" { "built in" } else { "vendor" };
        assert_eq!(part["origin"], origin, "{part}");
    }
    // No interface was up, so the page has to wait for the next test.
    let expected = if may_unshare() { "configuration" } else { "served" };
    assert_eq!(record["check"], expected);
}

/// The same bytes in another folder, at another time, with the machine's own
/// headers in sight and crates that cargo has kept; and this time the pages are
/// served, and an application.
#[test]
fn an_ordinary_machine_builds_the_same_bytes_and_serves_pages() {
    let real = real();
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    let archives = folder.path().join("archives");
    output_of(command("cp").arg("-a").arg(&real.vendor).arg(&archives));
    std::fs::remove_dir_all(archives.join("crates")).unwrap();
    forget_module(&real.cache);
    let mut install = tool();
    install.args(["install", "--offline", "--vendor"]).arg(&archives);
    install.arg("--cache").arg(&real.cache).arg("--prefix").arg(&base);
    let outcome = Outcome::of(install.output().unwrap()).expect(0).says("Built mod_wsgi");
    outcome.says("and a WSGI application").says("crates of mod_wsgi (cargo)");
    assert_eq!(record(&base)["check"], "served");
    let (here, there) = (manifest(&base), manifest(&real.base));
    let differing: Vec<&String> = here
        .keys()
        .chain(there.keys())
        .filter(|name| here.get(*name) != there.get(*name))
        .collect();
    assert_eq!(differing, Vec::<&String>::new(), "files differ between two builds");
}

/// What the dynamic linker finds, besides what the installer itself checked.
#[test]
fn every_file_resolves_inside_the_prefix_or_to_libc() {
    let real = real();
    let base = real.base.canonicalize().unwrap();
    let mut seen = 0;
    for folder in ["bin", "lib", "modules"] {
        for item in std::fs::read_dir(base.join(folder)).unwrap().flatten() {
            // `lib/pkgconfig` is a folder.
            let bytes = std::fs::read(item.path()).unwrap_or_default();
            if !bytes.starts_with(b"\x7fELF") || item.file_name() == "mod_wsgi-httpd" {
                continue;
            }
            let text = output_of(command("ldd").arg(item.path()));
            assert!(!text.contains("not found"), "{}: {text}", item.path().display());
            for line in text.lines().filter(|line| line.contains("=>")) {
                let ours = line.contains(base.to_str().unwrap());
                let kin = [
                    "libc.so",
                    "libm.so",
                    "libcrypt.so",
                    "libdl.so",
                    "libpthread.so",
                    "librt.so",
                    "libgcc_s.so",
                ];
                assert!(ours || kin.iter().any(|name| line.contains(name)), "{line}");
            }
            seen += 1;
        }
    }
    assert!(seen > 100, "only {seen} files");
}

/// Neither the folder of a build nor a home is of use to anybody else.
#[test]
fn the_module_names_no_place_of_its_build() {
    for name in ["mod_wsgi.so", "mod_wsgi_python.so"] {
        let bytes = std::fs::read(real().base.join("modules").join(name)).unwrap();
        let places = ["mod_wsgi-httpd-work-", "/registry/src", "toolchains/", ".staging-"];
        let home = std::env::var("CARGO_HOME").unwrap_or_else(|_| ".cargo/".to_owned());
        for place in places.into_iter().chain([home.as_str()]) {
            let names = bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!names, "{name} names {place}");
        }
    }
}

#[test]
fn a_moved_prefix_serves_applications_with_its_own_files_alone() {
    let place = Copy::new("a mövéd place");
    let site = Site::new();
    let script = site.write("app.wsgi", VERSIONS);
    let text = format!(
        "LoadModule wsgi_module modules/mod_wsgi.so\nWSGIScriptAlias /app \"{}\"\n",
        script.display()
    );
    let httpd = || hiding(&real().base, &place.bin("httpd"));
    let server = Server::start(httpd(), &site, &text);
    let version = record(&place.base)["python"]["version"].as_str().unwrap().to_owned();
    let page = server.page("/app");
    assert!(page.starts_with(&format!("{version} (")), "{page}");
    assert_eq!(server.page("/index.html"), PAGE);
    drop(server);

    // Its own configuration has the module, and does without.
    let modules = output_of(httpd().arg("-M"));
    assert!(modules.contains("wsgi_module"), "{modules}");
    std::fs::remove_file(place.base.join("modules/mod_wsgi.so")).unwrap();
    let modules = output_of(httpd().arg("-M"));
    assert!(modules.contains("unixd_module") && !modules.contains("wsgi_module"), "{modules}");
}

/// Word by word, save the folder and the port.
#[test]
fn the_configuration_of_the_readme_serves_its_application() {
    let place = Copy::new("base");
    let site = Site::new();
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let block = |kind: &str| {
        let (_, after) = readme.split_once(&format!("```{kind}\n")).unwrap();
        after.split_once("```").unwrap().0
    };
    let port = free_port();
    let text = block("apache").replace("/srv/app", site.folder.path().to_str().unwrap());
    let configuration = site.write("httpd.conf", &text.replace("8080", &port.to_string()));
    site.write("hello.wsgi", block("python"));
    let mut httpd = command(place.bin("httpd"));
    let child = httpd.arg("-f").arg(configuration).arg("-DFOREGROUND").spawn().unwrap();
    let server = Server { child, port };
    wait_for_port(port);
    assert_eq!(server.page("/"), "Hello from Python\n");
}

/// Another Python than that of the other tests, which any user may run: root's
/// server serves the application as somebody else. The module names no Python.
#[test]
fn an_application_runs_in_the_python_of_the_system_as_another_user() {
    let env = Env::of_process();
    let usable =
        |python: &Python| python.shared_library().is_some() && python.closed_to_others().is_none();
    let Some(python) = python::find(Some("/usr/bin/python3"), &env)
        .and_then(module::require_supported)
        .ok()
        .filter(usable)
        .map(|python| Python { portable: true, ..python })
    else {
        eprintln!("not tested: the system has no Python that the module is for");
        return;
    };
    let place = Copy::new("base");
    let work = place::Work::temporary().unwrap();
    for folder in [place.folder.path(), work.path()] {
        std::fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    let workspace =
        Workspace::write(&work.path().join("module"), place.folder.path(), &env).unwrap();
    let crates = Crates { folder: Some(real().vendor.join("crates")), offline: true };
    workspace.bring_crates(&crates).unwrap();
    let tree = place.base.join("current").canonicalize().unwrap();
    let built = workspace.build(&python, &tree, Path::new("cc"), 2).unwrap();
    for (library, name) in built.iter().zip(module::FILES) {
        std::fs::copy(library, tree.join("modules").join(name)).unwrap();
    }
    let report = Report::new(Level::Quiet, false, &env);
    let proof = smoke::serve(&tree, work.path(), Some(&python), &env, &report).unwrap();
    assert_eq!(proof, smoke::Proof::Served);
    let configuration = std::fs::read_to_string(work.path().join("site/httpd.conf")).unwrap();
    for line in ["User nobody\n", "WSGIScriptAlias /wsgi "] {
        assert!(configuration.contains(line), "{line}: {configuration}");
    }
}

#[test]
fn a_moved_prefix_serves_and_builds_although_the_old_place_is_gone() {
    let place = Copy::new("a mövéd place");
    let old = &real().base;
    let site = Site::new();
    let without_old = |program: &Path| hiding(old, program);
    // A module, by our apxs, with a blank in the path of every header.
    let module = site.folder.path().join("hello");
    let apxs = place.bin("apxs");
    output_of(without_old(&apxs).args(["-g", "-n", "hello"]).current_dir(site.folder.path()));
    output_of(without_old(&apxs).args(["-c", "-i", "-a", "mod_hello.c"]).current_dir(&module));
    assert!(place.base.join("current/modules/mod_hello.so").is_file());
    let configuration = std::fs::read_to_string(place.base.join("conf/httpd.conf")).unwrap();
    assert!(configuration.contains("LoadModule hello_module modules/mod_hello.so"));

    // A program, by apr-1-config.
    let source = module.join("hello_apr.c");
    std::fs::write(&source, APR_PROGRAM).unwrap();
    let script = "eval \"cc $(\"$0/apr-1-config\" --cppflags --cflags --includes) hello_apr.c \
                  $(\"$0/apr-1-config\" --link-ld --libs) -o hello_apr\" && LD_LIBRARY_PATH=$0/../lib ./hello_apr";
    let mut shell = without_old(Path::new("/bin/sh"));
    let printed =
        output_of(shell.args(["-c", script]).arg(place.base.join("bin")).current_dir(&module));
    assert!(printed.starts_with("APR 1."), "{printed}");

    let text = "LoadModule hello_module modules/mod_hello.so\n<Location /hello>\nSetHandler hello\n</Location>\n";
    let server = Server::start(without_old(&place.bin("httpd")), &site, text);
    assert_eq!(server.page("/hello"), "mod_hello serves this page\n");
    assert_eq!(server.page("/index.html"), PAGE);
    let url = format!("http://127.0.0.1:{}/", server.port);
    let report = output_of(without_old(&place.bin("ab")).args(["-n", "20", "-c", "2", &url]));
    assert!(report.contains("Failed requests:        0"), "{report}");
    drop(server);

    let log = site.folder.path().join("rotated log");
    let mut rotate = without_old(&place.bin("rotatelogs"));
    let mut rotate = rotate.arg(&log).arg("1M").stdin(Stdio::piped()).spawn().unwrap();
    rotate.stdin.take().unwrap().write_all(b"one line\n").unwrap();
    assert!(rotate.wait().unwrap().success());
    // Its name goes on with the time.
    let logs = crate::sandbox::names_in(site.folder.path());
    let log = logs.iter().find(|name| name.starts_with("rotated log.")).unwrap();
    let text = std::fs::read_to_string(site.folder.path().join(log)).unwrap();
    assert_eq!(text, "one line\n");
}

/// Its own build splits flags at blanks, so the path has none.
#[test]
fn the_original_module_builds_with_our_apxs_and_shares_its_process() {
    let place = Copy::new("for-mod_wsgi");
    let site = Site::new();
    let venv = site.folder.path().join("venv");
    output_of(command("python3").args(["-m", "venv"]).arg(&venv));
    let mut pip = command(venv.join("bin/pip"));
    pip.args([
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-binary",
        "mod_wsgi",
        "mod_wsgi==6.1.1",
    ]);
    output_of(pip.env("APXS", place.bin("apxs")));
    let module = output_of(command(venv.join("bin/mod_wsgi-express")).arg("module-location"));

    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let pem = site.write("certificate.pem", &certificate.cert.pem());
    let key = site.write("key.pem", &certificate.signing_key.serialize_pem());
    let script = site.write("app.wsgi", APPLICATION);
    let secure = free_port();
    let text = format!(
        "LoadModule wsgi_module \"{}\"\nWSGIPythonHome \"{}\"\nWSGIApplicationGroup %{{GLOBAL}}\n\
         SetEnv CERTIFICATE \"{}\"\nSetEnv SECURE_PORT {secure}\nWSGIScriptAlias /app \"{}\"\n\
         AddOutputFilterByType DEFLATE application/json\n\
         Listen 127.0.0.1:{secure}\n<VirtualHost 127.0.0.1:{secure}>\nServerName localhost\nSSLEngine on\n\
         SSLCertificateFile \"{}\"\nSSLCertificateKeyFile \"{}\"\n</VirtualHost>\n",
        module.trim(),
        venv.display(),
        pem.display(),
        script.display(),
        pem.display(),
        key.display(),
    );
    let server = Server::start(command(place.bin("httpd")), &site, &text);
    let answer: Value = serde_json::from_str(&server.page("/app")).unwrap();
    assert_eq!(answer["page over TLS"], PAGE, "{answer}");
    assert_eq!((&answer["zlib"], &answer["pyexpat"]), (&"ok".into(), &"ok".into()), "{answer}");
    let ours = record(&place.base)["components"]
        .as_array()
        .unwrap()
        .iter()
        .find(|part| part["name"] == "openssl")
        .unwrap()["version"]
        .clone();
    let theirs = answer["ssl"].as_str().unwrap();
    assert!(theirs.starts_with("OpenSSL "), "{theirs} (ours is {ours})");
    assert_eq!(server.encoding("/app", "gzip").as_deref(), Some("gzip"));
}

#[test]
fn a_running_server_keeps_its_files_and_a_stopped_one_leaves_none() {
    let place = Copy::new("to be removed");
    let port = free_port();
    let configuration = place.base.canonicalize().unwrap().join("current/conf/httpd.conf");
    let text = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(&configuration, text.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}")))
        .unwrap();
    output_of(command(place.bin("httpd")).args(["-k", "start"]));
    wait_for_port(port);
    let uninstall = || {
        let mut uninstall = tool();
        Outcome::of(uninstall.arg("uninstall").arg("--prefix").arg(&place.base).output().unwrap())
    };
    let refused = uninstall();
    output_of(command(place.bin("httpd")).args(["-k", "stop"]));
    refused.expect(50).says("httpd runs from").says("-k stop");
    let pid = place.base.join("current/logs/httpd.pid");
    let deadline = Instant::now() + Duration::from_secs(20);
    while pid.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    uninstall().expect(0);
    assert!(!place.base.exists());
}

#[test]
fn apxs_answers_like_the_originals() {
    let real = real();
    let current = real.base.join("current");
    let ask = |tool: &str, names: &[&str]| {
        command(real.base.join("bin").join(tool)).arg("-q").args(names).output().unwrap()
    };
    let at = |below: &str| current.join(below).display().to_string();
    let answer =
        String::from_utf8(ask("apxs", &["BINDIR", "LIBEXECDIR", "TARGET"]).stdout).unwrap();
    assert_eq!(answer, format!("{};;{};;httpd\n", at("bin"), at("modules")));
    let refused = Outcome::of(ask("apxs", &["NOTHING"])).expect(2);
    refused.says("invalid query string `NOTHING`");
    let set = Outcome::of(ask("apxs", &["-S", "TARGET=other", "TARGET"])).expect(0);
    assert_eq!(set.stdout, "other\n");
    // As the package mod_wsgi-httpd has it.
    let empty = Outcome::of(ask("mod_wsgi-apxs", &["NOTHING", "PROGNAME"])).expect(0);
    assert_eq!(empty.stdout, ";;httpd\n");
    let all = Outcome::of(ask("apxs", &[])).expect(0).stdout;
    for name in ["CC=", "APR_CONFIG=", "includedir=", "HTTPD_MMN=20120211"] {
        assert!(all.contains(&format!("\n{name}")), "{name}");
    }
    assert!(!all.contains("mod_wsgi-httpd-prefix"), "the placeholder shows");
}

/// The real signature of a real release; only a build with OpenPGP can tell.
#[test]
fn a_real_release_is_pinned_by_its_signature() {
    let real = real();
    let record = record(&real.base);
    let parts = record["components"].as_array().unwrap();
    let httpd = parts.iter().find(|part| part["name"] == "httpd").unwrap();
    let (version, file) = (httpd["version"].as_str().unwrap(), httpd["file"].as_str().unwrap());
    let archive = real.vendor.join(file);
    let signature = real.vendor.join(format!("{file}.asc"));
    let pin = |archive: &Path| {
        let mut pin = tool();
        pin.args(["pin", "httpd", version, "--offline", "--archive"]).arg(archive);
        Outcome::of(pin.arg("--signature").arg(&signature).output().unwrap())
    };
    if !cfg!(feature = "openpgp") {
        pin(&archive).expect(21).says("built without OpenPGP");
        return;
    }
    let pinned = pin(&archive).expect(0).says("65B2D44FE74BD5E3DE3AC3F082781DE46D5954FA");
    assert!(pinned.stdout.contains(httpd["sha256"].as_str().unwrap()), "{}", pinned.stdout);
    let folder = tempfile::tempdir().unwrap();
    let changed = folder.path().join(file);
    let mut bytes = std::fs::read(&archive).unwrap();
    bytes.push(0);
    std::fs::write(&changed, bytes).unwrap();
    pin(&changed).expect(21).says("is not over this archive");
}

/// A copy of the real base, for tests that change or move it.
struct Copy {
    folder: TempDir,
    base: PathBuf,
}

impl Copy {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join(name);
        output_of(command("cp").arg("-a").arg(&real().base).arg(&base));
        Self { folder, base }
    }

    fn bin(&self, name: &str) -> PathBuf {
        self.base.join("bin").join(name)
    }
}

/// A program that cannot see a folder.
fn hiding(folder: &Path, program: &Path) -> Command {
    if !may_unshare() {
        return command(program);
    }
    let mut shell = command("unshare");
    shell.args(["--mount", "sh", "-c", "mount -t tmpfs none \"$1\" && shift && exec \"$@\"", "sh"]);
    shell.arg(folder).arg(program);
    shell
}

#[track_caller]
fn output_of(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(
        status.success(),
        "{command:?}: {status}\n{text}\n{}",
        String::from_utf8_lossy(&stderr)
    );
    text
}

/// Documents, configuration and logs of one server.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let site = Self { folder };
        std::fs::create_dir(site.folder.path().join("htdocs")).unwrap();
        site.write("htdocs/index.html", PAGE);
        site
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A server in the foreground, ended by its process id.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(mut httpd: Command, site: &Site, extra: &str) -> Self {
        let port = free_port();
        let folder = site.folder.path().display();
        let modules: String = [
            ("mpm_event", "mpm_event"),
            ("authz_core", "authz_core"),
            ("unixd", "unixd"),
            ("dir", "dir"),
            ("mime", "mime"),
            ("alias", "alias"),
            ("env", "env"),
            ("filter", "filter"),
            ("deflate", "deflate"),
            ("brotli", "brotli"),
            ("socache_shmcb", "socache_shmcb"),
            ("ssl", "ssl"),
            ("http2", "http2"),
        ]
        .iter()
        .map(|(name, file)| format!("LoadModule {name}_module modules/mod_{file}.so\n"))
        .collect();
        let text = format!(
            "{modules}ServerName localhost\nListen 127.0.0.1:{port}\nPidFile \"{folder}/httpd.pid\"\n\
             DefaultRuntimeDir \"{folder}\"\nErrorLog \"{folder}/error_log\"\nTypesConfig conf/mime.types\n\
             DocumentRoot \"{folder}/htdocs\"\n<Directory \"{folder}\">\nRequire all granted\n</Directory>\n{extra}"
        );
        let configuration = site.write("httpd.conf", &text);
        let child = httpd.arg("-f").arg(configuration).arg("-DFOREGROUND").spawn().unwrap();
        let server = Self { child, port };
        wait_for_port(port);
        server
    }

    fn page(&self, path: &str) -> String {
        let response = self.get(path, None);
        assert_eq!(response.status(), 200, "{path}");
        response.text().unwrap()
    }

    /// The encoding that the page comes in for a client that accepts one.
    fn encoding(&self, path: &str, accepted: &str) -> Option<String> {
        let response = self.get(path, Some(accepted));
        response.headers().get("content-encoding").map(|value| value.to_str().unwrap().to_owned())
    }

    fn get(&self, path: &str, accepted: Option<&str>) -> reqwest::blocking::Response {
        mod_wsgi_httpd::tls::use_ring();
        let client = reqwest::blocking::Client::builder().no_proxy().build().unwrap();
        let mut request = client.get(format!("http://127.0.0.1:{}{path}", self.port));
        if let Some(accepted) = accepted {
            request = request.header("accept-encoding", accepted);
        }
        request.send().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // One that has ended by itself is what the test will tell.
        let _ended = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _status = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

fn wait_for_port(port: u16) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        assert!(Instant::now() < deadline, "httpd does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

const PAGE: &str = "<!DOCTYPE html><title>real</title>\n";

/// Answers with the versions of Python and of the module.
const VERSIONS: &str = r#"
import sys


def application(environ, start_response):
    body = "%d.%d.%d %r" % (*sys.version_info[:3], environ["mod_wsgi.version"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body.encode()]
"#;

const APR_PROGRAM: &str = "#include <stdio.h>\n#include <apr_general.h>\n#include <apr_version.h>\n\
int main(void) { apr_initialize(); printf(\"APR %s\\n\", apr_version_string()); apr_terminate(); return 0; }\n";

/// Python's own OpenSSL, zlib and expat at work in the process in which ours
/// serve: it fetches a page over TLS from its own server.
const APPLICATION: &str = r#"
import http.client, json, pyexpat, ssl, zlib


def application(environ, start_response):
    context = ssl.create_default_context(cafile=environ["CERTIFICATE"])
    connection = http.client.HTTPSConnection("localhost", int(environ["SECURE_PORT"]), context=context)
    connection.request("GET", "/index.html")
    page = connection.getresponse().read().decode()
    data = b"deflate" * 1000
    names = []
    parser = pyexpat.ParserCreate()
    parser.StartElementHandler = lambda name, attributes: names.append(name)
    parser.Parse("<a><b/></a>", True)
    body = json.dumps({
        "ssl": ssl.OPENSSL_VERSION,
        "page over TLS": page,
        "zlib": "ok" if zlib.decompress(zlib.compress(data)) == data else "broken",
        "pyexpat": "ok" if names == ["a", "b"] else "broken",
    }).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
"#;
