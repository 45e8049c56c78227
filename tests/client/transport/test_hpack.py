"""HPACK against the hpack library, which plays the server here."""

from __future__ import annotations

import hpack as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.transport import hpack, huffman

names = st.binary(min_size=1, max_size=40).map(bytes.lower)
headers = st.lists(st.tuples(names, st.binary(max_size=300)), max_size=12)


def static_encoder() -> library.Encoder:
    """The encoder of a server that was told to keep no dynamic table."""
    encoder = library.Encoder()
    encoder.header_table_size = 0
    return encoder


@given(headers, st.booleans())
def test_reads_what_a_server_writes(given_headers: list[hpack.Header], coded: bool) -> None:
    block = static_encoder().encode(given_headers, huffman=coded)
    assert hpack.decode(block) == given_headers


@given(headers)
def test_a_server_reads_what_is_written(given_headers: list[hpack.Header]) -> None:
    decoded = library.Decoder().decode(hpack.encode(given_headers), raw=True)
    assert [tuple(header) for header in decoded] == given_headers


def test_the_static_table_is_the_standard_s() -> None:
    block = static_encoder().encode(hpack.STATIC_TABLE)
    assert tuple(hpack.decode(block)) == hpack.STATIC_TABLE
    assert tuple(library.table.HeaderTable.STATIC_TABLE) == hpack.STATIC_TABLE


@given(st.binary(max_size=300))
def test_huffman_decodes_every_byte(data: bytes) -> None:
    coder = library.huffman.HuffmanEncoder(
        library.huffman_constants.REQUEST_CODES, library.huffman_constants.REQUEST_CODES_LENGTH
    )
    assert huffman.decode(coder.encode(data)) == data


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\x00", b"\x1f\xff"])
def test_huffman_refuses_bad_padding_and_the_end_symbol(data: bytes) -> None:
    with pytest.raises(huffman.HuffmanError):
        huffman.decode(data)


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # entry 0
        b"\xbe",  # entry 62, the first of a dynamic table
        b"\x3f\xe1\x1f",  # a dynamic table of 4,096 bytes
        b"\x00",  # no string behind
        b"\x00\x05ab",  # a string that ends early
        b"\xff" + b"\xff" * 10,  # a number without an end
        b"\x00\x81\x00\x00",  # a name whose Huffman padding is wrong
    ],
)
def test_malformed_blocks_are_refused(block: bytes) -> None:
    with pytest.raises(hpack.HpackError):
        hpack.decode(block)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(block: bytes) -> None:
    try:
        hpack.decode(block)
    except hpack.HpackError:
        pass


def test_headers_over_the_limit_are_refused() -> None:
    with pytest.raises(hpack.HpackError):
        hpack.decode(hpack.encode([(b"n", b"v" * hpack.MAX_HEADERS_LENGTH)]))
