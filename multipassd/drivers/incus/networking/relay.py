"""SSH to containers that are not reached directly: a port of this host's loopback interface a
container, whose connections are carried over the cluster's API to an SSH server that is started for
each (`sshd -i`).

Any user of this host gets as far as that SSH server's log-in, as with QEMU's own networking.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from multipassd.drivers.incus.api.client import Api
from multipassd.drivers.incus.api.errors import IncusError, Unreachable
from multipassd.drivers.incus.api.execution import Execution, exec_stream
from multipassd.system import log
from multipassd.transport.quota.socket_owner import OwnerLookup

LOOPBACK = "127.0.0.1"
# sshd wants its directory, which a guest makes that has started the service; its keys are made by
# cloud-init, and without them it ends.
COMMAND = ("/bin/sh", "-c", "mkdir -p /run/sshd; exec /usr/sbin/sshd -i")
CHUNK = 64 * 1024
BACKLOG = 16
# Each connection is a process in the guest and four connections to the cluster. A user's clients
# keep one for minutes and open some for a transfer; the service itself asks guests for their state.
PER_GUEST = 10  # of one user of this host
PER_USER = 64  # of one user, to all guests; root has no limit
PATIENCE_SECONDS, AGAIN_SECONDS = 8.0, 0.5
UNKNOWN_USER = -1

_log = log.get("incus")


class Relay:
    """The ports, by guest."""

    def __init__(self, api: Callable[[], Awaitable[Api]]) -> None:
        """`api` raises IncusError while the cluster is not reached."""
        self._api = api
        self._listening: dict[str, socket.socket] = {}
        self._accepting: dict[str, asyncio.Task[None]] = {}
        self._carrying: dict[asyncio.Task[None], tuple[str, int]] = {}  # guest and user
        self._owners = OwnerLookup()

    def port(self, name: str) -> int:
        """Where connections are carried to this guest's SSH server. Raises OSError."""
        if (listening := self._listening.get(name)) is None:
            listening = socket.create_server((LOOPBACK, 0), backlog=BACKLOG)
            listening.setblocking(False)
            self._listening[name] = listening
            task = asyncio.get_running_loop().create_task(self._accept(name, listening))
            self._accepting[name] = task
        return int(listening.getsockname()[1])

    def end(self, name: str) -> None:
        """The guest is off: its port is closed, and what is carried to it ends."""
        if (listening := self._listening.pop(name, None)) is not None:
            self._accepting.pop(name).cancel()
            listening.close()
        for task, (guest, _) in list(self._carrying.items()):
            if guest == name:
                task.cancel()

    def close(self) -> None:
        for name in list(self._listening):
            self.end(name)

    async def _accept(self, name: str, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, theirs = await loop.sock_accept(listening)
            except OSError as error:  # no descriptors left, a peer that is gone
                _log.warning("no connection to %s is accepted now: %s", name, error.strerror)
                await asyncio.sleep(1.0)
                continue
            uid = self._owners.uid(socket.AF_INET, theirs, listening.getsockname())
            user = UNKNOWN_USER if uid is None else uid
            if self._is_over_limit(name, user):
                connection.close()
                continue
            task = loop.create_task(self._carry(name, connection))
            self._carrying[task] = name, user
            task.add_done_callback(self._carrying.pop)

    def _is_over_limit(self, name: str, user: int) -> bool:
        own = Counter(guest for guest, each in self._carrying.values() if each == user)
        return user != 0 and (own[name] >= PER_GUEST or own.total() >= PER_USER)

    async def _carry(self, name: str, connection: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=connection, limit=CHUNK)
        try:
            server = await self._server(name)
        except IncusError as error:
            _log.info("SSH of %s is not reached: %s", name, error.message)
            writer.transport.abort()
            return
        ways = [
            asyncio.create_task(_to_guest(reader, server)),
            asyncio.create_task(_to_caller(server, writer)),
        ]
        try:
            # The server ends the connection; a caller that has said all goes on to listen.
            await asyncio.wait({ways[1]})
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            await server.close()
            if not writer.is_closing():
                writer.transport.abort()

    async def _server(self, name: str) -> Execution:
        """Raises IncusError. A cluster that elects a leader refuses for seconds what it does then;
        the caller's ssh waits as long for the greeting."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE_SECONDS
        while True:
            try:
                return await exec_stream(await self._api(), name, COMMAND)
            except Unreachable:
                if loop.time() > end:
                    raise
                await asyncio.sleep(AGAIN_SECONDS)


async def _to_guest(reader: asyncio.StreamReader, server: Execution) -> None:
    while data := await reader.read(CHUNK):
        await server.write(data)
    await server.end()


async def _to_caller(server: Execution, writer: asyncio.StreamWriter) -> None:
    while data := await server.read():
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()
