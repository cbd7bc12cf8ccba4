# What the Python of a daemon process starts with: it becomes a daemon process.


def _start():
    import os
    import sys

    # Not importlib.util, which imports more than all else that is needed here.
    from importlib.machinery import ExtensionFileLoader, ModuleSpec

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
    loader = ExtensionFileLoader("mod_wsgi_python", library)
    try:
        module = loader.create_module(ModuleSpec("mod_wsgi_python", loader, origin=library))
    except ImportError as error:
        refuse(error)
    del globals()["_start"]
    status = module.serve()
    if status:
        sys.exit(status)


_start()
