"""`python -m mod_wsgi.express`, which works where a script that names a Python does not."""

from mod_wsgi.express.cli import main

if __name__ == "__main__":
    main()
