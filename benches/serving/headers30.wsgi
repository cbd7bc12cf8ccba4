"""A tiny page with 30 headers."""

BODY = b"Hello, world\n"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]
HEADERS += [(f"X-Answer-{number}", f"value of header {number}") for number in range(28)]


def application(environ, start_response):
    start_response("200 OK", HEADERS)
    return [BODY]
