"""What is served when the launcher is given no application: a page that says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>mod_wsgi-express</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --ink: #1d2733; --dim: #5b6875; --paper: #f6f7f9;
          --card: #fff; --line: #dfe4ea; --mark: #b5322a; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #e6ebf0; --dim: #97a4b1; --paper: #14191f; --card: #1c232b;
            --line: #2d3742; --mark: #ef7b6c; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
         background: var(--paper); color: var(--ink);
         font: 1rem/1.6 system-ui, -apple-system, "Segoe UI", sans-serif; }
  main { max-width: 38rem; padding: 2.5rem; background: var(--card);
         border: 1px solid var(--line); border-top: 4px solid var(--mark); border-radius: 10px; }
  h1 { margin: 0 0 .25rem; font-size: 1.75rem; line-height: 1.25; }
  h1 span { color: var(--mark); }
  p { margin: 0 0 1rem; }
  .dim { color: var(--dim); }
  pre { margin: 0 0 1rem; padding: .9rem 1.1rem; overflow-x: auto; background: var(--paper);
        border: 1px solid var(--line); border-radius: 6px; font-size: .875rem; line-height: 1.5; }
  p:last-child, pre:last-child { margin: 0; }
</style>
</head>
<body>
<main>
<h1>It <span>works</span>.</h1>
<p class="dim">Apache is up, and Python answers through mod_wsgi.</p>
<p>No application was named, so you see this page. Save this as <code>hello.wsgi</code>:</p>
<pre>def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world!\\n"]</pre>
<p>Then stop the server, and start it with your file:</p>
<pre>mod_wsgi-express start-server hello.wsgi</pre>
<p class="dim">For a framework name the module instead:
<code>--application-type module project.wsgi</code>. What else there is:
<code>mod_wsgi-express start-server --help</code>.</p>
</main>
</body>
</html>
""".encode()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Answers every request with the page."""
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Length", str(len(PAGE))),
        # An application that takes its place must not be hidden by a kept copy.
        ("Cache-Control", "no-store"),
    ]
    start_response("200 OK", headers)
    return [PAGE]
