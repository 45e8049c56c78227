"""The image cache on disk: a directory for each image, complete once it has `image.json`.

<images>/<id>/image.json      the record, a Base; its modification time is when it was last used
<images>/<id>/disk.img        the base image, never written again
<images>/<id>/download.part   the received part of an interrupted download, with download.json
<images>/<id>/refused.json    why the fetched file can't be launched, a Refusal
<images>/lists/<remote>.json  the list of a remote's images: disks
<images>/lists/<remote>.rootfs.json  the same of root file systems
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from multipassd.images.cache_directory import DIRECTORY_FLAGS, CacheDirectory
from multipassd.images.image import Base, Kind
from multipassd.models.model import Model

LISTS = "lists"
ID = re.compile(r"[0-9a-f]{64}")  # SHA-256
RECORD = "image.json"
DISK = "disk.img"
PART = "download.part"
NOTE = "download.json"
REFUSED = "refused.json"
UNPACKED = "unpacked.part"
MAX_RECORD = 64 << 10
REFUSED_SECONDS = 3600  # before a refused image is fetched again; time to repair a server
MAX_AGE = 14 * 86400  # seconds unused: 1.16's two weeks
DISK_MODE = 0o444
RECORD_MODE = 0o600


class Refusal(Model):
    """Why and when an image was refused."""

    message: str
    when: float  # seconds since 1970


def listing(remote: str, kind: Kind) -> str:
    """The name of the file with a remote's list. Each kind has its own, as a daemon needs one."""
    return f"{remote}.json" if kind == "disk" else f"{remote}.{kind}.json"


def load(directory: Path) -> Base | None:
    """The image in this directory of the cache; None unless it is complete."""
    try:
        descriptor = os.open(directory, DIRECTORY_FLAGS | os.O_NOFOLLOW)
    except OSError:
        return None
    with CacheDirectory(descriptor, directory) as place:
        return load_from(place)


def load_from(place: CacheDirectory) -> Base | None:
    """The same for a directory that is open."""
    try:
        base = Base.from_json(place.read(RECORD, MAX_RECORD))
        os.close(place.open(DISK))
    except (OSError, ValueError):
        return None
    return base.replace(path=str(place.path / DISK))  # the storage may have moved


def store(place: CacheDirectory, base: Base, disk: str) -> None:
    """Make the file named `disk` the image's; it is complete when this returns. Raises OSError."""
    opened = place.open(disk)
    try:
        os.fchmod(opened, DISK_MODE)
    finally:
        os.close(opened)
    place.rename(disk, DISK)
    place.write(RECORD, base.to_json(), RECORD_MODE)
    place.remove(PART, UNPACKED, REFUSED)


def refuse(place: CacheDirectory, message: str) -> None:
    """Record that the image is refused, and remove all else. Raises OSError."""
    place.remove(PART, NOTE, UNPACKED)
    refusal = Refusal(message=message, when=time.time())
    place.write(REFUSED, refusal.to_json(), RECORD_MODE)


def refused(place: CacheDirectory) -> tuple[str, int] | None:
    """Why the image was refused, and for how many minutes it is not fetched again; None if it may
    be."""
    try:
        refusal = Refusal.from_json(place.read(REFUSED, MAX_RECORD))
    except (OSError, ValueError):
        return None
    left = refusal.when + REFUSED_SECONDS - time.time()
    if 0 < left <= REFUSED_SECONDS:  # more: the clock was set back
        return refusal.message, int(left / 60) + 1
    place.remove(REFUSED)
    return None


def remove_refusals(images: Path) -> None:
    """Allow all refused images to be fetched again at once."""
    for directory in _directories(images):
        with suppress(OSError):
            (directory / REFUSED).unlink()


def touch(directory: Path) -> None:
    """Note that the image is used now. Never fails."""
    with suppress(OSError):
        os.utime(directory / RECORD)


def newest_of(images: Path, url: str, kind: Kind = "disk") -> Base | None:
    """The image that was last fetched from this URL, for when its server does not answer."""
    found = [
        (_used(path), base)
        for path in _directories(images)
        if (base := load(path)) is not None and base.url == url and base.kind == kind
    ]
    return max(found, key=lambda pair: pair[0])[1] if found else None


@contextmanager
def locked(images: CacheDirectory, name: str) -> Iterator[CacheDirectory]:
    """An image's directory, made if missing, for one process at a time. Raises OSError."""
    place = _lock(images, name)
    while not images.holds(name, place.descriptor):  # the last holder of the lock removed it
        os.close(place.descriptor)
        place = _lock(images, name)
    with place:
        yield place


def _lock(images: CacheDirectory, name: str) -> CacheDirectory:
    while True:
        with suppress(FileNotFoundError):
            place = images.within(name)
            break
    fcntl.flock(place.descriptor, fcntl.LOCK_EX)
    return place


def prune(images: Path, in_use: set[str]) -> list[str]:
    """Remove images that were not used for two weeks; returns their ids. `in_use` are the ids that
    instances need."""
    gone: list[str] = []
    for directory in _directories(images):
        if directory.name in in_use:
            touch(directory)
        elif time.time() - _used(directory) > MAX_AGE:
            with suppress(OSError):  # BlockingIOError, too, while it is fetched
                _remove(directory)
                gone.append(directory.name)
    return gone


def _remove(directory: Path) -> None:
    import shutil  # slow to import, and rarely needed

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
    """Directories of images; others are not the cache's."""
    try:
        return [path for path in images.iterdir() if ID.fullmatch(path.name) and path.is_dir()]
    except OSError:
        return []
