"""Says which copy of this module answers, and whether to load it again."""

import os
import sys

# How often this file was executed in this interpreter.
sys.executed = getattr(sys, "executed", 0) + 1

executed = sys.executed


def reload_required(path):
    kept = os.path.join(os.path.dirname(path), "../kept")
    if os.path.exists(os.path.join(kept, "fail")):
        raise RuntimeError("cannot tell")
    asked = os.path.join(kept, "reload")
    if os.path.exists(asked):
        os.remove(asked)
        return [path]
    return []


def application(environ, start_response):
    start_response("200 OK", [])
    return [f"execution {executed}".encode()]
