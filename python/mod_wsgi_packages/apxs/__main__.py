"""`python -m mod_wsgi_packages.apxs`, and the console script `mod_wsgi-apxs`."""

import sys
from typing import NoReturn

from mod_wsgi_packages import httpd


def main() -> NoReturn:
    """Answers questions about the build, and builds modules."""
    httpd.run("mod_wsgi-apxs", *sys.argv[1:])


if __name__ == "__main__":
    main()
