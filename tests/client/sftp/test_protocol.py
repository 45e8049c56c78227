"""SFTP's packets and names by property: any bytes give one of two errors or a result."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.sftp import names, protocol
from client.sftp.protocol import ProtocolError, Refused, Reply, Splitter

BODIES = st.binary(max_size=200)
PACKETS = st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), BODIES), max_size=8)
READERS = {
    "status": protocol.check,
    "handle": protocol.handle,
    "data": lambda reply: protocol.data(reply, 100),
    "names": protocol.names,
    "attributes": protocol.stat_of,
    "extensions": protocol.extensions,
    "limits": protocol.largest,
    "space": protocol.is_full,
}
KINDS = st.sampled_from(
    [protocol.STATUS, protocol.HANDLE, protocol.DATA, protocol.NAME, protocol.ATTRS,
     protocol.EXTENDED_REPLY, protocol.VERSION_REPLY, 0]
)  # fmt: skip


@given(PACKETS, st.lists(st.integers(1, 50)))
def test_packets_are_found_however_they_are_cut(
    packets: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(
        struct.pack(">IBI", 5 + len(body), kind, number) + body for kind, number, body in packets
    )
    splitter, found = Splitter(), []
    for cut in [*cuts, len(stream)]:
        found += splitter.feed(stream[:cut])
        stream = stream[cut:]
    assert [(reply.kind, reply.number, reply.body) for reply in found] == packets


@given(st.binary(max_size=400))
def test_a_stream_of_anything_is_split_or_refused(stream: bytes) -> None:
    try:
        Splitter().feed(stream)
    except ProtocolError:
        pass


@pytest.mark.parametrize("reader", READERS)
@given(kind=KINDS, number=st.integers(0, 4), body=BODIES)
def test_a_reply_of_anything_is_read_or_refused(
    reader: str, kind: int, number: int, body: bytes
) -> None:
    try:
        READERS[reader](Reply(kind, number, body))
    except (ProtocolError, Refused):
        pass


@given(st.binary())
def test_what_is_shown_of_a_path_is_printable(path: bytes) -> None:
    assert names.shown(path).isprintable()


@given(st.binary())
def test_a_name_leads_out_of_no_directory(name: bytes) -> None:
    if names.is_name(name):
        assert names.parent(names.below(b"/target", name)) == b"/target"
        assert names.own(names.below(b"/target", name)) == name


@pytest.mark.parametrize(
    ("given", "path"),
    [(b"", b"."), (b"~", b"."), (b"~/", b"."), (b"~/x", b"x"), (b"~//x", b"x"), (b"/x", b"/x"),
     (b".", b"."), (b".x", b".x"), (b"~user/x", b"~user/x")],
)  # fmt: skip
def test_paths_of_the_home(given: bytes, path: bytes) -> None:
    assert names.in_home(given) == path
