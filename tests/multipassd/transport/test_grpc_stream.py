"""Which request headers are taken, and how long what is answered may be."""

from __future__ import annotations

import pytest

from multipassd.transport.grpc_stream import status_message, well_formed
from multipassd.transport.quota import limits
from protocol.grpc import decode_message

GOOD = [(":method", "POST"), (":scheme", "https"), (":path", "/x"), ("te", "trailers")]


def test_a_grpc_client_s_headers_are_well_formed() -> None:
    assert well_formed(GOOD)
    assert well_formed([(":authority", "localhost"), *GOOD])


@pytest.mark.parametrize(
    "headers",
    [
        [],
        GOOD[1:],
        GOOD[:2],
        [*GOOD, (":path", "/y")],  # twice, and after the others
        [GOOD[0], *GOOD],
        [(":status", "200"), *GOOD],
        [*GOOD, ("TE", "trailers")],
        [*GOOD, ("", "x")],
        [(":method", "GET"), *GOOD[1:]],
        [("te", "trailers"), *GOOD[:3]],
    ],
)
def test_others_are_not(headers: list[tuple[str, str]]) -> None:
    assert not well_formed(headers)


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
