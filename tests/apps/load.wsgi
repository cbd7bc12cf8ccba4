"""What a busy server is asked for, and counts of what it leaves open: the path
names the application."""

import json
import os
import threading

import mod_wsgi

TEXT = [("Content-Type", "text/plain")]
BLOCK = b"x" * 65536

counts = dict.fromkeys(["begun", "ended", "opened", "closed", "events"], 0)
lock = threading.Lock()


def count(what):
    with lock:
        counts[what] += 1


@mod_wsgi.subscribe_events
def note(name, **payload):
    count("events")


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


def fail(environ, start_response):
    raise ValueError("as asked for")


def stream(environ, start_response):
    start_response("200 OK", TEXT)
    for number in range(20):
        yield b"%05d\n" % number


def file(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](open(__file__, "rb"))


def take(environ, start_response):
    """Reads a body to its end, or to that of the connection."""
    count("begun")
    try:
        while environ["wsgi.input"].read(8192):
            pass
    finally:
        count("ended")
    start_response("200 OK", TEXT)
    return []


class Large:
    """64 MB that know whether they were closed."""

    def __init__(self):
        count("opened")

    def __iter__(self):
        for _ in range(1000):
            yield BLOCK

    def close(self):
        count("closed")


def give(environ, start_response):
    start_response("200 OK", TEXT)
    return Large()


def tell(environ, start_response):
    server = int(environ["mod_wsgi.server_pid"])
    with lock:
        body = json.dumps({"pid": os.getpid(), "server_pid": server, **counts}).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]


def application(environ, start_response):
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)
