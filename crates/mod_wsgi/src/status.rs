//! Handlers that tell how it stands with the server, without any Python:
//! `wsgi-status` (JSON), `wsgi-metrics` (Prometheus) and `wsgi-health`.

mod facts;

use std::ffi::c_int;

use httpd::{Request, Then, sys};

/// Answers a request for one of them.
pub(crate) fn handle(request: Request<'_>, name: &[u8]) -> c_int {
    let answer = match name {
        b"wsgi-status" => status,
        b"wsgi-metrics" => metrics,
        b"wsgi-health" => health,
        _ => return sys::DECLINED,
    };
    // Proxies and browsers keep nothing of it, an error neither.
    request.error_headers_out().set_static(c"Cache-Control", c"no-store");
    request.error_headers_out().set_static(c"X-Content-Type-Options", c"nosniff");
    if !request.is_head() && request.method() != b"GET" {
        request.allow_get();
        return sys::HTTP_METHOD_NOT_ALLOWED;
    }
    let (kind, body) = answer(request);
    request.set_content_type(kind.as_bytes());
    request.set_content_length(i64::try_from(body.len()).unwrap_or(0));
    let body = if request.is_head() { &[] } else { body.as_bytes() };
    // Whoever has gone wants no answer.
    let _gone = request.pass_bytes(body, Then::End);
    sys::OK
}

fn status(request: Request<'_>) -> (&'static str, String) {
    let facts = facts::all(request.is_of_this_machine());
    // Numbers and texts only: nothing of it cannot be written.
    ("application/json", serde_json::to_string(&facts).unwrap_or_default())
}

fn metrics(_request: Request<'_>) -> (&'static str, String) {
    ("text/plain; version=0.0.4; charset=utf-8", facts::all(false).metrics())
}

/// Who is asked is alive. Whether each group has a process that takes requests is
/// asked by `?ready`, or by `/ready` at the end of the path.
fn health(request: Request<'_>) -> (&'static str, String) {
    let asks_for_groups = request.query() == b"ready" || request.uri().ends_with(b"/ready");
    let unready: Vec<String> = facts::groups(false)
        .into_iter()
        .filter(|group| asks_for_groups && !group.is_service() && !group.is_ready())
        .map(|group| format!("'{}'", group.name))
        .collect();
    let body = if unready.is_empty() {
        "ok\n".to_owned()
    } else {
        request.set_status(503, b"503 Service Unavailable");
        format!("no process takes requests in group {}\n", unready.join(", "))
    };
    ("text/plain; charset=utf-8", body)
}
