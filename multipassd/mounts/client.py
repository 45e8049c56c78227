"""Starts, finds and ends the servers of classic mounts, which outlive the daemon."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from multipassd.mounts import control_socket, virtiofsd
from multipassd.mounts import order as orders
from multipassd.mounts.main import DIRECTORY, SOURCE
from multipassd.mounts.order import MAX_REQUEST, Order
from multipassd.system import installation, json_request_async
from multipassd.system.files import read_regular
from multipassd.system.json_request import RequestFailed
from protocol.errors import RpcError
from protocol.status import Status

SOCKET = "MULTIPASS_MOUNTS_SOCKET"  # the path of the socket of multipass-mounts@.service
RUNTIME = "/run"  # where each of its servers has a directory for its control socket
UNIT_DIRECTORY = "multipass-mount-"  # what their names begin with
HELPER = installation.program("multipass-mounts")
ENVIRONMENT = (virtiofsd.ROOT, "PATH", "LD_LIBRARY_PATH", "SNAP", "SNAP_NAME")
SECONDS = 110.0  # a whole start: the directory's 30, the guest's 60, and a log-in
MAX_ANSWER = 64 << 10  # bytes; a reason has a few hundred
MAX_KEY = 16 << 10
STOP_SECONDS = 10.0  # for a server to end
AT_ONCE = 8  # starts; more would only wait for the host's processors together

Found = tuple[Order, socket.socket] | tuple[None, None]


class MountFailed(RpcError):
    """A directory could not be mounted; the message is a clause: the `<why>` of a sentence."""

    status = Status.FAILED_PRECONDITION


class SourceRefused(MountFailed):
    """The directory is gone, is no longer one, or its user may not read it: trying again is no
    help."""


class MountServers:
    """The servers of this daemon's mounts."""

    def __init__(self, storage: Path, key: Path, socket: str = "") -> None:
        """`key`: the private SSH key that guests accept. `socket`: of the service that starts
        servers; empty: they are started as processes."""
        self.storage = str(storage)
        self._key = key
        self._socket = socket
        self.enabled: Callable[[], bool] = lambda: True  # what local.privileged-mounts says now
        self._directory = str(storage / "mounts")
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def start(self, order: Order, key_name: str = "") -> None:
        """Returns once it is mounted. `key_name`: of the private key's file beside the service's
        own, where the guest accepts another than that. Raises MountFailed, SourceRefused."""
        path = self._key.with_name(key_name or self._key.name)
        try:
            data = await asyncio.to_thread(read_regular, path, MAX_KEY)
        except OSError as error:
            raise MountFailed(f"its server can't be started: {error}") from None
        await self._start_classic(order, data)

    async def start_certified(self, order: Order, key: bytes, certificate: str) -> None:
        """The same, by a private key and a certificate for it."""
        await self._start_classic(order, key, certificate.encode())

    async def _start_classic(self, order: Order, *log_in: bytes) -> None:
        try:
            with ExitStack() as stack:
                async with self._turns:
                    await self._order(order, *(stack.enter_context(_in_memory(x)) for x in log_in))
        except OSError as error:
            raise MountFailed(f"its server can't be started: {error}") from None

    async def start_native(self, order: Order, listening: int) -> None:
        """Returns once virtiofsd waits for its machine at the socket `listening`. Raises
        MountFailed, SourceRefused."""
        async with self._turns:
            await self._order(order, listening)

    async def _order(self, order: Order, *files: int) -> None:
        """Raises MountFailed, SourceRefused."""
        try:
            async with self._asking() as connection:
                answer = await json_request_async.ask(
                    connection, order.message(), dict,
                    limit=MAX_ANSWER, seconds=SECONDS, descriptors=files,
                )  # fmt: skip
                fault, why = str(answer["fault"]), str(answer["why"])
        except (RequestFailed, OSError, KeyError) as error:
            raise MountFailed(f"its server can't be started: {error}") from None
        if fault:
            raise (SourceRefused if fault == SOURCE else MountFailed)(_printable(why))

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[socket.socket]:
        """A connection to a server that waits for its order. Raises OSError."""
        if self._socket:
            async with json_request_async.connected(self._socket) as connection:
                yield connection
            return
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                # Of its own session, and no child that anything here waits for: it outlives us.
                await asyncio.to_thread(self._spawn, theirs)
            ours.setblocking(False)
            yield ours

    def _spawn(self, connection: socket.socket) -> None:
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", HELPER],
            stdin=connection.fileno(), stdout=subprocess.DEVNULL, cwd="/", start_new_session=True,
            env={**environment, DIRECTORY: self._directory},
        )  # fmt: skip
        _CHILDREN.append(process)
        _CHILDREN[:] = [each for each in _CHILDREN if each.poll() is None]

    async def ended(self, instance: str, target: str) -> Order | None:
        """Waits until the server of this mount ends; what it served, None if there was none."""
        async with self._connected(self._name(instance, target)) as (found, connection):
            if connection is None:
                return None
            with suppress(OSError):
                await asyncio.get_running_loop().sock_recv(connection, 1)
            return found

    async def serving(self, instance: str, target: str) -> Order | None:
        """What the server of this mount serves; None if there is none."""
        async with self._connected(self._name(instance, target)) as (found, _):
            return found

    async def stop(self, instance: str, target: str) -> None:
        """End the server of this mount, if it runs."""
        await self._stop(self._name(instance, target))

    async def stop_others(self, instance: str, targets: set[str]) -> None:
        """End the servers of this instance's mounts that are on none of these targets."""
        kept = {self._name(instance, target) for target in targets}
        for directory in self._directories():
            for name in _listed(directory):
                if name.startswith(f"{instance}.") and name not in kept:
                    await self._stop(name)

    async def _stop(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        async with self._connected(name) as (_, connection):
            if connection is None:
                return
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await loop.sock_sendall(connection, control_socket.STOP)
                    await loop.sock_recv(connection, 1)

    @asynccontextmanager
    async def _connected(self, name: str) -> AsyncIterator[Found]:
        """The order of the server at this control socket, and the connection. Both are None where
        there is none, or it is of another service."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.setblocking(False)
            try:
                found = await self._greeting(connection, name)
            except (OSError, ValueError, KeyError, TypeError, IndexError):
                found = None
            if found is None or found.storage != self.storage:
                yield None, None
            else:
                yield found, connection

    def _directories(self) -> list[str]:
        """Where servers have their control sockets."""
        if not self._socket:
            return [self._directory]
        names = [name for name in _listed(RUNTIME) if name.startswith(UNIT_DIRECTORY)]
        return [f"{RUNTIME}/{name}" for name in names]

    async def _greeting(self, connection: socket.socket, name: str) -> Order:
        """Raises OSError, ValueError, KeyError, TypeError; IndexError where there is no socket."""
        loop = asyncio.get_running_loop()
        directories = [each for each in self._directories() if name in _listed(each)]
        with control_socket.path_of(directories[0], name) as path:
            await loop.sock_connect(connection, path)
        line = b""
        async with asyncio.timeout(STOP_SECONDS):
            while not line.endswith(b"\n"):
                chunk = await loop.sock_recv(connection, MAX_REQUEST)
                line += chunk
                if not chunk or len(line) > MAX_REQUEST:
                    raise ValueError("no greeting")
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError("no order")
        return Order.read(message)

    def _name(self, instance: str, target: str) -> str:
        return orders.socket_name(self.storage, instance, target)


_CHILDREN: list[subprocess.Popen[bytes]] = []  # asked for their ends, or they would stay zombies


@contextmanager
def _in_memory(data: bytes) -> Iterator[int]:
    """A copy of the key that needs no file: the server may not be able to read it. Raises
    OSError."""
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield descriptor
    finally:
        os.close(descriptor)


def _listed(directory: str) -> list[str]:
    with suppress(OSError):
        return os.listdir(directory)
    return []


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))
