"""Scripts that answer for files of some extension (`--add-handler`).

The server routes a request for an existing file to `resource.wsgi`, which finds the
script here. The path of the request stays as it is: `SCRIPT_NAME` is the URL of the
file, `PATH_INFO` what follows it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mod_wsgi.express import loader


class Script:
    """One of these scripts, loaded with the first request for it."""

    def __init__(self, extension: str, path: str) -> None:
        self.name = f"__wsgi_{extension}__"
        self.path = path
        self._lock = threading.Lock()
        self._module: Any = None
        self._changed: int | None = None

    def handler(self) -> Any:
        """Its `handle_request`, or else its `application`."""
        with self._lock:
            if self._module is None:
                changed = loader.time_of(self.path)
                self._module = loader.execute(self.path, self.name)
                self._changed = changed
        for name in ("handle_request", "application"):
            handler = getattr(self._module, name, None)
            if handler is not None:
                return handler
        raise AttributeError(f"`{self.path}` has neither `handle_request` nor `application`")

    def is_outdated(self) -> bool:
        """Whether its file is not the one that was loaded."""
        return self._module is not None and loader.time_of(self.path) != self._changed

    def wants_reload(self, resource: str) -> bool:
        """What the script itself says of a file that it is to answer for."""
        ask = getattr(self._module, "reload_required", None)
        return ask is not None and bool(ask(resource))


class Resources:
    """The scripts by extension."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self._scripts: dict[str, Script] = {}
        for extension, path in settings.get("resources") or []:
            name = extension.lstrip(".").lower()
            self._scripts[name] = Script(name, path)

    @property
    def reloading(self) -> bool:
        """Whether the server should ask `reload_required`."""
        return not (self.settings.get("disable_reloading") or self.settings.get("debug_mode"))

    def reload_required(self, resource: str) -> bool:
        """Whether a script is no longer what was loaded, or says so for this file."""
        asked = self._script(resource)
        return any(script.is_outdated() for script in self._scripts.values()) or (
            asked is not None and asked.wants_reload(resource)
        )

    def handle_request(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Has the script for the requested file answer."""
        path = environ["SCRIPT_FILENAME"]
        script = self._script(path)
        if script is None:
            raise LookupError(f"no script is known for `{path}`: see --add-handler")
        return script.handler()(environ, start_response)

    def _script(self, path: str) -> Script | None:
        """As the server does, any of the extensions counts, the last one most."""
        for extension in reversed(os.path.basename(path).lower().split(".")[1:]):
            if extension in self._scripts:
                return self._scripts[extension]
        return None
