"""An exported instance taken apart: its disk becomes a base image, the rest lies beside it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import BinaryIO

from multipassd.images import exported
from multipassd.images.cache_directory import CacheDirectory
from multipassd.images.errors import ImageError, Refused
from multipassd.images.exported import DISK, MANIFEST, ORDER, SEED, SUMS, VARIABLES, Manifest
from multipassd.images.worker.inspection import check_start, inspect
from multipassd.system.files import write_all

CHUNK = 1 << 20
NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def unpack(
    file: BinaryIO, place: CacheDirectory, disk: str, percent: Callable[[int], None]
) -> Manifest:
    """`disk`: the name that the disk gets in `place`. Raises Refused, OSError."""
    try:
        found = _Members(file, place, disk, percent).read()
        return Manifest.from_json(found)
    except exported.NoExport as error:
        raise Refused(f"The exported instance is refused: {error}.") from error
    except ValueError as error:
        raise Refused("The exported instance is refused: its manifest is not valid.") from error


def check_variables(place: CacheDirectory) -> None:
    """Raises Refused, OSError."""
    try:
        descriptor = place.open(VARIABLES, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        if check_start(os.pread(descriptor, exported.BLOCK, 0)) != "qcow2":
            raise Refused("The exported instance is refused: its UEFI variables are no qcow2.")
        inspect(descriptor)
    except ImageError as error:
        raise Refused(f"{error.message} (its UEFI variables)") from error
    finally:
        os.close(descriptor)


class _Members:
    def __init__(
        self, file: BinaryIO, place: CacheDirectory, disk: str, percent: Callable[[int], None]
    ) -> None:
        self._file = file
        self._place = place
        self._names = {SEED: SEED, VARIABLES: VARIABLES, DISK: disk}
        self._percent = percent
        self._size = os.fstat(file.fileno()).st_size
        self._digests: dict[str, str] = {}

    def read(self) -> bytes:
        """The manifest, when all has been read and agrees with the sums."""
        manifest = b""
        last = -1
        while last < len(ORDER) - 1:
            name, size = exported.member(self._exactly(exported.BLOCK))
            if ORDER.index(name) <= last:
                raise exported.NoExport(f"its {name} is in the wrong place")
            if size > self._size - self._file.tell():
                raise exported.NoExport("it is cut off")
            last = ORDER.index(name)
            if name in self._names:
                self._write(name, size)
                continue
            data = self._exactly(size)
            self._exactly(-size % exported.BLOCK)
            if name == SUMS:
                self._compare(data)
            else:
                manifest = data
                self._digests[name] = hashlib.sha256(data).hexdigest()
        return manifest

    def _compare(self, data: bytes) -> None:
        if not {MANIFEST, SEED, DISK} <= self._digests.keys():
            raise exported.NoExport("it lacks a part")
        if data != exported.sums(self._digests):
            raise exported.NoExport("it was changed or damaged since it was exported")

    def _write(self, name: str, size: int) -> None:
        digest = hashlib.sha256()
        target = self._place.open(self._names[name], NEW)
        try:
            left = size
            while left:
                data = self._exactly(min(CHUNK, left))
                digest.update(data)
                write_all(target, data)
                left -= len(data)
                self._percent(self._file.tell() * 100 // self._size)
            os.fsync(target)
        finally:
            os.close(target)
        self._exactly(-size % exported.BLOCK)
        self._digests[name] = digest.hexdigest()

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._file.read(size - len(data))
            if not chunk:
                raise exported.NoExport("it is cut off")
            data += chunk
        return bytes(data)
