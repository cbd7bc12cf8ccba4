"""Evaluates the Python expression in the header `X-Code` over `input`, the
body of the request; the reply is its `repr`, or its exception."""

# Lives as long as this module does.
kept = {}


def tries(path, calls):
    """Writes to a file what each of these gives or raises."""
    with open(path, "a") as file:
        for call in calls:
            try:
                text = repr(call())
            except Exception as error:
                text = f"{type(error).__name__}: {error}"
            file.write(text + "\n")


def application(environ, start_response):
    names = dict(environ=environ, input=environ["wsgi.input"], kept=kept, tries=tries)
    try:
        text = repr(eval(environ["HTTP_X_CODE"], names))
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [text.encode()]
