//! Names, virtual hosts and TLS (reference 3.4).

use super::{Express, Folder, command};
use crate::sandbox::Outcome;

/// A certificate `c.crt` with its key `c.key`.
pub(super) fn certificate(folder: &Folder) {
    let names = ["www.example.test".to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    folder.write("c.crt", &made.cert.pem());
    folder.write("c.key", &made.signing_key.serialize_pem());
}

/// A server with TLS; its port for that.
#[track_caller]
pub(super) fn with_tls(words: &[&str]) -> (Express, u16) {
    let folder = Folder::new();
    certificate(&folder);
    let port = super::free_port();
    let text = port.to_string();
    let tls = ["app.wsgi", "--https-port", &text, "--ssl-certificate", "c"];
    (Express::of(folder, &[&tls, words].concat()), port)
}

fn host(name: &str) -> [String; 2] {
    ["-H".to_owned(), format!("Host: {name}")]
}

#[track_caller]
fn expect(express: &Express, url: &str, name: &str, status: u16, location: Option<&str>) {
    let [flag, value] = host(name);
    let answer = express.curl(url, &["-k", &flag, &value]);
    assert_eq!((answer.status, answer.header("location")), (status, location), "{url} {name}");
}

#[test]
fn any_name_is_served_unless_one_is_given() {
    let express = Express::start(&[]);
    for name in ["localhost", "a.test", "1.2.3.4:99"] {
        expect(&express, "/", name, 200, None);
    }
}

#[test]
fn other_names_than_the_given_are_refused() {
    let express =
        Express::start(&["--server-name", "www.example.test", "--server-alias", "*.alt.test"]);
    let to = format!("http://www.example.test:{}/x?y", express.port);
    expect(&express, "/x?y", "www.example.test", 200, None);
    expect(&express, "/x?y", "b.alt.test", 200, None);
    expect(&express, "/x?y", "example.test", 301, Some(&to));
    expect(&express, "/x?y", "other.test", 403, None);
    expect(&express, "/x?y", "localhost", 403, None);
    assert_eq!(
        express
            .curl(
                "/",
                &["-H", "Host: b.alt.test", "-H", "X-Eval: os.environ['MOD_WSGI_SERVER_ALIASES']"]
            )
            .body,
        "*.alt.test"
    );
}

#[test]
fn this_machine_may_use_any_name() {
    let express = Express::start(&["--server-name", "a.test", "--allow-localhost"]);
    expect(&express, "/", "other.test", 200, None);
}

/// Reference 8.3, row 5.
#[test]
fn a_host_is_not_passed_on_by_tls() {
    let backend = format!("http://127.0.0.1:{}/", crate::real::free_port());
    let names = ["--server-name", "a.test", "--proxy-virtual-host", "other.test", &backend];
    let (express, port) = with_tls(&names);
    let url = format!("https://127.0.0.1:{port}/");
    expect(&express, &url, "other.test", 403, None);
    expect(&express, &url, "a.test", 200, None);
    // There it is passed on, to nobody.
    expect(&express, "/", "other.test", 503, None);
}

/// The original has no TLS then, but prints its URL.
#[test]
fn tls_needs_no_name() {
    let (express, port) = with_tls(&["--ssl-environment"]);
    let url = format!("https://127.0.0.1:{port}/");
    expect(&express, &url, "any.test", 200, None);
    let answer = express.curl(
        &url,
        &[
            "-k",
            "-H",
            "X-Eval: environ['wsgi.url_scheme'], 'HTTPS' in environ, 'SSL_PROTOCOL' in environ",
        ],
    );
    assert_eq!(answer.body, "('https', False, True)");
    assert!(
        express
            .folder
            .read("out")
            .contains(&format!("Server URL (HTTPS) : https://localhost:{port}/"))
    );
    expect(&express, "/", "any.test", 200, None);
}

#[test]
fn http_is_redirected_to_tls() {
    let words = [
        "--server-name",
        "www.example.test",
        "--server-alias",
        "*.alt.test",
        "--https-only",
        "--hsts-policy",
        "max-age=60; includeSubDomains",
    ];
    let (express, port) = with_tls(&words);
    let to = format!("https://www.example.test:{port}/x?y");
    for name in ["www.example.test", "b.alt.test", "example.test"] {
        expect(&express, "/x?y", name, 302, Some(&to));
    }
    expect(&express, "/x?y", "other.test", 403, None);
    let url = format!("https://127.0.0.1:{port}/x?y");
    expect(&express, &url, "example.test", 301, Some(&to));
    expect(&express, &url, "other.test", 403, None);
    let answer = express.curl(&url, &["-k", "-H", "Host: b.alt.test"]);
    assert_eq!(answer.header("strict-transport-security"), Some("max-age=60; includeSubDomains"));
    assert_eq!(answer.status, 200);
}

#[test]
fn http_is_redirected_under_the_name_it_was_asked_by() {
    let (express, port) = with_tls(&["--https-only"]);
    expect(&express, "/x?y", "a.test", 302, Some(&format!("https://a.test:{port}/x?y")));
    expect(&express, "/", "a.test:80", 302, Some(&format!("https://a.test:{port}/")));
    expect(&express, "/", "[::1]:80", 302, Some(&format!("https://[::1]:{port}/")));
}

#[test]
fn clients_show_certificates_where_they_must() {
    let folder = Folder::new();
    certificate(&folder);
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "authority");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = parameters.self_signed(&key).unwrap();
    folder.write("ca.crt", &authority.pem());
    let issuer = rcgen::Issuer::new(parameters, key);
    let client_key = rcgen::KeyPair::generate().unwrap();
    let mut client = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
    client.distinguished_name.push(rcgen::DnType::CommonName, "client");
    let client = client.signed_by(&client_key, &issuer).unwrap();
    let (certificate, key) = (
        folder.write("client.crt", &client.pem()),
        folder.write("client.key", &client_key.serialize_pem()),
    );
    let port = super::free_port();
    let text = port.to_string();
    let express = Express::of(
        folder,
        &[
            "app.wsgi",
            "--https-port",
            &text,
            "--ssl-certificate",
            "c",
            "--ssl-ca-certificate-file",
            "ca.crt",
            "--ssl-verify-client",
            "/private",
        ],
    );
    let url = |path: &str| format!("https://127.0.0.1:{port}{path}");
    let shown = ["-k", "--cert", certificate.to_str().unwrap(), "--key", key.to_str().unwrap()];
    assert_eq!(express.curl(&url("/"), &["-k"]).status, 200);
    assert_eq!(express.curl(&url("/private/x"), &shown).status, 200);
    let mut curl = command("curl");
    curl.args(["-sS", "-k", "-i", "--noproxy", "*", "--max-time", "60", &url("/private/x")]);
    let refused = Outcome::of(curl.output().unwrap());
    assert!(refused.status != 0 || refused.stdout.contains(" 403 "), "{}", refused.stdout);
}

#[test]
fn http_2_is_spoken_with_and_without_tls() {
    let (express, port) = with_tls(&["--http2"]);
    let version = |url: &str, arguments: &[&str]| {
        let mut curl = command("curl");
        curl.args(["-sS", "-k", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_version}"]);
        Outcome::of(curl.args(arguments).arg(url).output().unwrap()).expect(0).stdout
    };
    assert_eq!(version(&format!("https://127.0.0.1:{port}/"), &["--http2"]), "2");
    let plain = format!("http://127.0.0.1:{}/", express.port);
    assert_eq!(version(&plain, &["--http2-prior-knowledge"]), "2");
    assert_eq!(version(&plain, &["--http1.1"]), "1.1");
}

#[test]
fn an_ipv6_address_may_be_listened_on() {
    let folder = Folder::new();
    let conf = folder.configuration(&["app.wsgi", "--host", "::1", "--port", "8200"]);
    assert!(conf.contains("Listen [::1]:8200\n"), "{conf}");
    assert!(conf.contains("ServerName localhost\n"), "{conf}");
}
