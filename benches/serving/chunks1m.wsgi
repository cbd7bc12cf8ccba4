"""A page of 1 MiB, yielded in 16 blocks."""

BLOCK = bytes(64 * 1024)
COUNT = 16
HEADERS = [
    ("Content-Type", "application/octet-stream"),
    ("Content-Length", str(COUNT * len(BLOCK))),
]


def application(environ, start_response):
    start_response("200 OK", HEADERS)
    return (BLOCK for _ in range(COUNT))
