"""The Python side of `mod_wsgi-express`, and an app for Django's `INSTALLED_APPS`.

The launcher is a program of its own. What runs in Python is here: the wrapper
around an application (`handler`), what replaces a process whose code has changed
(`reloader`), tools for debugging, and the management command `runmodwsgi`.

Nothing is imported yet: the wrapper takes what its settings ask for and no more.
"""
