"""The file of an image as Incus takes it: of disks qcow2 alone, so that a raw one is converted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from multipassd.disk_helper import client, request
from multipassd.disk_helper.client import Disks
from multipassd.disk_helper.request import QemuImgError
from multipassd.drivers.interface import DriverError
from multipassd.images.image import RAW, Base
from multipassd.system import programs

_disks = Disks()


@asynccontextmanager
async def opened(base: Base) -> AsyncIterator[BinaryIO]:
    """Raises OSError, DriverError."""
    path = Path(base.path)
    with await asyncio.to_thread(path.open, "rb", buffering=0) as file:
        if base.format != RAW:
            yield cast(BinaryIO, file)
            return
        # Beside it, where there is room for images; it has no name, so that a kill leaves nothing.
        with await asyncio.to_thread(TemporaryFile, dir=path.parent, buffering=0) as made:
            await _convert(cast(BinaryIO, file), cast(BinaryIO, made))
            yield cast(BinaryIO, made)


async def _convert(source: BinaryIO, target: BinaryIO) -> None:
    words = ("convert", "-q", "-f", "raw", "-O", "qcow2", request.file(0), request.file(1))
    files = [source.fileno(), target.fileno()]
    try:
        await asyncio.to_thread(client.lend, target.fileno())
        answer = await _disks.ask(*words, descriptors=files)
    except QemuImgError as error:
        raise DriverError(f"The image can't be made a qcow2: {error}") from None
    if answer.code == request.MISSING:
        raise programs.ProgramMissing(request.PROGRAM)
    if answer.code:
        raise DriverError(f"The image can't be made a qcow2: {answer.reason}.")
