"""Written by mod_wsgi-express at each start: the scripts of --add-handler."""

import mod_wsgi

# See `handler.wsgi`.
mod_wsgi.__path__ = [@PACKAGE@, *getattr(mod_wsgi, "__path__", [])]

from mod_wsgi.express.resource import Resources

# A line of its own, so that it is not in every traceback.
settings = @SETTINGS@
handler = Resources(settings)
handle_request = handler.handle_request

if handler.reloading:
    reload_required = handler.reload_required
