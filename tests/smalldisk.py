"""A small disk of its own, to be filled."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def mount(place: Path, size: str) -> None:
    """Mount a tmpfs at an existing directory, mode 700. Skips if mounting is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot mount here: {done.stderr.strip()}")


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    mount(place, size)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)
