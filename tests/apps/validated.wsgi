"""An application inside the standard library's validator: whatever the server
does against PEP 3333 is an AssertionError. The path names the case."""

from wsgiref.validate import validator


def hello(environ, start_response):
    body = b"hello"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [body]


def read(environ, start_response):
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
    rest = environ["wsgi.input"].read(10)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body, rest]


def lines(environ, start_response):
    lines = [environ["wsgi.input"].readline(100)]
    lines += environ["wsgi.input"].readlines(1)
    lines += list(environ["wsgi.input"])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"|".join(line.rstrip(b"\n") for line in lines)]


def written(environ, start_response):
    environ["wsgi.errors"].write("a line from the validated application\n")
    environ["wsgi.errors"].flush()
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    return [b"returned"]


def empty(environ, start_response):
    start_response("204 No Content", [])
    return []


def wrong(environ, start_response):
    """What the validator must find, or it has not looked."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return "text"


def inner(environ, start_response):
    return globals()[environ["PATH_INFO"][1:]](environ, start_response)


application = validator(inner)
