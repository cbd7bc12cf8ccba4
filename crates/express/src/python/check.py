"""Loads an application as the server would, once. Arguments: the folder with this
launcher's package, and the settings of the wrapper script."""

import json
import sys

# The folder of the command itself is not on the server's path.
sys.path[:1] = [sys.argv[1]]
settings = json.loads(sys.argv[2])

from mod_wsgi.express import handler, loader

handler.export(settings)
handler.extend_path(settings)
folder = settings["working_directory"]
if folder and folder not in sys.path[:1]:
    sys.path.insert(0, folder)
source = loader.load(
    settings["application_type"], settings["entry_point"], settings["callable_object"]
)
if not callable(source.application):
    sys.exit(f"`{settings['callable_object']}` is not callable: {source.application!r}")
