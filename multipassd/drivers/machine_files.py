"""The files of a machine's directory that it can't start without."""

from __future__ import annotations

from pathlib import Path

DISK, SEED = "disk.qcow2", "seed.iso"


def missing(directory: Path) -> Path | None:
    """The first that is not there: the directory of all machines, this one's, its disk, its seed.
    What can't be read for another reason is there."""
    for path in (directory.parent, directory, directory / DISK, directory / SEED):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return path
        except OSError:
            continue
    return None


def cure(*names: str) -> str:
    """What to do where a file of these instances is missing."""
    return (
        "If it is on a file system that is not mounted, mount that; else restore it from a "
        f"backup. `multipass delete --purge {' '.join(names)}` gives up what needs it."
    )
