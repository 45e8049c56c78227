"""What a guess takes for its moment is not kept."""

from __future__ import annotations

import subprocess
import sys

from tools.sandbox import CHECKOUT

SECONDS = 120.0
THREADS = 6  # as many as the daemon has on two processors
MOST = 48 << 20  # bytes; a hash takes 16 MiB, and each thread would keep them
# Each thread has its turn twice: glibc keeps nothing of the first time.
STORY = f"""
import resource, threading
from concurrent.futures import ThreadPoolExecutor
from multipassd.auth import passphrase

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

record = passphrase.make("right")
before = resident()
all_there = threading.Barrier({THREADS})
turns = threading.Lock()

def guess(_):
    all_there.wait()
    for _ in range(2):
        with turns:
            passphrase.verify("wrong", record)
    all_there.wait()

with ThreadPoolExecutor({THREADS}) as threads:
    list(threads.map(guess, range({THREADS})))
    print(resident() - before)
"""


def test_guesses_leave_the_daemon_no_larger() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STORY],
        cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < MOST
