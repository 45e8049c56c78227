"""HPACK against the hpack library, which plays the server here."""

from __future__ import annotations

import hpack as library
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import hpack, huffman

names = st.binary(min_size=1, max_size=40).map(bytes.lower)
headers = st.lists(st.tuples(names, st.binary(max_size=300)), max_size=12)


def static_encoder() -> library.Encoder:
    """The encoder of a server that was told to keep no dynamic table."""
    encoder = library.Encoder()
    encoder.header_table_size = 0
    return encoder


LONGEST = 64 * 1024


def decoder(table: int = 0, longest: int = LONGEST) -> hpack.Decoder:
    return hpack.Decoder(huffman.decode, longest, table)


@given(headers, st.booleans())
def test_reads_what_a_server_writes(given_headers: list[hpack.Header], coded: bool) -> None:
    block = static_encoder().encode(given_headers, huffman=coded)
    assert decoder().decode(block) == tuple(given_headers)


repeated = st.lists(
    st.tuples(st.sampled_from([b"a", b":path", b"te", b"x-long"]), st.binary(max_size=30)),
    max_size=6,
)
# A block, with the Huffman code or not, after a change of the table's size or none.
steps = st.tuples(repeated | headers, st.booleans(), st.none() | st.integers(0, 4096))


@given(st.lists(steps, max_size=12))
def test_reads_what_an_encoder_with_a_table_writes_block_after_block(
    blocks: list[tuple[list[hpack.Header], bool, int | None]],
) -> None:
    encoder, ours = library.Encoder(), decoder(hpack.DEFAULT_TABLE)
    for given_headers, coded, size in [each for each in blocks for _ in range(2)]:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(given_headers, huffman=coded)
        assert ours.decode(block) == tuple(given_headers)


@given(st.lists(st.binary(max_size=120), max_size=8))
def test_any_blocks_are_read_as_the_library_reads_them(blocks: list[bytes]) -> None:
    theirs, ours = library.Decoder(), decoder(hpack.DEFAULT_TABLE)
    theirs.max_allowed_table_size = hpack.DEFAULT_TABLE
    for block in blocks:
        try:
            expected = [tuple(header) for header in theirs.decode(block, raw=True)]
        except (library.HPACKError, IndexError):
            with pytest.raises(hpack.HpackError):
                ours.decode(block)
            return
        try:
            assert list(ours.decode(block)) == expected
        except hpack.HpackError:
            return  # stricter: a size behind headers, a number over the limit


def test_a_block_is_read_anew_once_the_table_is_another() -> None:
    ours = decoder(hpack.DEFAULT_TABLE)
    ours.decode(b"\x40\x01a\x01b")
    assert ours.decode(b"\xbe") == ours.decode(b"\xbe") == ((b"a", b"b"),)
    ours.decode(b"\x40\x01c\x01d")
    assert ours.decode(b"\xbe") == ((b"c", b"d"),)
    assert ours.decode(b"\x20") == ()
    with pytest.raises(hpack.HpackError):
        ours.decode(b"\xbe")


def test_an_entry_larger_than_the_table_empties_it() -> None:
    ours = decoder(64)
    ours.decode(b"\x40\x01a\x01b")
    assert ours.decode(b"\x40\x01a\x28" + bytes(40)) == ((b"a", bytes(40)),)
    with pytest.raises(hpack.HpackError):
        ours.decode(b"\xbe")


def test_few_and_short_blocks_are_kept() -> None:
    ours = decoder(hpack.DEFAULT_TABLE)
    ours.decode(b"\x40\x01a\x01b")
    for number in range(10 * hpack.KEPT_BY_ALL):
        ours.decode(b"\xbe" + hpack.encode([(b"n", b"%d" % number)]))
        ours.decode(hpack.encode([(b"n", b"%d" % number)]))
        ours.decode(hpack.encode([(b"n", bytes(hpack.KEPT_LENGTH))]))
    assert 0 < len(ours._kept) <= hpack.KEPT
    assert 0 < len(ours._shared) <= hpack.KEPT_BY_ALL
    assert all(len(block) <= hpack.KEPT_LENGTH for block in (*ours._kept, *ours._shared))


def test_connections_share_only_blocks_that_mean_the_same_on_each() -> None:
    shared: dict[bytes, tuple[hpack.Header, ...]] = {}
    first, second = (
        hpack.Decoder(huffman.decode, LONGEST, hpack.DEFAULT_TABLE, shared) for _ in range(2)
    )
    plain = hpack.encode([(b"a", b"b")])
    assert first.decode(plain) is second.decode(plain)
    first.decode(b"\x40\x01a\x01b")
    second.decode(b"\x40\x01c\x01d")
    assert first.decode(b"\xbe") == ((b"a", b"b"),)
    assert second.decode(b"\xbe") == ((b"c", b"d"),)
    assert first.decode(b"\x20") == ()
    assert set(shared) == {plain}


@given(headers)
def test_a_server_reads_what_is_written(given_headers: list[hpack.Header]) -> None:
    decoded = library.Decoder().decode(hpack.encode(given_headers), raw=True)
    assert [tuple(header) for header in decoded] == given_headers


def test_the_static_table_is_the_standard_s() -> None:
    block = static_encoder().encode(hpack.STATIC_TABLE)
    assert decoder().decode(block) == hpack.STATIC_TABLE
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
        b"\x88\x20",  # a table size behind a header
        b"\x20\x21\x22\x88",  # a third table size
        b"\x00\x81\x00\x00",  # a name whose Huffman padding is wrong
    ],
)
def test_malformed_blocks_are_refused(block: bytes) -> None:
    with pytest.raises(hpack.HpackError):
        decoder().decode(block)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(block: bytes) -> None:
    try:
        decoder().decode(block)
    except hpack.HpackError:
        pass


def test_headers_over_the_limit_are_refused() -> None:
    fitting = LONGEST - len(b"n") - hpack.ENTRY
    decoder().decode(hpack.encode([(b"n", b"v" * fitting)]))
    with pytest.raises(hpack.TooLong):
        decoder().decode(hpack.encode([(b"n", b"v" * (fitting + 1))]))
