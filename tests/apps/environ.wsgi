"""Shows its environ as JSON: for each key the type and the value."""

import json


def application(environ, start_response):
    shown = {
        key: [type(value).__name__, value if isinstance(value, (str, int, float, bool, tuple)) else repr(value)]
        for key, value in environ.items()
    }
    body = json.dumps(shown).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
