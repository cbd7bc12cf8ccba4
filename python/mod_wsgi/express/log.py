"""One line for whoever runs the server."""

import sys


def say(text: str) -> None:
    """Writes it where the server's log is: standard error leads there."""
    print(f"mod_wsgi-express: {text}", file=sys.stderr, flush=True)
