"""Finding an application in the file, or under the name, that is its entry point."""

from __future__ import annotations

import os
import sys

# See `handler`.
TYPE_CHECKING = False
if TYPE_CHECKING:
    import types
    from typing import Any

    from mod_wsgi.express.layer import Application


class Source:
    """A loaded application, and the file that it came from."""

    def __init__(self, application: Application, path: str | None, changed: object) -> None:
        self.application = application
        self.path = path
        self._changed = changed

    def is_outdated(self) -> bool:
        """Whether the file is another one now, or gone."""
        return self.path is not None and time_of(self.path) != self._changed


def time_of(path: str) -> int | None:
    """When a file was last changed; none if there is no such file."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None


def load(kind: str, entry_point: str, name: str) -> Source:
    """Loads an application: of a script, a module, or a file of paste's."""
    if kind == "static":
        return Source(nothing, None, None)
    if kind == "module":
        import importlib

        module = importlib.import_module(entry_point)
        path = source_of(getattr(module, "__file__", None))
        return Source(attribute(module, name), path, path and time_of(path))
    # The time before the file is read: what changes from now on is a change.
    changed = time_of(entry_point)
    if kind == "paste":
        return Source(deployed(entry_point), entry_point, changed)
    module = execute(entry_point, "__wsgi__")
    return Source(attribute(module, name), entry_point, changed)


def execute(path: str, name: str) -> types.ModuleType:
    """Runs a file as a module of this name, whatever the file is called."""
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    module = type(sys)(name)
    module.__file__ = path
    # Registered before it runs, as an import does: code may look itself up.
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def source_of(path: str | None) -> str | None:
    """The source of a compiled file, as far as its name tells."""
    if path is not None and path.endswith((".pyc", ".pyo")):
        return path[:-1]
    return path


def attribute(module: types.ModuleType, name: str) -> Any:
    """What a module calls its application."""
    try:
        return getattr(module, name)
    except AttributeError:
        where = getattr(module, "__file__", None) or module.__name__
        raise AttributeError(
            f"`{where}` has no `{name}`: name its application with --callable-object"
        ) from None


def deployed(path: str) -> Application:
    """The application that a deployment file describes."""
    try:
        from paste.deploy import loadapp
    except ImportError as error:
        raise ImportError(
            "--application-type paste needs the package PasteDeploy in this Python"
        ) from error
    return loadapp("config:" + os.path.abspath(path))


def nothing(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Where files alone are served, no request should get here."""
    start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "10")])
    return [b"Not Found\n"]
