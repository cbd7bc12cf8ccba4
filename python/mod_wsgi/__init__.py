"""mod_wsgi as a Python program sees it outside of Apache.

Inside of Apache the name `mod_wsgi` belongs to a module that the server itself
makes, with what only a server can offer: the current request, metrics, events. This
package is then merely where that module looks for its submodules, such as
`mod_wsgi.express`. Outside it lets the same code be imported: a settings file that
names `mod_wsgi.LogHandler` works in a shell, too.
"""

import logging

#: The release whose behaviour is followed; inside of Apache it is the same.
version: tuple[int, int, int] = (6, 1, 1)


class LogHandler(logging.StreamHandler):
    """Where no server keeps a log: a handler that writes to standard error.

    Inside of Apache the class of this name passes records on to the server's log
    with their level, file and line.
    """

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__()
        self.setLevel(level)
