"""Written by mod_wsgi-express at each start: the application, for the server."""

import mod_wsgi

# Inside of Apache `mod_wsgi` is a module of the server's own. Its submodules must
# be those that belong to this launcher, whatever else is installed.
mod_wsgi.__path__ = [@PACKAGE@, *getattr(mod_wsgi, "__path__", [])]

from mod_wsgi.express.handler import Handler

# A line of its own, so that it is not in every traceback.
settings = @SETTINGS@
handler = Handler(settings)
handle_request = handler.handle_request

if handler.reloading:
    reload_required = handler.reload_required
