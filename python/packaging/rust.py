"""Cargo: whether it is there and new enough, and what it is asked to build."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

#: How the programs are built; see Cargo.toml.
PROFILE = "wheel"

#: How cargo separates flags that may have blanks.
SEPARATOR = "\x1f"


class Programs(NamedTuple):
    """What cargo has built."""

    #: Builds trees.
    installer: Path
    #: What a package has of it, under the same name.
    packaged: Path


class Cargo:
    """The cargo of `CARGO`, else of the search path."""

    def __init__(self, root: Path) -> None:
        """Ends the build with advice if there is none that will do."""
        self.root = root
        name = os.environ.get("CARGO", "cargo")
        found = shutil.which(name)
        oldest = re.search(r'^rust-version = "(.+)"', (root / "Cargo.toml").read_text(), re.M)
        self.oldest = oldest[1] if oldest else "1"
        if found is None:
            self.refuse(f"there is no `{name}` to build mod_wsgi with")
        self.path = found
        text = self.ask("--version")
        version = re.match(r"cargo (\d+)\.(\d+)", text)
        if version is None:
            self.refuse(f"`{found}` does not answer like cargo: {text.strip()}")
        if tuple(map(int, version.groups())) < tuple(map(int, self.oldest.split("."))):
            self.refuse(f"`{found}` is too old: found {text.strip()}")

    def refuse(self, why: str) -> None:
        """Ends the build: a trace of this program would help nobody."""
        sys.exit(
            f"error: {why}\n"
            f"hint: install Rust {self.oldest} or newer with rustup, or the packages `cargo` "
            "and `rustc` of a distribution that has it; a wheel needs none"
        )

    def ask(self, *words: object) -> str:
        """What cargo says on its standard output."""
        return self.answer([self.path, *map(str, words)])

    def ask_rustc(self, *words: str) -> str:
        """What the compiler says that cargo uses."""
        beside = Path(self.path).with_name("rustc")
        return self.answer([str(beside) if beside.exists() else "rustc", *words])

    def answer(self, command: list[str]) -> str:
        """The standard output of a command, which must succeed."""
        answer = subprocess.run(command, cwd=self.root, stdout=subprocess.PIPE, text=True)
        if answer.returncode:
            sys.exit(f"error: `{' '.join(command)}` failed, status {answer.returncode}")
        return answer.stdout

    def build(self, network: bool) -> Programs:
        """The programs. Without a network all archives must be at hand; that takes half
        of the crates."""
        target = Path(os.environ.get("CARGO_TARGET_DIR") or self.root / "target").absolute()
        options = ["--profile", PROFILE, "--locked", "--bins"]
        if not network:
            options.append("--no-default-features")
        command = [self.path, "build", *options, "--target-dir", target]
        run(command, cwd=self.root, CARGO_ENCODED_RUSTFLAGS=self.flags())
        built = target / PROFILE
        return Programs(built / "mod_wsgi-httpd", built / "mod_wsgi-packaged")

    def flags(self) -> str:
        """The user's flags, and those that take the places of this machine out of the
        texts of panics: the program is the same wherever it is built."""
        home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo").absolute()
        library = Path(self.ask_rustc("--print=sysroot").strip(), "lib/rustlib/src/rust")
        commit = re.search(r"^commit-hash: (\w{40})$", self.ask_rustc("-vV"), re.M)
        places = {home: "/cargo", self.root.resolve(): "/src"}
        if commit:
            places[library] = f"/rustc/{commit[1]}"
        encoded = os.environ.get("CARGO_ENCODED_RUSTFLAGS")
        own = encoded.split(SEPARATOR) if encoded else os.environ.get("RUSTFLAGS", "").split()
        maps = [f"--remap-path-prefix={place}={name}" for place, name in places.items()]
        return SEPARATOR.join([*own, *maps])


def run(command: Sequence[object], cwd: str | Path, **variables: str) -> None:
    """Runs a step, whose output is the build's; ends the build if it fails.

    The step has told what went wrong, and where its log lies.
    """
    words = [str(word) for word in command]
    print("+", " ".join(words), file=sys.stderr, flush=True)
    environment = {**os.environ, **variables}
    status = subprocess.run(words, cwd=cwd, env=environment, stdout=sys.stderr.fileno()).returncode
    if status:
        sys.exit(f"error: `{' '.join(words[:2])}` failed, status {status}; it has said why")
