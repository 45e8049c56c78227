"""Bytes between a caller and a guest's SSH server, both ways, as fast as the slower of them takes
them."""

from __future__ import annotations

import asyncio
import os
import socket
from asyncio import StreamReader, StreamWriter
from typing import Protocol

from multipassd.instances.guests.guest_ssh import Endpoint
from protocol.errors import RpcError
from protocol.status import Status

CHUNK = 64 * 1024  # bytes from the guest in one message: more costs memory and saves little
CONNECT_WITHIN = 30.0  # seconds; as long as the client's ssh would wait
# A guest that is gone without a word, such as one whose machine was killed, is noticed after about
# five minutes without data, as by the client's ssh.
ALIVE_AFTER, ALIVE_EVERY, ALIVE_COUNT = 60, 30, 8


class Unreachable(RpcError):
    """The guest's SSH server does not answer, or the connection to it broke."""

    status = Status.UNAVAILABLE


class Caller(Protocol):
    """The other side: `receive` returns None once it has said all, and then goes on to listen."""

    async def receive(self) -> bytes | None: ...
    async def send(self, data: bytes) -> None: ...
    async def end(self) -> None: ...


async def run(endpoint: Endpoint, caller: Caller) -> None:
    """Until both sides have said all. Raises Unreachable, and what `caller` raises."""
    reader, writer = await _connect(endpoint)
    ways: list[asyncio.Task[None]] = []
    try:
        await caller.send(b"")  # it knows by that that the guest is reached
        for way in (_to_guest(caller, writer), _to_caller(reader, caller)):
            ways.append(asyncio.create_task(way))
        await asyncio.gather(*ways)
    except OSError as error:
        if reader.at_eof():  # the guest has hung up, and takes nothing more
            return
        raise Unreachable(
            f'The connection to the SSH server of "{endpoint.name}" broke: {_why(error)}.'
        ) from None
    finally:
        for task in ways:
            task.cancel()
        writer.transport.abort()


async def _connect(endpoint: Endpoint) -> tuple[StreamReader, StreamWriter]:
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            reader, writer = await asyncio.open_connection(
                endpoint.host, endpoint.port, limit=CHUNK
            )
    except OSError as error:  # TimeoutError is one
        raise Unreachable(
            f'The SSH server of "{endpoint.name}" does not answer: '
            f"{_why(error)}. It may still be starting."
        ) from None
    writer.transport.set_write_buffer_limits(high=0)  # `drain` waits until the kernel has it all
    _keep_alive(writer.get_extra_info("socket"))
    return reader, writer


def _why(error: OSError) -> str:
    """asyncio's own text would name an address that the client does not know."""
    if error.errno:
        return os.strerror(error.errno)
    return "no answer in time" if isinstance(error, TimeoutError) else "the guest has hung up"


def _keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, ALIVE_AFTER)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, ALIVE_EVERY)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, ALIVE_COUNT)


async def _to_guest(caller: Caller, writer: StreamWriter) -> None:
    while (data := await caller.receive()) is not None:
        writer.write(data)
        await writer.drain()
    writer.write_eof()


async def _to_caller(reader: StreamReader, caller: Caller) -> None:
    while data := await reader.read(CHUNK):
        await caller.send(data)
    await caller.end()
