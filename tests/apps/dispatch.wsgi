"""Chooses the group and the callable of a request by its query string."""


def process_group(environ):
    assert "wsgi.input" not in environ
    return {"process": "nowhere"}.get(environ["QUERY_STRING"])


def application_group(environ):
    return {
        "group": "chosen",
        "bytes": b"chosen bytes",
        "global": "%{GLOBAL}",
        "type": 5,
    }.get(environ["QUERY_STRING"])


def callable_object(environ):
    if environ["QUERY_STRING"] == "raise":
        raise RuntimeError("cannot choose")
    return {"callable": "other"}.get(environ["QUERY_STRING"])
