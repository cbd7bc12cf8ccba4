//! The test programs that APR, APR-util and httpd bring along, and the sizes of
//! their public structures: the trees of both engines give the same results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mod_wsgi_httpd::lock::{self, Lock};
use tempfile::TempDir;

use crate::engines::{both, cache};
use crate::real::{apt_install, apt_install_package, command, free_port};
use crate::sandbox::{Outcome, names_in};

/// A folder of the sources that a tree was built from, in a new place.
fn sources_of(tree: &Path, component: &str, below: &str) -> (TempDir, PathBuf) {
    let lock = Lock::read(&tree.join(lock::FILE)).unwrap();
    let locked = lock.find(component).unwrap();
    let folder = tempfile::Builder::new().prefix(component).tempdir().unwrap();
    let mut tar = command("tar");
    tar.arg("-xf").arg(cache().join("sources/sha256").join(&locked.sha256));
    tar.arg("-C").arg(folder.path()).args(["--strip-components=1", "--wildcards"]);
    Outcome::of(tar.arg(format!("*/{below}/*")).output().unwrap()).expect(0);
    let inside = folder.path().join(below);
    (folder, inside)
}

/// A compiler that is told of a tree's headers and libraries.
fn cc(tree: &Path, folder: &Path) -> Command {
    let mut cc = command("cc");
    cc.current_dir(folder).args(["-w", "-D_GNU_SOURCE", "-D_REENTRANT", "-DLINUX"]);
    cc.arg(format!("-I{}", tree.join("include/apr-1").display()));
    cc.arg(format!("-I{}", tree.join("include").display()));
    cc.arg(format!("-L{}", tree.join("lib").display()));
    cc.arg(format!("-Wl,-rpath,{}", tree.join("lib").display()));
    cc
}

/// The words of a list of a makefile, if it has one of that name.
fn listed(makefile: &str, name: &str) -> Option<Vec<String>> {
    let text = makefile.replace("\\\n", " ");
    let list = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")))?;
    Some(list.split_whitespace().map(str::to_owned).collect())
}

/// How each suite of `testall` ended.
fn test_all(tree: &Path, component: &str, library: &str) -> BTreeMap<String, String> {
    let (_kept, folder) = sources_of(tree, component, "test");
    let makefile = std::fs::read_to_string(folder.join("Makefile.in")).unwrap();
    let compile = |program: &str, sources: &[String], flags: &[&str]| {
        let mut cc = cc(tree, &folder);
        cc.args(flags).arg("-o").arg(program).args(sources);
        cc.args([library, "-lapr-1", "-lcrypt", "-lpthread"]);
        Outcome::of(cc.output().unwrap()).expect(0);
    };
    let tests = listed(&makefile, "TESTS").unwrap();
    let objects = tests.iter().filter_map(|word| word.strip_suffix(".lo"));
    let mut sources: Vec<String> = objects.map(|name| format!("{name}.c")).collect();
    sources.extend(["abts.c", "testutil.c"].map(str::to_owned));
    compile("testall", &sources, &[]);
    // What the suites start, and what they load.
    std::fs::create_dir(folder.join(".libs")).unwrap();
    for name in listed(&makefile, "TESTALL_COMPONENTS").unwrap_or_default() {
        if let Some(name) = name.strip_suffix("@EXEEXT@") {
            compile(name, &[format!("{name}.c")], &[]);
        } else if let Some(name) = name.strip_suffix(".la") {
            let library = format!(".libs/{name}.so");
            compile(&library, &["mod_test.c".to_owned()], &["-shared", "-fPIC"]);
        }
    }
    let mut all = command(folder.join("testall"));
    let output = all.arg("-q").current_dir(&folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let results = text.lines().filter_map(|line| line.split_once(':'));
    let results: BTreeMap<String, String> = results
        .map(|(name, result)| (name.trim().to_owned(), result.to_owned()))
        .filter(|(name, _)| sources.contains(&format!("{name}.c")))
        .collect();
    eprintln!("{component}: {} suites\n{text}", results.len());
    results
}

fn both_pass(component: &str, library: &str, least: usize) {
    let (direct, upstream) = both();
    let ours = test_all(&direct, component, library);
    assert_eq!(ours, test_all(&upstream, component, library));
    let passed = ours.values().filter(|result| result.contains("SUCCESS")).count();
    assert!(passed >= least, "{component}: {passed} suites passed: {ours:?}");
}

#[test]
fn the_suites_of_apr_end_alike() {
    both_pass("apr", "-lapr-1", 40);
}

#[test]
fn the_suites_of_apr_util_end_alike() {
    // Most of the suites for drivers that nobody has built say nothing.
    both_pass("apr-util", "-laprutil-1", 15);
}

#[test]
fn public_structures_have_the_same_sizes() {
    let (direct, upstream) = both();
    let sizes = |tree: &Path| {
        let folder = tempfile::tempdir().unwrap();
        let headers = HEADERS.split_whitespace().map(|name| format!("#include <{name}.h>\n"));
        let lines = STRUCTURES.split_whitespace().map(|name| {
            format!("    printf(\"{name} %zu %zu\\n\", sizeof({name}), _Alignof({name}));\n")
        });
        let (headers, lines): (String, String) = (headers.collect(), lines.collect());
        let text =
            format!("#include <stdio.h>\n{headers}int main(void)\n{{\n{lines}    return 0;\n}}\n");
        std::fs::write(folder.path().join("sizes.c"), text).unwrap();
        let mut cc = cc(tree, folder.path());
        Outcome::of(cc.args(["sizes.c", "-o", "sizes"]).output().unwrap()).expect(0);
        Outcome::of(command(folder.path().join("sizes")).output().unwrap()).expect(0).stdout
    };
    let ours = sizes(&direct);
    assert_eq!(ours, sizes(&upstream));
    assert_eq!(ours.lines().count(), STRUCTURES.split_whitespace().count());
}

const HEADERS: &str = "httpd http_config http_core http_connection http_log http_protocol \
    http_request http_vhost ap_config ap_expr ap_listen ap_mpm ap_mmn ap_provider ap_regex \
    mpm_common scoreboard util_filter util_cookies util_ldap util_script util_time mod_auth \
    mod_cache mod_dav mod_include mod_log_config mod_proxy mod_rewrite mod_session mod_watchdog \
    apr_allocator apr_dbd apr_dbm apr_buckets apr_file_info apr_getopt apr_global_mutex apr_mmap \
    apr_network_io apr_poll apr_portable apr_proc_mutex apr_reslist apr_rmm apr_sha1 apr_md5 \
    apr_md4 apr_strings apr_tables apr_thread_proc apr_time apr_uri apr_uuid apr_version \
    apr_xml apr_xlate";

/// Types of whole structures that modules of others read and write.
const STRUCTURES: &str = "request_rec conn_rec server_rec server_addr_rec process_rec module command_rec cmd_parms \
    ap_directive_t ap_configfile_t core_dir_config core_server_config core_request_config \
    conn_state_t ap_filter_t ap_filter_rec_t ap_listen_rec ap_regex_t ap_regmatch_t \
    ap_expr_info_t ap_loadavg_t ap_errorlog_info ap_method_list_t global_score process_score \
    worker_score scoreboard ap_sload_t authn_provider authz_provider include_ctx_t \
    proxy_server_conf proxy_dir_conf proxy_balancer proxy_worker proxy_worker_shared \
    proxy_conn_rec proxy_conn_pool session_rec cache_handle_t cache_info dav_error \
    dav_walk_resource apr_finfo_t apr_sockaddr_t apr_pollfd_t apr_bucket apr_bucket_brigade \
    apr_bucket_type_t apr_array_header_t apr_table_entry_t apr_time_exp_t apr_proc_t \
    apr_hdtr_t apr_mmap_t apr_getopt_t apr_getopt_option_t apr_uri_t apr_uuid_t \
    apr_version_t apr_sha1_ctx_t apr_md5_ctx_t apr_md4_ctx_t apr_xml_elem apr_xml_attr \
    apr_xml_doc apr_memnode_t apr_vformatter_buff_t apr_os_sock_info_t apr_os_proc_mutex_t \
    apr_off_t apr_size_t apr_ino_t apr_dev_t apr_datum_t";

/// What httpd's own tests say of a tree: names by outcome.
fn pytest(tree: &Path) -> BTreeMap<&'static str, BTreeSet<String>> {
    let (_kept, folder) = sources_of(tree, "httpd", "test");
    write_config(tree, &folder);
    // The one program among the clients needs nghttp2 of the machine.
    std::fs::write(folder.join("clients/Makefile"), "all:\n").unwrap();
    for name in ["httpd.conf.template", "stop.conf.template"] {
        let file = folder.join("pyhttpd/conf").join(name);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("Listen ", "Listen 127.0.0.1:")).unwrap();
    }
    let mut results = BTreeMap::from(OUTCOMES.map(|outcome| (outcome, BTreeSet::new())));
    // What waits for a server on a busy machine gets more than one chance.
    const AGAIN: &[&str] = &["--last-failed", "--last-failed-no-failures=none"];
    for again in [&[][..], AGAIN, AGAIN] {
        let mut pytest = command(environment().join("bin/python"));
        pytest
            .args(["-m", "pytest", "-q", "-rA", "--tb=line", "--timeout=60"])
            .args(SUITES)
            .args(again);
        let path = std::env::var("PATH").unwrap();
        pytest.env("PATH", format!("{}:{path}", environment().join("bin").display()));
        let output = pytest.current_dir(&folder).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for line in text.lines() {
            let (outcome, rest) = line.split_once(' ').unwrap_or_default();
            let Some(outcome) = OUTCOMES.iter().find(|known| **known == outcome) else { continue };
            // A skipped one is named after `[1]`; why one failed follows its name.
            let rest =
                rest.split_once("] ").filter(|_| *outcome == "SKIPPED").map_or(rest, |two| two.1);
            let name = rest.split(" - ").next().unwrap_or_default();
            results.values_mut().for_each(|names| names.retain(|known| known != name));
            results.entry(outcome).or_default().insert(name.to_owned());
        }
        eprintln!("{}", text.lines().last().unwrap_or_default());
    }
    results
}

/// Fills the template as configure would.
fn write_config(tree: &Path, folder: &Path) {
    let template = std::fs::read_to_string(folder.join("pyhttpd/config.ini.in")).unwrap();
    let names = names_in(&tree.join("modules"));
    let modules: Vec<&str> =
        names.iter().filter_map(|name| name.strip_prefix("mod_")?.strip_suffix(".so")).collect();
    let mpms: Vec<&str> = modules.iter().copied().filter(|name| name.starts_with("mpm_")).collect();
    let lock = Lock::read(&tree.join(lock::FILE)).unwrap();
    let at = |below: &str| tree.join(below).display().to_string();
    let values = [
        ("prefix", at("")),
        ("exec_prefix", at("")),
        ("bindir", at("bin")),
        ("sbindir", at("bin")),
        ("libdir", at("lib")),
        ("libexecdir", at("modules")),
        ("APR_BINDIR", at("bin")),
        ("HTTPD_VERSION", lock.find("httpd").unwrap().version.clone()),
        ("progname", "httpd".to_owned()),
        ("DSO_MODULES", modules.join(" ")),
        ("MPM_MODULES", mpms.join(" ")),
        ("abs_srcdir", folder.join("pyhttpd").display().to_string()),
    ];
    let filled = values
        .iter()
        .fold(template, |text, (name, value)| text.replace(&format!("@{name}@"), value.as_str()));
    // One of the tests takes the second for granted.
    let is_port = |line: &&str| line.contains("_port ");
    let lines = filled.lines().map(|line| match Some(line).filter(is_port) {
        Some(line) => format!("{}= {}\n", line.split('=').next().unwrap(), free_port()),
        None => format!("{line}\n"),
    });
    std::fs::write(folder.join("pyhttpd/config.ini"), lines.collect::<String>()).unwrap();
}

/// A virtual environment with what the tests import.
fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<TempDir> = OnceLock::new();
    let folder = ENVIRONMENT.get_or_init(|| {
        let folder = tempfile::Builder::new().prefix("suites").tempdir().unwrap();
        let mut venv = command("python3");
        Outcome::of(venv.args(["-m", "venv"]).arg(folder.path()).output().unwrap()).expect(0);
        let mut pip = command(folder.path().join("bin/python"));
        pip.args(["-m", "pip", "install", "-q"]).args(PACKAGES);
        Outcome::of(pip.output().unwrap()).expect(0);
        folder
    });
    folder.path()
}

#[test]
fn httpd_s_own_tests_end_alike() {
    apt_install("curl");
    apt_install_package("nghttp2-client", "nghttp");
    let (direct, upstream) = both();
    environment();
    // They wait more than they work.
    let (ours, theirs) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| pytest(&upstream));
        (pytest(&direct), theirs.join().unwrap())
    });
    assert_eq!(ours, theirs);
    let passed = ours["PASSED"].len();
    assert!(passed > 350, "only {passed} passed; failed: {:?}", ours["FAILED"]);
}

const OUTCOMES: [&str; 4] = ["PASSED", "FAILED", "ERROR", "SKIPPED"];

/// All but those that time loads, count requests while others wait for the
/// server, want an ACME server, or a client that needs nghttp2's headers of the
/// machine.
const SUITES: [&str; 8] = [
    "modules/core",
    "modules/http1",
    "modules/proxy",
    "modules/http2",
    "--deselect=modules/http2/test_008_ranges.py::TestRanges::test_h2_008_04",
    "--ignore=modules/http2/test_700_load_get.py",
    "--ignore=modules/http2/test_711_load_post_cgi.py",
    "--ignore=modules/http2/test_800_websockets.py",
];

/// The scripts of the tests import `multipart`, as that package called itself
/// up to this release.
const PACKAGES: [&str; 5] =
    ["pytest", "pytest-timeout", "pyopenssl", "cryptography", "python-multipart==0.0.9"];
