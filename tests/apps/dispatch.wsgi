"""Chooses group and callable for a request: each function answers with the
value of the Python expression in a header of its own."""

import mod_wsgi


def answer(header, environ):
    return eval(environ.get(header, "None"), {"environ": environ, "mod_wsgi": mod_wsgi})


def process_group(environ):
    return answer("HTTP_X_PROCESS", environ)


def application_group(environ):
    return answer("HTTP_X_GROUP", environ)


def callable_object(environ):
    return answer("HTTP_X_CALLABLE", environ)
