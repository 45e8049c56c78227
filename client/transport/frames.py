"""HTTP/2 frames (RFC 9113, sections 4 and 6): types, flags, limits, layout. Pure."""

from __future__ import annotations

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 2, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 4, 5

FRAME_HEADER = 9  # bytes
DEFAULT_MAX_FRAME = 16_384  # bytes of a payload, unless the receiver allows more
DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1

NO_ERROR, REFUSED_STREAM = 0, 7


class ProtocolError(Exception):
    """The peer violates HTTP/2, or uses a part of it that this client lacks."""


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without padding. Raises ProtocolError."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def expect(payload: bytes, length: int) -> None:
    """Raises ProtocolError unless the payload has this length."""
    if len(payload) != length:
        raise ProtocolError("a frame of a wrong length")
