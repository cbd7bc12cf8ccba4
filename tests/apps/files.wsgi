"""Files by way of `wsgi.file_wrapper`: the path names the case."""

import io
import os
import tempfile

TEXT = [("Content-Type", "text/plain")]


def note(environ, text):
    with open(os.path.join(environ["KEPT"], "notes"), "a") as file:
        file.write(text + "\n")


class Noted:
    """A file that notes its close, and where its descriptor is then."""

    def __init__(self, environ, file):
        self.environ = environ
        self.file = file

    def __getattr__(self, name):
        return getattr(self.file, name)

    def close(self):
        offset = os.lseek(self.file.fileno(), 0, os.SEEK_CUR)
        note(self.environ, f"closed at {offset}")
        self.file.close()


def opened(environ):
    return open(environ["FILE"], "rb")


def whole(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](opened(environ))


def small_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](opened(environ), 7)


def after_read(environ, start_response):
    """The buffer of the file has read on; `tell` knows better."""
    file = opened(environ)
    file.read(10)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)


def after_seek(environ, start_response):
    file = opened(environ)
    file.seek(-5, os.SEEK_END)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)


def at_end(environ, start_response):
    file = opened(environ)
    file.seek(0, os.SEEK_END)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)


def with_length(environ, start_response):
    start_response("200 OK", [("Content-Length", "20")])
    return environ["wsgi.file_wrapper"](opened(environ))


def length_after_read(environ, start_response):
    file = opened(environ)
    file.read(10)
    start_response("200 OK", [("Content-Length", "4")])
    return environ["wsgi.file_wrapper"](file)


def length_too_large(environ, start_response):
    size = os.path.getsize(environ["FILE"])
    start_response("200 OK", [("Content-Length", str(size + 10))])
    return environ["wsgi.file_wrapper"](opened(environ))


def descriptor_stays(environ, start_response):
    file = Noted(environ, open(environ["FILE"], "rb", buffering=0))
    file.seek(3)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)


def not_a_file(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.BytesIO(b"in memory"), 2)


def only_read(environ, start_response):
    """Nothing but `read`: no `fileno`, no `tell`, no `close`."""

    class Reader:
        blocks = [b"one ", b"two", b""]

        def read(self, size):
            return self.blocks.pop(0)

    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Reader())


def pipe(environ, start_response):
    """A descriptor, but of no regular file."""
    read, write = os.pipe()
    os.write(write, b"through a pipe")
    os.close(write)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](os.fdopen(read, "rb"))


def temporary(environ, start_response):
    file = tempfile.TemporaryFile()
    file.write(b"temporary")
    file.flush()
    file.seek(0)
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](file)


def subclass(environ, start_response):
    class Mine(environ["wsgi.file_wrapper"]):
        pass

    start_response("200 OK", TEXT)
    return Mine(opened(environ))


def inside(environ, start_response):
    """Not the wrapper itself is returned, so it is iterated."""
    start_response("200 OK", TEXT)
    wrapper = environ["wsgi.file_wrapper"](opened(environ), 10)
    return (block.upper() for block in wrapper)


def after_write(environ, start_response):
    start_response("200 OK", TEXT)(b"before: ")
    return environ["wsgi.file_wrapper"](opened(environ))


def closes(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Noted(environ, opened(environ)))


def closes_memory(environ, start_response):
    class Memory(io.BytesIO):
        def close(self):
            note(environ, "closed memory")
            super().close()

    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Memory(b"memory"))


def close_fails(environ, start_response):
    class Fails(io.BytesIO):
        def close(self):
            note(environ, "close fails")
            raise OSError("close fails")

    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](Fails(b"memory"))


def text_mode(environ, start_response):
    start_response("200 OK", TEXT)
    return environ["wsgi.file_wrapper"](io.StringIO("text"))


def application(environ, start_response):
    name = environ["PATH_INFO"].split("/")[1]
    return globals()[name](environ, start_response)
