"""A tiny page that takes a few milliseconds, as one does that asks a database."""

import time

BODY = b"Hello, world\n"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    time.sleep(0.003)
    start_response("200 OK", HEADERS)
    return [BODY]
