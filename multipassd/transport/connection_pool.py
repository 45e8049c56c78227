"""The open connections, between listeners and dispatcher: accepting, limits, draining."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

from multipassd.auth.peer import Peer, credentials_of, uid_of
from multipassd.auth.standing import Standing, Standings
from multipassd.system import log
from multipassd.transport import heap
from multipassd.transport.connection import Connection
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.listener import Acceptor, Listener
from multipassd.transport.quota import limits, request_memory
from multipassd.transport.quota.admission import Admission, Slot
from multipassd.transport.quota.origin import (
    Caller,
    Charge,
    TcpOrigins,
    account_of_uid,
    address_of,
    person_of_uid,
)
from multipassd.transport.quota.socket_owner import OwnerLookup
from multipassd.transport.quota.turns import Turns
from multipassd.transport.quota.work_budget import Account, Accounts
from multipassd.transport.tls import TlsContext
from protocol.http2_frames import NO_ERROR

_log = log.get("server")

MANY = 64  # connections at a time, whose memory is worth the millisecond of giving it back
SWEEP_INTERVAL = 1.0  # how exactly time-outs of connections are kept


class Calls(Protocol):
    """Who answers the calls that connections bring."""

    async def serve(self, stream: Stream) -> None:
        """Answer one call; never fails."""

    def trust_changed(self) -> None:
        """Look at every running call anew."""

    def current(self, peer: Peer) -> Peer:
        """Who it is now, where its certificate has just been renewed."""

    def stop(self) -> None:
        """End the calls that would last as long as their callers want, and begin none."""


class Server:
    """The `Host` of every connection. `context` makes the TLS context a new one starts with."""

    def __init__(
        self,
        calls: Calls,
        standings: Standings,
        charge: Charge,
        context: Callable[[], TlsContext],
    ) -> None:
        self.turns = Turns()
        self.reading = memoryview(bytearray(limits.READ))
        self.trusted_buffers = request_memory.for_trusted()
        self.strangers_buffers = request_memory.for_strangers()
        self.serve = calls.serve
        self._calls = calls
        self._standings = standings
        self._charge = charge
        self._context = context
        self._tcp = TcpOrigins(charge, OwnerLookup())
        self._accounts = Accounts()
        self._admission = Admission()
        self._connections: set[Connection] = set()
        self._acceptors: list[Acceptor] = []
        self._loop = asyncio.get_running_loop()
        self._last_closed = self._loop.time()
        self._sweeper: asyncio.TimerHandle | None = None
        self._most = 0  # connections at a time, since the heap was trimmed

    def __len__(self) -> int:
        return len(self._connections)

    def idle_for(self) -> float:
        """Seconds since the last connection ended; 0 while there is one."""
        return 0.0 if self._connections else self._loop.time() - self._last_closed

    def start(self, listeners: list[Listener]) -> None:
        self._acceptors = [
            Acceptor(listener, self._admission.has_room, self._take) for listener in listeners
        ]
        for acceptor in self._acceptors:
            acceptor.start()

    def take_no_more(self) -> None:
        """Stop accepting: later callers wait in the queue for the next service."""
        for acceptor in self._acceptors:
            acceptor.stop()

    async def drain(self) -> None:
        """Take no new connection, let calls in flight end and peers hang up, close."""
        self.take_no_more()
        self._calls.stop()
        for connection in list(self._connections):
            connection.drain()
        give_up = self._loop.time() + limits.DRAIN_TIMEOUT
        while self._connections and self._loop.time() < give_up:
            for connection in list(self._connections):
                if connection.drained():
                    connection.shut(NO_ERROR)
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.shut(NO_ERROR)

    def trust_changed(self) -> None:
        """Every running call and open connection is looked at anew: a removal counts at once."""
        self._calls.trust_changed()
        for connection in list(self._connections):
            if connection.peer is not None:
                connection.peer = self._calls.current(connection.peer)
                connection.standing_changed(self.standing(connection.peer))

    # -- for connections --------------------------------------------------------------------------

    def context(self) -> TlsContext:
        return self._context()

    def standing(self, peer: Peer) -> Standing:
        return self._standings.of(peer)

    def established(self, connection: Connection) -> bool:
        """May a connection whose peer is known now stay?"""
        assert connection.peer is not None
        return self._admission.confirm(connection, self.standing(connection.peer))

    def closed(self, connection: Connection) -> None:
        if not self._admission.remove(connection):
            return
        self._connections.discard(connection)
        self._last_closed = self._loop.time()
        for acceptor in self._acceptors:
            acceptor.resume()

    # -- arriving ---------------------------------------------------------------------------------

    def _take(self, accepted: socket.socket) -> None:
        """The cheapest refusal comes first: of who has used up what its person may cost."""
        try:
            caller = self._caller(accepted)
        except OSError:
            caller = None  # gone already
        if caller is None:
            accepted.close()
            return
        standing = self._standings.before_handshake(caller.credentials)
        self._admit(accepted, caller, self._admission.slot(caller.person, standing))

    def _caller(self, accepted: socket.socket) -> Caller | None:
        """None for one whose account is empty. Raises OSError."""
        now = self._loop.time()
        if accepted.family != socket.AF_UNIX:
            person = self._tcp.person(accepted)
            account = self._accounts.of(person, now)
            if not self._solvent(account, now):
                return None
            _tune(accepted)
            return Caller(None, person, account, address_of(accepted))
        uid = uid_of(accepted)
        person = person_of_uid(uid, self._charge)
        if self._standings.is_unrationed(uid):
            account = Account(person, now, exempt=True)
        else:
            account = self._accounts.of(account_of_uid(uid, self._charge), now)
            if not self._solvent(account, now):
                return None
        return Caller(credentials_of(accepted), person, account)

    @staticmethod
    def _solvent(account: Account, now: float) -> bool:
        if account.solvent(now):
            return True
        if account.report(now):
            _log.warning(
                "%s has used up what it may cost the service: its new connections are closed "
                "until it makes fewer",
                account,
            )
        return False

    def _admit(self, accepted: socket.socket, caller: Caller, slot: Slot) -> None:
        try:
            connection = Connection(self, caller, accepted)
        except OSError as error:  # the kernel has no room to watch it
            _log.warning("can't take a connection: %s", error.strerror)
            accepted.close()
            return
        connection.charge(limits.CONNECTION_WORK)
        self._connections.add(connection)
        self._most = max(self._most, len(self._connections))
        self._admission.admit(connection, caller.person, slot)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(SWEEP_INTERVAL, self._sweep)

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            connection.check(now)
        if self._most > MANY and len(self._connections) <= self._most // 4:
            self._most = len(self._connections)
            heap.trim()
        self._sweeper = (
            self._loop.call_later(SWEEP_INTERVAL, self._sweep) if self._connections else None
        )


def _tune(accepted: socket.socket) -> None:
    """No waiting for more to send, and an end to a peer that is gone."""
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, limits.ALIVE_AFTER)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, limits.ALIVE_EVERY)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, limits.ALIVE_COUNT)
    accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, limits.UNANSWERED)
