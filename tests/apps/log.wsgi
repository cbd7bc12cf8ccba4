"""Writes to the error log: the path names the way."""

import sys


def errors(environ):
    environ["wsgi.errors"].write("a line of errors\n")


def printed(environ):
    print("a line of print")


def to_stderr(environ):
    print("a line of stderr", file=sys.stderr)


def several(environ):
    environ["wsgi.errors"].writelines(["first of two\n", "second of two\n"])


def pieces(environ):
    environ["wsgi.errors"].write("part ")
    environ["wsgi.errors"].write("of a line\n")


def unfinished(environ):
    environ["wsgi.errors"].write("no newline at the end")


def flushed(environ):
    environ["wsgi.errors"].write("flushed part")
    environ["wsgi.errors"].flush()


def accents(environ):
    environ["wsgi.errors"].write("caf\xe9 \u20ac\n")


def surrogate(environ):
    environ["wsgi.errors"].write("lone \udc80 surrogate\n")


def buffered(environ):
    environ["wsgi.errors"].buffer.write(b"a line of bytes\n")


def nul(environ):
    environ["wsgi.errors"].write("before\0after\n")


def long(environ):
    environ["wsgi.errors"].write("x" * 20000 + " end\n")


def blank(environ):
    environ["wsgi.errors"].write("above\n\nbelow\n")


def fails(environ):
    raise ValueError("this one fails")


def chained(environ):
    try:
        fails(environ)
    except ValueError as error:
        raise KeyError("two\nlines") from error


def application(environ, start_response):
    globals()[environ["PATH_INFO"][1:]](environ)
    start_response("200 OK", [])
    return [b"logged"]


print("printed while loading")
