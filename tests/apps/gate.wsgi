"""Asked before a request is served: about its access, its user, their groups.

Each function answers with the value of the Python expression in a header of its
own. What it was asked stands in `sys.asked`, for an application in the same
interpreter."""

import hashlib
import sys

sys.asked = getattr(sys, "asked", {})


def answer(name, usual, environ, **asked):
    sys.asked[name] = dict(asked, environ=environ)
    return eval(environ.get(f"HTTP_X_{name.upper()}", usual), globals(), sys.asked[name])


def realm_hash(user, realm, password="secret"):
    return hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest()


def allow_access(environ, host):
    return answer("access", "True", environ, host=host)


def check_password(environ, user, password):
    return answer("user", "True", environ, user=user, password=password)


def get_realm_hash(environ, user, realm):
    return answer("hash", "realm_hash(user, realm)", environ, user=user, realm=realm)


def groups_for_user(environ, user):
    return answer("groups", "['staff']", environ, user=user)
