"""Replaces the process when code that it has loaded changes.

A thread looks at the files of all loaded modules, and at those that the application
registers: as soon as inotify says that something has happened in their folders, and
every second. The process is told to end by SIGINT, and the server starts another one.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time

from mod_wsgi.express.loader import source_of
from mod_wsgi.express.watch import Watch

#: How long all files must rest before a restart, in seconds, and how long to wait
#: for that at most. Who saves ten files wants one restart, with all of them.
REST = 0.1
PATIENCE = 1.0

#: How often to look for modules that are new, in seconds: what changes before it was
#: seen for the first time has not changed, as far as one can tell.
ATTENTION = 0.1


class Monitor:
    """Watches files, on a thread of its own once started."""

    def __init__(self) -> None:
        self.interval = 1.0
        self._known: dict[str, tuple[int, int] | None] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._watch: Watch | None = None

    def start(self, interval: float) -> None:
        """Starts it, or has a running one look more often, never less."""
        with self._lock:
            # In a process that was forked meanwhile there is no such thread.
            running = self._thread is not None and self._thread.is_alive()
            self.interval = min(self.interval, interval) if running else interval
            if running:
                return
            say("Starting change monitor.")
            if self._watch is not None:
                # That of the process before the fork.
                self._watch.close()
            self._watch = Watch(say)
            self._thread = threading.Thread(
                target=self._run, args=[self._watch], name="mod_wsgi-monitor", daemon=True
            )
            self._thread.start()
            atexit.register(self.stop)

    def stop(self) -> None:
        """Ends the thread: an interpreter must not be taken down under it."""
        self._stopped.set()
        if self._watch is not None:
            self._watch.stop()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def track(self, path: str) -> None:
        """Watches one more file, as it is now."""
        path = os.path.abspath(path)
        with self._lock:
            self._known.setdefault(path, signature(path))

    def changed(self) -> str | None:
        """A file that is not as it was when first seen; none is the rule."""
        self._see_modules()
        with self._lock:
            for path, known in self._known.items():
                now = signature(path)
                if known is None:
                    self._known[path] = now
                elif now != known:
                    return path
        return None

    def _see_modules(self) -> None:
        """Takes down the files of new modules, as they are now."""
        self._count = len(sys.modules)
        with self._lock:
            for path in files_of_modules():
                if path not in self._known:
                    self._known[path] = signature(path)

    def _run(self, watch: Watch) -> None:
        while not self._stopped.is_set():
            path = self.changed()
            # Who replaces a file may take it away first. If the same one is back
            # when all is quiet, nothing has changed.
            if path is not None and self._settle() and (path := self.changed()) is not None:
                say(f'Change detected to "{path}".')
                say("Triggering process restart.")
                os.kill(os.getpid(), signal.SIGINT)
                return
            self._sleep(watch)

    def _sleep(self, watch: Watch) -> None:
        """Waits until it is time to look again, or there may be something to see."""
        next_look = time.monotonic() + self.interval
        while (left := next_look - time.monotonic()) > 0:
            with self._lock:
                known = list(self._known)
            # What changed before its folder was watched is to be seen, too.
            if watch.see(known) or watch.sleep(min(left, ATTENTION)):
                return
            if len(sys.modules) != self._count:
                self._see_modules()

    def _settle(self) -> bool:
        """Waits until files rest; false if meanwhile the monitor is stopped."""
        deadline = time.monotonic() + PATIENCE
        before = None
        while time.monotonic() < deadline:
            with self._lock:
                now = {path: signature(path) for path in self._known}
            if now == before:
                return True
            before = now
            if self._stopped.wait(REST):
                return False
        return True


def files_of_modules() -> set[str]:
    """The source files of all modules that are loaded."""
    # A copy, because other threads import meanwhile.
    modules = list(sys.modules.values())
    found = set()
    for module in modules:
        # What poses as a module may do anything when asked.
        try:
            path = source_of(module.__file__)
        except Exception:
            continue
        if isinstance(path, str):
            found.add(path)
    return found


def signature(path: str) -> tuple[int, int] | None:
    """What changes with a file; none if it is not there."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size


def say(text: str) -> None:
    """Writes a line to the server's log."""
    print(f"monitor (pid={os.getpid()}): {text}", file=sys.stderr, flush=True)


_monitor = Monitor()


def start_reloader(interval: float = 1.0) -> None:
    """Starts to look for changed files every `interval` seconds.

    Asked again it does no more than lower the interval.
    """
    _monitor.start(interval)


def track_changes(path: str | os.PathLike[str]) -> None:
    """Has a change of a file that is no module replace the process, too."""
    _monitor.track(os.fspath(path))
