"""The name of earlier releases for `mod_wsgi.diagnostics.environ`."""

from mod_wsgi.diagnostics.environ import application

__all__ = ["application"]
