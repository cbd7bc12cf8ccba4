"""Names of earlier releases. `mod_wsgi.express` has what was here."""

import warnings

from mod_wsgi.express.cli import start
from mod_wsgi.express.reloader import start_reloader, track_changes

__all__ = ["start", "start_reloader", "track_changes"]

warnings.warn(
    "mod_wsgi.server is the name of earlier releases: use mod_wsgi.express",
    FutureWarning,
    stacklevel=2,
)
