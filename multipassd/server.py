"""All open connections: how many, whose, how long; the room between listeners and dispatcher."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

from h2.errors import ErrorCodes
from OpenSSL import SSL

from multipassd import limits, log
from multipassd.connection import Connection
from multipassd.dispatcher import Dispatcher
from multipassd.listener import Acceptor, Listener
from multipassd.peer import Credentials, Peer, credentials_of
from multipassd.truststore import TrustStore

_log = log.get("server")

SWEEP_INTERVAL = 1.0  # how exactly time-outs of connections are kept


class Server:
    """The `Host` of every connection. `context` makes the TLS context a new one starts with."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        store: TrustStore,
        charge: Callable[[int], int],
        context: Callable[[], SSL.Context],
    ) -> None:
        self.buffered = 0
        self.serve = dispatcher.serve
        self._dispatcher = dispatcher
        self._store = store
        self._charge = charge
        self._context = context
        self._connections: dict[Connection, str] = {}  # with the person charged
        self._by_person: Counter[str] = Counter()
        self._provisional = 0
        self._acceptors: list[Acceptor] = []
        self._arriving: set[asyncio.Task[object]] = set()
        self._loop = asyncio.get_running_loop()
        self._last_closed = self._loop.time()
        self._sweeper: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._connections)

    def idle_for(self) -> float:
        """Seconds since the last connection ended; 0 while there is one."""
        return 0.0 if self._connections else self._loop.time() - self._last_closed

    def start(self, listeners: list[Listener]) -> None:
        self._acceptors = [Acceptor(one, self._has_room, self._take) for one in listeners]
        for acceptor in self._acceptors:
            acceptor.start()

    def take_no_more(self) -> None:
        """Whoever comes from now on waits for the next service."""
        for acceptor in self._acceptors:
            acceptor.stop()

    async def drain(self) -> None:
        """Take no new connection, let calls in flight end and peers hang up, close."""
        self.take_no_more()
        for connection in list(self._connections):
            connection.drain()
        give_up = self._loop.time() + limits.DRAIN_TIMEOUT
        while self._connections and self._loop.time() < give_up:
            for connection in list(self._connections):
                if connection.drained():
                    connection.shut(ErrorCodes.NO_ERROR)
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.shut(ErrorCodes.NO_ERROR)

    def trust_changed(self) -> None:
        """Every running call and open connection is looked at anew: a removal counts at once."""
        self._dispatcher.trust_changed()
        for connection in list(self._connections):
            if connection.peer is not None:
                connection.trust(self.trusts(connection.peer))

    # -- for connections --------------------------------------------------------------------------

    def trusts(self, peer: Peer) -> bool:
        return bool(peer.fingerprint) and self._store.trusts(peer.fingerprint)

    def established(self, connection: Connection) -> bool:
        """May a connection whose peer is known now stay?"""
        if not connection.provisional:
            return True
        connection.provisional = False
        self._provisional -= 1
        assert connection.peer is not None
        return self.trusts(connection.peer)

    def closed(self, connection: Connection) -> None:
        person = self._connections.pop(connection, None)
        if person is None:
            return
        self._last_closed = self._loop.time()
        self._by_person[person] -= 1
        if not self._by_person[person]:
            del self._by_person[person]
        if connection.provisional:
            self._provisional -= 1
        for acceptor in self._acceptors:
            acceptor.resume()

    # -- arriving ---------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        return len(self._connections) < limits.CONNECTIONS

    def _take(self, accepted: socket.socket) -> None:
        try:
            credentials = credentials_of(accepted)
            if accepted.family != socket.AF_UNIX:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError:
            accepted.close()  # gone already
            return
        person = self._person(credentials)
        admin = self._dispatcher.admins.covers(credentials)
        provisional = self._in_reserve() and not admin
        root = credentials is not None and credentials.uid == 0
        if not root and self._by_person[person] >= limits.CONNECTIONS_PER_UID:
            accepted.close()
            return
        if provisional and self._provisional >= limits.PROVISIONAL_CONNECTIONS:
            accepted.close()
            return
        self._admit(accepted, credentials, person, provisional)

    def _admit(
        self,
        accepted: socket.socket,
        credentials: Credentials | None,
        person: str,
        provisional: bool,
    ) -> None:
        connection = Connection(self, self._context(), credentials, provisional)
        self._connections[connection] = person
        self._by_person[person] += 1
        self._provisional += provisional
        task = self._loop.create_task(
            self._loop.connect_accepted_socket(lambda: connection, accepted)
        )
        self._arriving.add(task)
        task.add_done_callback(lambda done: self._arrived(done, connection))
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _arrived(self, task: asyncio.Task[object], connection: Connection) -> None:
        self._arriving.discard(task)
        if task.cancelled() or task.exception():  # asyncio could not take the socket over
            self.closed(connection)

    def _in_reserve(self) -> bool:
        return len(self._connections) >= limits.CONNECTIONS - limits.RESERVED_CONNECTIONS

    def _person(self, credentials: Credentials | None) -> str:
        return "tcp" if credentials is None else str(self._charge(credentials.uid))

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            connection.check(now)
        self._sweeper = (
            self._loop.call_later(SWEEP_INTERVAL, self._sweep) if self._connections else None
        )
