"""What an sdist carries so that it builds without a network: the archives of httpd and
its libraries, and the crates."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from rust import Cargo, run

#: Platforms that it is for. Crates of others are there in name only: cargo wants to see
#: all that the lock file names, and builds none of them.
TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]


def vendor(cargo: Cargo, filled: Path | None, scratch: Path) -> Path:
    """A folder for `mod_wsgi-httpd install --vendor`, with all crates in it."""
    folder = scratch / "vendor"
    if filled:
        shutil.copytree(filled, folder)
    else:
        command = [cargo.build(network=True).installer, "vendor", folder, "--python", sys.executable]
        run(command, cwd=cargo.root)
    # The crates of the module are among those of the workspace.
    crates = folder / "crates"
    shutil.rmtree(crates, ignore_errors=True)
    command = [cargo.path, "vendor", "--quiet", "--locked", "--versioned-dirs", crates]
    run(command, cwd=cargo.root)
    needed = needed_crates(cargo)
    for crate in crates.iterdir():
        if crate.name not in needed:
            hollow(crate)
    return folder


def needed_crates(cargo: Cargo) -> set[str]:
    """`name-version` of the crates that are compiled."""
    options = ["--locked", "--workspace", "--edges=normal,build", "--prefix=none"]
    names: set[str] = set()
    for target in TARGETS:
        text = cargo.ask("tree", *options, "--target", target, "--format={p}")
        for line in filter(None, text.splitlines()):
            name, version = line.split()[:2]
            names.add(f"{name}-{version.removeprefix('v')}")
    return names


def hollow(crate: Path) -> None:
    """Leaves of a crate what cargo reads of one that it does not build."""
    manifest = (crate / "Cargo.toml").read_text()
    checksums = json.loads((crate / ".cargo-checksum.json").read_text())
    licences = {path.name: path.read_bytes() for path in crate.glob("LICENSE*") if path.is_file()}
    shutil.rmtree(crate)
    # Targets that the manifest names must exist.
    targets = re.findall(r'^(?:path|build) = "([^"]+\.rs)"', manifest, re.M)
    for name in {*targets, "src/lib.rs"}:
        file = crate / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (crate / "Cargo.toml").write_text(manifest)
    for name, text in licences.items():
        (crate / name).write_bytes(text)
    checksums["files"] = {}
    (crate / ".cargo-checksum.json").write_text(json.dumps(checksums))
