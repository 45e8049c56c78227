"""The encoder of answers against hpack's decoder, the one that most Python peers have."""

from __future__ import annotations

from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from multipassd.transport.http2.answers import Encoder

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=40).map(str.encode)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=400)
HEADERS = st.lists(st.tuples(NAMES, VALUES.map(str.encode)), max_size=6)


@given(st.lists(HEADERS, min_size=1, max_size=5), st.integers(0, 65536))
def test_a_peer_reads_what_was_written_whatever_table_it_allows(
    blocks: list[list[tuple[bytes, bytes]]], table: int
) -> None:
    encoder, decoder = Encoder(), Decoder()
    decoder.max_allowed_table_size = table
    for headers in blocks:
        read = decoder.decode(encoder.encode(tuple(headers)), raw=True)
        assert [tuple(header) for header in read] == headers


def test_only_the_first_block_of_a_connection_sets_the_table_size() -> None:
    encoder = Encoder()
    first, second = encoder.encode(((b"a", b"b"),)), encoder.encode(((b"a", b"b"),))
    assert first == b"\x20" + second
