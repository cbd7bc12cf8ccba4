"""What wakes who sleeps until files change, and what does not."""

import errno
import os
import shutil
import sys
import time

from support import Case

from mod_wsgi.express import watch
from mod_wsgi.express.watch import Watch

#: Who is woken is so within this time, in seconds.
SOON = 5


class Watching(Case):
    def setUp(self):
        super().setUp()
        self.said = []

    def watch(self, *paths):
        made = Watch(self.said.append)
        self.addCleanup(made.close)
        self.assertTrue(made.see(paths))
        self.assertFalse(made.see(paths))
        return made

    def assert_wakes(self, made):
        begun = time.monotonic()
        self.assertTrue(made.sleep(SOON), self.said)
        self.assertLess(time.monotonic() - begun, SOON)
        # All of one change is heard before the next one.
        while made.sleep(0.05):
            pass

    def test_it_wakes_for_all_that_editors_do(self):
        path = self.write("part.py", "1")
        made = self.watch(path)
        self.assertFalse(made.sleep(0.05))
        self.write("part.py", "2")
        self.assert_wakes(made)
        os.replace(self.write("part.py~", "3"), path)
        self.assert_wakes(made)
        os.rename(path, path + ".bak")
        self.assert_wakes(made)
        os.rename(path + ".bak", path)
        self.assert_wakes(made)
        os.utime(path, (1, 1))
        self.assert_wakes(made)
        os.unlink(path)
        self.assert_wakes(made)
        self.write("part.py", "4")
        self.assert_wakes(made)
        self.assertEqual(self.said, [])

    def test_other_files_of_the_folder_wake_nobody(self):
        made = self.watch(self.write("part.py", "1"))
        for number in range(100):
            self.write(f"log.{number}", "text")
        begun = time.monotonic()
        self.assertFalse(made.sleep(0.2))
        self.assertLess(time.monotonic() - begun, 1)

    def test_links_are_followed(self):
        target = self.write("real/part.py", "1")
        folder, file = self.folder / "folder", self.folder / "link.py"
        folder.symlink_to("real")
        file.symlink_to(target)
        for path in (folder / "part.py", file):
            made = self.watch(str(path))
            self.write("real/part.py", "2")
            self.assert_wakes(made)
        # The link itself may lead elsewhere.
        other = self.write("other.py", "3")
        os.symlink(other, self.folder / "link.new")
        os.replace(self.folder / "link.new", file)
        self.assert_wakes(made)

    def test_a_folder_that_is_made_anew_is_watched_anew(self):
        path = self.write("lib/part.py", "1")
        made = self.watch(path)
        shutil.rmtree(self.folder / "lib")
        self.assert_wakes(made)
        self.write("lib/part.py", "1")
        self.assertTrue(made.see([path]))
        self.write("lib/part.py", "2")
        self.assert_wakes(made)

    def test_what_is_in_no_folder_does_no_harm(self):
        archive = self.write("archive.zip", "")
        made = self.watch(archive + "/part.py", "<stdin>", "\0", "/missing/part.py", archive)
        self.write("archive.zip", "2")
        self.assert_wakes(made)
        self.assertEqual(self.said, [])

    def test_stop_wakes_who_sleeps(self):
        made = self.watch(self.write("part.py", "1"))
        made.stop()
        self.assertTrue(made.sleep(60))
        self.assertTrue(made.sleep(60))

    def test_a_limit_of_watches_is_said_once(self):
        def full(descriptor, folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        made = self.watch(self.write("a/part.py", "1"))
        made._add = full
        made.see([self.write("b/part.py", "1"), self.write("c/part.py", "1")])
        self.assertEqual(self.said, ["inotify may not watch more, so some changes are seen later"])
        # What was watched before still is.
        self.write("a/part.py", "2")
        self.assert_wakes(made)

    def test_without_inotify_it_only_sleeps(self):
        def refused():
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        original, watch.inotify = watch.inotify, refused
        self.addCleanup(setattr, watch, "inotify", original)
        made = self.watch(self.write("part.py", "1"))
        self.write("part.py", "2")
        self.assertFalse(made.sleep(0.05))
        self.assertEqual(
            self.said,
            ["inotify is not to be had, so changes are seen later: [Errno 24] Too many open files"],
        )

    def test_nothing_is_left_open(self):
        before = os.listdir("/proc/self/fd")
        made = Watch(self.said.append)
        made.see([sys.executable])
        made.close()
        self.assertEqual(os.listdir("/proc/self/fd"), before)
