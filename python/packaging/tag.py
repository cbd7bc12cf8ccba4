"""The wheel's tag: the Python that builds it, and the oldest platform that has all
symbols which the programs and libraries really ask for."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from packaging.tags import sys_tags

#: Libraries that every manylinux platform has, of those that could be asked for.
COMMON = re.compile(
    r"(lib(c|m|dl|rt|pthread|util|resolv|gcc_s)|ld-linux-[\w-]+)\.so\.\d+"
)


def tag_of(tree: Path) -> str:
    """`cp311-cp311-manylinux_2_34_x86_64`, or with `linux_x86_64` where a library is
    needed that not every platform has."""
    tag = next(iter(sys_tags()))
    return f"{tag.interpreter}-{tag.abi}-{platform_of(tree)}"


def platform_of(tree: Path) -> str:
    """The platform part of the tag."""
    machine = platform.machine()
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and is_elf(path)]
    own = {path.name for path in files}
    newest = (2, 17)
    for path in files:
        for library, versions in needs(path):
            if library in own:
                continue
            strange = not COMMON.fullmatch(library)
            glibc = [version for version in versions if version.startswith("GLIBC_")]
            try:
                newest = max([newest, *(number(version) for version in glibc)])
            except ValueError:
                strange = True
            if strange:
                name = path.relative_to(tree)
                print(f"note: {name} needs {library}: no manylinux wheel", file=sys.stderr)
                return f"linux_{machine}"
    return "manylinux_{}_{}_{}".format(*newest, machine)


def number(version: str) -> tuple[int, int]:
    """`GLIBC_2.3.4` as (2, 3); `GLIBC_PRIVATE` is no number."""
    major, minor = version.removeprefix("GLIBC_").split(".")[:2]
    return int(major), int(minor)


def is_elf(path: Path) -> bool:
    """Whether the file is a program or library."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def needs(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Libraries that a file asks for, and the versions of symbols that it wants of each."""
    with path.open("rb") as file:
        wanted: dict[str, list[str]] = {}
        for section in ELFFile(file).iter_sections():
            if isinstance(section, DynamicSection):
                for entry in section.iter_tags("DT_NEEDED"):
                    wanted.setdefault(entry.needed, [])
            elif isinstance(section, GNUVerNeedSection):
                for library, versions in section.iter_versions():
                    names = [version.name for version in versions]
                    wanted.setdefault(library.name, []).extend(names)
        yield from wanted.items()
