"""Where instances of each driver are kept, and the files of a machine's directory that it can't
start without."""

from __future__ import annotations

from pathlib import Path

DISK, SEED = "disk.qcow2", "seed.iso"

# By the driver: directories of records below the data directory, and of machines below that for
# what is large. What one driver has made is nothing to another.
RECORDS = {"qemu": "instances", "incus": "incus/instances"}
MACHINES = {"qemu": "machines", "incus": "incus/machines"}
NEEDED = {"qemu": (DISK, SEED), "incus": (SEED,)}


def missing(directory: Path, driver: str = "qemu") -> Path | None:
    """The first that is not there: the directory of all machines, this one's, the files in it.
    What can't be read for another reason is there."""
    for path in (directory.parent, directory, *(directory / name for name in NEEDED[driver])):
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
