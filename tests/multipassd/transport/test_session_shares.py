"""Unfinished requests of one person do not make other persons' calls fail."""

from __future__ import annotations

import pytest

from multipassd.auth.standing import STRANGER
from multipassd.transport.quota import limits
from protocol.grpc import frame
from tests.multipassd.transport.session_double import TRUSTED, Caller, Service, answered, told

UNFINISHED = limits.UNTRUSTED.message - 1


def unfinished(size: int) -> bytes:
    return b"\0" + (size + 1).to_bytes(4, "big") + bytes(size)


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

    told(story(Service()))


def test_strangers_take_nothing_of_what_the_trusted_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STRANGERS_BUFFERS", limits.UNTRUSTED.message)

    async def story(service: Service) -> None:
        held = [*fill(service, "mallory"), *fill(service, "eve")]
        alice = Caller(service, "alice", TRUSTED)
        whole = frame(bytes(limits.TRUSTED.message - 100))
        assert await answered(alice, alice.begin(whole)) == "0"
        for each in [*held, alice]:
            each.hang_up()

    told(story(Service()))


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

    told(story(Service()))
