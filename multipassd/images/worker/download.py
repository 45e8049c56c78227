"""Downloads a file by HTTP: hashes it as it arrives, resumes an interrupted download."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from pydantic import BaseModel

from multipassd.images.cache import NOTE, PART
from multipassd.images.cache_directory import CacheDirectory
from multipassd.images.errors import HashMismatch, NoRoom, Refused, Unreachable
from multipassd.images.image import Image, Transfer
from multipassd.images.remotes import CORE_NAME
from multipassd.images.worker.http import Http, check_status, shown
from multipassd.images.worker.meter import Meter
from multipassd.images.worker.sparse import SparseWriter
from protocol import sizes

if TYPE_CHECKING:
    import httpx

TRIES = 3  # in succession without a byte; progress resets the count
PAUSE = 0.3  # seconds before the second try, doubled with each one
CHUNK = 1 << 20
MAX_SIZE = 256 << 30  # bytes of a file whose size is unknown
MAX_NOTE = 64 << 10

Report = Callable[[Transfer], None]


class Note(BaseModel):
    """Stored beside a partial file: its URL, and the validator of the version that it is of."""

    url: str
    validator: str = ""


class Download:
    """Downloads an image to PART, which is left behind if the download can be resumed."""

    def __init__(self, http: Http, image: Image, place: CacheDirectory, report: Report) -> None:
        self._http = http
        self._image = image
        self._place = place
        self._note = Note(url=image.url)
        self._meter = Meter(report)
        self._total = image.size
        self._fetched = 0

    def run(self) -> str:
        """The SHA-256 of the whole file. Raises ImageError or OSError."""
        resumed = self._place.has(PART)
        try:
            return self._checked(self._fetch())
        except HashMismatch:
            if not resumed:
                raise
        # The resumed part may be damaged: a crash leaves zeros. Once more from the beginning.
        self.discard()
        self._note = Note(url=self._image.url)
        return self._checked(self._fetch())

    @property
    def repeatable(self) -> bool:
        """Would another download of this image bring the same file? Without hash and validator each
        launch is another image."""
        return bool(self._image.sha256 or self._note.validator)

    def discard(self) -> None:
        """Remove what was received. Raises OSError."""
        self._place.remove(PART, NOTE)

    def _checked(self, digest: str) -> str:
        wanted = self._image.sha256
        if wanted and digest != wanted:
            self.discard()
            url = shown(self._image.url)
            file, remote = url.rpartition("/")[2] or url, self._image.remote or CORE_NAME
            raise HashMismatch(file, wanted, digest, url, remote)
        return digest

    def _fetch(self) -> str:
        descriptor = self._place.open(PART, os.O_RDWR | os.O_CREAT)
        try:
            self._file = descriptor
            self._resume()
            self._check_room()
            self._until_complete()
            self._writer.finish()
        finally:
            os.close(descriptor)
        self._place.remove(NOTE)
        return self._hash.hexdigest()

    def _resume(self) -> None:
        """Continue with a partial file if it is of the same version."""
        self._restart()
        try:
            note = Note.model_validate_json(self._place.read(NOTE, MAX_NOTE))
        except (OSError, ValueError):
            note = Note(url="")
        # A known hash is checked at the end, so a part without a validator may be used then.
        if note.url != self._image.url or not (note.validator or self._image.sha256):
            os.ftruncate(self._file, 0)
            return
        self._note = note
        while chunk := os.pread(self._file, CHUNK, self._writer.position):
            self._hash.update(chunk)
            self._writer.position += len(chunk)

    def _restart(self) -> None:
        self._hash = hashlib.sha256()
        self._writer = SparseWriter(self._file)

    def _check_room(self) -> None:
        status = os.fstatvfs(self._file)
        free, needed = status.f_bavail * status.f_frsize, self._total - self._writer.position
        if needed > free:
            raise NoRoom(
                f"The image was not downloaded: it needs {sizes.human(needed)} and there are "
                f"{sizes.human(free)} free in {self._place.path.parent}. Make room there."
            )

    def _until_complete(self) -> None:
        tries = 0
        while True:
            before = self._writer.position
            try:
                return self._once()
            except Unreachable as error:
                # Give the partial file its length, also if it ends in a hole.
                os.ftruncate(self._file, self._writer.position)
                tries = 0 if self._writer.position > before else tries + 1
                if tries >= TRIES:
                    raise Unreachable(self._broken(error)) from error
            time.sleep(PAUSE * 2**tries)

    def _broken(self, error: Unreachable) -> str:
        kept = self._writer.position
        if not kept:
            return error.message
        return f"{error.message} {sizes.human(kept)} are kept: the next launch goes on from there."

    def _once(self) -> None:
        position = self._writer.position
        headers = {"Accept-Encoding": "identity"}
        if position:
            headers["Range"] = f"bytes={position}-"
            if self._note.validator:
                headers["If-Range"] = self._note.validator
        with self._http.stream(self._image.url, headers) as response:
            if response.status_code == 416 and self._complete(response):
                return
            if position and not _continues(response, position):
                self._from_zero(response)
            check_status(response)
            self._read_headers(response)
            for chunk in response.iter_raw():
                self._take(chunk)

    def _complete(self, response: httpx.Response) -> bool:
        """Does the server say that the file ends here?"""
        total: str = response.headers.get("Content-Range", "")
        return total == f"bytes */{self._writer.position}"

    def _from_zero(self, response: httpx.Response) -> None:
        if response.status_code == 416:
            os.ftruncate(self._file, 0)
            self._restart()
            raise Unreachable(f"{shown(self._image.url)} has changed.")
        if response.is_success:
            os.ftruncate(self._file, 0)
            self._restart()

    def _read_headers(self, response: httpx.Response) -> None:
        length = response.headers.get("Content-Length", "")
        if not self._image.size and length.isdecimal():
            self._total = self._writer.position + int(length)
            self._check_room()
        self._note = Note(url=self._image.url, validator=validator(response))
        self._place.write(NOTE, self._note.model_dump_json().encode(), 0o600)

    def _take(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._writer.write(chunk)
        if self._writer.position > (self._image.size or MAX_SIZE):
            self.discard()
            raise Refused(
                f"{shown(self._image.url)} is larger than it should be: it is not the image wanted."
            )
        self._fetched += len(chunk)
        self._meter.at(Transfer(self._writer.position, self._total, self._fetched))


def _continues(response: httpx.Response, position: int) -> bool:
    if response.status_code != 206:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) == position


def validator(response: httpx.Response) -> str:
    """The value for If-Range: a strong tag, else a date; empty if the server sends neither."""
    tag = str(response.headers.get("ETag", ""))
    if tag and not tag.startswith("W/"):
        return tag
    return str(response.headers.get("Last-Modified", ""))


def import_file(source: BinaryIO, place: CacheDirectory, report: Report) -> str:
    """Copy a regular file of this host; returns its SHA-256. Raises OSError."""
    digest = hashlib.sha256()
    meter = Meter(report)
    total = os.fstat(source.fileno()).st_size
    target = place.open(PART, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        source.seek(0)
        writer = SparseWriter(target)
        while chunk := source.read(CHUNK):
            digest.update(chunk)
            writer.write(chunk)
            meter.at(Transfer(writer.position, total, writer.position))
        writer.finish()
    finally:
        os.close(target)
    return digest.hexdigest()
