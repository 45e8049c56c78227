"""The worker's tasks Describe and Prepare: from a URL to an image in the cache."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from typing import BinaryIO

from multipassd.images import cache, exported
from multipassd.images.cache_directory import CacheDirectory
from multipassd.images.errors import (
    ImageError,
    NoRoom,
    NotMachines,
    Refused,
    RefusedBefore,
    Unreachable,
)
from multipassd.images.exported import Manifest
from multipassd.images.image import (
    ROOTFS,
    SQUASHFS,
    UNKNOWN,
    Base,
    Image,
    Kind,
    Progress,
    Transfer,
)
from multipassd.images.worker import archive, rootfs, unpack_export
from multipassd.images.worker.download import Download, import_file, validator
from multipassd.images.worker.http import Http, check_status
from multipassd.images.worker.inspection import SECTOR, check_start, inspect
from multipassd.images.worker.unpack import head, is_packed, unpack
from multipassd.images.worker_protocol import Describe, Prepare

Report = Callable[[Progress, int, Transfer | None], None]


def describe_url(task: Describe) -> Image:
    """The image at an http or https URL. Raises ImageError; Unreachable if the server does not
    answer."""
    http = Http(task.proxy, plain=task.url.startswith("http://"))
    with http.stream(task.url, {"Accept-Encoding": "identity"}) as response:
        check_status(response)
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else 0
        # Without a validator a change of the file goes unnoticed, so each launch fetches it again.
        state = validator(response) or os.urandom(16).hex()
    return Image(id=_key("url", task.url, state, str(size)), url=task.url, size=size)


def describe_file(url: str, path: str, file: BinaryIO) -> Image:
    """The image in a file of this host."""
    status = os.fstat(file.fileno())
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return Image(id=_key("file", path, *map(str, state)), url=url, size=status.st_size)


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def prepare(task: Prepare, images: CacheDirectory, file: BinaryIO | None, report: Report) -> Base:
    """Fetch, check and store the image; `file` is open if it is a file of this host. Raises
    ImageError or NoRoom; then only what a next try can use is left in the cache."""
    try:
        with cache.locked(images, task.image.id) as place:
            if base := cache.load_from(place):
                return base
            if refused := cache.refused(place):
                raise RefusedBefore(*refused)
            return _prepared_or_nothing(task, images, place, file, report)
    except OSError as error:
        raise _disk_problem(error, images) from error


def _prepared_or_nothing(
    task: Prepare,
    images: CacheDirectory,
    place: CacheDirectory,
    file: BinaryIO | None,
    report: Report,
) -> Base:
    download = None if file is not None else _download(task, place, report)
    try:
        if file is not None:
            _check_beginning(file, task.wanted)  # before it is copied: it may be no image
            digest = import_file(file, place, _retrieving(report))
        elif download is not None:
            digest = download.run()
        return _prepared(task, place, digest, report)
    except BaseException as error:
        if isinstance(error, Refused) and download is not None and download.repeatable:
            cache.refuse(place, error.message)
        elif not (isinstance(error, Unreachable) and place.has(cache.PART)):
            images.remove_tree(task.image.id)  # else the partial download is kept
        raise


def _check_beginning(file: BinaryIO, kind: Kind) -> None:
    """Raises Refused where it does not begin as an image of this kind."""
    if kind == ROOTFS:
        rootfs.check_beginning(file)
        return
    sector = _first_sector(file)
    if exported.begins(sector):
        return
    try:
        check_start(sector)
    except Refused:
        if found := rootfs.name_of(file):
            raise NotMachines(found) from None
        raise


def _prepared(task: Prepare, place: CacheDirectory, digest: str, report: Report) -> Base:
    image, export = task.image, None
    report(Progress.VERIFY, UNKNOWN, None)
    if task.wanted == ROOTFS:
        disk, kind = _root(place, report)
        size = 0
    else:
        with open(place.open(cache.PART), "rb", buffering=0) as part:
            _check_beginning(part, task.wanted)
        disk, export = _unpacked(place, report)
        with open(place.open(disk), "rb", buffering=0) as file:
            kind, size = inspect(file.fileno())
    base = Base(
        id=image.id,
        path=str(place.path / cache.DISK),
        format=kind,
        virtual_size=size,
        os=image.os,
        release=image.release,
        url=image.url,
        version=image.version,
        sha256=digest,
        export=export,
    )
    cache.store(place, base, disk)
    return base


def _root(place: CacheDirectory, report: Report) -> tuple[str, str]:
    """The name of the file with the root file system, and its format. Raises Refused, OSError."""
    with open(place.open(cache.PART), "rb", buffering=0) as part:
        kind = rootfs.check_beginning(part)
        if kind == SQUASHFS:
            return cache.PART, kind
        target = place.open(cache.UNPACKED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with open(target, "wb") as written:
            archive.rewrite(part, written, lambda percent: report(Progress.EXTRACT, percent, None))
    place.remove(cache.PART)
    return cache.UNPACKED, kind


def _unpacked(place: CacheDirectory, report: Report) -> tuple[str, Manifest | None]:
    """The name of the file with the disk, unpacked if it was packed, and the manifest of an
    exported instance. Raises Refused, OSError."""

    def extracted(percent: int) -> None:
        report(Progress.EXTRACT, percent, None)

    export = None
    with open(place.open(cache.PART), "rb", buffering=0) as part:
        sector = os.pread(part.fileno(), SECTOR, 0)
        if exported.begins(sector):
            export = unpack_export.unpack(part, place, cache.UNPACKED, extracted)
            unpack_export.check_variables(place)
        elif not is_packed(sector):
            return cache.PART, None
        else:
            target = place.open(cache.UNPACKED, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                unpack(part, target, extracted)
            finally:
                os.close(target)
    place.remove(cache.PART)
    return cache.UNPACKED, export


def _download(task: Prepare, place: CacheDirectory, report: Report) -> Download:
    image = task.image
    # Plain http is safe where the list has a hash; without one the user has to write http://.
    http = Http(task.proxy, plain=bool(image.sha256) or image.url.startswith("http://"))
    return Download(http, image, place, _retrieving(report))


def _retrieving(report: Report) -> Callable[[Transfer], None]:
    return lambda transfer: report(Progress.IMAGE, transfer.percent, transfer)


def _first_sector(file: BinaryIO) -> bytes:
    sector = os.pread(file.fileno(), SECTOR, 0)
    return head(file, SECTOR) if is_packed(sector) else sector


def _disk_problem(error: OSError, images: CacheDirectory) -> ImageError | NoRoom:
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return NoRoom(f"The image was not stored: {reason} in {images.path}. Make room there.")
    return ImageError(f"The image was not stored in {images.path}: {reason}.")
