"""Who is let in when many are there: counted by person, with a reserve for those who matter."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator

import pytest

from multipassd.auth.peer import AdminRule, Credentials, Peer
from multipassd.auth.standing import STRANGER, Standing, Standings
from multipassd.transport import connection_pool, heap
from multipassd.transport.connection import Connection
from multipassd.transport.connection_pool import Server
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.h2_session import Session
from multipassd.transport.quota import limits
from multipassd.transport.quota.admission import Slot
from multipassd.transport.tls import TlsContext
from protocol.certificates import make_root, make_server
from protocol.roles import Role
from tests.waiting import PATIENCE

ADMIN_GROUP = 27
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

IDENTITY = make_server(make_root())


class FakeCalls:
    """No call is ever whole here."""

    async def serve(self, stream: Stream) -> None: ...
    def trust_changed(self) -> None: ...
    def stop(self) -> None: ...

    def current(self, peer: Peer) -> Peer:
        return peer


class FakeStore:
    def _role_of(self, fingerprint: str) -> Role | None:
        return Role.ADMIN if fingerprint == "trusted" else None

    def holder_of(self, fingerprint: str) -> tuple[Role | None, str]:
        return self._role_of(fingerprint), ""


STANDINGS = Standings(FakeStore(), AdminRule(ADMIN_GROUP, own_uid=0))


class Arrivals:
    """Lets callers of any uid arrive at a server without a listener."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._caller = Credentials(0, 0, 1, frozenset())
        monkeypatch.setattr(connection_pool, "credentials_of", lambda _: self._caller)
        monkeypatch.setattr(connection_pool, "uid_of", lambda _: self._caller.uid)
        context = TlsContext(IDENTITY.certificate, IDENTITY.key)
        self.server = Server(FakeCalls(), STANDINGS, self._charge, lambda: context)
        self._ends: list[socket.socket] = []

    @staticmethod
    def _charge(uid: int) -> int:
        return 1000 if uid >= 100_000 else uid

    async def arrive(self, uid: int, *groups: int) -> Connection | None:
        """The connection, if the caller was let in."""
        self._caller = Credentials(uid, uid, 1, frozenset(groups))
        return await self._arrived(*socket.socketpair())

    async def arrive_over_tcp(self) -> Connection | None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            there = socket.create_connection(listening.getsockname())
            return await self._arrived(listening.accept()[0], there)

    async def _arrived(self, here: socket.socket, there: socket.socket) -> Connection | None:
        self._ends.append(there)
        before = set(self.server._connections)
        self.server._take(here)
        await asyncio.sleep(0)
        return next(iter(self.server._connections - before), None)

    def slot(self, connection: Connection | None) -> Slot | None:
        return self.server._admission._members[connection][1] if connection else None

    def settle(self, connection: Connection | None, trusted: bool) -> bool:
        """The handshake is over: may it stay?"""
        assert connection is not None
        connection.peer = Peer(None, b"der", "trusted" if trusted else "stranger")
        return self.server.established(connection)

    async def say_hello(self, connection: Connection) -> Session:
        """The first byte of the last who arrived, until it was taken."""
        self._ends[-1].sendall(b"\x16")
        for _ in range(1000):
            if connection._talk is not None:
                return connection._talk.session
            await asyncio.sleep(0.001)
        raise AssertionError("it is not read")

    async def leave(self) -> None:
        for end in self._ends:
            end.close()
        for _ in range(1000):
            if not len(self.server):
                return
            await asyncio.sleep(0.001)
        raise AssertionError("connections stay")


REGULAR, PROVISIONAL = Slot.REGULAR, Slot.PROVISIONAL


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setattr(limits, "CONNECTIONS", 12)
    monkeypatch.setattr(limits, "CONNECTIONS_PER_PERSON", 4)
    monkeypatch.setattr(limits, "RESERVED_CONNECTIONS", 5)
    monkeypatch.setattr(limits, "PROVISIONAL_CONNECTIONS", 2)
    monkeypatch.setattr(limits, "PROVISIONAL_PER_PERSON", 2)
    yield monkeypatch


def story(patch: pytest.MonkeyPatch, tell: Callable[[Arrivals], Awaitable[None]]) -> None:
    async def run() -> None:
        arrivals = Arrivals(patch)
        await tell(arrivals)
        await arrivals.leave()
        assert not len(arrivals.server) and not arrivals.server._admission._counts
        assert not arrivals.server._admission._provisional

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_one_person_has_a_cap_and_others_are_served(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        found = [callers.slot(await callers.arrive(1000)) for _ in range(5)]
        assert found == [REGULAR] * 4 + [PROVISIONAL]
        assert callers.slot(await callers.arrive(1001)) is REGULAR
        assert callers.slot(await callers.arrive(0)) is REGULAR

    story(small, tell)


def test_lent_ids_are_charged_to_their_owner(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        found = [callers.slot(await callers.arrive(100_000 + n)) for n in range(5)]
        assert found == [REGULAR] * 4 + [PROVISIONAL]
        assert callers.slot(await callers.arrive(1000)) is PROVISIONAL

    story(small, tell)


def test_beyond_a_person_s_cap_trusted_clients_get_in_and_others_do_not(
    small: pytest.MonkeyPatch,
) -> None:
    async def tell(callers: Arrivals) -> None:
        for _ in range(4):
            await callers.arrive(1000)
        assert not callers.settle(await callers.arrive(1000), trusted=False)
        for _ in range(4):
            assert callers.settle(await callers.arrive(1000), trusted=True)
        assert not callers.settle(await callers.arrive(1000), trusted=True), "as many again"

    story(small, tell)


def test_who_holds_handshakes_beyond_the_cap_open_loses_the_oldest(
    small: pytest.MonkeyPatch,
) -> None:
    async def tell(callers: Arrivals) -> None:
        for _ in range(4):
            await callers.arrive(1000)
        first, second = await callers.arrive(1000), await callers.arrive(1000)
        assert callers.settle(await callers.arrive(1000), trusted=True)
        assert first is not None and first.closing
        assert second is not None and not second.closing

    story(small, tell)


def test_a_local_tcp_peer_is_the_user_that_it_is(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        over_tcp = await callers.arrive_over_tcp()
        assert over_tcp is not None
        own = os.geteuid()
        assert over_tcp.person == (str(own) if own else "tcp root")
        assert str(over_tcp) == "TCP client", "which gives it no right of that user's"

    story(small, tell)


def test_root_has_no_cap_of_its_own(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        found = [callers.slot(await callers.arrive(0)) for _ in range(12)]
        assert found == [REGULAR] * 12
        assert not callers.server._admission.has_room()

    story(small, tell)


def test_the_reserve_takes_admins_and_a_few_who_may_be_trusted(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        found = [callers.slot(await callers.arrive(2000 + n)) for n in range(9)]
        assert found == [REGULAR] * 7 + [PROVISIONAL] * 2
        assert callers.slot(await callers.arrive(4000, ADMIN_GROUP)) is REGULAR
        assert callers.slot(await callers.arrive(0)) is REGULAR

    story(small, tell)


def test_in_the_reserve_only_the_trusted_stay(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        for n in range(7):
            await callers.arrive(2000 + n)
        assert callers.settle(await callers.arrive(3000), trusted=True)
        assert not callers.settle(await callers.arrive(3001), trusted=False)
        assert callers.slot(await callers.arrive(5000)) is PROVISIONAL

    story(small, tell)


def test_the_1025th_of_a_person_is_let_in_only_if_it_is_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def tell(callers: Arrivals) -> None:
        counts, key = callers.server._admission._counts, ("1000", REGULAR)
        counts[key] = limits.CONNECTIONS_PER_PERSON - 1
        assert callers.slot(await callers.arrive(1000)) is REGULAR
        assert callers.slot(await callers.arrive(1000)) is PROVISIONAL
        assert callers.slot(await callers.arrive(1001)) is REGULAR
        counts[key] -= limits.CONNECTIONS_PER_PERSON - 1

    story(monkeypatch, tell)


def test_a_person_whose_work_is_used_up_is_closed_before_anything_is_made(
    small: pytest.MonkeyPatch,
) -> None:
    async def tell(callers: Arrivals) -> None:
        mallory = await callers.arrive(1000)
        assert mallory is not None
        mallory.charge(10.0)
        assert await callers.arrive(1000) is None, "nor does a new connection renew the ration"
        assert await callers.arrive(1001) is not None
        assert await callers.arrive(0) is not None

    story(small, tell)


def test_containers_do_not_use_up_the_work_of_the_user_who_runs_them(
    small: pytest.MonkeyPatch,
) -> None:
    async def tell(callers: Arrivals) -> None:
        container = await callers.arrive(100_000)
        assert container is not None
        container.charge(10.0)
        assert await callers.arrive(100_001) is None, "all lent ids are one"
        assert await callers.arrive(1000) is not None

    story(small, tell)


def test_nothing_of_tls_or_http2_is_made_before_the_first_byte(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        connection = await callers.arrive(1000)
        assert connection is not None
        await asyncio.sleep(0.01)
        assert connection._talk is None
        await callers.say_hello(connection)

    story(small, tell)


def test_stopping_while_callers_arrive_ends_at_once(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        assert await callers.arrive(1000)
        await callers.server.drain()
        assert len(callers.server) == 0

    story(small, tell)


def test_a_stranger_who_keeps_a_call_open_does_not_hold_up_a_stop(
    small: pytest.MonkeyPatch,
) -> None:
    small.setattr(limits, "DRAIN_STRANGERS", 0.05)
    small.setattr(limits, "DRAIN_TIMEOUT", 1000.0)  # the story's own time would be up

    async def tell(callers: Arrivals) -> None:
        connection = await callers.arrive(1000)
        assert connection is not None
        session = await callers.say_hello(connection)
        now = asyncio.get_running_loop().time()
        held = callers.server.strangers_buffers
        session.streams[1] = Stream(connection, session._http2, 1, now, held)
        connection.drain()
        connection.standing_changed(Standing(role=Role.ADMIN))
        await asyncio.sleep(2 * limits.DRAIN_STRANGERS)
        assert not connection.drained(), "calls of the trusted are waited for"
        connection.standing_changed(STRANGER)
        await callers.server.drain()
        assert len(callers.server) == 0

    story(small, tell)


def test_who_never_reads_its_last_bytes_is_cut_off(small: pytest.MonkeyPatch) -> None:
    small.setattr(limits, "HANDSHAKE_TIMEOUT", 0.0)

    async def tell(callers: Arrivals) -> None:
        assert await callers.arrive(1000)
        await asyncio.sleep(0.01)
        (connection,) = callers.server._connections
        connection._io.write(bytes(1 << 22))  # more than the socket takes
        now = asyncio.get_running_loop().time()
        connection.check(now + 1)  # too long in its handshake: closed, but the peer does not read
        await asyncio.sleep(0.01)
        assert len(callers.server) == 1
        connection.check(now + 2)
        connection.check(now + 3 + limits.CLOSE_TIMEOUT)
        await asyncio.sleep(0.01)
        assert len(callers.server) == 0

    story(small, tell)


def test_one_that_ended_is_freed_without_the_collector(small: pytest.MonkeyPatch) -> None:
    """With it goes TLS's memory, of which the collector knows nothing."""

    async def tell(callers: Arrivals) -> None:
        assert await callers.arrive(1000)
        await asyncio.sleep(0.01)
        one = weakref.ref(next(iter(callers.server._connections)))
        gc.disable()
        try:
            await callers.leave()
            await asyncio.sleep(0.01)
            assert one() is None
        finally:
            gc.enable()

    story(small, tell)


def test_many_connections_that_have_gone_leave_no_heap_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trimmed: list[int] = []
    monkeypatch.setattr(connection_pool, "MANY", 2)
    monkeypatch.setattr(connection_pool, "SWEEP_INTERVAL", 0.01)

    async def story() -> None:
        arrivals = Arrivals(monkeypatch)
        monkeypatch.setattr(heap, "trim", lambda: trimmed.append(len(arrivals.server)))
        for number in (2, 3, 2):
            for _ in range(number):
                await arrivals.arrive(1000)
            await arrivals.leave()
            for _ in range(1000):
                await asyncio.sleep(0.01)
                if arrivals.server._sweeper is None:
                    break

    asyncio.run(story())
    assert trimmed == [0], "after the three, once they had gone"
