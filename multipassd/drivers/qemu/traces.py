"""Whether machines run, or may: told by what a look at two directories costs."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from multipassd.drivers.qemu.shared_names import RUNTIME, UNIT_PREFIX


def has_machines(storage: Path) -> bool:
    """Also such as no record knows. True where it can't be told."""
    return bool(_listed(storage / "run")) or any(
        name.startswith(UNIT_PREFIX) for name in _listed(RUNTIME)
    )


def _listed(directory: str | Path) -> list[str]:
    with suppress(FileNotFoundError, NotADirectoryError):
        return os.listdir(directory)
    return []
