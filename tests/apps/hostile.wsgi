"""Applications that a server has to survive: the path names the misdeed."""

import atexit
import os
import sys
import threading
import time

TEXT = [("Content-Type", "text/plain")]


def note(environ, text):
    with open(os.path.join(environ["KEPT"], "notes"), "a") as file:
        file.write(text + "\n")


def answer(start_response, text):
    start_response("200 OK", TEXT)
    return [str(text).encode()]


def plain(environ, start_response):
    return answer(start_response, os.getpid())


def ending(environ, start_response):
    atexit.register(note, {"KEPT": environ["KEPT"]}, "atexit")
    return answer(start_response, "registered")


def thread(environ, start_response):
    """A thread that Python waits for at its end."""
    kept = {"KEPT": environ["KEPT"]}
    leave = threading.Event()

    def run():
        note(kept, "thread begins")
        leave.wait(60)
        note(kept, "thread ends")

    threading._register_atexit(leave.set)
    # A thread inherits from that of a server to be one that nobody waits for.
    threading.Thread(target=run, daemon=False).start()
    return answer(start_response, "started")


def daemons(environ, start_response):
    """Threads that Python does not wait for: one sleeps, one works, one logs."""

    def sleeps():
        while True:
            time.sleep(0.001)

    def works():
        while True:
            sum(range(1000))

    def logs():
        while True:
            print("a thread still writes", file=sys.stderr)
            time.sleep(0.01)

    for target in (sleeps, works, logs):
        threading.Thread(target=target, daemon=True).start()
    return answer(start_response, "started")


def outlived(environ, start_response):
    """A thread that uses the objects of a request that has ended."""
    kept = {"KEPT": environ["KEPT"]}
    body, errors = environ["wsgi.input"], environ["wsgi.errors"]
    over = threading.Event()
    write = start_response("200 OK", TEXT)

    def run():
        over.wait(60)
        # The request may still be on its last few steps.
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            told = []
            for call in (lambda: body.read(), lambda: write(b"x"), lambda: errors.write("x\n")):
                try:
                    call()
                except RuntimeError as error:
                    told.append(str(error))
            if len(told) == 3:
                note(kept, "; ".join(told))
                return
            time.sleep(0.001)

    class Body(list):
        def close(self):
            over.set()

    threading.Thread(target=run).start()
    return Body([b"outlived"])


def exit_in_thread(environ, start_response):
    thread = threading.Thread(target=sys.exit, args=(3,))
    thread.start()
    thread.join()
    return answer(start_response, "survived")


def error_in_thread(environ, start_response):
    def run():
        raise ValueError("in a thread")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return answer(start_response, "survived")


def exit_process(environ, start_response):
    os._exit(3)


def fork(environ, start_response):
    """A child that lives on for a moment, and one that ends by an exception."""
    for misdeed in (lambda: time.sleep(0.2), lambda: sys.exit(1)):
        child = os.fork()
        if child == 0:
            try:
                misdeed()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
    return answer(start_response, os.getpid())


def raised(kind):
    def before(environ, start_response):
        raise kind("as asked for")

    return before


def raised_within(kind):
    def within(environ, start_response):
        start_response("200 OK", TEXT)
        yield b"first"
        raise kind("as asked for")

    return within


class Own(BaseException):
    """No Exception, as RequestTimeout is none."""


class Unshowable(Exception):
    """One whose text cannot be had."""

    def __str__(self):
        raise RuntimeError("no text")


for kind in (KeyboardInterrupt, GeneratorExit, SystemExit, Own, StopIteration, Unshowable):
    globals()[kind.__name__] = raised(kind)
    if kind is not StopIteration:
        globals()[f"within_{kind.__name__}"] = raised_within(kind)


def many_blocks(environ, start_response):
    start_response("200 OK", [("Content-Length", "200000")])
    return (b"x" for _ in range(200000))


def large_blocks(environ, start_response):
    start_response("200 OK", TEXT)
    return (b"x" * 1_000_000 for _ in range(200))


def recursion(environ, start_response):
    return recursion(environ, start_response)


def recursion_in_body(environ, start_response):
    start_response("200 OK", TEXT)

    class Body:
        def __iter__(self):
            return iter(self)

    return Body()


def memory(environ, start_response):
    return [bytes(1 << 62)]


def memory_in_body(environ, start_response):
    start_response("200 OK", TEXT)
    yield b"first"
    yield bytes(1 << 62)


def closes_descriptors(environ, start_response):
    for descriptor in (0, 1):
        os.close(descriptor)
    return answer(start_response, "closed")


def changes_process(environ, start_response):
    os.umask(0o777)
    os.chdir("/")
    os.environ.clear()
    sys.setrecursionlimit(200)
    return answer(start_response, "changed")


def empties_module(environ, start_response):
    import mod_wsgi

    for name in list(vars(mod_wsgi)):
        if not name.startswith("__"):
            delattr(mod_wsgi, name)
    del sys.modules["mod_wsgi"]
    return answer(start_response, "emptied")


def loses_streams(environ, start_response):
    empties_module(environ, start_response)
    del sys.stderr, sys.stdout
    return answer(start_response, "lost")


def application(environ, start_response):
    return globals()[environ["PATH_INFO"].split("/")[1]](environ, start_response)
