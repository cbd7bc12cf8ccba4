"""Notes what happens when its process ends."""

import atexit
import os

import mod_wsgi


def note(environ, text):
    with open(os.path.join(environ["KEPT"], "notes"), "a") as file:
        file.write(text + "\n")


def application(environ, start_response):
    environ = {"KEPT": environ["KEPT"]}
    group = mod_wsgi.application_group or "main"
    atexit.register(note, environ, f"atexit in {group}")
    mod_wsgi.subscribe_shutdown(
        lambda name, **payload: note(environ, f"{name} in {group} {payload['shutdown_reason']!r}")
    )
    start_response("200 OK", [])
    return [b"registered"]
