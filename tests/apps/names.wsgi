"""Several applications in one file: which one is called is configured."""


def answer(text):
    def called(environ, start_response):
        start_response("200 OK", [])
        return [f"{text} {environ['mod_wsgi.callable_object']}".encode()]

    return called


application = answer("default")
other = answer("other")


class Class:
    """Called once a request: the instance is the iterable."""

    def __init__(self, environ, start_response):
        start_response("200 OK", [])

    def __iter__(self):
        yield b"class"


not_callable = "text"
