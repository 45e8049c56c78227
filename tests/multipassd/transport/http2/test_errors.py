"""RFC 9113 by its errors: bytes in, and which GOAWAY, RST_STREAM or answer they get."""

from __future__ import annotations

import pytest

from protocol.http2_frames import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    DEFAULT_MAX_FRAME,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HAS_PRIORITY,
    HEADERS,
    MAX_WINDOW,
    PADDED,
    PING,
    PREFACE,
    PRIORITY,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    settings,
    window_update,
)
from tests.multipassd.transport.http2.peer import (
    HELLO,
    RULES,
    STREAMS,
    Peer,
    block,
    data,
    number,
    raw,
    request,
    reset,
)

LENGTH = (b"content-length", b"3")
CLOSED_BY_PEER = request(ended=True)  # half-closed (remote): the answer is still to come


def announced(length: int, kind: int = DATA) -> bytes:
    """A frame's header alone."""
    return length.to_bytes(3, "big") + bytes((kind, 0)) + number(1)


def first_part(stream: int = 1) -> bytes:
    return raw(HEADERS, stream, block()[:5])


# What ends the connection, and the code of its GOAWAY; the sections are those of RFC 9113.
ENDS: dict[str, tuple[bytes, int]] = {
    # 3.4: the preface
    "the preface of HTTP/1.1": (b"GET / HTTP/1.1\r\n\r\n", PROTOCOL_ERROR),
    "a preface that goes wrong at its end": (PREFACE[:-1] + b"x", PROTOCOL_ERROR),
    "a PING before SETTINGS": (PREFACE + raw(PING, 0, bytes(8)), PROTOCOL_ERROR),
    "a request before SETTINGS": (PREFACE + request(), PROTOCOL_ERROR),
    "an acknowledgment as the first SETTINGS": (PREFACE + raw(SETTINGS, flags=ACK), PROTOCOL_ERROR),
    # 4.2: frame size
    "a frame over 16,384 bytes": (HELLO + announced(DEFAULT_MAX_FRAME + 1), FRAME_SIZE_ERROR),
    "an unknown frame over it": (HELLO + announced((1 << 24) - 1, 0xEE), FRAME_SIZE_ERROR),
    # 4.3, 6.10: header blocks
    "PING inside a header block": (
        HELLO + first_part() + raw(PING, 0, bytes(8)),
        PROTOCOL_ERROR,
    ),
    "an unknown frame inside one": (HELLO + first_part() + raw(0xEE), PROTOCOL_ERROR),
    "another request inside one": (HELLO + first_part() + request(3), PROTOCOL_ERROR),
    "CONTINUATION of another stream": (
        HELLO + first_part() + raw(CONTINUATION, 3),
        PROTOCOL_ERROR,
    ),
    "a CONTINUATION of nothing": (HELLO + raw(CONTINUATION, 1), PROTOCOL_ERROR),
    "a CONTINUATION behind a whole block": (
        HELLO + request() + raw(CONTINUATION, 1, b"", END_HEADERS),
        PROTOCOL_ERROR,
    ),
    "a CONTINUATION of the connection": (HELLO + raw(CONTINUATION, 0), PROTOCOL_ERROR),
    "a flood of CONTINUATIONs": (
        HELLO + first_part() + raw(CONTINUATION, 1) * RULES.continuations,
        ENHANCE_YOUR_CALM,
    ),
    "a block longer than the headers may be": (
        HELLO + first_part() + raw(CONTINUATION, 1, bytes(DEFAULT_MAX_FRAME)),
        ENHANCE_YOUR_CALM,
    ),
    "a header bomb": (
        HELLO
        + raw(HEADERS, 1, b"\x40\x01a\x7f\x81\x1e" + b"b" * 4000 + b"\xbe" * 9000, END_HEADERS),
        ENHANCE_YOUR_CALM,
    ),
    "no HPACK": (
        HELLO + raw(HEADERS, 1, b"\xff" * 9, END_HEADERS),
        COMPRESSION_ERROR,
    ),
    "an entry that is not in the table": (
        HELLO + raw(HEADERS, 1, b"\xbe", END_HEADERS),
        COMPRESSION_ERROR,
    ),
    "a dynamic table over 4,096 bytes": (
        HELLO + raw(HEADERS, 1, b"\x3f\xe2\x1f", END_HEADERS),
        COMPRESSION_ERROR,
    ),
    "no HPACK in the headers of a closed stream": (
        HELLO + CLOSED_BY_PEER + reset() + raw(HEADERS, 1, b"\x80", END_HEADERS),
        COMPRESSION_ERROR,
    ),
    # 5.1: states
    "DATA on an idle stream": (HELLO + data(1), PROTOCOL_ERROR),
    "RST_STREAM of an idle stream": (HELLO + reset(1), PROTOCOL_ERROR),
    "WINDOW_UPDATE of an idle stream": (HELLO + window_update(1, 1), PROTOCOL_ERROR),
    "DATA after the peer took it back": (
        HELLO + request() + reset() + data(),
        STREAM_CLOSED,
    ),
    "a request on a stream that it took back": (
        HELLO + request() + reset() + request(),
        STREAM_CLOSED,
    ),
    "DATA on a stream that was left out": (HELLO + request(5) + data(3), STREAM_CLOSED),
    # 5.1.1, 5.1.2: identifiers, concurrency
    "a request on an even stream": (HELLO + request(2), PROTOCOL_ERROR),
    "a request on a lower stream": (HELLO + request(5) + request(3), STREAM_CLOSED),
    "DATA on an even stream": (HELLO + request(3) + data(2), PROTOCOL_ERROR),
    "more requests at a time than allowed": (
        HELLO + b"".join(request(2 * each + 1) for each in range(STREAMS + 1)),
        PROTOCOL_ERROR,
    ),
    # 6.1: DATA
    "DATA of the connection": (HELLO + data(0), PROTOCOL_ERROR),
    "DATA with more padding than frame": (
        HELLO + request() + raw(DATA, 1, b"\x04abc", PADDED),
        PROTOCOL_ERROR,
    ),
    "padded DATA without length": (
        HELLO + request() + raw(DATA, 1, b"", PADDED),
        FRAME_SIZE_ERROR,
    ),
    # 6.2: HEADERS
    "HEADERS of the connection": (HELLO + raw(HEADERS, 0, block(), END_HEADERS), PROTOCOL_ERROR),
    "HEADERS with more padding than frame": (
        HELLO + raw(HEADERS, 1, b"\x09abc", PADDED | END_HEADERS),
        PROTOCOL_ERROR,
    ),
    "HEADERS with half a priority": (
        HELLO + raw(HEADERS, 1, bytes(4), HAS_PRIORITY | END_HEADERS),
        FRAME_SIZE_ERROR,
    ),
    # 6.3: PRIORITY
    "PRIORITY of 4 bytes": (HELLO + raw(PRIORITY, 1, bytes(4)), FRAME_SIZE_ERROR),
    "PRIORITY of the connection": (HELLO + raw(PRIORITY, 0, bytes(5)), PROTOCOL_ERROR),
    # 6.4: RST_STREAM
    "RST_STREAM of 3 bytes": (HELLO + request() + raw(RST_STREAM, 1, bytes(3)), FRAME_SIZE_ERROR),
    "RST_STREAM of the connection": (HELLO + reset(0), PROTOCOL_ERROR),
    # 6.5: SETTINGS
    "SETTINGS of a stream": (HELLO + raw(SETTINGS, 1), PROTOCOL_ERROR),
    "SETTINGS of 5 bytes": (HELLO + raw(SETTINGS, 0, bytes(5)), FRAME_SIZE_ERROR),
    "an acknowledgment with values": (HELLO + raw(SETTINGS, 0, bytes(6), ACK), FRAME_SIZE_ERROR),
    "a window over 2**31 - 1": (HELLO + settings({4: MAX_WINDOW + 1}), FLOW_CONTROL_ERROR),
    "a window that overflows that of a stream": (
        HELLO + request() + window_update(1, 100_000) + settings({4: MAX_WINDOW}),
        FLOW_CONTROL_ERROR,
    ),
    "a frame size below 16,384": (HELLO + settings({5: DEFAULT_MAX_FRAME - 1}), PROTOCOL_ERROR),
    "a frame size over 2**24 - 1": (HELLO + settings({5: 1 << 24}), PROTOCOL_ERROR),
    "push that is neither on nor off": (HELLO + settings({2: 2}), PROTOCOL_ERROR),
    # 6.6: PUSH_PROMISE
    "a push by a client": (HELLO + request() + raw(PUSH_PROMISE, 1, bytes(8)), PROTOCOL_ERROR),
    # 6.7: PING
    "PING of 7 bytes": (HELLO + raw(PING, 0, bytes(7)), FRAME_SIZE_ERROR),
    "PING of a stream": (HELLO + raw(PING, 1, bytes(8)), PROTOCOL_ERROR),
    # 6.8: GOAWAY
    "GOAWAY of 7 bytes": (HELLO + raw(GOAWAY, 0, bytes(7)), FRAME_SIZE_ERROR),
    "GOAWAY of a stream": (HELLO + raw(GOAWAY, 1, bytes(8)), PROTOCOL_ERROR),
    # 6.9: WINDOW_UPDATE and windows
    "WINDOW_UPDATE of 3 bytes": (HELLO + raw(WINDOW_UPDATE, 0, bytes(3)), FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of nothing": (HELLO + window_update(0, 0), PROTOCOL_ERROR),
    "a window of the connection that overflows": (
        HELLO + window_update(0, MAX_WINDOW),
        FLOW_CONTROL_ERROR,
    ),
    "more DATA than the windows allow": (
        HELLO + request() + data(1, bytes(16_384)) * 4,
        FLOW_CONTROL_ERROR,
    ),
    "more of it on a closed stream, and paddings count": (
        HELLO + request() + raw(DATA, 1, b"\xff" + bytes(16_383), PADDED) * 4,
        FLOW_CONTROL_ERROR,
    ),
}


@pytest.mark.parametrize("size", [1 << 20, 1, 7], ids=["at once", "by byte", "by seven"])
@pytest.mark.parametrize("case", ENDS)
def test_an_error_of_the_connection_ends_it_with_its_code(case: str, size: int) -> None:
    sent, code = ENDS[case]
    peer = Peer(b"")
    for start in range(0, len(sent), size):
        if peer.ended_with() is None:
            peer.send(sent[start : start + size])
    assert peer.ended_with() == code
    kind, _, stream, payload = peer.answers()[-1]
    assert (kind, stream, payload[4:]) == (GOAWAY, 0, number(code))
    assert int.from_bytes(payload[:4], "big") == max(peer.told.requests, default=0)
    told = vars(peer.told).copy()
    peer.send(request(101) + data(101))
    assert vars(peer.told) == told and peer.answers() == [], "nothing is handled after it"


# What ends one stream, the code of its RST_STREAM, and on which.
BREAKS: dict[str, tuple[bytes, int]] = {
    "DATA after the end": (CLOSED_BY_PEER + data(), STREAM_CLOSED),
    "HEADERS after the end": (CLOSED_BY_PEER + request(), STREAM_CLOSED),
    "trailers that are not the end": (request() + request(), PROTOCOL_ERROR),
    "trailers with a pseudo-header": (
        request() + raw(HEADERS, 1, block(((b":path", b"/"),)), END_HEADERS | END_STREAM),
        PROTOCOL_ERROR,
    ),
    "WINDOW_UPDATE of nothing": (request() + window_update(1, 0), PROTOCOL_ERROR),
    "a window that overflows": (request() + window_update(1, MAX_WINDOW), FLOW_CONTROL_ERROR),
    "less content than announced": (
        request(more=(LENGTH,)) + data(1, b"ab", ended=True),
        PROTOCOL_ERROR,
    ),
    "more content than announced": (request(more=(LENGTH,)) + data(1, b"abcd"), PROTOCOL_ERROR),
    "no content where some was announced": (request(ended=True, more=(LENGTH,)), PROTOCOL_ERROR),
    "two lengths": (request(more=(LENGTH, (b"content-length", b"4"))), PROTOCOL_ERROR),
    "a length that is no number": (request(more=((b"content-length", b"-1"),)), PROTOCOL_ERROR),
    "less content than announced, before trailers": (
        request(more=(LENGTH,)) + raw(HEADERS, 1, block(((b"a", b"b"),)), END_HEADERS | END_STREAM),
        PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("case", BREAKS)
def test_an_error_of_a_stream_ends_that_alone(case: str) -> None:
    sent, code = BREAKS[case]
    peer = Peer()
    before = peer.told.control
    peer.send(sent)
    assert peer.ended_with() is None
    assert peer.answers() == [(RST_STREAM, 0, 1, number(code))]
    assert peer.told.gone == [1]
    assert peer.told.control > before, "it is rationed"
    peer.send(request(3) + data(3, b"next", ended=True))
    assert peer.told.bodies[3] == b"next" and peer.told.ended[-1] == 3


# What is answered, or ignored.
FINE: dict[str, tuple[bytes, list[tuple[int, int, int, bytes]]]] = {
    "SETTINGS": (settings({1: 0, 3: 0, 6: 1}), [(SETTINGS, ACK, 0, b"")]),
    "settings that are not known": (settings({0xBEEF: 1}), [(SETTINGS, ACK, 0, b"")]),
    "an acknowledgment": (raw(SETTINGS, flags=ACK), []),
    "one of nothing": (raw(SETTINGS, flags=ACK) * 3, []),
    "PING": (raw(PING, 0, b"12345678"), [(PING, ACK, 0, b"12345678")]),
    "an answer to no PING": (raw(PING, 0, bytes(8), ACK), []),
    "PRIORITY of an idle stream": (raw(PRIORITY, 9, bytes(5)), []),
    "PRIORITY of a closed stream": (request() + reset() + raw(PRIORITY, 1, bytes(5)), []),
    "a stream that depends on itself": (request() + raw(PRIORITY, 1, number(1) + b"\0"), []),
    "frames of an unknown type": (raw(0xEE, 0, b"grease", 0xFF) + raw(0xEE, 77), []),
    "unknown flags": (raw(PING, 0, bytes(8), 0xF0), [(PING, ACK, 0, bytes(8))]),
    "the reserved bit of a stream": (
        request()[:5] + number(1 | 1 << 31) + request()[9:],
        [],
    ),
    "WINDOW_UPDATE of a closed stream": (request() + reset() + window_update(1, 1), []),
    "RST_STREAM of a closed stream": (request() + reset() * 2, []),
    "a length that is kept to": (request(more=(LENGTH,)) + data(1, b"abc", ended=True), []),
    "two equal lengths": (request(more=(LENGTH, LENGTH)) + data(1, b"abc", ended=True), []),
    "trailers": (
        request() + raw(HEADERS, 1, block(((b"a", b"b"),)), END_HEADERS | END_STREAM),
        [],
    ),
    "padding and priority": (
        raw(HEADERS, 1, b"\x02" + bytes(5) + block() + bytes(2), PADDED | END_HEADERS | 0x20)
        + raw(DATA, 1, b"\x03x" + bytes(3), PADDED | END_STREAM),
        [],
    ),
    "padding alone": (request() + raw(DATA, 1, b"\x03" + bytes(3), PADDED), []),
    "a block in four frames": (
        first_part()
        + raw(CONTINUATION, 1) * (RULES.continuations - 2)
        + raw(CONTINUATION, 1, block()[5:], END_HEADERS),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FINE)
def test_what_is_no_error_is_answered_or_ignored(case: str) -> None:
    sent, answers = FINE[case]
    peer = Peer()
    peer.send(sent)
    assert peer.ended_with() is None
    assert peer.answers() == answers
