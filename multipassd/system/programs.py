"""Run programs of the host (QEMU, ssh) as child processes that never outlive their caller."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from protocol.errors import RpcError
from protocol.status import Status

PACKAGES = {
    "qemu-img": "qemu-utils", "qemu-system-x86_64": "qemu-system-x86", "ssh": "openssh-client",
}  # fmt: skip


class ProgramMissing(RpcError):
    """A program is not installed; the sentence names its package."""

    status = Status.INTERNAL

    def __init__(self, program: str) -> None:
        package = PACKAGES[program]
        super().__init__(f"The program {program} is missing. Please install the package {package}.")


def check(program: str) -> None:
    """Raises ProgramMissing."""
    import shutil  # slow to import, and rarely needed

    if shutil.which(program) is None:
        raise ProgramMissing(program)


@asynccontextmanager
async def child(
    program: str,
    *arguments: str,
    stdout: int = DEVNULL,
    stderr: int = DEVNULL,
    descriptors: tuple[int, ...] = (),
) -> AsyncIterator[Process]:
    """Killed if it still runs at the end. Raises ProgramMissing."""
    try:
        process = await asyncio.create_subprocess_exec(
            program, *arguments,
            stdin=DEVNULL, stdout=stdout, stderr=stderr, pass_fds=descriptors,
        )  # fmt: skip
    except FileNotFoundError:
        raise ProgramMissing(program) from None
    try:
        yield process
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
