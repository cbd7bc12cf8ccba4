"""Where the launcher is looked for, and what it is given."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from support import PYTHON, Case

from mod_wsgi.express import cli

#: A launcher that says how it was called.
LAUNCHER = """#!/bin/sh
echo "$0 [$$] ${VIRTUAL_ENV-none}"
for word; do echo "$word"; done
"""


class Launcher(Case):
    def setUp(self):
        super().setUp()
        self.named = self.program("named/launcher")
        os.environ.pop("MOD_WSGI_EXPRESS", None)
        os.environ["PATH"] = os.defpath

    def program(self, name):
        path = self.write(name, LAUNCHER)
        os.chmod(path, 0o755)
        return path

    def test_the_variable_names_it(self):
        os.environ["MOD_WSGI_EXPRESS"] = self.named
        self.assertEqual(cli.launcher(), self.named)

    def test_the_word_that_applications_find_is_no_name(self):
        found = self.program("path/mod_wsgi-express")
        os.environ["PATH"] = os.pathsep.join([os.path.dirname(found), os.defpath])
        os.environ["MOD_WSGI_EXPRESS"] = "true"
        self.program("here/true")
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder / "here")
        beside = os.path.join(os.path.dirname(sys.executable), "mod_wsgi-express")
        expected = beside if os.path.exists(beside) else found
        self.assertEqual(cli.launcher(), expected)

    def test_a_file_that_cannot_be_run_is_passed_over(self):
        self.program("path/mod_wsgi-express")
        os.environ["MOD_WSGI_EXPRESS"] = self.write("plain/file", "")
        os.environ["PATH"] = str(self.folder / "path")
        self.assertTrue(cli.launcher().endswith("/mod_wsgi-express"))

    def test_beside_python_comes_before_the_path(self):
        prefix = self.folder / "venv"
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(prefix)], check=True, timeout=120
        )
        beside = self.program("venv/bin/mod_wsgi-express")
        found = self.program("path/mod_wsgi-express")
        os.environ["PATH"] = os.path.dirname(found)
        code = "from mod_wsgi.express import cli; print(cli.launcher())"
        answer = subprocess.run(
            [str(prefix / "bin/python"), "-c", code],
            env={**os.environ, "PYTHONPATH": str(PYTHON)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(answer.stdout.strip(), beside)
        os.unlink(beside)

    def test_the_tree_of_the_package_is_looked_at_last(self):
        if any(Path(path).is_file() for path in list(cli._candidates())):
            self.skipTest("this machine has a launcher")
        shutil.copytree(PYTHON / "mod_wsgi", self.folder / "tree/python/mod_wsgi")
        inside = self.program("tree/bin/mod_wsgi-express")
        code = "from mod_wsgi.express import cli; print(cli.launcher())"
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(self.folder / "tree/python")},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(answer.stdout.strip(), inside)

    def test_without_one_it_is_said_what_to_do(self):
        if any(Path(path).is_file() for path in list(cli._candidates())):
            self.skipTest("this machine has a launcher")
        with self.assertRaisesRegex(FileNotFoundError, "name its file in the variable"):
            cli.launcher()

    def test_start_becomes_the_launcher(self):
        code = (
            "import os, sys; print(os.getpid()); from mod_wsgi.express.cli import start\n"
            "start('app.wsgi', '--port', '8000')"
        )
        os.environ.pop("VIRTUAL_ENV", None)
        os.environ.pop("PYTHONUNBUFFERED", None)
        prefix = self.folder / "venv"
        make = [sys.executable, "-m", "venv", "--without-pip", str(prefix)]
        subprocess.run(make, check=True, timeout=120)
        mine = sys.prefix if sys.prefix != sys.base_prefix else "none"
        for python, home in ((sys.executable, mine), (str(prefix / "bin/python"), str(prefix))):
            answer = subprocess.run(
                [python, "-c", code],
                env={**os.environ, "PYTHONPATH": str(PYTHON), "MOD_WSGI_EXPRESS": self.named},
                capture_output=True,
                text=True,
                check=True,
            )
            pid, name, *words = answer.stdout.splitlines()
            self.assertEqual(name, f"{self.named} [{pid}] {home}")
            self.assertEqual(words, ["start-server", "app.wsgi", "--port", "8000"])

    def test_the_names_of_earlier_releases_are_known_and_warn(self):
        code = (
            "import json, warnings\n"
            "with warnings.catch_warnings(record=True) as told:\n"
            "    warnings.simplefilter('always')\n"
            "    import mod_wsgi.server\n"
            "    from mod_wsgi.server.environ import application\n"
            "print(json.dumps([[t.category.__name__ for t in told], sorted(mod_wsgi.server.__all__)]))"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(PYTHON)},
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(
            json.loads(answer.stdout), [["FutureWarning"], ["start", "start_reloader", "track_changes"]]
        )
