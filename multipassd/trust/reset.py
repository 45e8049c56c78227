"""Putting a DAMAGED trust store aside, whole, so that an EMPTY one begins in its place.

The caller holds the store's lock.
"""

import os
import time
from pathlib import Path

from multipassd.system.files import sync_directory
from multipassd.trust.disk import StoreDisk


def tighten(directory: Path) -> None:
    """Give the directory an owner and a mode that can be believed."""
    if os.geteuid() == 0:
        os.chown(directory, 0, 0)
    directory.chmod(0o700)


def set_aside(disk: StoreDisk, side_file: Path) -> Path:
    """Move the store's files into a directory beside them; returns it. Raises OSError.

    The side file goes last: without it, and only then, a missing store is EMPTY.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    directory = disk.path.parent
    kept = directory / f"damaged-{stamp}-{time.monotonic_ns():x}"
    kept.mkdir(mode=0o700)
    for path in (disk.path, side_file):
        if os.path.lexists(path):
            path.rename(kept / path.name)
    sync_directory(kept)
    sync_directory(directory)
    return kept
