"""What the wrapper does with packages of others: paste's, and coverage."""

import subprocess
import sys
import textwrap
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from support import PATHS, PYTHON, Answer, Case  # noqa: E402

from mod_wsgi.express.handler import Handler  # noqa: E402


class Paste(Case):
    def test_a_deployment_file_names_an_application(self):
        self.write(
            "deployed.py",
            PATHS + "def factory(settings, **local):\n    assert local == {'kind': 'x'}\n    return application\n",
        )
        path = self.write("app.ini", "[app:main]\npaste.app_factory = deployed:factory\nkind = x\n")
        sys.path.insert(0, str(self.folder))
        handler = Handler({"application_type": "paste", "entry_point": path})
        self.assertEqual(Answer(handler.handle_request).body, b"|/")
        self.assertFalse(handler.reload_required(path))
        self.write("app.ini", "[app:main]\n")
        self.assertEqual(handler.source.path, path)


class Coverage(Case):
    def run_application(self, requests):
        path = self.write(
            "app.wsgi",
            "def application(environ, start_response):\n"
            "    start_response('200 OK', [])\n"
            "    if environ['PATH_INFO'] == '/never':\n"
            "        return [b'never']\n"
            "    return [b'']\n",
        )
        text = f"""
            import _thread, sys, threading, time
            sys.path[:0] = [{str(PYTHON)!r}, {str(PYTHON.parent / "tests/python")!r}]
            from mod_wsgi.express.handler import Handler
            from support import Answer
            settings = dict(entry_point={path!r}, enable_coverage=True, coverage_directory={str(self.folder / "report")!r})
            from mod_wsgi.express import coverage_report
            Handler(settings)
            measured = coverage_report._coverage
            handler = Handler(settings)
            assert coverage_report._coverage is measured
            # As a server's threads, these are unknown to the module `threading`.
            for _ in range({requests}):
                done = _thread.allocate_lock()
                done.acquire()
                def serve():
                    Answer(handler.handle_request)
                    done.release()
                _thread.start_new_thread(serve, ())
                done.acquire()
        """
        answer = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            capture_output=True,
            text=True,
            cwd=self.folder,
            timeout=60,
        )
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))

    def missed(self):
        text = textwrap.dedent(
            """
            import coverage
            measured = coverage.Coverage()
            measured.load()
            for file in measured.get_data().measured_files():
                print(file.rpartition("/")[2], *measured.analysis(file)[2])
            """
        )
        answer = subprocess.run(
            [sys.executable, "-c", text], capture_output=True, text=True, cwd=self.folder, check=True
        )
        return answer.stdout.splitlines()

    def test_requests_of_the_servers_threads_are_in_the_report(self):
        self.run_application(requests=2)
        self.assertIn("app.wsgi", (self.folder / "report/index.html").read_text())
        [line] = [line for line in self.missed() if line.startswith("app.wsgi")]
        self.assertEqual(line, "app.wsgi 4")
        self.assertFalse([line for line in self.missed() if line.startswith("handler")])

    def test_what_no_request_has_asked_for_is_missed(self):
        self.run_application(requests=0)
        [line] = [line for line in self.missed() if line.startswith("app.wsgi")]
        self.assertEqual(line, "app.wsgi 2 3 4 5")
