"""Replies of every shape: the path names the application that answers."""

import os
import time

TEXT = [("Content-Type", "text/plain")]


def wait_for(path):
    """Waits until the test has made that file."""
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise RuntimeError(f"{path} does not come")
        time.sleep(0.01)


def note(environ, text):
    """Tells the test something that the client does not see."""
    with open(os.path.join(environ["KEPT"], "notes"), "a") as file:
        file.write(text + "\n")


class Body:
    """A body that notes when it is closed."""

    def __init__(self, environ, blocks, ending=None):
        self.environ = environ
        self.blocks = iter(blocks)
        self.ending = ending
        self.count = 0

    def __iter__(self):
        return self

    def __next__(self):
        for block in self.blocks:
            self.count += 1
            return block
        if self.ending:
            raise self.ending
        raise StopIteration

    def close(self):
        note(self.environ, f"closed after {self.count}")


def plain(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"plain"]


def several(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"one ", b"", b"two ", b"three"]


def single_bytes(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return iter([b"a", b"b", b"c", b"d", b"e"])


def as_tuple(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"one ", b"two")


def generator(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"one "
    yield b"two"


def late_start(environ, start_response):
    """Starts only when the first block is asked for."""
    yield b""
    start_response("201 Created", TEXT)
    yield b"late"


def written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"written ")
    write(b"twice ")
    return [b"returned"]


def only_written(environ, start_response):
    start_response("200 OK", [("Content-Length", "7")])(b"written")
    return []


def nothing(environ, start_response):
    start_response("200 OK", TEXT)
    return []


def empty_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"", b"", b""]


def no_headers(environ, start_response):
    start_response("200 OK", [])
    return [b"no headers"]


def twice(environ, start_response):
    start_response("200 OK", [("X-First", "yes"), ("Content-Length", "99")])
    start_response("202 Accepted", [("X-Second", "yes")])
    return [b"second"]


def twice_around_empty(environ, start_response):
    start_response("200 OK", [("X-First", "yes")])
    yield b""
    start_response("203 Later", [("X-Second", "yes")])
    yield b"second"


def replaced_by_exception(environ, start_response):
    import sys

    start_response("200 OK", [("X-First", "yes")])
    try:
        raise ValueError("thought better of it")
    except ValueError:
        start_response("500 Sorry", [("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]


def headers(environ, start_response):
    start_response(
        "200 OK",
        [
            ("Content-Type", "text/html; charset=x"),
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("X-Twice", "one"),
            ("X-Twice", "two"),
            ("Last-Modified", "Sat, 01 Jan 2000 00:00:00 GMT"),
            ("ETag", '"abc"'),
            ("X-Latin", "caf\xe9"),
            ("X-Empty", ""),
            ("X-Tab", "a\tb"),
            ("WWW-Authenticate", 'Basic realm="a"'),
            ("WWW-Authenticate", 'Other realm="b"'),
            ("Vary", "Cookie"),
        ],
    )
    return [b"headers"]


def status(environ, start_response):
    """Any status: the one of the query string."""
    from urllib.parse import unquote_plus

    start_response(unquote_plus(environ["QUERY_STRING"]), [])
    return [b"body"]


def created(environ, start_response):
    start_response("201 Made Just Now", [("Location", "/elsewhere")])
    return [b"created"]


def local_redirect(environ, start_response):
    start_response("200 OK", [("Location", "/plain")])
    return [b"not followed"]


def no_content(environ, start_response):
    start_response("204 No Content", [("X-Kept", "yes")])
    return []


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"abc"')])
    return []


def too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"123", b"4567", b"89"]


def too_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "50")])
    return [b"123"]


def large(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"%07d\n" % number for number in range(100000))


def one_large(environ, start_response):
    block = b"".join(b"%07d\n" % number for number in range(100000))
    start_response("200 OK", [("Content-Length", str(len(block)))])
    return [block]


def method(environ, start_response):
    body = environ["REQUEST_METHOD"].encode()
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]


def stream(environ, start_response):
    start_response("200 OK", TEXT)

    def blocks():
        yield b"first"
        wait_for(os.path.join(environ["KEPT"], "go"))
        yield b"second"

    return blocks()


def stream_written(environ, start_response):
    write = start_response("200 OK", TEXT)
    write(b"first")
    wait_for(os.path.join(environ["KEPT"], "go"))
    write(b"second")
    return []


def closed(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(environ, [b"a", b"b"])


def closed_after_error(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(environ, [b"a"], RuntimeError("in the middle"))


def closed_before_output(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(environ, [], RuntimeError("at the start"))


def closed_without_start(environ, start_response):
    return Body(environ, [b"a", b"b"])


def close_raises(environ, start_response):
    start_response("200 OK", [("Content-Length", "1")])

    class Raises(Body):
        def close(self):
            super().close()
            raise RuntimeError("close fails")

    return Raises(environ, [b"a"])


def no_iterable(environ, start_response):
    start_response("200 OK", TEXT)
    return 5


def none(environ, start_response):
    start_response("200 OK", TEXT)


def text_block(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(environ, ["text"])


def text_block_later(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(environ, [b"bytes", bytearray(b"array")])


def no_start(environ, start_response):
    return [b"body"]


def no_start_no_body(environ, start_response):
    return []


def bad_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "abc")])
    return [b"body"]


def raises(environ, start_response):
    raise ValueError("before start_response")


def raises_after_start(environ, start_response):
    start_response("200 OK", [("X-Kept", "no")])
    raise ValueError("after start_response")


def raises_after_output(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first"
    raise ValueError("after output")


def raises_after_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "50")])
    yield b"first"
    raise ValueError("after output")


def raises_after_write(environ, start_response):
    start_response("200 OK", TEXT)(b"first")
    raise ValueError("after write")


def exits(environ, start_response):
    raise SystemExit(3)


def exits_after_output(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first"
    raise SystemExit("after output")


def interrupted(environ, start_response):
    raise KeyboardInterrupt


def tells_exception_late(environ, start_response):
    """`exc_info` after output: the exception itself comes back."""
    import sys

    start_response("200 OK", TEXT)
    yield b"first"
    try:
        raise LookupError("told late")
    except LookupError:
        try:
            start_response("500 Oops", [], sys.exc_info())
        except LookupError as error:
            note(environ, f"came back: {error}")
            raise


def endless(environ, start_response):
    start_response("200 OK", TEXT)
    return Body(environ, (b"x" * 65536 for _ in range(100000)))


def endless_written(environ, start_response):
    write = start_response("200 OK", TEXT)
    try:
        for _ in range(100000):
            write(b"x" * 65536)
    except Exception as error:
        note(environ, f"{type(error).__name__}: {error}")
    return []


def application(environ, start_response):
    name = environ["PATH_INFO"].split("/")[1]
    return globals()[name](environ, start_response)
