"""Answers Python code: the body of the request is an expression, or statements
that set `answer`. The reply is the `repr` of its value, or its exception."""

import sys

import mod_wsgi

# Lives as long as this module does.
kept = {}


def application(environ, start_response):
    source = environ["wsgi.input"].read().decode()
    names = dict(
        environ=environ,
        start_response=start_response,
        kept=kept,
        sys=sys,
        mod_wsgi=mod_wsgi,
        module=sys.modules[__name__],
    )
    try:
        if "\n" in source:
            exec(source, names)
            text = repr(names["answer"])
        else:
            text = repr(eval(source, names))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
