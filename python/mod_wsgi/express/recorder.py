"""Keeps each request and its answer in files.

The names are `MICROSECONDS-PID-COUNT.` and

- `iheaders`, `icontent`: the environ, and the body of the request,
- `oheaders`, `ocontent`: status and headers as a tuple, and the body of the answer,
- `oaexcept`, `orexcept`, `ofexcept`: the traceback of an exception when the
  application was called, when its answer was iterated over, when that was closed.

All seven are made for every request; what did not happen leaves an empty file.
"""

from __future__ import annotations

import itertools
import os
import pprint
import shutil
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mod_wsgi.express.layer import CALL, CLOSE, ITERATE, Application, Response

PARTS = ("iheaders", "icontent", "oheaders", "ocontent", "oaexcept", "orexcept", "ofexcept")

#: Where the traceback of an exception goes, by the stage that it ended.
EXCEPTIONS = {CALL: "oaexcept", ITERATE: "orexcept", CLOSE: "ofexcept"}


class Recorder:
    """Records what passes between the server and an application."""

    def __init__(self, application: Application, directory: str) -> None:
        self.application = application
        self.directory = directory
        self._count = itertools.count(1)
        os.makedirs(directory, exist_ok=True)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        stem = f"{time.time_ns() // 1000}-{os.getpid()}-{next(self._count)}"
        recording = Recording(os.path.join(self.directory, stem))
        return recording.of(self.application, environ, start_response)


class Recording:
    """The files of one request."""

    def __init__(self, stem: str) -> None:
        self._stem = stem
        for part in PARTS:
            self._open(part).close()

    def of(
        self,
        application: Application,
        environ: dict[str, Any],
        start_response: Callable[..., Any],
    ) -> Iterable[bytes]:
        """Has the application answer, and records it."""
        self._write("iheaders", pprint.pformat(dict(environ)) + "\n")
        with self._open("icontent") as file:
            shutil.copyfileobj(environ["wsgi.input"], file)
        # The application reads what was recorded; nothing is kept in memory.
        body = environ["wsgi.input"] = open(self._stem + ".icontent", "rb")

        def record_start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            write = start_response(status, headers, *rest)
            self._write("oheaders", pprint.pformat((status, list(headers))) + "\n")

            def record_write(data: bytes) -> Any:
                self._keep(data)
                return write(data)

            return record_write

        try:
            response = self._step(CALL, application, environ, record_start)
        except BaseException:
            body.close()
            raise
        return Recorded(response, self._step, self._keep, body)

    def _step(self, stage: str, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return function(*args)
        except BaseException:
            self._write(EXCEPTIONS[stage], traceback.format_exc())
            raise

    def _keep(self, data: bytes) -> None:
        with self._open("ocontent", "ab") as file:
            file.write(data)

    def _write(self, part: str, text: str) -> None:
        with self._open(part) as file:
            file.write(text.encode("utf-8", "backslashreplace"))

    def _open(self, part: str, mode: str = "wb") -> Any:
        # There are passwords and cookies in them.
        return open(f"{self._stem}.{part}", mode, opener=lambda path, flags: os.open(path, flags, 0o600))


class Recorded(Response):
    """An answer whose body is recorded on its way."""

    def __init__(
        self,
        response: Iterable[bytes],
        step: Callable[..., Any],
        keep: Callable[[bytes], None],
        body: Any,
    ) -> None:
        super().__init__(response, step)
        self._keep = keep
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for item in super().__iter__():
            # What the server will refuse is not ours to judge.
            if isinstance(item, bytes):
                self._keep(item)
            yield item

    def close(self) -> None:
        """Closes what the application has returned, and the body of the request."""
        try:
            super().close()
        finally:
            self._body.close()
