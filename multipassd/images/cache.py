"""The cache's files: a directory for each image, complete once it holds `image.json`.

<images>/<id>/image.json      what it is: a Base; its time is when it was last used
<images>/<id>/disk.img        the base, never written again
<images>/<id>/download.part   what is there of a download that broke off, with download.json
<images>/lists/<remote>.json  what a remote offers
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multipassd.files import read_regular, write_atomically
from multipassd.images.image import Base

LISTS = "lists"
RECORD = "image.json"
DISK = "disk.img"
PART = "download.part"
UNPACKED = "unpacked.part"
MAX_RECORD = 64 << 10
MAX_AGE = 14 * 86400  # seconds unused: 1.16's two weeks
# The machines run as a user of their own, who has to get to the disk and no further.
DIRECTORY_MODE = 0o711
DISK_MODE = 0o444
RECORD_MODE = 0o600


def load(directory: Path) -> Base | None:
    """The image that is complete in there."""
    try:
        base = Base.model_validate_json(read_regular(directory / RECORD, MAX_RECORD))
    except (OSError, ValueError):
        return None
    base = base.model_copy(update={"path": str(directory / DISK)})  # the storage may have moved
    return base if os.path.isfile(base.path) else None


def store(directory: Path, base: Base, disk: Path) -> None:
    """`disk` becomes the image's; complete when this returns."""
    disk.chmod(DISK_MODE)
    disk.replace(directory / DISK)
    write_atomically(directory / RECORD, base.model_dump_json().encode(), RECORD_MODE)
    for left in (directory / PART, directory / UNPACKED):
        left.unlink(missing_ok=True)


def touch(directory: Path) -> None:
    with suppress(OSError):
        os.utime(directory / RECORD)


def newest_of(images: Path, url: str) -> Base | None:
    """What was last fetched from there, for when its server can't be asked."""
    found = [
        (_used(path), base)
        for path in _directories(images)
        if (base := load(path)) is not None and base.url == url
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


@contextmanager
def held(images: Path, name: str) -> Iterator[Path]:
    """An image's directory, made if missing, for one process at a time."""
    directory = images / name
    descriptor = _lock(images, directory)
    while not _is_still_there(descriptor, directory):  # who held it before gave up and removed it
        os.close(descriptor)
        descriptor = _lock(images, directory)
    try:
        yield directory
    finally:
        os.close(descriptor)


def _lock(images: Path, directory: Path) -> int:
    while True:
        make_directory(images)
        with suppress(FileNotFoundError):
            make_directory(directory)
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            break
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def _is_still_there(descriptor: int, directory: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), directory.stat())
    except FileNotFoundError:
        return False


def make_directory(path: Path) -> None:
    """One that is there keeps its mode: the deb's is for the machines' group alone."""
    try:
        path.mkdir(parents=True)
    except FileExistsError:
        return
    path.chmod(DIRECTORY_MODE)


def empty(directory: Path) -> None:
    """Nothing is left of an attempt, not even the directory."""
    shutil.rmtree(directory, ignore_errors=True)


def prune(images: Path, in_use: set[str]) -> list[str]:
    """Remove what nobody has used for two weeks; the ids of what went."""
    gone: list[str] = []
    for directory in _directories(images):
        if directory.name in in_use:
            touch(directory)
        elif time.time() - _used(directory) > MAX_AGE:
            with suppress(OSError):  # BlockingIOError, too, where it is being fetched
                _remove(directory)
                gone.append(directory.name)
    return gone


def _remove(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (directory / RECORD).unlink(missing_ok=True)  # first: never complete without its disk
        shutil.rmtree(directory)
    finally:
        os.close(descriptor)


def _used(directory: Path) -> float:
    for name in (RECORD, PART, "."):
        with suppress(OSError):
            return (directory / name).stat().st_mtime
    return time.time()


def _directories(images: Path) -> list[Path]:
    try:
        return [path for path in images.iterdir() if path.name != LISTS and path.is_dir()]
    except OSError:
        return []
