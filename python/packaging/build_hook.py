"""The build hook: hatchling asks it for what only cargo and a compiler can make.

A wheel is given the tree of a private httpd, an sdist the archives and crates that
one is built from. Settings are variables of the environment, as a front end hands no
others on:

- `MOD_WSGI_HTTPD_TREE`: a tree to pack instead of building one;
- `MOD_WSGI_HTTPD_VENDOR`: a folder that `mod_wsgi-httpd vendor` has filled; `none`
  makes an sdist without archives and crates;
- `MOD_WSGI_HTTPD_OPTIONS`: further options of `mod_wsgi-httpd install`.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# The parts of this hook are no package that anybody installs.
sys.path.insert(0, str(Path(__file__).parent))

from rust import Cargo, run  # noqa: E402
from tag import tag_of  # noqa: E402
from tree import pack  # noqa: E402
from vendor import vendor  # noqa: E402

#: Folder of archives and crates in an sdist.
VENDORED = "vendor"


class Hook(BuildHookInterface):
    """Called by hatchling, once for each archive that it makes."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Makes what hatchling is to put into the archive."""
        if version == "editable":
            sys.exit(
                "error: an editable install has no httpd to run\n"
                "hint: `cargo run -- install` installs what the checkout builds"
            )
        # Gone with this object, also when a step fails.
        self.scratch = tempfile.TemporaryDirectory(prefix="mod-wsgi-rs-")
        scratch = Path(self.scratch.name)
        make = self.fill_sdist if self.target_name == "sdist" else self.fill_wheel
        make(scratch, build_data)

    def fill_wheel(self, scratch: Path, build_data: dict[str, Any]) -> None:
        """The tree as package data, and the tag that it needs."""
        named = os.environ.get("MOD_WSGI_HTTPD_TREE")
        tree, program = (Path(named).resolve(), None) if named else self.build(scratch)
        packed = pack(tree, program, scratch / "packed")
        build_data["force_include"][str(packed)] = "mod_wsgi_packages/httpd"
        build_data["pure_python"] = False
        build_data["tag"] = tag_of(packed)

    def build(self, scratch: Path) -> tuple[Path, Path]:
        """Builds the tree as anybody would: by the installer's command line. Gives it,
        and the program that goes into the package."""
        folder = self.vendored()
        programs = Cargo(Path(self.root)).build(network=folder is None)
        command = [programs.installer, "install", "--portable", "--python", sys.executable]
        if folder:
            command += ["--offline", "--locked", "--vendor", folder]
        command += shlex.split(os.environ.get("MOD_WSGI_HTTPD_OPTIONS", ""))
        base = scratch / "base"
        run([*command, "--prefix", base], cwd=self.root)
        return (base / "current").resolve(), programs.packaged

    def fill_sdist(self, scratch: Path, build_data: dict[str, Any]) -> None:
        """Archives and crates, and the word to cargo that it finds these there."""
        if os.environ.get("MOD_WSGI_HTTPD_VENDOR") == "none":
            return
        folder = vendor(Cargo(Path(self.root)), self.vendored(), scratch)
        build_data["force_include"][str(folder)] = VENDORED
        config = scratch / "config.toml"
        config.write_text(
            "# Nothing is asked of the network.\n"
            '[source.crates-io]\nreplace-with = "vendored"\n\n'
            f'[source.vendored]\ndirectory = "{VENDORED}/crates"\n'
        )
        build_data["force_include"][str(config)] = ".cargo/config.toml"

    def vendored(self) -> Path | None:
        """The folder of archives that the user has named, or that an sdist carries."""
        named = os.environ.get("MOD_WSGI_HTTPD_VENDOR")
        carried = Path(self.root, VENDORED)
        if named and named != "none":
            return Path(named).resolve()
        return carried if carried.is_dir() else None
