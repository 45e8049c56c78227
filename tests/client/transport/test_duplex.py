"""A call of which both sides are streams, against Google's gRPC server over TCP."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.errors import StatusError
from client.transport import tls
from client.transport.channel import Channel
from client.transport.duplex import Duplex
from protocol.grpc import path
from protocol.http2_client import HELD_WINDOW
from tests.client.service import Answer, Service
from tests.waiting import PATIENCE

TALK = path("talk")
CHUNK = 50_000


class Peer:
    """Connects to a service that is known by its root certificate."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def connect(self) -> tls.Stream:
        import socket

        context = tls.make_context(self._service.root_certificate.read_text())
        made = socket.create_connection(("127.0.0.1", self._service.port), PATIENCE)
        return tls.connect(context, made, lambda: None)


@pytest.fixture
def talk(tmp_path: Path) -> Iterator[Callable[[Answer], Duplex]]:
    services: list[Service] = []

    def begin(answer: Answer) -> Duplex:
        services.append(Service("127.0.0.1:0", tmp_path, talk=answer))
        return Duplex(Channel(Peer(services[0])), TALK, b"first")  # type: ignore[arg-type]

    yield begin
    for service in services:
        service.close()


def replies_of(duplex: Duplex, count: int) -> list[bytes]:
    found = duplex.receive()
    poll = select.poll()
    poll.register(duplex.fileno(), select.POLLIN)
    while len(found) < count and not duplex.over:
        assert poll.poll(PATIENCE * 1000)
        duplex.flush()
        found += duplex.receive()
        duplex.give_back(0)
        duplex.flush()
    return found


def test_replies_that_come_with_the_first_are_not_lost(
    talk: Callable[[Answer], Duplex],
) -> None:
    def at_once(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        return iter([b"", b"a", b"b", b"c"])

    duplex = talk(at_once)
    duplex.open()
    assert replies_of(duplex, 3) == [b"a", b"b", b"c"]
    duplex.close()


def test_what_is_not_given_back_stops_the_service(talk: Callable[[Answer], Duplex]) -> None:
    def floods(requests: Any, context: Any) -> Iterable[bytes]:
        next(requests)
        yield b""
        for _ in range(100):
            yield bytes(CHUNK)

    duplex = talk(floods)
    duplex.open()
    poll = select.poll()
    poll.register(duplex.fileno(), select.POLLIN)
    held: list[bytes] = []
    # Until the service has nothing more that it may send; a busy host may make it pause before.
    while poll.poll(1000) or sum(map(len, held)) <= HELD_WINDOW // 2:
        held += duplex.receive()
        duplex.give_back(sum(map(len, held)))
        duplex.flush()
    assert sum(map(len, held)) <= HELD_WINDOW
    duplex.give_back(0)
    duplex.flush()
    assert len(held) + len(replies_of(duplex, 100 - len(held))) == 100
    duplex.close()


def test_its_end_says_how_and_what_came_before_it_is_there(
    talk: Callable[[Answer], Duplex],
) -> None:
    def fails(requests: Any, context: Any) -> Iterable[bytes]:
        yield from requests
        context.abort(grpc.StatusCode.ABORTED, "no more")

    duplex = talk(fails)
    duplex.open()
    duplex.send(b"second")
    duplex.end()
    duplex.flush()
    assert replies_of(duplex, 2) == [b"second"]
    with pytest.raises(StatusError, match="no more"):
        duplex.check()
    duplex.close()


def test_a_refusal_before_any_reply_is_raised(talk: Callable[[Answer], Duplex]) -> None:
    def refuses(requests: Any, context: Any) -> Iterable[bytes]:
        context.abort(grpc.StatusCode.NOT_FOUND, "none")
        return iter(())

    with pytest.raises(StatusError, match="none"):
        talk(refuses).open()
