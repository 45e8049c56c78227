"""Who is let in when many are there: counted by person, with a reserve for those who matter."""

from __future__ import annotations

import asyncio
import gc
import socket
import weakref
from collections.abc import Awaitable, Callable, Iterator

import pytest

from multipassd import limits, server
from multipassd.dispatcher import Dispatcher
from multipassd.peer import AdminRule, Credentials, Peer
from multipassd.server import Server
from multipassd.stream import Stream
from multipassd.tls import make_context
from multipassd.truststore import TrustStore
from protocol.certificates import make_root, make_server
from tests.waiting import PATIENCE

ADMIN_GROUP = 27
pytestmark = pytest.mark.filterwarnings("ignore:Passing pyOpenSSL:DeprecationWarning")

IDENTITY = make_server(make_root())


class FakeDispatcher(Dispatcher):
    def __init__(self) -> None:
        self.admins = AdminRule(ADMIN_GROUP, own_uid=0)


class FakeStore(TrustStore):
    def __init__(self) -> None:
        pass

    def trusts(self, fingerprint: str) -> bool:
        return fingerprint == "trusted"


class Arrivals:
    """Lets callers of any uid arrive at a server without a listener."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._caller: Credentials | None = None
        monkeypatch.setattr(server, "credentials_of", lambda _: self._caller)
        context = make_context(IDENTITY.certificate, IDENTITY.key)
        self.server = Server(FakeDispatcher(), FakeStore(), self._charge, lambda: context)
        self._ends: list[socket.socket] = []

    @staticmethod
    def _charge(uid: int) -> int:
        return 1000 if uid >= 100_000 else uid

    async def arrive(self, uid: int | None, *groups: int) -> bool:
        """True if the caller was let in."""
        here, there = socket.socketpair()
        self._ends.append(there)
        self._caller = None if uid is None else Credentials(uid, uid, 1, frozenset(groups))
        before = len(self.server)
        self.server._take(here)
        await asyncio.sleep(0)
        return len(self.server) > before

    async def leave(self) -> None:
        for one in self._ends:
            one.close()
        for _ in range(1000):
            if not len(self.server):
                return
            await asyncio.sleep(0.001)
        raise AssertionError("connections stay")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setattr(limits, "CONNECTIONS", 12)
    monkeypatch.setattr(limits, "CONNECTIONS_PER_UID", 4)
    monkeypatch.setattr(limits, "RESERVED_CONNECTIONS", 5)
    monkeypatch.setattr(limits, "PROVISIONAL_CONNECTIONS", 2)
    yield monkeypatch


def story(patch: pytest.MonkeyPatch, tell: Callable[[Arrivals], Awaitable[None]]) -> None:
    async def run() -> None:
        arrivals = Arrivals(patch)
        await tell(arrivals)
        await arrivals.leave()
        assert not arrivals.server._by_person and not arrivals.server._provisional

    asyncio.run(asyncio.wait_for(run(), PATIENCE))


def test_one_person_has_a_cap_and_others_are_served(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        assert [await callers.arrive(1000) for _ in range(5)] == [True] * 4 + [False]
        assert await callers.arrive(1001) and await callers.arrive(0)

    story(small, tell)


def test_lent_ids_are_charged_to_their_owner(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        assert [await callers.arrive(100_000 + n) for n in range(5)] == [True] * 4 + [False]
        assert not await callers.arrive(1000)

    story(small, tell)


def test_all_of_tcp_are_one_person(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        assert [await callers.arrive(None) for _ in range(5)] == [True] * 4 + [False]
        assert await callers.arrive(1000)

    story(small, tell)


def test_root_has_no_cap_of_its_own(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        assert all([await callers.arrive(0) for _ in range(12)])
        assert not callers.server._has_room()

    story(small, tell)


def test_the_reserve_takes_admins_and_a_few_who_may_be_trusted(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        assert all([await callers.arrive(2000 + n) for n in range(7)])
        assert [await callers.arrive(3000 + n) for n in range(3)] == [True, True, False]
        assert await callers.arrive(4000, ADMIN_GROUP) and await callers.arrive(0)

    story(small, tell)


def test_in_the_reserve_only_the_trusted_stay(small: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        for n in range(9):
            await callers.arrive(2000 + n)
        reserve = [one for one in callers.server._connections if one.provisional]
        assert len(reserve) == 2
        for connection, fingerprint in zip(reserve, ("trusted", "stranger"), strict=True):
            connection.peer = Peer(None, b"der", fingerprint)
            assert callers.server.established(connection) is (fingerprint == "trusted")
        assert callers.server._provisional == 0
        assert await callers.arrive(5000), "their places are free for the next"

    story(small, tell)


def test_the_1025th_of_a_person_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell(callers: Arrivals) -> None:
        callers.server._by_person["1000"] = limits.CONNECTIONS_PER_UID - 1
        assert await callers.arrive(1000)
        assert not await callers.arrive(1000)
        assert await callers.arrive(0) and await callers.arrive(1001)
        callers.server._by_person["1000"] -= limits.CONNECTIONS_PER_UID - 1

    story(monkeypatch, tell)


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
        assert await callers.arrive(1000)
        await asyncio.sleep(0.01)
        (connection,) = callers.server._connections
        now = asyncio.get_running_loop().time()
        session = connection._session
        session.streams[1] = Stream(connection, session._http2, 1, now)
        connection.drain()
        connection.limits = limits.TRUSTED
        await asyncio.sleep(2 * limits.DRAIN_STRANGERS)
        assert not connection.drained(), "calls of the trusted are waited for"
        connection.limits = limits.UNTRUSTED
        await callers.server.drain()
        assert len(callers.server) == 0

    story(small, tell)


def test_who_never_reads_its_last_bytes_is_cut_off(small: pytest.MonkeyPatch) -> None:
    small.setattr(limits, "HANDSHAKE_TIMEOUT", 0.0)

    async def tell(callers: Arrivals) -> None:
        assert await callers.arrive(1000)
        await asyncio.sleep(0.01)
        (connection,) = callers.server._connections
        transport = connection._transport
        assert transport is not None
        transport.write(bytes(1 << 22))  # more than the socket takes
        now = asyncio.get_running_loop().time()
        connection.check(now + 1)  # too long in its handshake: closed, but nobody reads
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
