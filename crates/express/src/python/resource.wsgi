"""Written by mod_wsgi-express at each start: the scripts of --add-handler."""

import json

import mod_wsgi

# See `handler.wsgi`.
mod_wsgi.__path__ = [@PACKAGE@, *getattr(mod_wsgi, "__path__", [])]

from mod_wsgi.express.resource import Resources

handler = Resources(json.loads(@SETTINGS@))
handle_request = handler.handle_request

if handler.reloading:
    reload_required = handler.reload_required
