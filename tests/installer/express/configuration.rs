//! What each option writes, which httpd has accepted; and that no option has been
//! forgotten here.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Folder;

/// Options, and lines that the configuration has with them, and has not without.
const CASES: &[(&[&str], &[&str])] = &[
    (&["--callable-object", "app"], &["WSGICallableObject app"]),
    (
        &["--application-group", "a b"],
        &[
            "WSGIHandlerScript wsgi-handler \"HERE/root/handler.wsgi\" process-group=\"localhost:8000\" application-group=\"a b\"",
        ],
    ),
    (
        &["--process-group", "it's"],
        &[
            "WSGIHandlerScript wsgi-handler \"HERE/root/handler.wsgi\" process-group=\"it's\" application-group=%{GLOBAL}",
        ],
    ),
    (&["--mount-point", "wiki/x"], &["<Directory HERE/root/htdocs/wiki/x>"]),
    (&["--working-directory", "with space"], &["*home=\"HERE/with space\""]),
    (&["--python-path", "lib", "--python-path", "/x y"], &["*python-path=\"HERE/lib:/x y\""]),
    (&["--python-eggs", "eggs"], &["*python-eggs=\"HERE/eggs\""]),
    (
        &["--python-warnings", "ignore", "--python-warnings", "error::UserWarning"],
        &["WSGIPythonWarnings ignore", "WSGIPythonWarnings error::UserWarning"],
    ),
    (&["--locale", "de_DE.UTF-8"], &["*lang=\"de_DE.UTF-8\" locale=\"de_DE.UTF-8\""]),
    (&["--lang", "de_DE.UTF-8"], &["*lang=\"de_DE.UTF-8\" locale=\"de_DE.UTF-8\""]),
    (&["--setenv", "A B", "it's \"q\" \\"], &["SetEnv \"A B\" \"it's \\\"q\\\" \\\\\""]),
    (&["--passenv", "PATH"], &["PassEnv PATH"]),
    (
        &["--host", "127.0.0.1"],
        &["Listen 127.0.0.1:8000", "ServerName 127.0.0.1", "Define MOD_WSGI_WITH_LISTENER_HOST"],
    ),
    (&["--port", "8100"], &["Listen 8100", "<VirtualHost *:8100>"]),
    (&["--http2"], &["Protocols h2 h2c http/1.1", "Define MOD_WSGI_WITH_HTTP2"]),
    (
        &["--https-port", "8443", "--ssl-certificate", "c"],
        &[
            "Listen 8443",
            "SSLCertificateFile HERE/c.crt",
            "SSLCertificateKeyFile HERE/c.key",
            "Define MOD_WSGI_WITH_HTTPS",
        ],
    ),
    (
        &[
            "--ssl-port",
            "8443",
            "--ssl-certificate-file",
            "c.crt",
            "--ssl-certificate-key-file",
            "c.key",
        ],
        &["Listen 8443", "SSLCertificateFile HERE/c.crt", "SSLEngine On"],
    ),
    (
        &["--https-port", "8443", "--ssl-certificate", "c", "--ssl-ca-certificate-file", "c.crt"],
        &[
            "SSLCACertificateFile HERE/c.crt",
            "SSLVerifyClient none",
            "<Location />",
            "SSLVerifyDepth 1",
        ],
    ),
    (
        &[
            "--https-port",
            "8443",
            "--ssl-certificate",
            "c",
            "--ssl-ca-certificate-file",
            "c.crt",
            "--ssl-verify-client",
            "/a",
            "--ssl-verify-client",
            "/a/b",
        ],
        &["<Location /a/b>", "<Location /a>"],
    ),
    (
        &[
            "--https-port",
            "8443",
            "--ssl-certificate",
            "c",
            "--ssl-certificate-chain-file",
            "c.crt",
        ],
        &["SSLCertificateChainFile HERE/c.crt"],
    ),
    (
        &["--https-port", "8443", "--ssl-certificate", "c", "--ssl-environment"],
        &["SSLOptions +StdEnvVars"],
    ),
    (
        &[
            "--https-port",
            "443",
            "--ssl-certificate",
            "c",
            "--https-only",
            "--hsts-policy",
            "max-age=1; preload",
        ],
        &[
            "Header always set Strict-Transport-Security \"max-age=1; preload\"",
            "RewriteRule ^ https://%1%{REQUEST_URI} [R=302,L]",
        ],
    ),
    (
        &["--server-name", "www.a.test"],
        &["ServerName www.a.test", "ServerName _wsgi_", "ServerName a.test", "Require all denied"],
    ),
    (&["--server-name", "a.test", "--server-alias", "*.b.test"], &["ServerAlias *.b.test"]),
    (&["--server-name", "a.test", "--allow-localhost"], &["Require local", "AuthMerging And"]),
    (&["--processes", "3"], &["*processes=3 threads=5", "Define MOD_WSGI_MULTIPROCESS"]),
    (&["--threads", "7"], &["*threads=7"]),
    (&["--max-clients", "200"], &["MaxRequestWorkers 216", "ServerLimit 12", "ThreadsPerChild 18"]),
    (&["--max-clients", "200", "--initial-workers", "0.5"], &["StartServers 6"]),
    (&["--max-clients", "200", "--minimum-spare-workers", "0.1"], &["MinSpareThreads 18"]),
    (&["--max-clients", "200", "--maximum-spare-workers", "1"], &["MaxSpareThreads 216"]),
    (
        &["--server-mpm", "prefork"],
        &["MaxSpareServers 2", "Define MOD_WSGI_MPM_ENABLE_PREFORK_MODULE"],
    ),
    (
        &["--embedded-mode", "--maximum-requests", "9"],
        &["MaxConnectionsPerChild 9", "Define EMBEDDED_MODE", "WSGIScriptReloading Off"],
    ),
    (&["--orphan-interpreter"], &["WSGIDestroyInterpreter Off"]),
    (&["--free-threading"], &["WSGIFreeThreading On"]),
    (&["--switch-interval", "0.01"], &["WSGISwitchInterval 0.01", "*switch-interval=0.01"]),
    (&["--limit-request-body", "5"], &["LimitRequestBody 5"]),
    (&["--maximum-requests", "5"], &["*maximum-requests=5"]),
    (&["--startup-timeout", "6"], &["*startup-timeout=6"]),
    (&["--shutdown-timeout", "6"], &["*shutdown-timeout=6"]),
    (&["--restart-interval", "6"], &["*restart-interval=6"]),
    (&["--cpu-time-limit", "6"], &["*cpu-time-limit=6"]),
    (&["--graceful-timeout", "6"], &["*graceful-timeout=6"]),
    (&["--eviction-timeout", "6"], &["*eviction-timeout=6"]),
    (&["--deadlock-timeout", "77"], &["*deadlock-timeout=77"]),
    (&["--inactivity-timeout", "6"], &["*inactivity-timeout=6"]),
    (&["--ignore-activity", "/x"], &["<Location /x>", "WSGIIgnoreActivity On"]),
    (&["--request-timeout", "77"], &["*request-timeout=77"]),
    (&["--interrupt-timeout", "6"], &["*interrupt-timeout=6"]),
    (&["--connect-timeout", "6"], &["*connect-timeout=6"]),
    (&["--socket-timeout", "77"], &["Timeout 77", "*socket-timeout=77"]),
    (
        &["--proxy-timeout", "6", "--proxy-mount-point", "/a", "http://127.0.0.1:1"],
        &["ProxyTimeout 6"],
    ),
    (&["--queue-timeout", "6"], &["*queue-timeout=6"]),
    (&["--header-timeout", "0"], &["RequestReadTimeout body=15,MinRate=500"]),
    (
        &["--header-max-timeout", "0"],
        &["RequestReadTimeout header=15,MinRate=500 body=15,MinRate=500"],
    ),
    (&["--header-min-rate", "0"], &["RequestReadTimeout header=15 body=15,MinRate=500"]),
    (&["--body-timeout", "0"], &["RequestReadTimeout header=15-30,MinRate=500"]),
    (
        &["--body-max-timeout", "20"],
        &["RequestReadTimeout header=15-30,MinRate=500 body=15-20,MinRate=500"],
    ),
    (&["--body-min-rate", "7"], &["RequestReadTimeout header=15-30,MinRate=500 body=15,MinRate=7"]),
    (&["--keep-alive-timeout", "0"], &["KeepAlive Off"]),
    (&["--server-backlog", "6"], &["ListenBacklog 6"]),
    (&["--daemon-backlog", "6"], &["*listen-backlog=6"]),
    (&["--send-buffer-size", "512"], &["*send-buffer-size=512"]),
    (&["--receive-buffer-size", "512"], &["*receive-buffer-size=512"]),
    (&["--header-buffer-size", "8192"], &["*header-buffer-size=8192"]),
    (&["--response-buffer-size", "65536"], &["*response-buffer-size=65536"]),
    (&["--response-socket-timeout", "6"], &["*response-socket-timeout=6"]),
    (&["--response-flush-delay", "6"], &["*response-flush-delay=6"]),
    (&["--enable-sendfile"], &["EnableSendfile On", "WSGIEnableSendfile On"]),
    (&["--chunked-request"], &["WSGIChunkedRequest On"]),
    (&["--map-head-to-get", "off"], &["WSGIMapHEADToGET off"]),
    (
        &["--compress-responses"],
        &[
            "AddOutputFilterByType DEFLATE text/html",
            "AddOutputFilterByType DEFLATE application/json",
        ],
    ),
    (&["--disable-reloading"], &["WSGIScriptReloading Off"]),
    (&["--document-root", "docs"], &["DocumentRoot HERE/docs", "<Directory HERE/docs>"]),
    (
        &["--directory-index", "index.html"],
        &["DirectoryIndex index.html", "RewriteCond %{REQUEST_FILENAME} !-d"],
    ),
    (&["--directory-listing"], &["Options +Indexes"]),
    (
        &["--allow-override", "AuthConfig", "--allow-override", "Limit"],
        &["AllowOverride AuthConfig Limit"],
    ),
    (&["--url-alias", "/s/", "static/"], &["Alias /s/ HERE/static/", "<Directory HERE/static>"]),
    (&["--url-alias", "/f", "c.crt"], &["Alias /f HERE/c.crt", "<Files c.crt>"]),
    (&["--error-document", "404", "/it's"], &["ErrorDocument 404 \"/it's\""]),
    (&["--error-override"], &["WSGIErrorOverride On"]),
    (
        &["--add-handler", ".x", "app.wsgi"],
        &[
            "AddHandler wsgi-resource .x",
            "*WSGIHandlerScript wsgi-resource \"HERE/root/resource.wsgi\"",
        ],
    ),
    (&["--with-cgi"], &["AddHandler cgi-script .cgi", "Options +ExecCGI"]),
    (&["--rewrite-rules", "rules"], &["Include HERE/rules"]),
    (
        &["--include-file", "rules", "--include-file", "more rules"],
        &["Include HERE/rules", "Include \"HERE/more rules\""],
    ),
    (
        &["--proxy-mount-point", "/a.b", "http://127.0.0.1:1"],
        &[
            "ProxyPass \"/a.b/\" \"http://127.0.0.1:1/\" upgrade=websocket",
            "RedirectMatch 302 \"^/a\\\\.b$\" \"/a.b/\"",
        ],
    ),
    (
        &["--proxy-url-alias", "/a", "http://127.0.0.1:1"],
        &["ProxyPass \"/a\" \"http://127.0.0.1:1\""],
    ),
    (
        &["--proxy-virtual-host", "b.test", "http://127.0.0.1:1/"],
        &["ServerName b.test", "ProxyPassReverse \"/\" \"http://127.0.0.1:1/\""],
    ),
    (&["--proxy-mount-point", "/a", "https://127.0.0.1:1"], &["SSLProxyEngine On"]),
    (&["--trust-proxy-header", "X-Forwarded-For"], &["WSGITrustedProxyHeaders X-Forwarded-For"]),
    (&["--trust-proxy", "10.0.0.0/8"], &["WSGITrustedProxies 10.0.0.0/8"]),
    (&["--host-access-script", "app.wsgi"], &["WSGIAccessScript HERE/app.wsgi"]),
    (
        &["--auth-user-script", "app.wsgi"],
        &[
            "WSGIAuthUserScript HERE/app.wsgi",
            "AuthName \"localhost:8000\"",
            "AuthBasicProvider wsgi",
            "Require valid-user",
        ],
    ),
    (
        &["--auth-user-script", "app.wsgi", "--auth-type", "Digest"],
        &["AuthType Digest", "AuthDigestProvider wsgi"],
    ),
    (
        &["--auth-user-script", "app.wsgi", "--auth-group-script", "app.wsgi", "--auth-group", "g"],
        &["WSGIAuthGroupScript HERE/app.wsgi", "Require wsgi-group g"],
    ),
    (&["--server-metrics"], &["WSGIServerMetrics On", "*server-metrics=On", "ExtendedStatus On"]),
    (
        &["--status-port", "8300"],
        &["Listen 127.0.0.1:8300", "<VirtualHost 127.0.0.1:8300>", "SetHandler wsgi-metrics"],
    ),
    (&["--health-url", "/healthz"], &["<Location /healthz>", "SetHandler wsgi-health"]),
    (&["--server-status"], &["<Location /server-status>", "SetHandler server-status"]),
    (
        &["--telemetry-service", "unix:/tmp/x", "--telemetry-interval", "2"],
        &["WSGITelemetryService unix:/tmp/x interval=2"],
    ),
    (&["--telemetry-service", "unix:/tmp/x", "--slow-requests", "0.5"], &["WSGISlowRequests 0.5"]),
    (&["--log-directory", "logs"], &["ErrorLog HERE/logs/error_log"]),
    (&["--log-level", "info wsgi:debug"], &["LogLevel info wsgi:debug"]),
    (&["--log-to-terminal"], &["ErrorLog /dev/stderr"]),
    (&["--access-log"], &["CustomLog HERE/root/access_log common"]),
    (
        &["--access-log", "--access-log-format", "%h \"x\""],
        &["LogFormat \"%h \\\"x\\\"\" custom", "CustomLog HERE/root/access_log custom"],
    ),
    (&["--access-log", "--access-log-name", "a b"], &["CustomLog \"HERE/root/a b\" common"]),
    (&["--error-log-format", "[%t] %M"], &["ErrorLogFormat \"[%t] %M\""]),
    (&["--error-log-name", "e"], &["ErrorLog HERE/root/e"]),
    (
        &["--rotate-logs", "--max-log-size", "7", "--rotatelogs-executable", "/bin/true"],
        &["ErrorLog \"|\\\"/bin/true\\\" \\\"HERE/root/error_log.%Y-%m-%d-%H_%M_%S\\\" 7M\""],
    ),
    (&["--verbose-debugging"], &["WSGIVerboseDebugging On"]),
    (&["--pid-file", "p"], &["PidFile HERE/p"]),
    (&["--socket-prefix", "/tmp"], &["WSGISocketPrefix /tmp/wsgi"]),
    (&["--mime-types", "/dev/null"], &["TypesConfig /dev/null"]),
    (
        &["--service-script", "s x", "app.wsgi"],
        &[
            "WSGIImportScript \"HERE/app.wsgi\" process-group=\"service:s x\" application-group=%{GLOBAL}",
            "*WSGIDaemonProcess \"service:s x\" display-name=\"%{GROUP}\" user=",
        ],
    ),
    (
        &[
            "--service-script",
            "s",
            "app.wsgi",
            "--service-user",
            "s",
            "daemon",
            "--service-group",
            "s",
            "daemon",
        ],
        &["*user=\"daemon\" group=\"daemon\" threads=0"],
    ),
    (
        &["--service-script", "s", "app.wsgi", "--service-log-file", "s", "l"],
        &["ErrorLog HERE/root/l"],
    ),
    (&["--debug-mode"], &["Define ONE_PROCESS", "WSGIRestrictStdin Off", "ThreadsPerChild 1"]),
    (
        &["--user", "daemon", "--group", "daemon"],
        &["Define MOD_WSGI_USER daemon", "Define MOD_WSGI_GROUP daemon"],
    ),
    (
        &["--application-type", "static", "--entry-point", "static"],
        &["Define MOD_WSGI_STATIC_ONLY", "DocumentRoot HERE/static"],
    ),
];

/// Options whose effect is not in the configuration, and the file or test that has it.
const ELSEWHERE: [&str; 51] = [
    // The root.
    "--graceful",
    // Logs; the application, loaded once.
    "--json-logs",
    "--check",
    // Files of options.
    "--options-file",
    "--no-options-file",
    "--print-config",
    "--print-unit",
    "--dry-run",
    // The wrapper script.
    "--entry-point",
    "--reload-on-changes",
    "--enable-debugger",
    "--debugger-startup",
    "--enable-coverage",
    "--coverage-directory",
    "--enable-profiler",
    "--profiler-directory",
    "--enable-recorder",
    "--recorder-directory",
    "--with-newrelic",
    "--with-newrelic-agent",
    "--with-newrelic-platform",
    "--newrelic-config-file",
    "--newrelic-environment",
    // The control script, and how httpd is started: `root`, `tools`.
    "--envvars-script",
    "--startup-log",
    "--startup-log-name",
    "--shell-executable",
    "--process-name",
    "--enable-gdb",
    "--gdb-executable",
    "--setup-only",
    // Where things are found.
    "--server-root",
    "--httpd-executable",
    "--modules-directory",
    // Parts of options above.
    "--https-only",
    "--hsts-policy",
    "--access-log-format",
    "--max-log-size",
    "--rotatelogs-executable",
    "--service-user",
    "--service-group",
    "--auth-group-script",
    "--auth-group",
    "--group",
    "--telemetry-interval",
    // `legacy`: without effect.
    "--isatty",
    "--enable-docs",
    // `legacy`.
    "--with-php5",
    "--enable-telemetry",
    "--telemetry-ui-port",
    "--telemetry-options",
];

#[test]
fn each_option_writes_what_it_should() {
    let folder = Folder::new();
    super::hosts::certificate(&folder);
    folder.write("rules", "");
    folder.write("more rules", "");
    folder.write("static/file", "");
    std::fs::create_dir(folder.path("with space")).unwrap();
    let without = folder.configuration(&["app.wsgi"]);
    let has = |conf: &str, line: &str| match line.strip_prefix('*') {
        Some(part) => conf.contains(part),
        None => conf.lines().any(|found| found.trim() == line),
    };
    for (words, lines) in CASES {
        let with = folder.configuration(&[&["app.wsgi"], *words].concat());
        for line in *lines {
            assert!(has(&with, line), "{words:?}\n`{line}` is not in\n{with}");
        }
        let new = lines.iter().any(|line| !has(&without, line));
        assert!(new, "{words:?} has no effect in\n{with}");
    }
}

#[test]
fn no_option_has_been_forgotten() {
    let folder = Folder::new();
    let options: Value =
        serde_json::from_str(&folder.run(&["options", "--json"]).expect(0).stdout).unwrap();
    let known: BTreeSet<&str> =
        options.as_array().unwrap().iter().map(|option| option["name"].as_str().unwrap()).collect();
    let tried: BTreeSet<&str> = CASES
        .iter()
        .flat_map(|(words, _)| words.iter().copied())
        .filter(|word| word.starts_with("--"))
        .chain(ELSEWHERE)
        .collect();
    assert_eq!(known, tried);
}

/// Reference 3.2: processes, threads and more words; then prefork's ServerLimit,
/// StartServers, MinSpareServers, MaxSpareServers; then the others' ServerLimit,
/// ThreadsPerChild, MaxRequestWorkers, StartServers, MinSpareThreads,
/// MaxSpareThreads.
#[test]
fn workers_are_as_many_as_the_original_has() {
    let folder = Folder::new();
    for (words, prefork, threaded) in [
        (&[][..], [20, 1, 1, 2], [2, 10, 20, 1, 10, 10]),
        (&["--threads", "10"], [25, 1, 1, 2], [3, 12, 36, 1, 12, 12]),
        (&["--threads", "25"], [47, 2, 2, 4], [4, 15, 60, 1, 15, 30]),
        (&["--processes", "2", "--threads", "10"], [40, 2, 2, 4], [4, 13, 52, 1, 13, 26]),
        (&["--processes", "4", "--threads", "25"], [160, 8, 8, 16], [10, 17, 170, 2, 34, 102]),
        (&["--processes", "8"], [70, 3, 3, 7], [5, 17, 85, 1, 17, 51]),
        (&["--processes", "16", "--threads", "10"], [250, 12, 12, 25], [14, 19, 266, 2, 38, 152]),
        (
            &["--processes", "50", "--threads", "25"],
            [1885, 94, 94, 188],
            [100, 19, 1900, 20, 380, 1140],
        ),
        (&["--max-clients", "5"], [5, 1, 1, 1], [1, 10, 10, 1, 10, 10]),
        (&["--max-clients", "200"], [200, 10, 10, 20], [12, 18, 216, 2, 36, 126]),
        (
            &[
                "--max-clients",
                "200",
                "--initial-workers",
                "0.5",
                "--minimum-spare-workers",
                "0.1",
                "--maximum-spare-workers",
                "1",
            ],
            [200, 100, 20, 200],
            [12, 18, 216, 6, 18, 216],
        ),
        (
            &["--processes", "3", "--threads", "7", "--embedded-mode"],
            [21, 21, 21, 21],
            [3, 7, 21, 3, 21, 21],
        ),
    ] {
        let figures = |mpm: &str, names: &[&str]| -> Vec<u32> {
            let conf = folder.configuration(&[words, &["app.wsgi", "--server-mpm", mpm]].concat());
            let figure = |name: &&str| {
                let line =
                    conf.lines().find_map(|line| line.strip_prefix(*name)?.strip_prefix(' '));
                line.unwrap_or_else(|| panic!("{name} is not in {conf}")).parse().unwrap()
            };
            names.iter().map(figure).collect()
        };
        let names = ["ServerLimit", "StartServers", "MinSpareServers", "MaxSpareServers"];
        assert_eq!(figures("prefork", &names), prefork, "{words:?}");
        let names = [
            "ServerLimit",
            "ThreadsPerChild",
            "MaxRequestWorkers",
            "StartServers",
            "MinSpareThreads",
            "MaxSpareThreads",
        ];
        let mpm = if words.contains(&"--embedded-mode") { "worker" } else { "event" };
        assert_eq!(figures(mpm, &names), threaded, "{words:?}");
    }
}

/// A quote or a line break in a value is no door to other directives.
#[test]
fn values_stay_values() {
    let folder = Folder::new();
    for value in ["a\"\nNoSuchDirective", "x\ny"] {
        let outcome = folder.set_up(&["app.wsgi", "--setenv", "A", value]).expect(2);
        assert!(outcome.stderr.contains("line break"), "{}", outcome.stderr);
    }
    folder.write("app with \"quotes\" & ümlaut.wsgi", "");
    let words = [
        "app with \"quotes\" & ümlaut.wsgi",
        "--server-root",
        "root \"x\" ü",
        "--log-directory",
        "l o g",
    ];
    folder.set_up(&words).expect(0);
    assert!(folder.path("root \"x\" ü/httpd.conf").is_file());
}
