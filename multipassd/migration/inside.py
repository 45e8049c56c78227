"""What is inside a disk of 1.16's: checked first, as a guest that took QEMU over may have written
any header. qemu-img, which parses the rest, runs without rights."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

from multipassd.disk_helper import client, request
from multipassd.disk_helper.request import QemuImgError
from multipassd.images.errors import ImageError
from multipassd.images.worker import inspection
from multipassd.migration.conversion import Disk
from multipassd.migration.error import CannotTake

QCOW2 = "qcow2"
OWN = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


def check_start(descriptor: int, path: Path) -> None:
    """Raises CannotTake where it is no whole qcow2 by its header, or names other files."""
    try:
        if inspection.check_start(os.pread(descriptor, inspection.SECTOR, 0)) == QCOW2:
            return
    except ImageError as error:
        raise _refused(path, error.message) from None
    raise _refused(path, "it is not qcow2")


def look_at(path: Path) -> Disk:
    """Raises CannotTake, OSError."""
    descriptor = os.open(path, OWN)
    try:
        return look(descriptor, path)
    finally:
        os.close(descriptor)


def look(descriptor: int, path: Path) -> Disk:
    """Check it whole. Its mode is changed for that and put back. Raises CannotTake, OSError."""
    check_start(descriptor, path)
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    try:
        _, size = inspection.inspect(descriptor)
        return Disk(size, _snapshots(descriptor))
    except ImageError as error:
        raise _refused(path, error.message) from None
    except (QemuImgError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _refused(path, f"its snapshots can't be listed: {error}") from None
    finally:
        os.fchmod(descriptor, mode)


def _snapshots(descriptor: int) -> frozenset[str]:
    words = ("info", "--output=json", "--force-share", "-f", QCOW2, request.file(0))
    answer = client.ask(*words, descriptors=[descriptor])
    if answer.code:
        raise QemuImgError(answer.reason)
    return frozenset(str(each["name"]) for each in json.loads(answer.output).get("snapshots", ()))


def _refused(path: Path, why: str) -> CannotTake:
    return CannotTake(f"its disk {path} can't be used: {why.rstrip('.')}")
