"""Can the service write to its storage directory, and if not, what to type.

The unit's sandbox makes all directories read-only but those that it names, so another storage
directory needs a drop-in that names it, too.
"""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path

from multipassd.system.installation import Installation

UNITS = (Installation.daemon_unit, Installation.images_unit)  # which write there
REMEDY = (
    "make it with `sudo mkdir -p {storage}`; for each of {units}: `sudo systemctl edit UNIT`, with "
    "the lines `[Service]` and `ReadWritePaths={storage}`; then `sudo systemctl restart "
    "multipassd.service`"
)


def problem(storage: Path) -> str:
    """A sentence; empty where it can be written. Of a directory that is missing, the one above it
    counts."""
    if not is_read_only(storage):
        return ""
    if is_by_sandbox(storage):
        return (
            f"the storage directory {storage} is read-only for the service, as the sandbox of its "
            f"unit does not name it: {remedy(storage)}"
        )
    return (
        f"the storage directory {storage} is on a file system that is mounted read-only: "
        "`dmesg` may tell why"
    )


def remedy(storage: Path) -> str:
    return REMEDY.format(storage=storage, units=" and ".join(f"`{unit}`" for unit in UNITS))


def is_read_only(path: Path) -> bool:
    for each in chain((path,), path.parents):
        try:
            return bool(os.statvfs(each).f_flag & os.ST_RDONLY)
        except FileNotFoundError:
            continue
        except OSError:
            break  # something else is wrong with it, which who uses it tells
    return False


def is_by_sandbox(path: Path) -> bool:
    """Is the file system itself writable, and only its mount here is not?"""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return False
    return _only_mount_is_read_only(lines, path)


def _only_mount_is_read_only(mounts: list[list[str]], path: Path) -> bool:
    """`mounts` are the lines of mountinfo; see proc(5). The last of those above is seen."""
    above = [
        fields
        for fields in mounts
        if Path(fields[4].encode("utf-8", "surrogateescape").decode("unicode_escape"))
        in (path, *path.parents)
    ]
    if not above:
        return False
    innermost = max(len(fields[4]) for fields in above)
    fields = [each for each in above if len(each[4]) == innermost][-1]
    return "ro" in fields[5].split(",") and "ro" not in fields[-1].split(",")
