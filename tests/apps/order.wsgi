"""Calls in an order that is refused: the path names the case. Each sends
`first `, catches what is raised then, and sends its class and text."""

import sys


def second_start(start_response):
    start_response("200 OK", [])(b"first ")
    start_response("200 OK", [])


def second_start_none(start_response):
    start_response("200 OK", [])(b"first ")
    start_response("200 OK", [], None)


def write_after_bad_length(start_response):
    write = start_response("200 OK", [("Content-Length", "1x")])
    try:
        write(b"lost")
    except ValueError as error:
        kept = error
    start_response("200 OK", [])(b"first ")
    raise kept


def exc_info_comes_back(start_response):
    start_response("200 OK", [])(b"first ")
    try:
        raise LookupError("it is me")
    except LookupError:
        start_response("500 Oops", [], sys.exc_info())


def write_text_later(start_response):
    write = start_response("200 OK", [])
    write(b"first ")
    write("text")


def application(environ, start_response):
    try:
        globals()[environ["PATH_INFO"][1:]](start_response)
        text = "nothing was raised"
    except Exception as error:
        text = f"{type(error).__name__}: {error}"
    return [text.encode()]
