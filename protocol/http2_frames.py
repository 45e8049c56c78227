"""HTTP/2 frames (RFC 9113, 4, 6 and 7): types, flags, error codes, limits, layout. Pure."""

from __future__ import annotations

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"  # a client's first bytes

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 2, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

FRAME_HEADER = 9  # bytes
DEFAULT_MAX_FRAME = 16_384  # bytes of a payload, unless the receiver allows more
MAX_MAX_FRAME = (1 << 24) - 1
DEFAULT_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
PRIORITY_SIZE = 5  # bytes of a dependency and a weight

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM = 4, 5, 6, 7
CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = 8, 9, 10, 11


class ProtocolError(Exception):
    """The peer violates HTTP/2, or uses a part of it that this side lacks; `code` is RFC 9113's."""

    def __init__(self, text: str, code: int = PROTOCOL_ERROR) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(
        SETTINGS,
        0,
        0,
        b"".join(
            number.to_bytes(2, "big") + value.to_bytes(4, "big") for number, value in values.items()
        ),
    )


def unpadded(flags: int, payload: bytes) -> bytes:
    """The payload of a DATA or HEADERS frame without padding. Raises ProtocolError."""
    if not flags & PADDED:
        return payload
    if not payload:
        raise ProtocolError("a padded frame without a length of its padding", FRAME_SIZE_ERROR)
    if payload[0] >= len(payload):
        raise ProtocolError("more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def fragment(flags: int, payload: bytes) -> bytes:
    """The part of a header block in a HEADERS frame. Raises ProtocolError."""
    block = unpadded(flags, payload)
    if not flags & HAS_PRIORITY:
        return block
    if len(block) < PRIORITY_SIZE:
        raise ProtocolError("a header frame without its priority", FRAME_SIZE_ERROR)
    return block[PRIORITY_SIZE:]


def expect(payload: bytes, length: int) -> None:
    """Raises ProtocolError unless the payload has this length."""
    if len(payload) != length:
        raise ProtocolError("a frame of a wrong length", FRAME_SIZE_ERROR)


def settings_of(payload: bytes) -> dict[int, int]:
    """The checked values of a SETTINGS frame by their numbers, also unknown ones; of a number that
    is there more than once the last. Raises ProtocolError."""
    if len(payload) % 6:
        raise ProtocolError("a settings frame of a wrong length", FRAME_SIZE_ERROR)
    found: dict[int, int] = {}
    for at in range(0, len(payload), 6):
        number = int.from_bytes(payload[at : at + 2], "big")
        value = int.from_bytes(payload[at + 2 : at + 6], "big")
        if number == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ProtocolError("a window over the limit", FLOW_CONTROL_ERROR)
        if number == MAX_FRAME_SIZE and not DEFAULT_MAX_FRAME <= value <= MAX_MAX_FRAME:
            raise ProtocolError("a frame size out of bounds")
        if number == ENABLE_PUSH and value > 1:
            raise ProtocolError("a push setting that is neither on nor off")
        found[number] = value
    return found
