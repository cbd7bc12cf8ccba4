# The part of the module `mod_wsgi` that is Python. It runs in the module's own
# namespace, in which `_log(level, text)` and `_settings` stand already.

import _signal
import io as _io
import os as _os
import sys as _sys
import time as _time
from _thread import get_ident as _get_ident

_ERROR = 3
_INFO = 6
_LONGEST = 7500


class RequestTimeout(BaseException):
    """The request has run for longer than it may."""


class FileWrapper:
    """wsgi.file_wrapper (PEP 3333)."""

    def __init__(self, filelike, blksize=8192):
        if blksize < 0:
            raise ValueError("blksize must not be negative")
        self.filelike = filelike
        self.blksize = blksize
        self._closed = False

    def __iter__(self):
        return self

    def __next__(self):
        if self._closed:
            raise ValueError("I/O operation on closed file")
        data = self.filelike.read(self.blksize)
        if not isinstance(data, bytes):
            raise TypeError(
                f"file wrapper read() must return bytes, not {type(data).__name__}"
            )
        if not data:
            raise StopIteration
        return data

    def close(self):
        self._closed = True
        close = getattr(self.filelike, "close", None)
        if close is not None:
            try:
                close()
            except Exception:
                pass


_warned = False


def _warn_of_text():
    global _warned
    if not _warned:
        import warnings

        _warned = True
        warnings.warn("text was written to a log's buffer of bytes", DeprecationWarning, 4)


class _Lines(_io.RawIOBase):
    """Bytes into the error log, a record a line."""

    def __init__(self, what):
        self._what = what
        self.name = f"<{what}>"
        self._rest = b""
        self._expired = False
        self.used = False

    def writable(self):
        return True

    def write(self, data):
        if self._expired:
            raise RuntimeError(f"write() called on {self._what} after request completed")
        self.used = True
        if isinstance(data, str):
            _warn_of_text()
            data = data.encode("utf-8", "replace")
        data = bytes(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(line)
        return len(data)

    def flush(self):
        # A line that is not complete yet waits for its end.
        pass

    def _emit(self, line):
        # httpd cuts a record near 8 KiB, escapes counted.
        for start in range(0, max(len(line), 1), _LONGEST):
            _log_of_script(_ERROR, line[start : start + _LONGEST])

    def finish(self):
        if self._rest:
            self._emit(self._rest)
            self._rest = b""

    def fileno(self):
        raise OSError(f"{self._what} log object has no file descriptor")


def _stream(what):
    return _io.TextIOWrapper(
        _Lines(what), encoding="utf-8", errors="replace", newline="\n",
        line_buffering=True, write_through=True,
    )


def _new_errors():
    return _stream("wsgi.errors")


def _settle_errors(errors, expire):
    errors.flush()
    lines = errors.buffer
    lines.finish()
    lines.used = False
    lines._expired = expire


class _Restricted:
    def __init__(self, name):
        object.__setattr__(self, "_name", name)

    def __getattribute__(self, attribute):
        name = object.__getattribute__(self, "_name")
        raise OSError(f"{name} access restricted by mod_wsgi")


def __getattr__(name):
    # Importing `logging` takes longer than all else that an interpreter starts with.
    if name != "LogHandler":
        raise AttributeError(f"module 'mod_wsgi' has no attribute {name!r}")
    global LogHandler
    LogHandler = _make_log_handler()
    return LogHandler


def _make_log_handler():
    import logging

    class LogHandler(logging.Handler):
        """Records into httpd's log, each level into its own."""

        def emit(self, record):
            try:
                level = _level_of(record.levelno)
                if level > _log_level():
                    return
                file = record.pathname.encode("utf-8", "replace")
                for line in self.format(record).split("\n"):
                    text = line.encode("utf-8", "replace")
                    _log_of_script(level, text, file, max(record.lineno, 0))
            except Exception:
                self.handleError(record)

    LogHandler.__module__ = "mod_wsgi"
    LogHandler.__qualname__ = "LogHandler"
    return LogHandler


def _level_of(number):
    for least, level in ((50, 2), (40, 3), (30, 4), (20, 6)):
        if number >= least:
            return level
    return 7


event_callbacks = []
shutdown_callbacks = []
signal_callbacks = []


def _log_stack():
    import traceback

    for part in traceback.format_stack()[:-2]:
        for line in part.rstrip("\n").split("\n"):
            _log(_INFO, line.encode("utf-8", "replace"))


def subscribe_signals(callback):
    # Signals are told to daemon processes alone, while they serve.
    if _settings["daemon"] and _settings["serves"]:
        signal_callbacks.append(callback)
        return callback
    _log(_INFO, b"subscription to signals ignored outside of a daemon process")
    _log_stack()
    return callback


def server_metrics():
    board = _scoreboard() if _settings["server_metrics"] else None
    if board is None:
        return None
    server_limit, thread_limit, running_generation, restart_time, processes = board
    now = _time.time()
    return {
        "server_limit": server_limit,
        "thread_limit": thread_limit,
        "running_generation": running_generation,
        "restart_time": restart_time,
        "current_time": now,
        "running_time": int(now - restart_time),
        "processes": [
            {
                "process_num": number,
                "pid": pid,
                "generation": generation,
                "quiescing": quiescing,
                "workers": [dict(zip(_WORKER, worker)) for worker in workers],
            }
            for number, pid, generation, quiescing, workers in processes
        ],
    }


_WORKER = (
    "thread_num", "generation", "status", "access_count", "bytes_served",
    "start_time", "stop_time", "last_used", "client", "request", "vhost",
)


def subscribe_events(callback):
    _measure()
    event_callbacks.append(callback)
    return callback


def subscribe_shutdown(callback):
    shutdown_callbacks.append(callback)
    return callback


def _publish(name, **payload):
    for callback in list(event_callbacks):
        try:
            answer = callback(name, **payload)
            if isinstance(answer, dict):
                payload.update(answer)
        except Exception:
            _log_of_callback("an event callback")
    return payload


def _run_atexit():
    import atexit

    atexit._run_exitfuncs()


def _join_threads():
    threading = _sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()


# Data of the requests that run now: by request id, and by thread.
active_requests = {}
_by_thread = {}


def request_data():
    try:
        return _by_thread[_get_ident()]
    except KeyError:
        raise RuntimeError("no active request for thread") from None


def _request_begins(environ, application, connects, restarts):
    """Answers what is to be called."""
    data = request_data()
    payload = _publish(
        "request_started",
        request_id=environ["mod_wsgi.request_id"],
        thread_id=environ["mod_wsgi.thread_id"],
        server_pid=environ["mod_wsgi.server_pid"],
        daemon_connects=connects,
        daemon_restarts=restarts,
        request_start=environ["mod_wsgi.request_start"],
        queue_start=environ["mod_wsgi.queue_start"],
        daemon_start=environ["mod_wsgi.daemon_start"],
        application_start=environ["mod_wsgi.application_start"],
        application_object=application,
        callable_object=environ["mod_wsgi.callable_object"],
        request_environ=environ,
        request_data=data,
    )
    return payload["application_object"]


def _response_started(request_id, status, headers, exc_info):
    _publish(
        "response_started",
        request_id=request_id,
        response_status=status,
        response_headers=headers,
        exception_info=exc_info,
        request_data=_by_thread.get(_get_ident()),
    )


def _request_fails(request_id, kind, value, trace):
    _publish(
        "request_exception",
        request_id=request_id,
        exception_info=(kind, value, trace),
        request_data=_by_thread.get(_get_ident()),
    )


def _request_ends(facts, status, read, written, used):
    """`read` and `written`: count, bytes, seconds. `used`: seconds of the processor
    as user and as system, seconds and number of waits for Python's lock."""
    request_id, thread_id, request_start, application_start, queue_start, daemon_start = facts
    now = _time.time()
    _publish(
        "request_finished",
        request_id=request_id,
        thread_id=thread_id,
        server_pid=str(_os.getpid()),
        request_start=request_start,
        queue_start=queue_start,
        daemon_start=daemon_start,
        application_finish=now,
        application_time=now - application_start,
        input_reads=read[0],
        input_length=read[1],
        input_time=read[2],
        output_writes=written[0],
        output_length=written[1],
        output_time=written[2],
        cpu_user_time=used[0],
        cpu_system_time=used[1],
        cpu_time=used[0] + used[1],
        gil_wait_time=used[2],
        gil_wait_count=used[3],
        status=status,
        request_data=_by_thread.get(_get_ident()),
    )


def _process_stopping(reason):
    payload = _publish("process_stopping", shutdown_reason=reason)
    for callback in list(shutdown_callbacks):
        try:
            callback("process_stopping", **payload)
        except Exception:
            _log_of_callback("a shutdown callback")


def _process_signal(name, number):
    payload = _publish("process_signal", signame=name, signum=number)
    for callback in list(signal_callbacks):
        try:
            callback("process_signal", **payload)
        except Exception:
            _log_of_callback("a signal callback")


def _stacks(only):
    """Lines that say what threads are doing: that one, or, for 0, all but this."""
    lines = []
    for thread, frame in _sys._current_frames().items():
        if thread != only if only else thread == _get_ident():
            continue
        verb, count = "executing", 0
        while frame is not None:
            code = frame.f_code
            where = f'file "{code.co_filename}", line {frame.f_lineno}, in {code.co_name}'
            lines.append(f"Thread {thread} {verb} {where}" if not count else f"called from {where}")
            frame, count = frame.f_back, count + 1
    return [line.encode("utf-8", "replace") for line in lines]


def _serve_alone(path, name):
    """Runs the script of a service. Answers the status to exit with."""
    from types import ModuleType

    def stop(number, frame):
        raise SystemExit(0)

    _signal.signal(_signal.SIGTERM, stop)
    try:
        with open(path, "rb") as file:
            code = compile(file.read(), path, "exec", dont_inherit=True)
        module = ModuleType(name)
        module.__file__ = path
        module.__mtime__ = _os.stat(path).st_mtime_ns // 1000
        _sys.modules[name] = module
        exec(code, module.__dict__)
    except SystemExit as exit:
        if exit.code is None or isinstance(exit.code, int):
            return (exit.code or 0) & 255
        _log(_ERROR, str(exit.code).encode("utf-8", "replace"))
        return 1
    except BaseException:
        _log_exception(*_sys.exc_info())
        return 1
    return 0


def _log_of_callback(what):
    _log(_ERROR, f"WSGI0112: exception in {what}".encode())
    _log_exception(*_sys.exc_info())


# This process: others that the application forks have its functions, too.
_process = _os.getpid()


def _is_forked():
    global _process
    _process = _os.getpid()


def _freeze():
    import gc

    gc.collect()
    gc.freeze()


def _restrict_signal():
    register = _signal.signal

    def signal(number, handler):
        if _os.getpid() != _process:
            return register(number, handler)
        _log(_INFO, b"callback registration for signal %d ignored" % number)
        _log_stack()
        return handler

    _signal.signal = signal


def _add_user():
    import pwd

    try:
        user = pwd.getpwuid(_os.getuid())
    except KeyError:
        return
    _os.environ["HOME"] = user.pw_dir
    for name in ("USER", "USERNAME", "LOGNAME"):
        if name in _os.environ:
            _os.environ[name] = user.pw_name


def _add_path(folders):
    import site

    before = list(_sys.path)
    for folder in folders:
        site.addsitedir(folder)
    new = [entry for entry in _sys.path if entry not in before]
    _sys.path[:] = new + before


def _set_up():
    if _settings["switch_interval"]:
        _sys.setswitchinterval(_settings["switch_interval"])
    _sys.argv = ["mod_wsgi"]
    _sys.stderr = _stream("stderr")
    if not _settings["one_process"]:
        _sys.stdout = (
            _Restricted("sys.stdout") if _settings["restrict_stdout"] else _stream("stdout")
        )
        if _settings["restrict_stdin"]:
            _sys.stdin = _Restricted("sys.stdin")
    if _settings["restrict_signal"]:
        _restrict_signal()
    if _settings["daemon"]:
        _add_user()
    if _settings["eggs"]:
        _os.environ["PYTHON_EGG_CACHE"] = _settings["eggs"]
    if _settings["path"]:
        _add_path(_settings["path"])
    if _settings["home"]:
        _sys.path.insert(0, _settings["home"])
    try:
        import apache
    except ImportError:
        import types

        apache = types.ModuleType("apache")
        _sys.modules["apache"] = apache
    apache.version = _settings["apache_version"]
    apache.description = _settings["apache_description"]
    apache.mpm_name = _settings["mpm_name"]
    apache.build_date = _settings["build_date"]
    apache.maximum_processes = _settings["processes"]
    apache.threads_per_process = _settings["threads"]
