"""An empty file for each running instance, so that the boot unit knows whether to start the daemon.

The records decide. A marker is created before its record and removed after it: a stale marker only
starts the daemon once, a missing one would leave an instance off.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from multipassd.system.files import make_directory, sync_directory

DIRECTORY = "running"  # beside the records' own; debian/multipass.multipassd-boot.service names it
DIRECTORY_MODE, FILE_MODE = 0o700, 0o600


class RunningMarkers:
    """The directory of these files."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, name: str) -> None:
        """Durable when this returns. Raises OSError."""
        mark = self._directory / name
        if not mark.exists():
            make_directory(self._directory, DIRECTORY_MODE)
            mark.touch(FILE_MODE)
            sync_directory(self._directory)

    def drop(self, name: str) -> None:
        """Never fails: see above."""
        with suppress(OSError):
            (self._directory / name).unlink()

    def keep_only(self, names: Collection[str]) -> None:
        """What a daemon that was killed has left over goes."""
        with suppress(OSError):
            for mark in self._directory.iterdir():
                if mark.name not in names:
                    self.drop(mark.name)
