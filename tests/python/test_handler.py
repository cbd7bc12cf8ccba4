"""The wrapper: what it loads, how it splits paths, what it tells the application."""

import os
import sys
import types

from support import PATHS, Answer, Case, request

from mod_wsgi.express.handler import Handler


class Loading(Case):
    def handler(self, **settings):
        settings.setdefault("application_type", "script")
        settings.setdefault("callable_object", "application")
        return Handler(settings)

    def test_a_script_runs_as_a_module_that_code_can_find(self):
        path = self.write(
            "app.wsgi",
            "import sys\nassert sys.modules['__wsgi__'].__file__ == __file__\n" + PATHS,
        )
        handler = self.handler(entry_point=path)
        self.assertEqual(Answer(handler.handle_request).body, b"|/")
        self.assertEqual(handler.application.__module__, "__wsgi__")

    def test_the_source_of_a_script_is_in_tracebacks(self):
        path = self.write("app.wsgi", "def application(environ, start):\n    return environ['no']\n")
        handler = self.handler(entry_point=path)
        import traceback

        try:
            Answer(handler.handle_request)
        except KeyError:
            text = traceback.format_exc()
        self.assertIn(f'File "{path}", line 2, in application', text)
        self.assertIn("return environ['no']", text)

    def test_a_script_that_fails_leaves_no_half_of_a_module(self):
        sys.modules.pop("__wsgi__", None)
        path = self.write("app.wsgi", "raise OSError('not today')\n")
        with self.assertRaisesRegex(OSError, "not today"):
            self.handler(entry_point=path)
        self.assertNotIn("__wsgi__", sys.modules)
        with self.assertRaises(FileNotFoundError):
            self.handler(entry_point=path + "-absent")

    def test_a_module_is_imported_by_its_name(self):
        self.write("pack/__init__.py", "")
        self.write("pack/site.py", PATHS.replace("application", "site"))
        sys.path.insert(0, str(self.folder))
        handler = self.handler(
            application_type="module", entry_point="pack.site", callable_object="site"
        )
        self.assertEqual(Answer(handler.handle_request).body, b"|/")
        self.assertEqual(handler.source.path, str(self.folder / "pack/site.py"))

    def test_a_name_that_is_not_there_is_told_with_its_file(self):
        path = self.write("app.wsgi", "app = None\n")
        with self.assertRaisesRegex(AttributeError, "app.wsgi` has no `application`.*--callable"):
            self.handler(entry_point=path)

    def test_nothing_is_loaded_where_files_alone_are_served(self):
        handler = self.handler(application_type="static", entry_point="static")
        self.assertEqual(Answer(handler.handle_request).status, "404 Not Found")
        self.assertFalse(handler.reload_required("any"))

    def test_paste_is_named_when_it_is_absent(self):
        sys.modules["paste.deploy"] = None
        self.addCleanup(sys.modules.pop, "paste.deploy")
        path = self.write("app.ini", "[app:main]\n")
        with self.assertRaisesRegex(ImportError, "PasteDeploy"):
            self.handler(application_type="paste", entry_point=path)


class Reloading(Case):
    def test_any_other_time_of_the_file_is_a_change(self):
        path = self.write("app.wsgi", PATHS)
        handler = Handler({"entry_point": path})
        self.assertFalse(handler.reload_required(path))
        for seconds in (-100, 100):
            time = os.stat(path).st_mtime + seconds
            os.utime(path, (time, time))
            self.assertTrue(handler.reload_required(path))
            handler = Handler({"entry_point": path})
            self.assertFalse(handler.reload_required(path))
        os.unlink(path)
        self.assertTrue(handler.reload_required(path))

    def test_a_change_while_the_file_is_loaded_is_one(self):
        path = self.write("app.wsgi", "import os\nos.utime(__file__, (1, 1))\n" + PATHS)
        self.assertTrue(Handler({"entry_point": path}).reload_required(path))

    def test_it_can_be_off(self):
        path = self.write("app.wsgi", PATHS)
        self.assertTrue(Handler({"entry_point": path}).reloading)
        for setting in ("disable_reloading", "debug_mode"):
            self.assertFalse(Handler({"entry_point": path, setting: True}).reloading)


class Paths(Case):
    def split(self, mount_point, script_name, path_info, **more):
        path = self.write("app.wsgi", PATHS)
        handler = Handler({"entry_point": path, "mount_point": mount_point})
        environ = request(script_name, path_info, **more)
        return Answer(handler.handle_request, environ).body.decode()

    def test_all_of_a_path_is_the_applications(self):
        for mount_point in ("/", "", None):
            self.assertEqual(self.split(mount_point, "/foo", "/bar"), "|/foo/bar")
        self.assertEqual(self.split("/", "/", ""), "|/")
        self.assertEqual(self.split("/", "", "/"), "|/")

    def test_what_is_before_the_mount_point_is_the_scripts(self):
        for mount_point in ("/wiki", "/wiki/", "wiki"):
            self.assertEqual(self.split(mount_point, "/wiki", "/a"), "/wiki|/a")
        self.assertEqual(self.split("/wiki", "/wiki/", ""), "/wiki|/")
        self.assertEqual(self.split("/wiki", "/wiki", ""), "/wiki|")
        self.assertEqual(self.split("/a/b", "/a/b/c", "/d"), "/a/b|/c/d")

    def test_a_mount_point_ends_at_a_slash(self):
        self.assertEqual(self.split("/wiki", "/wikis", "/a"), "|/wikis/a")

    def test_what_a_trusted_proxy_says_stays(self):
        trusted = {
            "mod_wsgi.mount_point": "/outside",
            "mod_wsgi.script_name": "/wiki",
            "mod_wsgi.path_info": "/a",
        }
        self.assertEqual(self.split("/", "/outside", "/a", **trusted), "/outside|/wiki/a")
        self.assertEqual(self.split("/wiki", "/outside", "/a", **trusted), "/outside|/a")


class Environment(Case):
    def test_it_tells_how_the_application_is_run(self):
        for name in [name for name in os.environ if name.startswith("MOD_WSGI_")]:
            del os.environ[name]
        path = self.write("app.wsgi", "import os\ntold = dict(os.environ)\n" + PATHS)
        Handler(
            {
                "entry_point": path,
                "server_name": "www.example.test",
                "server_aliases": ["a.example.test", "b.example.test"],
                "debug_mode": True,
                "enable_gdb": True,
                "enable_recorder": False,
            }
        )
        told = sys.modules["__wsgi__"].told
        told = {name: value for name, value in told.items() if name.startswith("MOD_WSGI_")}
        self.assertEqual(
            told,
            {
                "MOD_WSGI_EXPRESS": "true",
                "MOD_WSGI_SERVER_NAME": "www.example.test",
                "MOD_WSGI_SERVER_ALIASES": "a.example.test b.example.test",
                "MOD_WSGI_DEBUG_MODE": "true",
                "MOD_WSGI_GDB_ENABLED": "true",
            },
        )

    def test_a_server_without_a_name_is_known_by_its_host(self):
        path = self.write("app.wsgi", PATHS)
        for settings, name in (({}, "localhost"), ({"host": "127.0.0.1"}, "127.0.0.1")):
            Handler({"entry_point": path, **settings})
            self.assertEqual(os.environ["MOD_WSGI_SERVER_NAME"], name)
            self.assertEqual(os.environ["MOD_WSGI_SERVER_ALIASES"], "")

    def test_folders_come_first_in_their_order_with_their_path_files(self):
        self.write("one/more.pth", str(self.folder / "three") + "\n")
        for name in ("two", "three"):
            (self.folder / name).mkdir()
        path = self.write("app.wsgi", PATHS)
        folders = [str(self.folder / name) for name in ("one", "two")]
        before = sys.path[:]
        Handler({"entry_point": path, "python_paths": folders})
        three = str(self.folder / "three")
        self.assertEqual(sys.path, [folders[0], three, folders[1], *before])
        Handler({"entry_point": path, "python_paths": folders})
        self.assertEqual(len(sys.path), len(before) + 3)

    def test_the_working_directory_is_on_the_path_and_first_in_debug_mode(self):
        path, folder = self.write("app.wsgi", PATHS), str(self.folder)
        settings = {"entry_point": path, "working_directory": folder}
        before = sys.path[:]
        for _again in range(2):
            Handler(settings)
            self.assertEqual(sys.path, [folder, *before])
        sys.path.insert(0, "/other")
        Handler(settings)
        self.assertEqual(sys.path, ["/other", folder, *before])
        Handler({**settings, "debug_mode": True})
        self.assertEqual(sys.path[0], folder)


class Layers(Case):
    def test_their_order_is_debugger_then_recorder(self):
        path = self.write("app.wsgi", PATHS)
        handler = Handler(
            {
                "entry_point": path,
                "enable_debugger": True,
                "enable_recorder": True,
                "recorder_directory": str(self.folder / "archive"),
            }
        )
        from mod_wsgi.express.debugger import Debugger
        from mod_wsgi.express.recorder import Recorder

        self.assertIsInstance(handler.application, Recorder)
        self.assertIsInstance(handler.application.application, Debugger)
        self.assertEqual(Answer(handler.handle_request).body, b"|/")

    def test_without_the_package_new_relic_is_one_line_in_the_log(self):
        import contextlib
        import io

        sys.modules["newrelic"] = None
        self.addCleanup(sys.modules.pop, "newrelic")
        path = self.write("app.wsgi", PATHS)
        with contextlib.redirect_stderr(io.StringIO()) as log:
            handler = Handler(
                {
                    "entry_point": path,
                    "with_newrelic_agent": True,
                    "newrelic_config_file": "/etc/newrelic.ini",
                    "newrelic_environment": "staging",
                }
            )
        self.assertEqual(log.getvalue().count("\n"), 1)
        self.assertIn("--with-newrelic-agent is without effect", log.getvalue())
        self.assertEqual(Answer(handler.handle_request).body, b"|/")
        self.assertEqual(os.environ["NEW_RELIC_CONFIG_FILE"], "/etc/newrelic.ini")
        self.assertEqual(os.environ["NEW_RELIC_ENVIRONMENT"], "staging")

    def test_the_agent_of_new_relic_wraps_the_application(self):
        told = []
        agent = types.ModuleType("newrelic.agent")
        agent.initialize = lambda *args: told.append(args)
        agent.register_application = lambda: told.append("registered")
        agent.WSGIApplicationWrapper = lambda application: ("wrapped", application)
        package = types.ModuleType("newrelic")
        package.agent = agent
        for name, module in (("newrelic", package), ("newrelic.agent", agent)):
            sys.modules[name] = module
            self.addCleanup(sys.modules.pop, name)
        path = self.write("app.wsgi", PATHS)
        handler = Handler({"entry_point": path, "with_newrelic_agent": True})
        self.assertEqual(handler.application, ("wrapped", handler.source.application))
        self.assertEqual(told, [(None, None), "registered"])
        self.assertEqual(os.environ["NEW_RELIC_LOG"], "stderr")
