"""An image as Incus takes it from us: our own metadata, and the disk or root file system as it is.

The metadata is the same wherever the same image is uploaded, so that its fingerprint is, too. No
image's own metadata reaches Incus: see `images/worker/archive.py`. Pure, but for the file's bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import platform
import tarfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import BinaryIO

from multipassd.images.image import ROOTFS, Base, Kind

IMAGE = "multipass.image"  # the property by which an image is found again: its id
CONTAINER, VIRTUAL_MACHINE = "container", "virtual-machine"
PARTS: dict[Kind, str] = {ROOTFS: "rootfs", "disk": "rootfs.img"}  # by their names Incus knows
CHUNK = 1 << 20
UNDATED = 1  # seconds since 1970; Incus takes 0 for missing


def type_of(kind: Kind) -> str:
    """Incus' name for what is made of it."""
    return CONTAINER if kind == ROOTFS else VIRTUAL_MACHINE


def metadata(base: Base) -> bytes:
    """A tar archive of metadata.yaml."""
    title = f"{base.os} {base.release}".strip() or "an image by URL"
    architecture = platform.machine()
    text = json.dumps(  # which is YAML, too
        {
            "architecture": architecture,
            "creation_date": _date(base.version),
            "properties": {
                IMAGE: base.id,
                "architecture": architecture,
                "description": title,
                "os": base.os,
                "release": base.release,
                "version": base.version,
            },
        },
        indent=1,
        sort_keys=True,
    ).encode()
    info = tarfile.TarInfo("metadata.yaml")
    info.size = len(text)
    packed = io.BytesIO()
    with tarfile.TarFile(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(text))
    return packed.getvalue()


def _date(version: str) -> int:
    """Of a version as Ubuntu names them: 20260815, 20260815.1."""
    try:
        found = datetime.strptime(version[:8], "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return UNDATED
    return max(int(found.timestamp()), UNDATED)


class Body:
    """The body of the request that uploads an image, read as it is sent."""

    def __init__(
        self,
        base: Base,
        file: BinaryIO,
        report: Callable[[int], None],
        asked: Callable[[bool], None],
    ) -> None:
        """`report` gets percents. `asked` is called when more of it is taken; whether all was."""
        self._file = file
        self._report = report
        self._asked = asked
        self._metadata = metadata(base)
        self._size = os.fstat(file.fileno()).st_size
        self._hash = hashlib.sha256()
        self._boundary = os.urandom(16).hex()  # which no image's maker can have put into it
        first, second = self._part("metadata"), self._part(PARTS[base.kind])
        self._head = b"".join((first, self._metadata, b"\r\n", second))
        self._tail = f"\r\n--{self._boundary}--\r\n".encode()

    @property
    def headers(self) -> dict[str, str]:
        return {
            "Content-Type": f"multipart/form-data; boundary={self._boundary}",
            "Content-Length": str(len(self)),
        }

    def __len__(self) -> int:
        return len(self._head) + self._size + len(self._tail)

    @property
    def fingerprint(self) -> str:
        """Of the image at Incus, once all was sent."""
        return self._hash.hexdigest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Raises OSError, also where the file has become shorter."""
        self._hash = hashlib.sha256(self._metadata)
        yield self._head
        sent, shown = 0, None
        while sent < self._size:
            self._asked(False)
            chunk = await asyncio.to_thread(self._read, sent)
            if not chunk:
                raise OSError(f"it has become shorter than its {self._size} bytes")
            yield chunk
            sent += len(chunk)
            percent = sent * 100 // self._size
            if percent != shown:
                self._report(shown := percent)
        yield self._tail
        self._asked(True)

    def _read(self, position: int) -> bytes:
        data = os.pread(self._file.fileno(), min(CHUNK, self._size - position), position)
        self._hash.update(data)
        return data

    def _part(self, name: str) -> bytes:
        """What comes before a part's bytes."""
        disposition = f'form-data; name="{name}"; filename="{name}"'
        lines = (
            f"--{self._boundary}",
            f"Content-Disposition: {disposition}",
            "Content-Type: application/octet-stream",
        )
        return ("\r\n".join(lines) + "\r\n\r\n").encode()
