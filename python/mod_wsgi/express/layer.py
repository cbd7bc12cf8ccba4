"""What stands between the server and an application.

An application is at work in three stages: when it is called, when its answer is
iterated over, and when that is closed. A `Layer` has its `step` run each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

#: A WSGI application.
Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

CALL, ITERATE, CLOSE = "call", "iterate", "close"

_END = object()


class Layer:
    """An application around another one."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        response = self.step(CALL, self.application, environ, start_response)
        return Response(response, self.step)

    def step(self, stage: str, function: Callable[..., Any], *args: Any) -> Any:
        """Runs a piece of the application's code."""
        raise NotImplementedError


class Response:
    """What an application has returned; its code runs in the steps of a layer."""

    def __init__(self, response: Iterable[bytes], step: Callable[..., Any]) -> None:
        self.response = response
        self.step = step

    def __iter__(self) -> Iterator[bytes]:
        items = self.step(ITERATE, iter, self.response)
        # A step never sees StopIteration: to it that would be an error.
        while (item := self.step(ITERATE, next, items, _END)) is not _END:
            yield item

    def close(self) -> None:
        """Closes what the application has returned."""
        close = getattr(self.response, "close", None)
        if close is not None:
            self.step(CLOSE, close)
