"""Shows what an application is told: about its process, the request, its environment.

Not for a server that others can reach: there may be secrets in all of it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any


def report(environ: dict[str, Any]) -> Iterator[str]:
    """The lines that are shown."""
    server = sys.modules.get("mod_wsgi")
    yield "PROCESS"
    for name, value in {
        "pid": os.getpid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "thread": threading.get_ident(),
        "cwd": os.getcwd(),
        "python.version": sys.version,
        "python.executable": sys.executable,
        "python.prefix": sys.prefix,
        "python.path": sys.path,
        "mod_wsgi.version": getattr(server, "version", None),
        "mod_wsgi.process_group": getattr(server, "process_group", None),
        "mod_wsgi.application_group": getattr(server, "application_group", None),
        "mod_wsgi.maximum_processes": getattr(server, "maximum_processes", None),
        "mod_wsgi.threads_per_process": getattr(server, "threads_per_process", None),
    }.items():
        yield f"  {name}: {value!r}"
    yield "REQUEST"
    for name in sorted(environ):
        yield f"  {name}: {environ[name]!r}"
    yield "ENVIRONMENT"
    for name in sorted(os.environ):
        yield f"  {name}: {os.environ[name]!r}"


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
    """Answers with the report, and then with the body of the request."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    body = environ["wsgi.input"]
    yield ("\n".join(report(environ)) + "\n\n").encode("utf-8", "backslashreplace")
    while data := body.read(65536):
        yield data
