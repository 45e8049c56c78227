"""The image that a machine's disk stands on: is it there?

Only the name is read in the disk's header, which QEMU's user may have written, and nothing is
looked for but images: what is said about other files would tell whether they exist.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from multipassd.drivers.interface import DriverError

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BACKING = struct.Struct(">8xQI")  # qcow2: where in the file the name is, and how long
MAX_NAME = 1023  # bytes; qcow2's own limit
IMAGES, DISK = "images", "disk.img"
ID_DIGITS = 12  # enough to launch by


def check(name: str, disk: Path, storage: Path) -> None:
    """Raises DriverError where `disk` stands on an image of `storage`, or of where that was
    before, that is not there."""
    path = Path(_backing(disk))
    parts = path.parts[-3:]
    if len(parts) < 3 or (parts[0], parts[2]) != (IMAGES, DISK) or os.path.exists(path):
        return
    here = storage.joinpath(*parts)
    if path != here and os.path.exists(here):
        raise DriverError(
            f"{name}: its disk stands on the image {path}, which is at {here} now. Move the "
            "storage back, or tell the disk the new place: "
            f"`qemu-img rebase -u -F FORMAT -b {here} {disk}`, with the format from "
            f"`qemu-img info {here}`."
        )
    image = parts[1][:ID_DIGITS]
    raise DriverError(
        f"{name}: its disk holds only what differs from the image {path}, and that is gone. Put "
        f"the very file back from a backup. If it came from a list that still has it, "
        f"`multipass launch {image}` fetches it again; the URL or file that it came from does "
        "so, too, as long as it has not changed."
    )


def _backing(disk: Path) -> str:
    """The name in its header, or nothing."""
    try:
        descriptor = os.open(disk, READ)
    except OSError:
        return ""
    try:
        offset, length = _BACKING.unpack(os.pread(descriptor, _BACKING.size, 0))
        if not 0 < length <= MAX_NAME:
            return ""
        return os.pread(descriptor, length, offset).decode()
    except (OSError, struct.error, ValueError, OverflowError):
        return ""
    finally:
        os.close(descriptor)
