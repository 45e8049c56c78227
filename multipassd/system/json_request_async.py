"""The client's side of `json_request.py` in an event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from multipassd.system.json_request import CHUNK, Line, T, encode, failures


@asynccontextmanager
async def connected(path: str | Path) -> AsyncIterator[socket.socket]:
    """A connection to the Unix socket at `path`. Raises OSError."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, str(path))
        yield connection


async def ask_at(
    path: str | Path, message: object, kind: type[T], *, limit: int, seconds: float
) -> T:
    """Connect to the Unix socket at `path`, send a request and return its answer, of at most
    `limit` bytes, within `seconds` altogether. Raises RequestFailed."""
    with failures(seconds):
        async with asyncio.timeout(seconds), connected(path) as connection:
            return await _ask(connection, message, kind, limit, ())


async def ask(
    connection: socket.socket,
    message: object,
    kind: type[T],
    *,
    limit: int,
    seconds: float,
    descriptors: Sequence[int] = (),
) -> T:
    """The same over a connection that does not block, with open files beside the request
    (SCM_RIGHTS). Raises RequestFailed."""
    with failures(seconds):
        async with asyncio.timeout(seconds):
            return await _ask(connection, message, kind, limit, descriptors)


async def _ask(
    connection: socket.socket, message: object, kind: type[T], limit: int, files: Sequence[int]
) -> T:
    loop = asyncio.get_running_loop()
    data, line = encode(message), Line(limit)
    with suppress(BrokenPipeError):  # it may have answered before it hung up
        sent = socket.send_fds(connection, [data], list(files))
        if rest := data[sent:]:
            await loop.sock_sendall(connection, rest)
    while not line.feed(await loop.sock_recv(connection, CHUNK)):
        pass
    return line.decode(kind)
