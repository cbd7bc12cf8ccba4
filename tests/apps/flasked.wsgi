"""A small Flask application."""

import hashlib

from flask import Flask, Response, make_response, request, session, stream_with_context

application = Flask(__name__)
application.secret_key = "a key for tests"


@application.get("/hello/<name>")
def hello(name):
    return {"hello": name, "question": request.args.get("q")}


@application.post("/form")
def form():
    return "|".join(f"{key}={value}" for key, value in sorted(request.form.items()))


@application.post("/upload")
def upload():
    digests = [
        f"{file.filename} {hashlib.sha256(file.read()).hexdigest()}"
        for file in request.files.getlist("file")
    ]
    return "\n".join(digests)


@application.get("/stream")
def stream():
    def blocks():
        for number in range(1000):
            # The request is still there while the body is made.
            yield f"{request.path} {number}\n"

    return Response(stream_with_context(blocks()), mimetype="text/plain")


@application.get("/visits")
def visits():
    session["visits"] = session.get("visits", 0) + 1
    response = make_response(str(session["visits"]))
    response.set_cookie("plain", "biscuit", httponly=True, samesite="Lax")
    return response


@application.get("/fails")
def fails():
    raise ValueError("in a view")
