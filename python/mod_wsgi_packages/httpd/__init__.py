"""The private httpd. In an installed package this folder is its prefix."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

NAME = "mod_wsgi-httpd"

#: Where it lies: files that others make may name it, those in it do not.
PREFIX = Path(__file__).absolute().parent


def program(name: str) -> Path:
    """The path of one of its programs."""
    return PREFIX / "bin" / name


def run(name: str, *words: str) -> NoReturn:
    """Replaces this process by the installer, which goes by that name."""
    path = program(NAME)
    if sys.prefix != sys.base_prefix:
        # What it asks a Python, it asks this one.
        os.environ["VIRTUAL_ENV"] = sys.prefix
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(path, [name, *words])


def main() -> NoReturn:
    """The installer as a console script of Python's."""
    run(NAME, *sys.argv[1:])
