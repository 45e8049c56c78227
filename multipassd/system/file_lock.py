"""A lock that several processes share: flock on a file that stays where it is."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

# The holder works for milliseconds, so a short poll costs nothing. Polling instead of a blocking
# flock() because only so can waiting have an end.
POLL_SECONDS = 0.01


@contextmanager
def hold(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock; TimeoutError when another holds it for `patience` seconds.

    The file is never removed: who waits for a removed file and who makes a new one would both
    have the lock. The kernel lets go of it when the holder dies.
    """
    descriptor = os.open(path, LOCK_FLAGS, 0o600)
    try:
        _acquire(descriptor, path, time.monotonic() + patience)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, path: Path, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError(f"another process holds {path}") from None
            time.sleep(POLL_SECONDS)
