"""Which request headers are taken."""

from __future__ import annotations

import pytest

from multipassd.stream import well_formed

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
