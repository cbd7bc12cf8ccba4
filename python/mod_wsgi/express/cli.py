"""Finds the launcher `mod_wsgi-express`, a program of its own, and becomes it."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

NAME = "mod_wsgi-express"

#: Names the launcher to use. An application served by it finds the word `true` there.
VARIABLE = "MOD_WSGI_EXPRESS"


def launcher() -> str:
    """The path of the launcher."""
    for path in _candidates():
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(
        f"`{NAME}` is neither beside {sys.executable or 'this Python'} nor in PATH: "
        f"name its file in the variable {VARIABLE}"
    )


def _candidates() -> Iterator[str]:
    named = os.environ.get(VARIABLE, "")
    if os.sep in named:
        yield named
    # The same package has brought it.
    yield from _packaged()
    # Beside this Python, where its environment has been installed to.
    yield os.path.join(sysconfig.get_path("scripts"), NAME)
    if sys.executable:
        yield os.path.join(os.path.dirname(sys.executable), NAME)
    found = shutil.which(NAME)
    if found is not None:
        yield found
    # This package is part of an installed tree, whose programs are in `bin`.
    package = Path(__file__).absolute().parent.parent
    for folder in list(package.parents)[:4]:
        yield str(folder / "bin" / NAME)


def _packaged() -> Iterator[str]:
    try:
        from mod_wsgi_packages import httpd
    except ImportError:
        return
    yield str(httpd.program("mod_wsgi-httpd"))


def run(*words: str) -> NoReturn:
    """Replaces this process by the launcher, given these words."""
    path = launcher()
    if sys.prefix != sys.base_prefix:
        # Who calls from an environment is to be served in it, active or not.
        os.environ["VIRTUAL_ENV"] = sys.prefix
    else:
        # Nor is any other Python to be guessed.
        os.environ["MOD_WSGI_PYTHON_HOME"] = sys.prefix
    # What is still in a buffer would be lost.
    sys.stdout.flush()
    sys.stderr.flush()
    # The program goes by the name that it is called by.
    os.execv(path, [NAME, *words])


def start(*options: str) -> NoReturn:
    """Replaces this process by a server: `start("app.wsgi", "--port", "8000")`."""
    run("start-server", *options)


def main() -> NoReturn:
    """The launcher as a console script of Python's."""
    run(*sys.argv[1:])
