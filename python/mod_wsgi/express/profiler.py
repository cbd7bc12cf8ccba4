"""One profile over the loading of an application and all its requests.

It is written when the process ends, as `MICROSECONDS-PID.pstats`, for the module
`pstats` of the standard library.
"""

from __future__ import annotations

import atexit
import cProfile
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from mod_wsgi.express.layer import Layer

_profile: cProfile.Profile | None = None

# A profile follows one thread at a time: what runs meanwhile is not measured. Taken
# again by the same thread, too, as when one application calls another.
_lock = threading.Lock()


def start(directory: str) -> None:
    """Has this process measured, from now on and once."""
    global _profile
    if _profile is None:
        os.makedirs(directory, exist_ok=True)
        name = f"{time.time_ns() // 1000}-{os.getpid()}.pstats"
        _profile = cProfile.Profile()
        atexit.register(_write, _profile, os.path.join(directory, name))


def measure(function: Callable[..., Any], *args: Any) -> Any:
    """Runs it as part of the profile."""
    if _profile is None or not _lock.acquire(blocking=False):
        return function(*args)
    try:
        return _profile.runcall(function, *args)
    finally:
        _lock.release()


class Profiled(Layer):
    """An application whose requests are part of the profile."""

    def step(self, stage: str, function: Callable[..., Any], *args: Any) -> Any:
        """Runs it as part of the profile."""
        return measure(function, *args)


def _write(profile: cProfile.Profile, path: str) -> None:
    with _lock:
        profile.dump_stats(path)
