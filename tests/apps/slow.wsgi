"""Takes its time to load: until the test lets it, or for 20 seconds."""

import os
import time

# The folder of the site, next to that of the applications.
kept = os.path.join(os.path.dirname(__file__), "../kept")

open(os.path.join(kept, "loading"), "w").write("loading")
deadline = time.monotonic() + 20
while not os.path.exists(os.path.join(kept, "go")) and time.monotonic() < deadline:
    time.sleep(0.02)
open(os.path.join(kept, "loaded"), "w").write("loaded")


def application(environ, start_response):
    start_response("200 OK", [])
    return [b"slow"]
