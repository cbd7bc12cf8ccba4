"""Scripts for extensions: which of them answers, and when it is loaded again."""

import os
import sys
from pathlib import Path

from support import PATHS, Answer, Case, request

from mod_wsgi.express.resource import Resources


class Scripts(Case):
    def setUp(self):
        super().setUp()
        self.one = self.write("one.py", "name = __name__\n" + PATHS)
        self.two = self.write(
            "two.py",
            PATHS.replace("application", "handle_request")
            + "def application(environ, start_response): raise AssertionError\n"
            "def reload_required(resource): return resource.endswith('new.two')\n",
        )
        self.resources = Resources({"resources": [[".one", self.one], ["Two", self.two]]})

    def ask(self, file, script_name="/file", path_info=""):
        environ = request(script_name, path_info, SCRIPT_FILENAME=file)
        return Answer(self.resources.handle_request, environ).body.decode()

    def test_the_extension_of_the_file_decides(self):
        for file in ("/a/b.one", "/a/b.two", "/a/b.ONE", "/a.one/b.two.bak", "/a/one.two"):
            self.assertEqual(self.ask(file, "/b.x", "/more"), "/b.x|/more")
        with self.assertRaisesRegex(LookupError, "no script is known for `/a.one/b`"):
            self.ask("/a.one/b")

    def test_the_last_extension_that_is_known_counts(self):
        self.write("one.py", "raise OSError('the first')\n")
        self.assertEqual(self.ask("/b.one.two"), "/file|")
        with self.assertRaisesRegex(OSError, "the first"):
            self.ask("/b.two.one")

    def test_a_script_is_loaded_once_and_knows_its_extension(self):
        self.ask("/b.one")
        os.unlink(self.one)
        self.ask("/b.one")
        self.assertEqual(sys.modules["__wsgi_one__"].name, "__wsgi_one__")

    def test_one_that_fails_is_tried_again(self):
        text = Path(self.one).read_text()
        self.write("one.py", "raise OSError\n")
        with self.assertRaises(OSError):
            self.ask("/b.one")
        self.assertFalse(self.resources.reload_required("/b.one"))
        self.write("one.py", text)
        self.assertEqual(self.ask("/b.one"), "/file|")

    def test_one_without_an_application_is_told_by_its_file(self):
        self.write("one.py", "")
        with self.assertRaisesRegex(AttributeError, "one.py` has neither"):
            self.ask("/b.one")

    def test_a_changed_script_is_to_be_reloaded(self):
        self.assertFalse(self.resources.reload_required("/b.one"))
        self.ask("/b.one")
        self.assertFalse(self.resources.reload_required("/b.one"))
        os.utime(self.one, (1, 1))
        for resource in ("/b.one", "/b.two", "/resource.wsgi"):
            self.assertTrue(self.resources.reload_required(resource))

    def test_a_script_is_asked_for_its_own_files(self):
        self.assertFalse(self.resources.reload_required("/new.two"))
        self.ask("/b.two")
        self.assertTrue(self.resources.reload_required("/new.two"))
        self.assertFalse(self.resources.reload_required("/old.two"))
        self.assertFalse(self.resources.reload_required("/new.one"))
