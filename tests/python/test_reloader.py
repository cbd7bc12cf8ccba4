"""What counts as a change, and what a change does to a process."""

import os
import signal
import subprocess
import sys
import time

from support import PYTHON, Case

from mod_wsgi.express import reloader
from mod_wsgi.express.reloader import Monitor, signature


class Changes(Case):
    def test_the_first_sight_of_a_file_is_no_change(self):
        monitor, path = Monitor(), self.write("data", "1")
        monitor.track(path)
        self.assertIsNone(monitor.changed())
        self.write("data", "22")
        self.assertEqual(monitor.changed(), path)

    def test_a_file_that_is_gone_has_changed_and_one_that_comes_has_not(self):
        monitor, path = Monitor(), str(self.folder / "data")
        monitor.track(path)
        self.assertIsNone(monitor.changed())
        self.write("data", "1")
        self.assertIsNone(monitor.changed())
        os.unlink(path)
        self.assertEqual(monitor.changed(), path)
        self.write("data", "1")
        os.utime(path, ns=(0, 0))
        self.assertEqual(monitor.changed(), path)

    def test_modules_are_watched_by_their_source(self):
        path = self.write("watched.py", "x = 1\n")
        sys.path.insert(0, str(self.folder))
        import watched

        watched.__file__ = path + "c"
        self.assertIn(path, reloader.files_of_modules())
        monitor = Monitor()
        self.assertIsNone(monitor.changed())
        os.utime(path, (1, 1))
        self.assertEqual(monitor.changed(), path)

    def test_what_poses_as_a_module_does_no_harm(self):
        class Strange:
            @property
            def __file__(self):
                raise RuntimeError("who asks?")

        for name, module in (("strange", Strange()), ("absent", None)):
            sys.modules[name] = module
            self.addCleanup(sys.modules.pop, name)
        self.assertIn(reloader.__file__, reloader.files_of_modules())
        self.assertIsNone(signature("\0"))


PROCESS = """
import atexit, os, signal, sys, threading, time
# Of these functions the first one is called last.
names = lambda: [thread.name for thread in threading.enumerate()]
atexit.register(lambda: print("left:", *names(), flush=True))
sys.path.insert(0, {python!r})
sys.path.insert(0, {folder!r})
from mod_wsgi.express.reloader import start_reloader, track_changes
import part
start_reloader(interval=0.2)
start_reloader(interval=0.1)
start_reloader(interval=60)
track_changes({tracked!r})
assert names().count("mod_wsgi-monitor") == 1
# As in a server's process: what ends it is a signal.
signal.signal(signal.SIGINT, lambda *_: sys.exit(3))
print("ready", flush=True)
time.sleep({patience})
"""


class Processes(Case):
    def start(self, patience=60):
        self.write("part.py", "x = 1\n")
        self.tracked = self.write("tracked.ini", "1")
        text = PROCESS.format(
            python=str(PYTHON), folder=str(self.folder), tracked=self.tracked, patience=patience
        )
        process = subprocess.Popen(
            [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), "ready\n")
        # A look at the files as they are.
        time.sleep(0.5)
        return process

    def test_a_changed_module_ends_the_process_by_sigint(self):
        process = self.start()
        self.write("part.py", "x = 22\n")
        self.assertEqual(process.wait(10), 3)
        lines = process.stderr.read().splitlines()
        start = f"monitor (pid={process.pid}): "
        path = str(self.folder / "part.py")
        self.assertEqual(
            lines,
            [
                start + "Starting change monitor.",
                start + f'Change detected to "{path}".',
                start + "Triggering process restart.",
            ],
        )

    def test_modules_are_seen_soon_after_they_are_imported(self):
        monitor = Monitor()
        monitor.start(interval=60)
        self.addCleanup(monitor.stop)
        time.sleep(0.3)
        path = self.write("imported_later.py", "x = 1\n")
        sys.path.insert(0, str(self.folder))
        import imported_later  # noqa: F401

        # Far sooner than it looks for changes.
        time.sleep(1)
        os.utime(path, (1, 1))
        self.assertEqual(monitor.changed(), path)

    def test_a_change_is_seen_before_it_is_time_to_look(self):
        monitor = Monitor()
        path = self.write("data", "1")
        ended = []
        kill, reloader.os.kill = os.kill, lambda *words: ended.append(words)
        self.addCleanup(setattr, reloader.os, "kill", kill)
        monitor.track(path)
        monitor.start(interval=60)
        self.addCleanup(monitor.stop)
        time.sleep(0.5)
        self.write("data", "22")
        monitor._thread.join(10)
        self.assertEqual(ended, [(os.getpid(), signal.SIGINT)])

    def test_so_does_a_file_that_was_registered(self):
        process = self.start()
        os.unlink(self.tracked)
        self.assertEqual(process.wait(10), 3)
        self.assertIn(f'"{self.tracked}"', process.stderr.read())

    def test_a_file_that_is_replaced_by_itself_is_none_of_its_business(self):
        process = self.start(patience=2)
        status = os.stat(self.tracked)
        os.rename(self.tracked, self.tracked + "~")
        time.sleep(0.05)
        os.rename(self.tracked + "~", self.tracked)
        os.utime(self.tracked, ns=(status.st_atime_ns, status.st_mtime_ns))
        self.assertEqual(process.wait(10), 0)
        self.assertNotIn("Change", process.stderr.read())

    def test_it_waits_until_all_is_written(self):
        process = self.start()
        for number in range(10):
            self.write("part.py", "x = 1\n" * number)
            time.sleep(0.04)
            if number < 9:
                self.assertIsNone(process.poll(), "restarted in the midst of it")
        self.assertEqual(process.wait(10), 3)
        self.assertEqual(process.stderr.read().count("Triggering"), 1)

    def test_an_end_of_the_process_ends_it_too(self):
        process = self.start(patience=0)
        begun = time.monotonic()
        self.assertEqual(process.wait(10), 0)
        self.assertLess(time.monotonic() - begun, 5)
        self.assertEqual(process.stdout.read(), "left: MainThread\n")
