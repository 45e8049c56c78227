"""A file beside the trust store's directory: clients are trusted, and were not all removed.

The store and its side file can be lost together, e.g. by `rm -rf` of their directory. Without this
file that would leave an EMPTY store, which adopts the next caller as first client.
"""

from __future__ import annotations

import os
from pathlib import Path

from multipassd.system.files import sync_directory, write_new

MODE = 0o600


class EnrolledMarker:
    """`directory` is the trust store's. Every change is durable on return, and raises OSError."""

    def __init__(self, directory: Path) -> None:
        self.path = directory.with_name(f"{directory.name}.enrolled")

    def is_set(self) -> bool:
        return os.path.lexists(self.path)

    def set(self) -> None:
        if not self.is_set():
            write_new(self.path, b"", MODE)
            sync_directory(self.path.parent)

    def clear(self) -> None:
        if self.is_set():
            self.path.unlink()
            sync_directory(self.path.parent)
