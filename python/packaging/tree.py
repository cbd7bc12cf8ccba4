"""A tree of the store as package data: no links, which a wheel cannot hold, nothing that
names its place, nothing that only its store needs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

MANIFEST = "manifest.json"

#: Left out: the package has the Python side itself, logs are written, `ab` measures and
#: has an OpenSSL of its own (a seventh of the wheel), the rest serves nobody who has no
#: source of httpd at hand.
LEFT_OUT = {
    "python",
    "logs",
    "bin/ab",
    "build-1/libtool",
    "icons/README.html",
    "icons/apache_pb.svg",
    MANIFEST,
}

#: The installer by its other names, which links stand for in a store.
TOOL = "mod_wsgi-httpd"
TOOLS = {"apxs": "apxs", "mod_wsgi-express": "express"}


def pack(tree: Path, program: Path | None, to: Path) -> Path:
    """Copies what a package holds of a tree, and makes its manifest anew. `program` goes
    in the place of the installer, which builds what a package cannot."""
    for name in ["build.json", "bin/httpd", f"bin/{TOOL}"]:
        if not (tree / name).is_file():
            sys.exit(f"error: `{tree}` is no tree of a private httpd: it has no {name}")
    refuse_other_python(tree)
    for folder, folders, files in os.walk(tree):
        inside = Path(folder).relative_to(tree)
        folders[:] = sorted(name for name in folders if str(inside / name) not in LEFT_OUT)
        for name in sorted(files):
            if str(inside / name) not in LEFT_OUT:
                put(tree / inside / name, to / inside / name)
    if program:
        put_bytes(program, to / "bin" / TOOL)
    for name, word in TOOLS.items():
        script = f'#!/bin/sh\nexec "$(dirname "$0")/{TOOL}" {word} "$@"\n'
        write(to / "bin" / name, script, 0o755)
    # httpd makes no folder for its logs.
    write(to / "logs/.keep", "", 0o644)
    write(to / MANIFEST, json.dumps(manifest_of(to), indent=2) + "\n", 0o644)
    return to


def refuse_other_python(tree: Path) -> None:
    """The module is for one Python: that which the wheel is built with."""
    python = json.loads((tree / "build.json").read_text()).get("python")
    found = python["version"].rsplit(".", 1)[0] if python else "none"
    expected = "{}.{}".format(*sys.version_info)
    if found != expected:
        sys.exit(f"error: the module in `{tree}` is for Python {found}, expected {expected}")


def put(file: Path, to: Path) -> None:
    """Copies a file; a link to a library becomes a copy, a word to the linker, or nothing."""
    # Of the names of a library the loader wants one, `libapr-1.so.0`, and the linker
    # another one, `libapr-1.so`.
    version = file.name.partition(".so")[2] if file.parent.name == "lib" else ""
    if version.count(".") == 1 or not (version or file.is_symlink()):
        put_bytes(file, to)
    elif file.is_symlink() and file.parent.name == "lib" and not version:
        (loaded,) = (path.name for path in file.parent.glob(f"{file.name}.*") if path.is_symlink())
        write(to, f"/* GNU ld script */\nINPUT ( {loaded} )\n", 0o644)


def put_bytes(file: Path, to: Path) -> None:
    """Copies what a file, or what a link leads to, holds."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, to)
    to.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def write(path: Path, text: str, mode: int) -> None:
    """Writes a file with exactly that mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    path.chmod(mode)


def manifest_of(tree: Path) -> dict[str, object]:
    """Each file with its mode and SHA-256, as `mod_wsgi-httpd verify` reads it."""
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    return {
        str(path.relative_to(tree)): {
            "mode": path.stat().st_mode & 0o7777,
            "kind": {"file": {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}},
        }
        for path in files
    }
