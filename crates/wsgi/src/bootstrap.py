# What the Python of a daemon process starts with: it becomes a daemon process.


def _start():
    import os
    import sys
    from importlib import util

    # -c puts the current folder in front.
    if not getattr(sys.flags, "safe_path", False) and sys.path[:1] == [""]:
        del sys.path[0]
    library, version = sys.argv[1:3]
    sys.argv = ["mod_wsgi"]
    for name in os.environ.pop("MOD_WSGI_DROP", "").split(","):
        os.environ.pop(name, None)

    def refuse(why):
        print(f"mod_wsgi: {sys.executable} cannot run daemon processes: {why}", file=sys.stderr)
        sys.exit(78)

    own = "%d.%d" % sys.version_info[:2]
    if own != version:
        refuse(f"it is Python {own}, mod_wsgi was built for Python {version}")
    spec = util.spec_from_file_location("mod_wsgi_python", library)
    try:
        module = util.module_from_spec(spec)
    except ImportError as error:
        refuse(error)
    del globals()["_start"]
    status = module.serve()
    if status:
        sys.exit(status)


_start()
