"""Says which Python runs: it must be the same one for both modules."""

import sys


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{sys.implementation.name} {sys.version}".encode()]
