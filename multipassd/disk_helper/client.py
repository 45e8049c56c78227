"""Runs qemu-img on open files: by a sandboxed service at the Unix socket MULTIPASS_DISKS_SOCKET,
else by a child that gives up its rights (main.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from multipassd.disk_helper import request
from multipassd.disk_helper.owner import group
from multipassd.disk_helper.request import Answer, QemuImgError
from multipassd.system import installation, json_request, json_request_async
from multipassd.system.json_request import BadMessage, CutOff, RequestFailed, TooSlow

SOCKET = "MULTIPASS_DISKS_SOCKET"
HELPER = installation.program("multipass-disks")
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "SNAP_NAME")
AT_ONCE = 8  # for the daemon; image workers have 4 more, and the socket takes 16
MODE, OPEN_MODE = 0o660, 0o666


def lend(descriptor: int) -> None:
    """Let qemu-img's user open this file again for writing; the directories above keep other users
    out. Raises OSError and QemuImgError."""
    mode = MODE
    if os.geteuid() == 0:
        try:
            os.fchown(descriptor, -1, group())
        except PermissionError:  # a snap's root may lack the right
            mode = OPEN_MODE
    os.fchmod(descriptor, mode)


def ask(*words: str, descriptors: Sequence[int]) -> Answer:
    """Run qemu-img with these words, for programs without an event loop. Raises QemuImgError."""
    try:
        with _connected() as connection:
            answer = json_request.ask(
                connection, words, list,
                limit=request.MAX_ANSWER, seconds=_seconds(words[0]), descriptors=descriptors,
            )  # fmt: skip
    except (RequestFailed, OSError) as error:
        raise _failure(words[0], error) from error
    return request.answer(answer)


@contextmanager
def _connected() -> Iterator[socket.socket]:
    if path := os.environ.get(SOCKET):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            yield connection
        return
    ours, theirs = socket.socketpair()
    with theirs, subprocess.Popen(_command(), stdin=theirs.fileno(), **_surroundings()), ours:
        theirs.close()
        yield ours  # hung up on, the helper ends


class Disks:
    """Runs qemu-img from an event loop, AT_ONCE processes at a time."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def ask(self, *words: str, descriptors: Sequence[int]) -> Answer:
        """Raises QemuImgError. qemu-img has ended when this returns, also after a cancellation."""
        try:
            async with self._turns, _joined() as connection:
                answer = await json_request_async.ask(
                    connection, words, list,
                    limit=request.MAX_ANSWER, seconds=_seconds(words[0]), descriptors=descriptors,
                )  # fmt: skip
        except (RequestFailed, OSError) as error:
            raise _failure(words[0], error) from error
        return request.answer(answer)


@asynccontextmanager
async def _joined() -> AsyncIterator[socket.socket]:
    if path := os.environ.get(SOCKET):
        async with json_request_async.connected(path) as connection:
            yield connection
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        helper = await asyncio.create_subprocess_exec(
            *_command(), stdin=theirs.fileno(), **_surroundings()
        )
        theirs.close()
        try:
            yield ours
        finally:
            ours.close()  # hung up on, the helper ends
            await helper.wait()


def _seconds(verb: str) -> float:
    return request.LONG_SECONDS if verb in request.LONG else request.SECONDS


def _command() -> list[str]:
    return [sys.executable, "-I", "-S", HELPER]


def _surroundings() -> dict[str, Any]:
    own = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    return {"stdout": subprocess.DEVNULL, "cwd": "/", "env": own}


def _failure(verb: str, error: RequestFailed | OSError) -> QemuImgError:
    if isinstance(error, TooSlow):
        return QemuImgError(f"{request.PROGRAM} {verb} took longer than {_seconds(verb):.0f} s.")
    if isinstance(error, CutOff | BadMessage):
        return request.no_answer()
    where = os.environ.get(SOCKET) or HELPER
    reason = (isinstance(error, OSError) and error.strerror) or error
    return QemuImgError(f"{request.PROGRAM} can't be asked at {where}: {reason}.")
