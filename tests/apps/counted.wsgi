"""numpy at work: the path names the calculation."""

import threading

import numpy


def application(environ, start_response):
    matrix = numpy.arange(10000, dtype=float).reshape(100, 100) % 7 + numpy.eye(100) * 100
    answer = {
        "/solve": lambda: bool(numpy.allclose(matrix @ numpy.linalg.inv(matrix), numpy.eye(100))),
        "/sum": lambda: int(numpy.arange(1_000_001).sum()),
        "/random": lambda: numpy.random.default_rng(7).random(1000).shape,
        "/module": lambda: numpy.__file__,
        "/thread": threading.get_ident,
    }[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(answer).encode()]
