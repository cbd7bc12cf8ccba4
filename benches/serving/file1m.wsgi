"""A file of 1 MiB by way of `wsgi.file_wrapper`."""

import os

FILE = os.path.join(os.path.dirname(__file__), "file1m.bin")
HEADERS = [("Content-Type", "application/octet-stream"), ("Content-Length", str(1024 * 1024))]


def application(environ, start_response):
    start_response("200 OK", HEADERS)
    return environ["wsgi.file_wrapper"](open(FILE, "rb"))
