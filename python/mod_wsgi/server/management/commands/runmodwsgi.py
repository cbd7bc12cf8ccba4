"""The command of `mod_wsgi.express`, for projects that list the app of that time."""

from mod_wsgi.express.management.commands.runmodwsgi import Command

__all__ = ["Command"]
