"""The worker's `look` and `prepare`: from a URL to an image in the cache."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from multipassd.images import cache
from multipassd.images.download import Download, import_file, validator
from multipassd.images.errors import ImageError, NoRoom, Unreachable
from multipassd.images.http import Http, check_status
from multipassd.images.image import UNKNOWN, Base, Image, Progress, Transfer
from multipassd.images.inspection import inspect
from multipassd.images.tasks import Look, Prepare
from multipassd.images.unpack import is_packed, unpack

Report = Callable[[Progress, int, Transfer | None], None]
FILE = "file://"


def look(task: Look) -> Image:
    """Raises ImageError; Unreachable when the server can't be asked."""
    return _look_at_file(task.url) if task.url.startswith(FILE) else _look_at_url(task)


def _look_at_url(task: Look) -> Image:
    http = Http(task.proxy, plain=task.url.startswith("http://"))
    with http.stream(task.url, {"Accept-Encoding": "identity"}) as response:
        check_status(response)
        length = response.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else 0
        # Without a validator nobody can tell one state from the next: each launch fetches anew.
        state = validator(response) or os.urandom(16).hex()
    return Image(id=_key("url", task.url, state, str(size)), url=task.url, size=size)


def _look_at_file(url: str) -> Image:
    path = file_path(url)
    try:
        status = path.stat()
    except OSError as error:
        raise ImageError(_file_problem(path, error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"Custom image `{path}` is not a regular file.")
    state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    key = _key("file", str(path), *map(str, state))
    return Image(id=key, url=url, size=status.st_size)


def file_path(url: str) -> Path:
    """Raises ImageError."""
    if urlsplit(url).netloc not in {"", "localhost"}:
        raise ImageError(f"Invalid file URL `{url}`; did you forget a slash?")
    raw = url.removeprefix(FILE).removeprefix("localhost")
    # 1.16's client sends the path as it is, others encode it.
    path = raw if os.path.exists(raw) else unquote(raw)
    if "\0" in path:
        raise ImageError(f"Invalid file URL `{url}`; no file has a zero byte in its name.")
    return Path(path)


def _file_problem(path: Path, error: OSError) -> str:
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return f"Custom image `{path}` does not exist."
    return f"Custom image `{path}` can't be read: {error.strerror or error}."


def _key(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def prepare(task: Prepare, report: Report) -> Base:
    """Raises ImageError or NoRoom. Only what a next try can use is left behind then."""
    with cache.held(Path(task.directory), task.image.id) as directory:
        base = cache.load(directory)
        if base is not None:
            return base
        try:
            return _prepared(task, directory, report)
        except Unreachable:
            if not (directory / cache.PART).exists():
                cache.empty(directory)
            raise  # what came so far is kept
        except OSError as error:
            cache.empty(directory)
            raise _disk_problem(error, Path(task.directory)) from error
        except BaseException:
            cache.empty(directory)
            raise


def _prepared(task: Prepare, directory: Path, report: Report) -> Base:
    image, part = task.image, directory / cache.PART
    digest = _fetch(task, part, report)
    report(Progress.VERIFY, UNKNOWN, None)
    disk = part
    if is_packed(part):
        disk = directory / cache.UNPACKED
        unpack(part, disk, lambda percent: report(Progress.EXTRACT, percent, None))
        part.unlink()
    kind, size = inspect(disk)
    base = Base(
        id=image.id,
        path=str(directory / cache.DISK),
        format=kind,
        virtual_size=size,
        os=image.os,
        release=image.release,
        url=image.url,
        version=image.version,
        sha256=digest,
    )
    cache.store(directory, base, disk)
    return base


def _fetch(task: Prepare, part: Path, report: Report) -> str:
    def retrieving(transfer: Transfer) -> None:
        report(Progress.IMAGE, transfer.percent, transfer)

    image = task.image
    if image.url.startswith(FILE):
        path = file_path(image.url)
        try:
            return import_file(path, part, retrieving)
        except (FileNotFoundError, PermissionError) as error:
            raise ImageError(_file_problem(path, error)) from error
    # A promised hash makes up for a redirect to plain http; without one the user has to ask for it.
    http = Http(task.proxy, plain=bool(image.sha256) or image.url.startswith("http://"))
    return Download(http, image, part, retrieving).run()


def _disk_problem(error: OSError, directory: Path) -> ImageError | NoRoom:
    reason = error.strerror or str(error)
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return NoRoom(f"The image was not stored: {reason} in {directory}. Make room there.")
    return ImageError(f"The image was not stored in {directory}: {reason}.")
