//! Headers of front ends that are trusted.

use serde_json::Value;

use super::Instance;

fn at(directives: &str) -> Instance {
    Instance::new(&format!("WSGIScriptAlias /app \"SITE/apps/environ.wsgi\"\n{directives}"))
}

/// Directives, headers of the request, and what the environ then has; an empty
/// text is for a key that is not there.
#[test]
fn headers_of_a_front_end_rewrite_the_environ_if_trusted() {
    for (directives, headers, expected) in [
        (
            "",
            vec![
                ("X-Forwarded-For", "1.2.3.4"),
                ("X-Forwarded-Host", "front.test"),
                ("X-Forwarded-Proto", "https"),
            ],
            vec![
                ("REMOTE_ADDR", "127.0.0.1"),
                ("HTTP_X_FORWARDED_FOR", "1.2.3.4"),
                ("HTTP_X_FORWARDED_HOST", "front.test"),
                ("wsgi.url_scheme", "http"),
            ],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-For",
            vec![("X-Forwarded-For", "1.2.3.4, 5.6.7.8"), ("X-Forwarded-Host", "front.test")],
            vec![
                ("REMOTE_ADDR", "1.2.3.4"),
                ("HTTP_X_FORWARDED_FOR", "1.2.3.4, 5.6.7.8"),
                ("HTTP_X_FORWARDED_HOST", "front.test"),
            ],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-Host X-Forwarded-Server X-Forwarded-Port",
            vec![
                ("X-Forwarded-Host", "front.test:99"),
                ("X-Forwarded-Server", "server.test"),
                ("X-Forwarded-Port", "443"),
            ],
            vec![
                ("HTTP_HOST", "front.test:99"),
                ("SERVER_NAME", "server.test"),
                ("SERVER_PORT", "443"),
            ],
        ),
        (
            "WSGITrustedProxyHeaders X-Script-Name",
            vec![("X-Script-Name", "/front")],
            vec![
                ("SCRIPT_NAME", "/front"),
                ("mod_wsgi.mount_point", "/front"),
                ("mod_wsgi.script_name", "/app"),
                ("PATH_INFO", "/x"),
                ("mod_wsgi.path_info", "/x"),
            ],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-Proto",
            vec![("X-Forwarded-Proto", "https")],
            vec![("wsgi.url_scheme", "https")],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-SSL",
            vec![("X-Forwarded-SSL", "on")],
            vec![("wsgi.url_scheme", "https")],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-HTTPS\nSetEnv HTTPS on",
            vec![("X-Forwarded-HTTPS", "off")],
            vec![("wsgi.url_scheme", "http")],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-For X-Real-IP",
            vec![
                ("X-Forwarded-For", "1.2.3.4"),
                ("X-Real-IP", "5.6.7.8"),
                ("X-Client-IP", "9.9.9.9"),
            ],
            vec![
                ("REMOTE_ADDR", "5.6.7.8"),
                ("HTTP_X_REAL_IP", "5.6.7.8"),
                ("HTTP_X_FORWARDED_FOR", ""),
                ("HTTP_X_CLIENT_IP", ""),
            ],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-For\nWSGITrustedProxies 10.0.0.0/8",
            vec![
                ("X-Forwarded-For", "1.2.3.4"),
                ("X-Real-IP", "5.6.7.8"),
                ("X-Forwarded-Host", "front.test"),
            ],
            vec![
                ("REMOTE_ADDR", "127.0.0.1"),
                ("HTTP_X_FORWARDED_FOR", ""),
                ("HTTP_X_REAL_IP", ""),
                ("HTTP_X_FORWARDED_HOST", "front.test"),
            ],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-For\nWSGITrustedProxies 127.0.0.1 10.0.0.0/8",
            vec![("X-Forwarded-For", "9.9.9.9, 1.2.3.4, 10.0.0.1")],
            vec![("REMOTE_ADDR", "1.2.3.4"), ("HTTP_X_FORWARDED_FOR", "1.2.3.4, 10.0.0.1")],
        ),
        (
            "WSGITrustedProxyHeaders X-Forwarded-For\nWSGITrustedProxies 127.0.0.1",
            vec![("X-Forwarded-For", "9.9.9.9, 1.2.3.4")],
            vec![("REMOTE_ADDR", "1.2.3.4"), ("HTTP_X_FORWARDED_FOR", "1.2.3.4")],
        ),
    ] {
        let instance = at(directives);
        let environ = instance.send("GET", "/app/x", &headers, b"").expect(200).json();
        for (key, value) in expected {
            let found = environ[key][1].clone();
            let wanted = if value.is_empty() { Value::Null } else { value.into() };
            assert_eq!(found, wanted, "{key} with {directives} and {headers:?}");
        }
    }
}
