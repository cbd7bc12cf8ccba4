"""The tools for debugging: debugger, recorder, profiler; and the applications."""

import ast
import io
import os
import pstats
import subprocess
import sys
import textwrap

from support import PYTHON, Answer, Case, request

from mod_wsgi.express.debugger import Debugger
from mod_wsgi.express.recorder import PARTS, Recorder


class Failing:
    """Fails where it is told to."""

    def __init__(self, stage):
        self.stage = stage

    def __call__(self, environ, start_response):
        start_response("200 OK", [("X-Name", "value")])("written ".encode())
        if self.stage == "call":
            raise ValueError("in call")
        return self

    def __iter__(self):
        yield b"one "
        if self.stage == "iterate":
            raise ValueError("in iterate")
        yield b"two"

    def close(self):
        if self.stage == "close":
            raise ValueError("in close")
        self.stage = "closed"


class Debugging(Case):
    def test_an_exception_of_any_stage_opens_the_debugger_and_goes_on(self):
        for stage in ("call", "iterate", "close"):
            output = io.StringIO()
            debugger = Debugger(Failing(stage), io.StringIO("p self.stage\nq\n"), output)
            with self.assertRaisesRegex(ValueError, f"in {stage}"):
                Answer(debugger)
            self.assertIn(f"ValueError: in {stage}", output.getvalue())
            self.assertIn(f"(Pdb) '{stage}'", output.getvalue())

    def test_without_one_it_is_silent(self):
        output = io.StringIO()
        failing = Failing("")
        self.assertEqual(Answer(Debugger(failing, io.StringIO(), output)).body, b"written one two")
        self.assertEqual((failing.stage, output.getvalue()), ("closed", ""))
        self.assertIsNone(sys.gettrace())

    def test_breakpoints_that_are_set_at_the_start_stop_requests(self):
        # In a process of its own: breakpoints are kept for all of a process.
        path = self.write("app.py", "def application(e, s):\n    x = 40\n    y = x + 2\n    return [b'']\n")
        text = f"""
            import io, sys, threading
            sys.path[:0] = [{str(PYTHON)!r}, {str(self.folder)!r}]
            from mod_wsgi.express.debugger import Debugger
            import app
            debugger = Debugger(app.application)
            debugger.interrupt()
            print("loaded")
            for _ in range(2):
                thread = threading.Thread(target=lambda: list(debugger({{}}, None)))
                thread.start()
                thread.join()
            assert sys.gettrace() is None
        """
        commands = f"b {path}:3\nc\np 'x is', x\nn\np 'y is', y\nc\np 'again', x\nc\n"
        answer = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            input=commands,
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(answer.returncode, 0, answer.stderr)
        said = [line for line in answer.stdout.splitlines() if "is'" in line or "again" in line]
        self.assertEqual(len(said), 3, answer.stdout)
        for line, words in zip(said, ("'x is', 40", "'y is', 42", "'again', 40")):
            self.assertIn(words, line)
        self.assertEqual(answer.stdout.count("loaded\n"), 1)

    def test_leaving_it_at_the_start_goes_on(self):
        text = f"""
            import sys
            sys.path.insert(0, {str(PYTHON)!r})
            from mod_wsgi.express.debugger import Debugger
            Debugger(None).interrupt()
            print("goes on")
        """
        answer = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(text)],
            input="q\n",
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("goes on", answer.stdout)


class Recording(Case):
    def record(self, application, environ=None):
        recorder = Recorder(application, str(self.folder / "archive"))
        try:
            return Answer(recorder, environ).body
        finally:
            self.stems = sorted({path.stem for path in (self.folder / "archive").iterdir()})

    def part(self, name):
        return (self.folder / "archive" / f"{self.stems[-1]}.{name}").read_text()

    def test_a_request_and_its_answer_are_kept(self):
        def echo(environ, start_response):
            write = start_response("201 Created", [("X-A", "1"), ("X-A", "2")])
            write(b"written ")
            return [environ["wsgi.input"].readline(), b"", environ["wsgi.input"].read()]

        body = self.record(echo, request(body=b"first\nsecond", CONTENT_LENGTH="12"))
        self.assertEqual(body, b"written first\nsecond")
        microseconds, pid, count = self.stems[0].split("-")
        self.assertEqual((pid, count), (str(os.getpid()), "1"))
        self.assertEqual(len(microseconds), 16)
        self.assertIn("'CONTENT_LENGTH': '12'", self.part("iheaders"))
        self.assertEqual(self.part("icontent"), "first\nsecond")
        told = ast.literal_eval(self.part("oheaders"))
        self.assertEqual(told, ("201 Created", [("X-A", "1"), ("X-A", "2")]))
        self.assertEqual(self.part("ocontent"), "written first\nsecond")
        for name in ("oaexcept", "orexcept", "ofexcept"):
            self.assertEqual(self.part(name), "")

    def test_exceptions_are_kept_by_the_stage_that_they_end(self):
        for stage, name in (("call", "oaexcept"), ("iterate", "orexcept"), ("close", "ofexcept")):
            with self.assertRaisesRegex(ValueError, stage):
                self.record(Failing(stage))
            for part in ("oaexcept", "orexcept", "ofexcept"):
                text = self.part(part)
                self.assertEqual(f"ValueError: in {stage}" in text, part == name, text)
            # What it wrote goes to the server's log, not here.
            content = {"call": "written ", "iterate": "written one ", "close": "written one two"}
            self.assertEqual(self.part("ocontent"), content[stage])

    def test_each_request_has_seven_files_that_nobody_else_reads(self):
        recorder = Recorder(Failing(""), str(self.folder / "archive"))
        for _ in range(3):
            Answer(recorder)
        files = list((self.folder / "archive").iterdir())
        self.assertEqual(len(files), 3 * len(PARTS))
        self.assertEqual({oct(path.stat().st_mode & 0o777) for path in files}, {"0o600"})
        self.assertEqual({path.stem.split("-")[2] for path in files}, {"1", "2", "3"})

    def test_the_body_of_a_request_is_closed_with_the_answer(self):
        environ = request(body=b"x")
        self.record(Failing(""), environ)
        self.assertTrue(environ["wsgi.input"].closed)


class Profiling(Case):
    def test_loading_and_requests_of_any_thread_are_in_one_file(self):
        path = self.write(
            "app.wsgi",
            """
            def at_load():
                sum(range(10))
            def in_call():
                pass
            def in_iteration():
                pass
            def in_close():
                pass
            at_load()
            class Answer:
                def __iter__(self):
                    in_iteration()
                    yield b"x"
                def close(self):
                    in_close()
            def application(environ, start_response):
                in_call()
                start_response("200 OK", [])
                return Answer()
            """.replace("\n            ", "\n"),
        )
        text = f"""
            import sys, threading
            sys.path[:0] = [{str(PYTHON)!r}, {str(PYTHON.parent / "tests/python")!r}]
            from mod_wsgi.express.handler import Handler
            from support import Answer
            settings = dict(entry_point={path!r}, enable_profiler=True, profiler_directory={str(self.folder / "made/here")!r})
            Handler(settings)
            handler = Handler(settings)
            for _ in range(3):
                thread = threading.Thread(target=Answer, args=[handler.handle_request])
                thread.start()
                thread.join()
        """
        subprocess.run([sys.executable, "-c", textwrap.dedent(text)], check=True, timeout=60)
        [file] = (self.folder / "made/here").iterdir()
        self.assertRegex(file.name, r"^\d{16}-\d+\.pstats$")
        calls = {key[2]: value[0] for key, value in pstats.Stats(str(file)).stats.items()}
        for name, count in {"at_load": 1, "in_call": 3, "in_iteration": 3, "in_close": 3}.items():
            self.assertEqual(calls.get(name), count, name)


class Applications(Case):
    def test_the_welcome_page_is_complete_and_needs_nobody(self):
        from mod_wsgi.express.welcome import application

        answer = Answer(application)
        self.assertEqual(answer.status, "200 OK")
        headers = dict(answer.headers)
        self.assertEqual(int(headers["Content-Length"]), len(answer.body))
        text = answer.body.decode("utf-8")
        self.assertTrue(text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n"))
        for outside in ("http:", "https:", "<script", "src="):
            self.assertNotIn(outside, text)
        import html.parser

        class Balance(html.parser.HTMLParser):
            def __init__(self):
                super().__init__()
                self.open = []

            def handle_starttag(self, tag, attrs):
                if tag not in ("meta", "link"):
                    self.open.append(tag)

            def handle_endtag(self, tag):
                assert self.open.pop() == tag, tag

        balance = Balance()
        balance.feed(text)
        self.assertEqual(balance.open, [])

    def test_hello_says_hello(self):
        from mod_wsgi.diagnostics.hello import application

        answer = Answer(application)
        self.assertEqual((answer.status, answer.body), ("200 OK", b"Hello World!\n"))

    def test_environ_tells_all_and_gives_the_body_back(self):
        from mod_wsgi.diagnostics.environ import application

        os.environ["KEY_OF_A_TEST"] = "caf\udce9"
        text = Answer(application, request(path_info="/p", body=b"sent")).body.decode()
        self.assertIn("  PATH_INFO: '/p'\n", text)
        self.assertIn("KEY_OF_A_TEST", text)
        self.assertIn(f"  pid: {os.getpid()}\n", text)
        self.assertTrue(text.endswith("\n\nsent"), text)

    def test_outside_of_apache_the_package_can_log(self):
        import contextlib
        import logging

        import mod_wsgi

        with contextlib.redirect_stderr(io.StringIO()) as log:
            logger = logging.Logger("test")
            logger.addHandler(mod_wsgi.LogHandler(logging.WARNING))
            logger.info("not this")
            logger.warning("but this")
        self.assertEqual(log.getvalue(), "but this\n")
        self.assertEqual(len(mod_wsgi.version), 3)
