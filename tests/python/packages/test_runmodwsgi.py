"""`manage.py runmodwsgi`, with a launcher that says how it was called."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import PYTHON, Case  # noqa: E402


def option(name, kind, *values, **more):
    return {
        "name": name,
        "values": list(values),
        "type": kind,
        "list": False,
        "default": None,
        "help": f"what {name} does, 100% of it",
        "hidden": False,
        **more,
    }


OPTIONS = [
    option("--port", "int", "NUMBER", default=8000),
    option("--switch-interval", "float", "SECONDS"),
    option("--log-to-terminal", "flag", default=False),
    option("--setup-only", "flag", default=False),
    option("--working-directory", "text", "DIRECTORY-PATH"),
    option("--log-level", "text", "NAME", default="warn"),
    option("--url-alias", "text", "URL-PATH", "FILE-PATH|DIRECTORY-PATH", list=True),
    option("--include-file", "text", "FILE-PATH", list=True),
    option("--proxy-url-alias", "text", "URL-PATH", "URL", list=True, hidden=True),
    # Django has this one itself.
    option("--settings", "text", "NAME"),
]

LAUNCHER = """#!{python}
import json, sys
if sys.argv[1:] == ["options", "--json"]:
    print(json.dumps({options}))
else:
    print(json.dumps(sys.argv[1:]))
"""

SETTINGS = """
from pathlib import Path
SECRET_KEY = "x" * 50
INSTALLED_APPS = ["{app}", "django.contrib.staticfiles"]
MIDDLEWARE = []
WSGI_APPLICATION = "site_of_test.wsgi.app"
STATIC_URL = "static/"
STATIC_ROOT = Path({folder!r}) / "static files"
"""


class Command(Case):
    def setUp(self):
        super().setUp()
        text = LAUNCHER.format(python=sys.executable, options=repr(OPTIONS))
        self.launcher = self.write("launcher", text)
        os.chmod(self.launcher, 0o755)
        self.write("project/site_of_test/__init__.py", "")
        # It is the server that imports this, not the command.
        self.write("project/site_of_test/wsgi.py", "raise AssertionError\n")
        self.settings()

    def settings(self, more="", app="mod_wsgi.express"):
        text = SETTINGS.format(folder=str(self.folder), app=app)
        self.write("project/site_of_test/settings.py", text + textwrap.dedent(more))

    def run_command(self, *words, code=0):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PYTHON), str(self.folder / "project")]),
            "MOD_WSGI_EXPRESS": self.launcher,
            "DJANGO_SETTINGS_MODULE": "site_of_test.settings",
        }
        answer = subprocess.run(
            [sys.executable, "-m", "django", "runmodwsgi", *words],
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            cwd=self.folder,
        )
        self.assertEqual(answer.returncode, code, answer.stderr)
        self.errors = answer.stderr
        if code:
            return None
        first, second = answer.stdout.splitlines()
        self.assertEqual(first, "Successfully ran command.")
        return json.loads(second)

    def expected(self, *words, folder=None, static=True):
        alias = ["--url-alias", "/static", str(self.folder / "static files")] if static else []
        folder = str(folder or self.folder / "project")
        return [
            *("start-server", "--application-type", "module"),
            *("--entry-point", "site_of_test.wsgi", "--callable-object", "app"),
            *("--working-directory", folder),
            *alias,
            *words,
        ]

    def test_the_settings_tell_what_to_serve(self):
        self.assertEqual(self.run_command(), self.expected())
        self.assertEqual(self.errors, "")

    def test_options_are_passed_on_in_their_types(self):
        words = self.run_command(
            *("--port", "0x1f90", "--switch-interval", ".5", "--log-to-terminal"),
            *("--log-level", "info wsgi:debug", "--url-alias", "/a", "/files"),
            *("--url-alias", "/b", "/more", "--include-file=-x", "--proxy-url-alias", "/p", "http://q/"),
        )
        given = [
            *("--port=8080", "--switch-interval=0.5", "--log-to-terminal"),
            *("--log-level=info wsgi:debug", "--url-alias=/a", "/files", "--url-alias=/b", "/more"),
            *("--include-file=-x", "--proxy-url-alias=/p", "http://q/"),
        ]
        self.assertEqual(words, self.expected(*given))

    def test_whole_numbers_are_written_as_for_the_launcher(self):
        for text, number in {"0100": 64, "0b11": 3, "-1": -1, "0": 0, "08": None, "x": None}.items():
            if number is None:
                self.run_command(f"--port={text}", code=2)
                self.assertIn("--port: invalid integer value", self.errors)
            else:
                self.assertIn(f"--port={number}", self.run_command(f"--port={text}"))

    def test_a_folder_that_is_given_comes_last_and_so_wins(self):
        words = self.run_command("--working-directory", "/else")
        self.assertEqual(words, self.expected("--working-directory=/else"))

    def test_the_base_of_the_project_is_its_folder(self):
        for base in ("'/the/base'", "Path('/the/base')"):
            self.settings(f"BASE_DIR = {base}")
            self.assertEqual(self.run_command(), self.expected(folder="/the/base"))

    def test_setup_only_is_the_other_command(self):
        words = self.run_command("--setup-only")
        self.assertEqual(words, ["setup-server", *self.expected()[1:]])

    def test_static_files_are_served_unless_the_application_does(self):
        for more in (
            "STATIC_ROOT = None",
            "STATIC_URL = 'http://elsewhere/'",
            "STATIC_URL = '/'",
            "MIDDLEWARE = ['whitenoise.middleware.WhiteNoiseMiddleware']",
        ):
            self.settings(more)
            self.assertEqual(self.run_command(), self.expected(static=False), more)

    def test_positional_words_are_refused(self):
        self.run_command("app.wsgi", code=2)
        self.assertIn("unrecognized arguments: app.wsgi", self.errors)

    def test_what_is_wrong_is_an_error_of_the_command(self):
        self.settings("WSGI_APPLICATION = None")
        self.run_command(code=1)
        self.assertIn("CommandError: WSGI_APPLICATION in the settings", self.errors)
        self.write("launcher", "#!/bin/sh\nexit 3\n")
        self.run_command(code=1)
        self.assertIn("CommandError: mod_wsgi-express does not tell its options", self.errors)

    def test_help_tells_the_options_but_not_the_hidden_ones(self):
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PYTHON), str(self.folder / "project")]),
            "MOD_WSGI_EXPRESS": self.launcher,
            "DJANGO_SETTINGS_MODULE": "site_of_test.settings",
            "COLUMNS": "100",
        }
        text = subprocess.run(
            [sys.executable, "-m", "django", "runmodwsgi", "--help"],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        ).stdout
        self.assertIn("--port NUMBER", text)
        self.assertIn("what --port does, 100% of it", text)
        self.assertIn("--url-alias URL-PATH FILE-PATH|DIRECTORY-PATH", text)
        self.assertNotIn("--proxy-url-alias", text)

    def test_the_app_of_earlier_releases_works_and_warns(self):
        self.settings(app="mod_wsgi.server")
        self.assertEqual(self.run_command(), self.expected())
        self.assertIn("FutureWarning: mod_wsgi.server is the name of earlier releases", self.errors)

    def test_it_can_be_called_from_a_program(self):
        code = (
            "import django; django.setup()\n"
            "from django.core.management import call_command\n"
            "call_command('runmodwsgi', port=8001, log_to_terminal=True, url_alias=[('/a', '/b')])\n"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(PYTHON), str(self.folder / "project")]),
                "MOD_WSGI_EXPRESS": self.launcher,
                "DJANGO_SETTINGS_MODULE": "site_of_test.settings",
            },
        )
        self.assertEqual(answer.returncode, 0, answer.stderr)
        words = json.loads(answer.stdout.splitlines()[1])
        given = ("--port=8001", "--log-to-terminal", "--url-alias=/a", "/b")
        self.assertEqual(words, self.expected(*given))
