"""Programs of the host's that machines and guests are worked on with, as children that never
outlive whoever waits for them."""

from __future__ import annotations

import asyncio
import shutil
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from multipassd.drivers.interface import DriverError

PACKAGES = {
    "qemu-img": "qemu-utils", "qemu-system-x86_64": "qemu-system-x86", "ssh": "openssh-client",
}  # fmt: skip


def check(program: str) -> None:
    """Raises DriverError if it is not installed."""
    if shutil.which(program) is None:
        raise missing(program)


@asynccontextmanager
async def child(
    program: str,
    *arguments: str,
    stdout: int = DEVNULL,
    stderr: int = DEVNULL,
    descriptors: tuple[int, ...] = (),
) -> AsyncIterator[Process]:
    """Killed if it still runs at the end. Raises DriverError if it is not installed."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments,
            stdin=DEVNULL, stdout=stdout, stderr=stderr, pass_fds=descriptors,
        )  # fmt: skip
    except FileNotFoundError:
        raise missing(program) from None
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def missing(program: str) -> DriverError:
    package = PACKAGES[program]
    return DriverError(f"The program {program} is missing. Please install the package {package}.")
