"""The disks, by qemu-img."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import PIPE
from pathlib import Path
from tempfile import TemporaryDirectory

from multipassd.drivers.driver import DriverError
from multipassd.drivers.programs import child
from multipassd.files import read_regular

IMG = "qemu-img"
SECONDS = 120.0
SECTOR = 512
BOOT_SIGNATURE = b"\x55\xaa"
BOOT_CODE = 440  # bytes of a master boot record before its table
MAGIC = b"QFI\xfb\0\0\0\3"  # qcow2, version 3
HEADER_SIZE = 80  # bytes; as far as the incompatible features
EXTERNAL_DATA = 4  # the one of them that names another file
MODE = 0o660  # the hypervisor's user has it by its group


async def create(path: Path, base: Path, base_format: str, size: int) -> None:
    """An overlay: the base is read through it and never written."""
    await _img(
        "create", "-q", "-f", "qcow2", "-F", base_format, "-b", str(base), str(path), str(size)
    )
    os.chmod(path, MODE)


async def grow(path: Path, size: int) -> None:
    await _on_own("resize", "-q", path=path, last=(str(size),))


async def copy(source: Path, path: Path) -> None:
    """A raw file as qcow2."""
    await _img("convert", "-q", "-f", "raw", "-O", "qcow2", str(source), str(path))
    os.chmod(path, MODE)


async def drop_snapshot(path: Path, name: str) -> None:
    await _on_own("snapshot", "-q", "-d", name, path=path)


async def boots_by_bios(base: Path, base_format: str) -> bool:
    """Is there boot code in the first sector?"""
    with TemporaryDirectory() as place:
        target = Path(place) / "sector"
        await _img(
            "dd", "-f", base_format, "-O", "raw", f"bs={SECTOR}", "count=1",
            f"if={base}", f"of={target}",
        )  # fmt: skip
        sector = read_regular(target, SECTOR)
    return sector[510:512] == BOOT_SIGNATURE and any(sector[:BOOT_CODE])


async def _on_own(*arguments: str, path: Path, last: tuple[str, ...] = ()) -> None:
    """Work on a machine's disk. QEMU's user may have written anything there, so neither a link nor
    a file that the disk's header names is followed with this process's rights."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise DriverError(f"The disk {path} can't be used: {error.strerror}.") from None
    try:
        if _has_data_elsewhere(os.pread(descriptor, HEADER_SIZE, 0)):
            raise DriverError(f"The disk {path} is damaged, or keeps its data in another file.")
        file = {"driver": "file", "filename": f"/proc/self/fd/{descriptor}"}
        disk = json.dumps({"driver": "qcow2", "backing": None, "file": file})
        await _img(*arguments, f"json:{disk}", *last, descriptors=(descriptor,))
    finally:
        os.close(descriptor)


def _has_data_elsewhere(header: bytes) -> bool:
    """By the header of version 3, the only one that is made here."""
    if len(header) < HEADER_SIZE or header[:8] != MAGIC:
        return True
    return bool(int.from_bytes(header[72:80], "big") & EXTERNAL_DATA)


async def _img(*arguments: str, descriptors: tuple[int, ...] = ()) -> None:
    """Raises DriverError with its reason."""
    async with child(IMG, *arguments, stderr=PIPE, descriptors=descriptors) as process:
        try:
            async with asyncio.timeout(SECONDS):
                _, errors = await process.communicate()
        except TimeoutError:
            why = f"qemu-img {arguments[0]} took longer than {SECONDS:.0f} s."
            raise DriverError(why) from None
    if process.returncode:
        said = errors.decode("utf-8", "replace").strip().splitlines()
        raise DriverError(
            f"qemu-img {arguments[0]} failed: {said[-1] if said else 'no reason given'}"
        )
