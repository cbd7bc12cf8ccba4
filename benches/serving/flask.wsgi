"""A tiny page by Flask."""

from flask import Flask

application = Flask("hello")


@application.route("/")
def hello():
    return "Hello, world\n"
