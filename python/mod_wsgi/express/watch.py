"""Lets a thread sleep until files may have changed, by Linux's inotify.

It only wakes the thread sooner than its time: who sleeps looks at the files afterwards
either way. So whatever inotify does not see, as on network file systems, or where it
cannot be had at all, is found a little later, and nothing is lost.
"""

from __future__ import annotations

import errno
import os
import select
import struct
from collections.abc import Callable, Iterable

#: What may have changed a file with a name: attributes, a writer that is done, moves,
#: creation, removal. Not each write: a log beside a module would wake it all the time.
EVENTS = 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200

#: The kernel had more to tell than it could keep; and a folder is watched no longer.
OVERFLOW, IGNORED = 0x4000, 0x8000

#: An event: the number of its folder, what it was, a cookie, the length of the name.
HEADER = struct.Struct("iIII")

#: How long a folder in which files of others come and go is left alone, in seconds.
CALM = 0.02


class Watch:
    """Watches the folders of files, as far as the system lets it."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._paths: set[str] = set()
        self._names: set[bytes] = set()
        self._inotify, self._add = -1, None
        # To be woken by `stop`.
        self._stopping, self._stop = os.pipe()
        self._poll = select.poll()
        self._poll.register(self._stopping, select.POLLIN)
        try:
            self._inotify, self._add = inotify()
        except (ImportError, AttributeError, OSError) as error:
            say(f"inotify is not to be had, so changes are seen later: {error}")
        else:
            self._poll.register(self._inotify, select.POLLIN)

    def see(self, paths: Iterable[str]) -> bool:
        """Watches the folders of these files, too; whether any is new."""
        new = set(paths) - self._paths
        self._paths |= new
        folders = set()
        for path in new:
            places = [path]
            if os.path.islink(path):
                # Where the name is, and where the file is that it leads to.
                places.append(os.path.realpath(path))
            for place in places:
                folder, name = os.path.split(place)
                folders.add(folder)
                self._names.add(os.fsencode(name))
        for folder in folders:
            self._see_folder(folder)
        return bool(new)

    def _see_folder(self, folder: str) -> None:
        if self._add is None:
            return
        try:
            # For one that is watched already this does nothing.
            self._add(self._inotify, folder)
        except (OSError, ValueError) as error:
            # Most of these are no folders: a module's file may lie in an archive.
            if getattr(error, "errno", None) == errno.ENOSPC:
                self._say("inotify may not watch more, so some changes are seen later")
                self._add = None

    def sleep(self, seconds: float) -> bool:
        """Sleeps so long, or until a file may have changed, or `stop`: then it is true."""
        ready = {descriptor for descriptor, _ in self._poll.poll(seconds * 1000)}
        if self._stopping in ready:
            return True
        if self._inotify not in ready:
            return False
        if self._matters(os.read(self._inotify, 65536)):
            return True
        return bool(select.select([self._stopping], [], [], CALM)[0])

    def _matters(self, events: bytes) -> bool:
        """Whether one of these events is of a file that is watched."""
        at, matters = 0, False
        while at < len(events):
            _, what, _, length = HEADER.unpack_from(events, at)
            at += HEADER.size
            name = events[at : at + length].rstrip(b"\0")
            at += length
            if what & IGNORED:
                # The folder that has its name now, if there is one, is another.
                self._paths.clear()
            matters |= name in self._names or bool(what & (OVERFLOW | IGNORED))
        return matters

    def stop(self) -> None:
        """Wakes who sleeps, for good."""
        os.write(self._stop, b".")

    def close(self) -> None:
        """Gives back what it has of the system; nobody may sleep."""
        for descriptor in (self._stopping, self._stop, self._inotify):
            if descriptor >= 0:
                os.close(descriptor)


def inotify() -> tuple[int, Callable[[int, str], None]]:
    """A descriptor of inotify, and the function that has it watch a folder."""
    # Not every Python has it.
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    add_watch = library.inotify_add_watch
    add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]

    def checked(result: int) -> int:
        if result < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return result

    def add(descriptor: int, folder: str) -> None:
        checked(add_watch(descriptor, os.fsencode(folder), EVENTS))

    # Its flags are those of files.
    return checked(library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)), add
