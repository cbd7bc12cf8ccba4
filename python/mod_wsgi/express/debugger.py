"""Opens Python's debugger on the terminal where an application raises.

That needs a server which has kept its terminal: `--debug-mode`, one process.
"""

from __future__ import annotations

import pdb
import sys
import traceback
from bdb import BdbQuit
from collections.abc import Callable
from typing import Any, TextIO

from mod_wsgi.express.layer import Application, Layer


class Debugger(Layer):
    """Looks at exceptions before the request fails with them."""

    def __init__(
        self,
        application: Application,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ) -> None:
        super().__init__(application)
        # Signals belong to the server.
        self._pdb = pdb.Pdb(stdin=stdin, stdout=stdout, nosigint=True)

    def interrupt(self) -> None:
        """Stops here and now, so that breakpoints can be set before any request."""
        try:
            self._pdb.set_trace(sys._getframe())
            self._pdb.message("The application is loaded: set breakpoints, then continue.")
        except BdbQuit:
            pass
        finally:
            self._unwatch()

    def step(self, stage: str, function: Callable[..., Any], *args: Any) -> Any:
        """Runs it; with breakpoints set it may stop at those."""
        self._watch()
        try:
            return function(*args)
        except BdbQuit:
            # Left at a breakpoint: the request ends, and there is nothing to look at.
            raise
        except Exception as error:
            self._unwatch()
            traceback.print_exc(file=self._pdb.stdout)
            self._pdb.reset()
            self._pdb.interaction(None, error.__traceback__)
            raise
        finally:
            self._unwatch()

    def _watch(self) -> None:
        # A thread is traced only if asked to be, and requests have threads of the
        # server's own.
        if self._pdb.get_all_breaks():
            self._pdb.reset()
            self._pdb.botframe = sys._getframe()
            self._pdb.set_continue()
            sys.settrace(self._pdb.trace_dispatch)

    def _unwatch(self) -> None:
        if sys.gettrace() == self._pdb.trace_dispatch:
            sys.settrace(None)
