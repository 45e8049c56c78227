"""Unfinished requests of one person do not make other persons' calls fail."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived, TrailersReceived

from multipassd.auth.peer import Peer
from multipassd.auth.standing import STRANGER, Standing
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.h2_session import Session
from multipassd.transport.quota import limits, request_memory
from protocol.grpc import frame, path
from tests.multipassd.transport.tls_client import HEADERS
from tests.waiting import PATIENCE

TRUSTED = Standing(trusted=True)
UNFINISHED = limits.UNTRUSTED.message - 1


class Service:
    """The handler of all sessions here; a whole request is answered at once."""

    def __init__(self) -> None:
        self.trusted_buffers = request_memory.for_trusted()
        self.strangers_buffers = request_memory.for_strangers()

    async def serve(self, stream: Stream) -> None:
        stream.succeed()


class Caller:
    """One connection: h2 as its client, the session, and the link between them."""

    def __init__(self, service: Service, person: str, standing: Standing) -> None:
        self.peer: Peer | None = Peer(None, b"", "", person)
        self.person = person
        self.standing = standing
        self.limits = limits.of(standing)
        self.closing = False
        self._session = Session(self, service)
        self._session.begin()
        self._client = H2Connection(H2Configuration(header_encoding="utf-8"))
        self._client.initiate_connection()
        self.statuses: dict[int, str] = {}
        self.exchange()

    def begin(self, message: bytes) -> int:
        """A call, and as much of its message as the windows allow."""
        stream = self._client.get_next_available_stream_id()
        headers = [(k, path("authenticate") if k == ":path" else v) for k, v in HEADERS]
        self._client.send_headers(stream, headers)
        while message and stream not in self.statuses:
            room = min(self._client.local_flow_control_window(stream), 16384)
            self._client.send_data(stream, message[:room])
            message = message[room:]
            self.exchange()
        return stream

    def exchange(self) -> None:
        self._session.receive(self._client.data_to_send())
        for event in self._client.receive_data(self._session.data_to_send()):
            if isinstance(event, ResponseReceived | TrailersReceived):
                for name, value in event.headers or []:
                    if str(name) == "grpc-status":
                        self.statuses[event.stream_id] = str(value)

    def hang_up(self) -> None:
        self._session.abandon()

    # -- the link ---------------------------------------------------------------------------------

    def charge(self, seconds: float) -> None: ...
    def standing_changed(self, standing: Standing) -> None: ...
    def schedule_flush(self) -> None: ...
    def close(self) -> None: ...
    def shut(self, code: int) -> None: ...

    def take_control_frame(self) -> bool:
        return True

    def ended(self, stream: Stream) -> None:
        self._session.ended(stream)


def told(story: Callable[[Service], Awaitable[None]]) -> None:
    service = Service()
    asyncio.run(asyncio.wait_for(story(service), PATIENCE))


def unfinished(size: int) -> bytes:
    return b"\0" + (size + 1).to_bytes(4, "big") + bytes(size)


async def answered(caller: Caller, stream: int) -> str:
    for _ in range(1000):
        await asyncio.sleep(0)
        caller.exchange()
        if stream in caller.statuses:
            return caller.statuses[stream]
    raise AssertionError("no answer")


def fill(service: Service, person: str) -> list[Caller]:
    """As many connections of this person as hold all that it may."""
    held: list[Caller] = []
    while True:
        held.append(Caller(service, person, STRANGER))
        for _ in range(limits.UNTRUSTED.streams):
            stream = held[-1].begin(unfinished(UNFINISHED))
            if held[-1].statuses.get(stream) == "8":
                return held


def test_a_person_s_share_is_less_than_what_strangers_have() -> None:
    async def story(service: Service) -> None:
        held = fill(service, "mallory")
        bob = Caller(service, "bob", STRANGER)
        assert await answered(bob, bob.begin(frame(bytes(100)))) == "0"
        for each in [*held, bob]:
            each.hang_up()
        assert not len(service.strangers_buffers)

    told(story)


def test_strangers_take_nothing_of_what_the_trusted_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STRANGERS_BUFFERS", limits.UNTRUSTED.message)

    async def story(service: Service) -> None:
        held = [*fill(service, "mallory"), *fill(service, "eve")]
        alice = Caller(service, "alice", TRUSTED)
        whole = frame(bytes(limits.TRUSTED.message - 100))
        assert await answered(alice, alice.begin(whole)) == "0"
        for each in [*held, alice]:
            each.hang_up()

    told(story)


def test_of_the_trusted_too_none_takes_all() -> None:
    async def story(service: Service) -> None:
        carol = Caller(service, "carol", TRUSTED)
        large = limits.TRUSTED.message - 100
        refused = [
            stream
            for stream in (carol.begin(unfinished(large)) for _ in range(10))
            if carol.statuses.get(stream) == "8"
        ]
        assert len(refused) == 10 - limits.TRUSTED_SHARE // large
        alice = Caller(service, "alice", TRUSTED)
        assert await answered(alice, alice.begin(frame(bytes(large)))) == "0"
        for each in (carol, alice):
            each.hang_up()

    told(story)
