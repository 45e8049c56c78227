"""The cache's files: a directory for each image, complete once it holds `image.json`.

<images>/<id>/image.json      what it is: a Base; its time is when it was last used
<images>/<id>/disk.img        the base, never written again
<images>/<id>/download.part   what is there of a download that broke off, with download.json
<images>/<id>/refused.json    why what was fetched is no image to launch: a Refusal
<images>/lists/<remote>.json  what a remote offers
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from multipassd.images.image import Base
from multipassd.images.image_directory import DIRECTORY_FLAGS, Place

LISTS = "lists"
ID = re.compile(r"[0-9a-f]{64}")  # SHA-256
RECORD = "image.json"
DISK = "disk.img"
PART = "download.part"
NOTE = "download.json"
REFUSED = "refused.json"
UNPACKED = "unpacked.part"
MAX_RECORD = 64 << 10
REFUSED_SECONDS = 3600  # without another download of what was refused: servers are mended by then
MAX_AGE = 14 * 86400  # seconds unused: 1.16's two weeks
DISK_MODE = 0o444
RECORD_MODE = 0o600


class Refusal(BaseModel):
    message: str
    when: float  # seconds since 1970


def load(directory: Path) -> Base | None:
    """The image that is complete in there."""
    try:
        descriptor = os.open(directory, DIRECTORY_FLAGS | os.O_NOFOLLOW)
    except OSError:
        return None
    with Place(descriptor, directory) as place:
        return load_from(place)


def load_from(place: Place) -> Base | None:
    try:
        base = Base.model_validate_json(place.read(RECORD, MAX_RECORD))
        os.close(place.open(DISK))
    except (OSError, ValueError):
        return None
    return base.model_copy(update={"path": str(place.path / DISK)})  # the storage may have moved


def store(place: Place, base: Base, disk: str) -> None:
    """The file named `disk` becomes the image's; complete when this returns."""
    opened = place.open(disk)
    try:
        os.fchmod(opened, DISK_MODE)
    finally:
        os.close(opened)
    place.rename(disk, DISK)
    place.write(RECORD, base.model_dump_json().encode(), RECORD_MODE)
    place.remove(PART, UNPACKED, REFUSED)


def refuse(place: Place, message: str) -> None:
    """Nothing but that is left there."""
    place.remove(PART, NOTE, UNPACKED)
    refusal = Refusal(message=message, when=time.time())
    place.write(REFUSED, refusal.model_dump_json().encode(), RECORD_MODE)


def refused(place: Place) -> tuple[str, int] | None:
    """Why, and for how many minutes it is still left alone."""
    try:
        refusal = Refusal.model_validate_json(place.read(REFUSED, MAX_RECORD))
    except (OSError, ValueError):
        return None
    left = refusal.when + REFUSED_SECONDS - time.time()
    if 0 < left <= REFUSED_SECONDS:  # more: the clock was set back
        return refusal.message, int(left / 60) + 1
    place.remove(REFUSED)
    return None


def forget_refusals(images: Path) -> None:
    """So that all may be fetched again at once."""
    for directory in _directories(images):
        with suppress(OSError):
            (directory / REFUSED).unlink()


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
def held(images: Place, name: str) -> Iterator[Place]:
    """An image's directory, made if missing, for one process at a time."""
    place = _lock(images, name)
    while not images.holds(name, place.descriptor):  # who held it before gave up and removed it
        os.close(place.descriptor)
        place = _lock(images, name)
    with place:
        yield place


def _lock(images: Place, name: str) -> Place:
    while True:
        with suppress(FileNotFoundError):
            place = images.within(name)
            break
    fcntl.flock(place.descriptor, fcntl.LOCK_EX)
    return place


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
    """Of images; what has another name is none of this cache's."""
    try:
        return [path for path in images.iterdir() if ID.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return []
