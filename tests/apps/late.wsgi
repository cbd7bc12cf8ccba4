"""Takes two seconds to load, then answers with its process and what it was told."""

import os
import time

time.sleep(2)


def application(environ, start_response):
    time.sleep(float(environ["QUERY_STRING"] or 0))
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
