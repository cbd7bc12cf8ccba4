//! What gates are told: they run in a child of httpd's always, and an application
//! that runs there, too, can tell of it.

use super::super::access::{USER, digest, gate, guarded};

#[test]
fn what_a_gate_is_told_about_a_request() {
    let access = gate("access", "gate");
    let more = "WSGIPassAuthorization On\nSetEnv MINE x\nSetEnvIf Host . SEEN=x";
    let all = format!("{access}\n{}\n{more}", gate("groups", "gate"));
    let instance = guarded(&[("/basic", &all), ("/digest", &gate("hash", "gate"))]);
    let headers = [USER, ("Proxy-Authorization", "Basic eDp5"), ("X-Mine", "1")];
    let ask = |gate: &str, code: &str| {
        let code = code.replace("told", &format!("sys.asked['{gate}']['environ']"));
        if gate == "hash" {
            return digest(&instance, "/digest/x?q=1", "", &code).1;
        }
        instance.send("POST", "/basic/x?q=1", &headers, code.as_bytes()).expect(200).text()
    };
    for gate in ["access", "user", "groups", "hash"] {
        let keys = ask(gate, "[key for key in sorted(told) if key[:4] not in ('HTTP', 'CONT')]");
        assert_eq!(keys, KEYS, "{gate}");
        let prefix = if gate == "hash" { "/digest" } else { "/basic" };
        for (code, answer) in [
            ("told['SCRIPT_NAME'] + told['PATH_INFO']", format!("'{prefix}/x'")),
            ("told['QUERY_STRING']", "'q=1'".into()),
            ("told['CONTENT_LENGTH'] == environ['CONTENT_LENGTH']", "True".into()),
            ("told['REMOTE_ADDR']", "'127.0.0.1'".into()),
            ("told['REMOTE_PORT'] == environ['REMOTE_PORT']", "True".into()),
            ("told['mod_wsgi.version'] == mod_wsgi.version", "True".into()),
            ("told['apache.version'] == environ['apache.version']", "True".into()),
            (
                "told['mod_wsgi.process_group'], told['mod_wsgi.application_group']",
                "('', '')".into(),
            ),
            ("told['mod_ssl.is_https']()", "RuntimeError: request object has expired".into()),
            ("told['mod_ssl.var_lookup']('x')", "RuntimeError: request object has expired".into()),
        ] {
            assert_eq!(ask(gate, code), answer, "{gate}: {code}");
        }
    }
    let tls = "print(environ['mod_ssl.is_https'](), environ['mod_ssl.var_lookup']('SSL_PROTOCOL'), 'of TLS')";
    instance.send("POST", "/basic", &[USER, ("X-Access", tls)], b"1").expect(200);
    instance.logs("0 None of TLS");
    let headers = ask("groups", "[key for key in sorted(told) if key.startswith('HTTP_')]");
    assert_eq!(headers, "['HTTP_CONNECTION', 'HTTP_HOST', 'HTTP_X_MINE']");
}

const KEYS: &str = "['DOCUMENT_ROOT', 'PATH_INFO', 'QUERY_STRING', 'REMOTE_ADDR', 'REMOTE_PORT', \
    'REQUEST_METHOD', 'REQUEST_URI', 'SCRIPT_NAME', 'SERVER_ADDR', 'SERVER_ADMIN', 'SERVER_NAME', \
    'SERVER_PORT', 'SERVER_PROTOCOL', 'SERVER_SIGNATURE', 'SERVER_SOFTWARE', 'apache.version', \
    'mod_ssl.is_https', 'mod_ssl.var_lookup', 'mod_wsgi.application_group', \
    'mod_wsgi.process_group', 'mod_wsgi.version', 'wsgi.errors']";

#[test]
fn the_host_has_a_name_where_httpd_looks_for_one() {
    let access = gate("access", "gate");
    let instance = guarded(&[("/a", &access), ("/b", &format!("{access}\nHostnameLookups On"))]);
    let asked = "asked = sys.asked['access']\nname = asked['environ'].get('REMOTE_HOST')\n";
    let address = format!("{asked}answer = (asked['host'], name)\n");
    assert_eq!(instance.ask_at("/a", &address), "('127.0.0.1', None)");
    // A machine may have no name for this address.
    let name = format!("{asked}answer = asked['host'] == (name or '127.0.0.1')\n");
    assert_eq!(instance.ask_at("/b", &name), "True");
}

#[test]
fn credentials_are_latin_1() {
    let instance = guarded(&[("/u", &gate("user", "gate"))]);
    for (credentials, answer) in [
        ("Basic dXPpcjpw5HNzOng=", r"[b'us\xe9r', b'p\xe4ss:x']"),
        ("Basic OnNlY3JldA==", "[b'', b'secret']"),
        ("Basic dXNlcjo=", "[b'user', b'']"),
    ] {
        let code = b"[sys.asked['user'][name].encode('latin-1') for name in ('user', 'password')]";
        let reply = instance.send("POST", "/u", &[("Authorization", credentials)], code);
        assert_eq!(reply.expect(200).text(), answer);
    }
}

#[test]
fn groups_are_asked_for_by_the_name_that_a_gate_has_given() {
    let instance = guarded(&[("/g", &gate("groups", "gate"))]);
    let headers = [USER, ("X-User", "'renamed'")];
    let reply = instance.send("POST", "/g", &headers, b"sys.asked['groups']['user']");
    assert_eq!(reply.expect(200).text(), "'renamed'");
}
