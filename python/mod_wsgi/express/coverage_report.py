"""Finds out which lines of an application run, and says so in a report.

The HTML report is written when the process ends. The rest is as the package
`coverage` does it: its configuration is read from the working directory, and its
data go there, too.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from mod_wsgi.express.layer import Layer
from mod_wsgi.express.log import say

_coverage: Any = None


def start(directory: str) -> None:
    """Has this process measured, from now on and once."""
    global _coverage
    if _coverage is not None:
        return
    try:
        import coverage
    except ImportError as error:
        raise ImportError("--enable-coverage needs the package coverage in this Python") from error
    _coverage = coverage.Coverage()
    # Our own layers are no part of the application.
    ours = os.path.join(os.path.dirname(__file__), "*")
    _coverage.set_option("run:omit", [*(_coverage.get_option("run:omit") or []), ours])
    _coverage.start()
    atexit.register(_report, directory)


def _report(directory: str) -> None:
    import coverage

    _coverage.stop()
    _coverage.save()
    try:
        _coverage.html_report(directory=directory)
    except coverage.CoverageException as error:
        say(f"there is no coverage report: {error}")


class Covered(Layer):
    """An application that is measured on whichever thread it runs."""

    def step(self, stage: str, function: Callable[..., Any], *args: Any) -> Any:
        """Runs it; its thread may be one of the server's, which nobody traces yet."""
        tracer = threading.gettrace()
        if tracer is not None and sys.gettrace() is None:
            sys.settrace(tracer)
        return function(*args)
