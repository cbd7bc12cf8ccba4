"""The wrapper that the server loads in place of an application.

It loads the application, puts around it what the launcher's options ask for, and
gives each request the `SCRIPT_NAME` and `PATH_INFO` that the application would have
if the server knew it by its mount point.
"""

from __future__ import annotations

import os
import sys

from mod_wsgi.express import loader

# Known to type checkers alone: to import these takes longer than all else here, and
# whoever has asked for a page waits for it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from mod_wsgi.express.layer import Application

#: Settings that an application finds in its environment as `MOD_WSGI_…`.
FLAGS = {
    "reload_on_changes": "RELOADER_ENABLED",
    "debug_mode": "DEBUG_MODE",
    "enable_debugger": "DEBUGGER_ENABLED",
    "enable_coverage": "COVERAGE_ENABLED",
    "enable_profiler": "PROFILER_ENABLED",
    "enable_recorder": "RECORDER_ENABLED",
    "enable_gdb": "GDB_ENABLED",
}


class Handler:
    """One application, ready for requests.

    Making it again in the same process, as the server does for each request while
    an application cannot be loaded, starts none of its helpers twice.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings
        self.mount_point = "/" + (settings.get("mount_point") or "").strip("/")
        export(settings)
        extend_path(settings)
        self._start_helpers()
        self.application = self._wrapped(self._load())

    @property
    def reloading(self) -> bool:
        """Whether the server should ask `reload_required`."""
        return not (self.settings.get("disable_reloading") or self.settings.get("debug_mode"))

    def reload_required(self, resource: str) -> bool:
        """Whether the entry point is no longer what was loaded."""
        return self.source.is_outdated()

    def handle_request(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answers a request."""
        self.locate(environ)
        return self.application(environ, start_response)

    def locate(self, environ: dict[str, Any]) -> None:
        """Splits the path of a request where the application is mounted.

        The server has split it at what it found among its files: a request for
        `/a/b` that matched no file has `/a` for a script name.
        """
        if "mod_wsgi.mount_point" in environ:
            # A trusted proxy has said what comes before; that stays.
            path = environ["mod_wsgi.script_name"] + environ["mod_wsgi.path_info"]
            environ["PATH_INFO"] = self._below(path)
            return
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        below = self._below(path)
        environ["SCRIPT_NAME"] = path[: len(path) - len(below)]
        environ["PATH_INFO"] = below

    def _below(self, path: str) -> str:
        """The rest of a path under the mount point, if it is there."""
        mount = self.mount_point
        if mount != "/" and (path == mount or path.startswith(mount + "/")):
            return path[len(mount) :]
        return path

    def _start_helpers(self) -> None:
        settings = self.settings
        if settings.get("reload_on_changes") and self.reloading:
            from mod_wsgi.express.reloader import start_reloader

            # Before the application is loaded: it may fail, and be mended.
            start_reloader()
        if settings.get("enable_coverage"):
            from mod_wsgi.express import coverage_report

            coverage_report.start(settings["coverage_directory"])
        if settings.get("enable_profiler"):
            from mod_wsgi.express import profiler

            profiler.start(settings["profiler_directory"])

    def _load(self) -> Application:
        settings = self.settings
        arguments = (
            settings.get("application_type") or "script",
            settings.get("entry_point") or "",
            settings.get("callable_object") or "application",
        )
        if settings.get("enable_profiler"):
            from mod_wsgi.express import profiler

            self.source = profiler.measure(loader.load, *arguments)
        else:
            self.source = loader.load(*arguments)
        return self.source.application

    def _wrapped(self, application: Application) -> Application:
        """Puts the layers around an application, from the inside out."""
        settings = self.settings
        if settings.get("enable_coverage"):
            from mod_wsgi.express.coverage_report import Covered

            application = Covered(application)
        if settings.get("enable_profiler"):
            from mod_wsgi.express.profiler import Profiled

            application = Profiled(application)
        if settings.get("with_newrelic_agent"):
            from mod_wsgi.express import newrelic

            application = newrelic.instrumented(
                application,
                settings.get("newrelic_config_file"),
                settings.get("newrelic_environment"),
            )
        if settings.get("enable_debugger"):
            from mod_wsgi.express.debugger import Debugger

            application = Debugger(application)
            if settings.get("debugger_startup"):
                application.interrupt()
        if settings.get("enable_recorder"):
            from mod_wsgi.express.recorder import Recorder

            application = Recorder(application, settings["recorder_directory"])
        return application


def export(settings: Mapping[str, Any]) -> None:
    """Lets an application know in its environment how it is run."""
    os.environ["MOD_WSGI_EXPRESS"] = "true"
    host = settings.get("server_name") or settings.get("host") or "localhost"
    os.environ["MOD_WSGI_SERVER_NAME"] = host
    os.environ["MOD_WSGI_SERVER_ALIASES"] = " ".join(settings.get("server_aliases") or [])
    for setting, name in FLAGS.items():
        if settings.get(setting):
            os.environ["MOD_WSGI_" + name] = "true"


def extend_path(settings: Mapping[str, Any]) -> None:
    """Puts folders on `sys.path` that the server's own directives have not.

    Those read `.pth` files, too, and so must this.
    """
    import site

    for folder in reversed(settings.get("python_paths") or []):
        if folder not in sys.path:
            known = set(sys.path)
            site.addsitedir(folder)
            added = [path for path in sys.path if path not in known]
            sys.path[:] = added + [path for path in sys.path if path in known]
    folder = settings.get("working_directory")
    # A daemon process has it from its group already; in debug mode it must be the first.
    there = sys.path[:1] if settings.get("debug_mode") else sys.path
    if folder and folder not in there:
        sys.path.insert(0, folder)
