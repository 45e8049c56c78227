"""A command in an instance, its input and output as bytes, over the websockets of `exec`.

Backpressure holds both ways: what is not read here waits in TCP's windows and in the command's
pipe, and `write` waits for the command to take its input.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any

import aiohttp

from multipassd.drivers.incus.api import errors
from multipassd.drivers.incus.api.client import Api, name_in_path
from multipassd.drivers.incus.api.errors import IncusError

STDIN, STDOUT, STDERR, CONTROL = "0", "1", "2", "control"
START_SECONDS = 30.0
END_SECONDS = 10.0  # from the end of its output to the command's exit
MAX_PIECE = 32 << 10  # bytes of one message; Incus' own client sends as many
KEPT_ERRORS = 2 << 10  # bytes of what it last wrote to stderr

Socket = aiohttp.ClientWebSocketResponse


class Execution:
    """A command that runs. To be closed; the command gets SIGHUP then if it has not ended."""

    def __init__(
        self, api: Api, operation: str, what: str, sockets: dict[str, Socket], stack: AsyncExitStack
    ) -> None:
        self._api = api
        self.operation = operation  # its id at Incus
        self._what = what
        self._sockets = sockets
        self._stack = stack
        self._errors = bytearray()
        self._ended = False  # no more input
        self._read_all = False
        loop = asyncio.get_running_loop()
        # What is not read of these two would stop the command.
        self._readers = [loop.create_task(self._keep_errors()), loop.create_task(self._pass_over())]

    @property
    def complaint(self) -> str:
        """The end of what it wrote to stderr."""
        return self._errors.decode("utf-8", "replace")

    async def read(self) -> bytes:
        """What it wrote to stdout, as it comes; empty at the end. Raises Unreachable."""
        while not self._read_all:
            try:
                message = await self._sockets[STDOUT].receive()
            except (aiohttp.ClientError, OSError) as error:  # of the answer to a ping
                raise self._broken(error) from None
            if message.type is aiohttp.WSMsgType.BINARY and message.data:
                return bytes(message.data)
            if message.type is aiohttp.WSMsgType.TEXT and not message.data:
                self._read_all = True  # Incus' word for the end of a stream
            elif message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING):
                self._read_all = True
            elif message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                raise self._broken(self._sockets[STDOUT].exception() or "it was closed")
        return b""

    async def write(self, data: bytes) -> None:
        """To its stdin; returns when there is room for more. Raises Unreachable."""
        view = memoryview(data)
        for start in range(0, len(view), MAX_PIECE):
            try:
                await self._sockets[STDIN].send_bytes(bytes(view[start : start + MAX_PIECE]))
            except (aiohttp.ClientError, OSError) as error:
                raise self._broken(error) from None

    async def end(self) -> None:
        """No more input. Never fails: a command that has ended needs none."""
        if not self._ended:
            self._ended = True
            with suppress(aiohttp.ClientError, OSError):
                await self._sockets[STDIN].send_str("")

    async def code(self, seconds: float = END_SECONDS) -> int:
        """Its exit code, once it has ended. Raises IncusError."""
        found = await self._api.wait(self.operation, seconds=seconds, what=self._what)
        metadata = found.get("metadata")
        code = metadata.get("return") if isinstance(metadata, dict) else None
        if not isinstance(code, int):
            raise errors.bad_answer(self._what, "it does not tell the exit code")
        return code

    async def close(self) -> None:
        """Never fails."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        closing = (socket.close() for socket in self._sockets.values())
        await asyncio.gather(*closing, return_exceptions=True)
        with suppress(aiohttp.ClientError, OSError, IncusError):
            await self._stack.aclose()

    async def _keep_errors(self) -> None:
        with suppress(aiohttp.ClientError, OSError):
            async for message in self._sockets[STDERR]:
                if message.type is aiohttp.WSMsgType.BINARY:
                    self._errors += message.data
                    del self._errors[:-KEPT_ERRORS]

    async def _pass_over(self) -> None:
        with suppress(aiohttp.ClientError, OSError):
            async for _ in self._sockets[CONTROL]:
                pass

    def _broken(self, why: object) -> errors.Unreachable:
        said = errors.shown(why)
        return errors.Unreachable(f"The connection to Incus broke: {said} ({self._what}).", said)


async def exec_stream(
    api: Api, name: str, command: Sequence[str], *, seconds: float = START_SECONDS, uid: int = 0
) -> Execution:
    """Start a command in an instance that runs, within `seconds`. Raises IncusError."""
    what = f"run {command[0]} in {name}"
    body = {
        "command": list(command),
        "wait-for-websocket": True,
        "interactive": False,
        "user": uid,
        "environment": {},
    }
    path = f"/1.0/instances/{name_in_path(name)}/exec"
    operation = await api.start("POST", path, body, seconds=seconds, what=what)
    identity = str(operation["id"])
    secrets = _secrets(operation, what)
    async with AsyncExitStack() as stack:
        sockets = {}
        for stream in (CONTROL, STDIN, STDOUT, STDERR):  # it starts with the last
            place = f"/1.0/operations/{identity}/websocket"
            opened = api.websocket(place, seconds=seconds, what=what, secret=secrets[stream])
            sockets[stream] = await stack.enter_async_context(opened)
        return Execution(api, identity, what, sockets, stack.pop_all())
    raise AssertionError  # not reached: an exit stack passes no exception over


async def run(
    api: Api, name: str, command: Sequence[str], seconds: float, limit: int, *, uid: int = 0
) -> tuple[int, bytes]:
    """Run a command without input to its end; its exit code, and its output of at most `limit`
    bytes, else BadAnswer. Raises IncusError; TookTooLong after `seconds`."""
    what = f"run {command[0]} in {name}"
    try:
        async with asyncio.timeout(seconds):
            running = await exec_stream(api, name, command, seconds=seconds, uid=uid)
            try:
                await running.end()
                output = bytearray()
                while piece := await running.read():
                    output += piece
                    if len(output) > limit:
                        raise errors.bad_answer(what, f"it wrote over {limit} bytes")
                return await running.code(), bytes(output)
            finally:
                await running.close()
    except TimeoutError:
        raise errors.too_long(what, seconds) from None


def _secrets(operation: dict[str, Any], what: str) -> dict[str, str]:
    metadata = operation.get("metadata")
    found = metadata.get("fds") if isinstance(metadata, dict) else None
    wanted = (STDIN, STDOUT, STDERR, CONTROL)
    if not isinstance(found, dict) or not all(isinstance(found.get(each), str) for each in wanted):
        raise errors.bad_answer(what, "it names no streams")
    return {each: found[each] for each in wanted}
