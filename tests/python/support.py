"""What the tests of the Python side share."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

PYTHON = Path(__file__).parents[2] / "python"
sys.path.insert(0, str(PYTHON))


class Case(unittest.TestCase):
    """A test with a folder of its own, and an environment that is put back."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="python-"))
        self.addCleanup(shutil.rmtree, self.folder)
        environment, path, modules = dict(os.environ), sys.path[:], set(sys.modules)
        self.addCleanup(self._put_back, environment, path, modules)

    def _put_back(self, environment, path, modules) -> None:
        os.environ.clear()
        os.environ.update(environment)
        sys.path[:] = path
        # Ours keep their state; a test's own do not meet the next test.
        for name in set(sys.modules) - modules:
            file = getattr(sys.modules[name], "__file__", None) or ""
            if file.startswith(str(self.folder)):
                del sys.modules[name]

    def write(self, name: str, text: str) -> str:
        """Writes a file, and gives its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)


class Answer:
    """What a client gets of an application."""

    def __init__(self, application, environ=None) -> None:
        self.status = None
        self.headers = None
        self.written = []
        response = application(environ if environ is not None else request(), self._start)
        try:
            self.body = b"".join(self.written + list(response))
        finally:
            if hasattr(response, "close"):
                response.close()

    def _start(self, status, headers, exc_info=None):
        self.status, self.headers = status, headers
        return self.written.append


def request(script_name: str = "", path_info: str = "/", body: bytes = b"", **more):
    """An environ."""
    import io

    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": script_name,
        "PATH_INFO": path_info,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    environ.update(more)
    return environ


#: An application that tells what it was asked for.
PATHS = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(environ["SCRIPT_NAME"] + "|" + environ["PATH_INFO"]).encode()]
"""
