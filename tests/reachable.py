"""A test's own directory, which pytest keeps from other users, where one of them has work in it."""

import tempfile
from pathlib import Path

EVERYBODY_PASSES = 0o711


def reachable(place: Path, mode: int = EVERYBODY_PASSES) -> Path:
    """`place` with this mode, and the way to it free."""
    top = Path(tempfile.gettempdir())
    for directory in place.parents:
        if directory == top or top not in directory.parents:
            break
        directory.chmod(EVERYBODY_PASSES)
    place.chmod(mode)
    return place
