"""The disks, by qemu-img."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from multipassd.drivers.driver import DriverError
from multipassd.files import read_regular

IMG = "qemu-img"
SECONDS = 120.0
SECTOR = 512
BOOT_SIGNATURE = b"\x55\xaa"
BOOT_CODE = 440  # bytes of a master boot record before its table
MODE = 0o660  # the hypervisor's user has it by its group


async def create(path: Path, base: Path, base_format: str, size: int) -> None:
    """An overlay: the base is read through it and never written."""
    await _img(
        "create", "-q", "-f", "qcow2", "-F", base_format, "-b", str(base), str(path), str(size)
    )
    os.chmod(path, MODE)


async def grow(path: Path, size: int) -> None:
    await _img("resize", "-q", "-f", "qcow2", str(path), str(size))


async def copy(source: Path, path: Path) -> None:
    """A raw file as qcow2."""
    await _img("convert", "-q", "-f", "raw", "-O", "qcow2", str(source), str(path))
    os.chmod(path, MODE)


async def drop_snapshot(path: Path, name: str) -> None:
    await _img("snapshot", "-q", "-d", name, str(path))


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


async def _img(*arguments: str) -> None:
    """Raises DriverError with its reason."""
    try:
        process = await asyncio.create_subprocess_exec(
            IMG, *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except FileNotFoundError:
        raise DriverError(
            "The program qemu-img is missing. Please install the package qemu-utils."
        ) from None
    try:
        async with asyncio.timeout(SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        raise DriverError(f"qemu-img {arguments[0]} took longer than {SECONDS:.0f} s.") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        why = errors.decode("utf-8", "replace").strip().splitlines()
        raise DriverError(
            f"qemu-img {arguments[0]} failed: {why[-1] if why else 'no reason given'}"
        )
