"""`manage.py runmodwsgi`: serves a Django project with Apache and mod_wsgi.

It takes the options of `mod_wsgi-express start-server`, which it asks the launcher
for, works out from Django's settings what to serve, and becomes the launcher.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mod_wsgi.express import cli


class Command(BaseCommand):
    """Adds the launcher's options to Django's own."""

    help = "Serves this project with Apache and mod_wsgi, as mod_wsgi-express does."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Takes them from the launcher: what it knows is what can be given."""
        self.records = []
        for record in records():
            try:
                parser.add_argument(record["name"], **argument(record))
            except argparse.ArgumentError:
                # Django has an option of that name.
                continue
            self.records.append(record)

    def handle(self, *args: Any, **options: Any) -> None:
        """Becomes the server."""
        words = [*project(options), *given(self.records, options)]
        self.stdout.write("Successfully ran command.")
        self.stdout.flush()
        try:
            cli.run("setup-server" if options.get("setup_only") else "start-server", *words)
        except OSError as error:
            raise CommandError(str(error)) from error


def records() -> list[dict[str, Any]]:
    """What the launcher says of its options."""
    try:
        answer = subprocess.run(
            # The program goes by the name that it is called by.
            [cli.NAME, "options", "--json"],
            executable=cli.launcher(),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        return json.loads(answer.stdout)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise CommandError(f"mod_wsgi-express does not tell its options: {error}") from error


def argument(record: dict[str, Any]) -> dict[str, Any]:
    """An option of the launcher's, for `add_argument`.

    There are no defaults here: those are the launcher's, and what nobody has given
    is not passed on.
    """
    described = record["help"].replace("%", "%%")
    found: dict[str, Any] = {
        "dest": destination(record),
        "default": None,
        "help": argparse.SUPPRESS if record["hidden"] else described,
    }
    if record["type"] == "flag":
        return {**found, "action": "store_true"}
    values = record["values"]
    found["metavar"] = values[0] if len(values) == 1 else tuple(values)
    if len(values) > 1:
        found["nargs"] = len(values)
    if record["list"]:
        found["action"] = "append"
    if record["type"] in ("int", "float"):
        found["type"] = {"int": integer, "float": float}[record["type"]]
    return found


def destination(record: dict[str, Any]) -> str:
    """Where Django keeps what was given for an option."""
    return record["name"].lstrip("-").replace("-", "_")


def integer(text: str) -> int:
    """A whole number as the launcher writes it: `0100` is octal, `0x40` and `0b1` are known."""
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text)
    if len(digits) > 1 and digits.startswith("0") and digits.isdigit():
        return int(sign + digits, 8)
    return int(text, 0)


def project(options: dict[str, Any]) -> Iterator[str]:
    """What the settings of the project say. Options that were given come after, and win."""
    name = getattr(settings, "WSGI_APPLICATION", None)
    module, _, attribute = (name or "").rpartition(".")
    if not module:
        raise CommandError("WSGI_APPLICATION in the settings does not name an application")
    yield from ("--application-type", "module", "--entry-point", module)
    yield from ("--callable-object", attribute)
    yield from ("--working-directory", working_directory())
    if options.get("pythonpath"):
        yield from ("--python-path", os.path.abspath(options["pythonpath"]))
    url, root = settings.STATIC_URL, settings.STATIC_ROOT
    if root and url and url.startswith("/") and url.strip("/") and not served_by_itself():
        yield from ("--url-alias", url.rstrip("/"), os.path.abspath(root))


def working_directory() -> str:
    """The folder of the project: `BASE_DIR`, or where its settings lie."""
    base = getattr(settings, "BASE_DIR", None)
    if base:
        return os.path.abspath(base)
    top = importlib.import_module(settings.SETTINGS_MODULE.partition(".")[0])
    paths = getattr(top, "__path__", None)
    return os.path.dirname(os.path.abspath(list(paths)[0] if paths else top.__file__))


def served_by_itself() -> bool:
    """Whether WhiteNoise serves the static files, from within the application."""
    middleware = getattr(settings, "MIDDLEWARE", None) or []
    return any(name.startswith("whitenoise.") for name in middleware)


def given(records: list[dict[str, Any]], options: dict[str, Any]) -> Iterator[str]:
    """The options that were given, in words for the launcher."""
    for record in records:
        value = options.get(destination(record))
        # Their place is taken by the command itself.
        if value is None or value is False or record["name"] == "--setup-only":
            continue
        if record["type"] == "flag":
            yield record["name"]
            continue
        for item in value if record["list"] else [value]:
            words = [item] if len(record["values"]) == 1 else item
            # One word where it can be: a value may begin with a dash.
            first, *rest = (str(word) for word in words)
            yield f"{record['name']}={first}"
            yield from rest
