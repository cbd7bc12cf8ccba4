//! A unit of systemd that starts the server at boot: it knows when the server is
//! ready, reloads it without losing a request, and keeps it from what it needs not.

use crate::server::Server;

/// Options that only show something.
const SHOWN: [&str; 4] = ["--print-unit", "--print-config", "--dry-run", "--check"];

/// The unit.
#[must_use]
pub(crate) fn text(server: &Server) -> String {
    let caller = &server.caller;
    let words = caller.words[1..].iter().filter(|word| !SHOWN.contains(&word.as_str()));
    // The link that outlives an update, where the program was called by it.
    let program = match server.programs.httpd.parent().map(|bin| bin.join(crate::NAME)) {
        Some(program) if program.exists() => program,
        _ => caller.program.clone(),
    };
    let start = std::iter::once(program.to_string_lossy().into_owned())
        .chain(["start-server".to_owned()])
        .chain(words.cloned())
        .map(|text| word(&text))
        .collect::<Vec<_>>()
        .join(" ");
    let environment = caller.variable("VIRTUAL_ENV").map_or_else(String::new, |folder| {
        format!("Environment={}\n", word(&format!("VIRTUAL_ENV={folder}")))
    });
    // httpd kills what has not ended ten seconds after it was told to.
    let stop = server.options.limits.shutdown_timeout.saturating_add(15);
    format!(
        "[Unit]\nDescription=WSGI application at {url}\nAfter=network.target\n\n\
         [Service]\nType=notify\nWorkingDirectory={folder}\n{environment}ExecStart={start}\n\
         ExecReload=/bin/kill -USR1 $MAINPID\nKillMode=mixed\nTimeoutStopSec={stop}\n\
         Restart=on-failure\nNoNewPrivileges=yes\nPrivateTmp=yes\nProtectSystem=full\n\
         ProtectControlGroups=yes\nProtectKernelModules=yes\nProtectKernelTunables=yes\n\
         RestrictSUIDSGID=yes\n\n[Install]\nWantedBy=multi-user.target\n",
        url = server.url().replace('%', "%%"),
        folder = caller.folder.to_string_lossy().replace('%', "%%"),
    )
}

/// A word of a unit: `%` and `$` stand for themselves.
fn word(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace('%', "%%").replace('$', "$$");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=%$@,+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("\"{text}\"") }
}
