"""Which request headers are taken, and how long what is answered may be."""

from __future__ import annotations

import pytest

from multipassd.transport.grpc_headers import status_message, well_formed
from multipassd.transport.quota import limits
from protocol.grpc import decode_message

GOOD = [(b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/x"), (b"te", b"trailers")]


def test_a_grpc_client_s_headers_are_well_formed() -> None:
    assert well_formed(tuple(GOOD))
    assert well_formed(((b":authority", b"localhost"), *GOOD))


@pytest.mark.parametrize(
    "headers",
    [
        [],
        GOOD[1:],
        GOOD[:2],
        [*GOOD, (b":path", b"/y")],  # twice, and after the others
        [GOOD[0], *GOOD],
        [(b":status", b"200"), *GOOD],
        [*GOOD, (b"TE", b"trailers")],
        [*GOOD, (b"", b"x")],
        [*GOOD, (b"a b", b"x")],
        [*GOOD, (b"a:b", b"x")],
        [*GOOD, (b"a\xc3", b"x")],
        [*GOOD, (b"a", b"x\r\ny: z")],
        [*GOOD[:2], (b":path", b"/x\0")],
        [(b":method", b"GET"), *GOOD[1:]],
        [(b"te", b"trailers"), *GOOD[:3]],
    ],
)
def test_others_are_not(headers: list[tuple[bytes, bytes]]) -> None:
    assert not well_formed(tuple(headers))


def test_a_message_that_clients_take_is_sent_whole() -> None:
    for text in ("", "no", "é" * (limits.STATUS_MESSAGE // 6), "a" * limits.STATUS_MESSAGE):
        assert decode_message(status_message(text)) == text


@pytest.mark.parametrize("letter", ["a", "é", "€", "\n", "%"])
def test_a_longer_one_is_cut_between_two_characters(letter: str) -> None:
    sent = status_message(letter * 70_000)
    assert len(sent) <= limits.STATUS_MESSAGE
    text = decode_message(sent)
    assert text == letter * (len(text) - 1) + "…"
    assert len(text) > 400
