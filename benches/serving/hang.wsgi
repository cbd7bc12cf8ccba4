"""A script that never comes to its end."""

import time

time.sleep(3600)
