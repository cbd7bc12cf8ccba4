"""Written by mod_wsgi-express at each start: what is served when no application is
named. `handler.wsgi` loads it, and has told Python where this package is."""

from mod_wsgi.express.welcome import application
