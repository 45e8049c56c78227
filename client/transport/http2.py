"""A minimal sans-IO HTTP/2 client with one stream: bytes in, events out. Pure.

The part of RFC 9113 that one gRPC call needs. The service speaks h2 over TLS only, so there is no
upgrade; priorities, pushes and further streams do not occur.
"""

from __future__ import annotations

from client.transport import hpack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STREAM = 1  # the only one

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 2, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
HAS_PRIORITY = 0x20

HEADER_TABLE_SIZE, ENABLE_PUSH, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 4, 5

FRAME_HEADER = 9
OUR_MAX_FRAME = 16_384  # the protocol's default
DEFAULT_WINDOW = 65_535
OUR_WINDOW = 4 * 1024 * 1024  # one reply of the largest size without a round trip for credit
MAX_WINDOW = 2**31 - 1
MAX_HEADER_BLOCK = 64 * 1024

NO_ERROR, REFUSED_STREAM = 0, 7


class ProtocolError(Exception):
    """The peer violates HTTP/2, or uses a part of it that this client lacks."""


class HeadersReceived:
    """A header block of the response, or its trailers."""

    __slots__ = ("ended", "headers")

    def __init__(self, headers: list[hpack.Header], ended: bool) -> None:
        self.headers = headers
        self.ended = ended


class DataReceived:
    """Bytes of the response's body."""

    __slots__ = ("data", "ended")

    def __init__(self, data: bytes, ended: bool) -> None:
        self.data = data
        self.ended = ended


class StreamReset:
    """RST_STREAM, with its error code."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


class GoingAway:
    """GOAWAY; `processed` is whether the stream was, or may have been, processed."""

    __slots__ = ("code", "processed")

    def __init__(self, code: int, processed: bool) -> None:
        self.code = code
        self.processed = processed


Event = HeadersReceived | DataReceived | StreamReset | GoingAway


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


class Connection:
    """One connection with one request on it.

    `start`, then write what `take_output` returns to the peer and pass its bytes to `receive`.
    """

    def __init__(self) -> None:
        self._input = bytearray()
        self._output = bytearray()
        self._unsent = bytearray()
        self._half_close = False
        self._closed_here = False
        self._connection_window = DEFAULT_WINDOW
        self._stream_window = DEFAULT_WINDOW
        self._peer_initial_window = DEFAULT_WINDOW
        self._peer_max_frame = OUR_MAX_FRAME
        self._connection_credit = 0  # bytes received and not yet returned as window
        self.heard = False  # the peer's first frame was received
        self._headers: bytearray | None = None  # a header block that CONTINUATION frames continue
        self._headers_end_stream = False

    def start(self, headers: Iterable[hpack.Header]) -> None:
        settings = b"".join(
            number.to_bytes(2, "big") + value.to_bytes(4, "big")
            for number, value in (
                (HEADER_TABLE_SIZE, 0),
                (ENABLE_PUSH, 0),
                (INITIAL_WINDOW_SIZE, OUR_WINDOW),
            )
        )
        self._output += PREFACE + frame(SETTINGS, 0, 0, settings)
        self._output += _window_update(0, OUR_WINDOW - DEFAULT_WINDOW)
        self._output += frame(HEADERS, END_HEADERS, STREAM, hpack.encode(headers))

    def send(self, data: bytes, end: bool) -> None:
        """Queue request data; what exceeds the peer's windows waits."""
        self._unsent += data
        self._half_close = self._half_close or end
        self._flush()

    def close(self) -> None:
        self._output += frame(GOAWAY, 0, 0, bytes(4) + NO_ERROR.to_bytes(4, "big"))

    def take_output(self) -> bytes:
        output = bytes(self._output)
        self._output.clear()
        return output

    def receive(self, data: bytes) -> list[Event]:
        """Raises ProtocolError."""
        self._input += data
        events: list[Event] = []
        while len(self._input) >= FRAME_HEADER:
            length = int.from_bytes(self._input[:3], "big")
            if length > OUR_MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes")
            end = FRAME_HEADER + length
            if len(self._input) < end:
                break
            kind, flags = self._input[3], self._input[4]
            stream = int.from_bytes(self._input[5:FRAME_HEADER], "big") & MAX_WINDOW
            payload = bytes(self._input[FRAME_HEADER:end])
            del self._input[:end]
            event = self._frame(kind, flags, stream, payload)
            if event is not None:
                events.append(event)
        return events

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> Event | None:
        if self._headers is not None and (kind != CONTINUATION or stream != STREAM):
            raise ProtocolError("a header block is interrupted")
        if kind in _CONNECTION_FRAMES and stream:
            raise ProtocolError(f"frame type {kind} on a stream")
        if kind in _STREAM_FRAMES and stream != STREAM:
            raise ProtocolError(f"frame type {kind} on stream {stream}")
        self.heard = True
        handler = _HANDLERS.get(kind)
        return handler(self, flags, stream, payload) if handler else None  # unknown: ignored

    def _data(self, flags: int, stream: int, payload: bytes) -> Event:
        self._give_back(len(payload))
        return DataReceived(_unpadded(flags, payload), bool(flags & END_STREAM))

    def _headers_frame(self, flags: int, stream: int, payload: bytes) -> Event | None:
        block = _unpadded(flags, payload)
        if flags & HAS_PRIORITY:
            if len(block) < 5:
                raise ProtocolError("a header frame without its priority")
            block = block[5:]
        self._headers = bytearray()
        self._headers_end_stream = bool(flags & END_STREAM)
        return self._continuation(flags, stream, block)

    def _continuation(self, flags: int, stream: int, payload: bytes) -> Event | None:
        if self._headers is None:
            raise ProtocolError("a continuation of nothing")
        self._headers += payload
        if len(self._headers) > MAX_HEADER_BLOCK:
            raise ProtocolError("a header block over the limit")
        if not flags & END_HEADERS:
            return None
        block, self._headers = bytes(self._headers), None
        try:
            return HeadersReceived(hpack.decode(block), self._headers_end_stream)
        except hpack.HpackError as error:
            raise ProtocolError(str(error)) from None

    def _reset(self, flags: int, stream: int, payload: bytes) -> Event:
        _expect(payload, 4)
        return StreamReset(int.from_bytes(payload, "big"))

    def _settings(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & ACK:
            _expect(payload, 0)
            return
        if len(payload) % 6:
            raise ProtocolError("a settings frame of a wrong length")
        for at in range(0, len(payload), 6):
            number = int.from_bytes(payload[at : at + 2], "big")
            self._setting(number, int.from_bytes(payload[at + 2 : at + 6], "big"))
        self._output += frame(SETTINGS, ACK, 0, b"")
        self._flush()

    def _setting(self, number: int, value: int) -> None:
        if number == INITIAL_WINDOW_SIZE:
            if value > MAX_WINDOW:
                raise ProtocolError("a window over the limit")
            self._stream_window += value - self._peer_initial_window
            self._peer_initial_window = value
        elif number == MAX_FRAME_SIZE:
            if not OUR_MAX_FRAME <= value < 1 << 24:
                raise ProtocolError("a frame size out of bounds")
            self._peer_max_frame = value

    def _ping(self, flags: int, stream: int, payload: bytes) -> None:
        _expect(payload, 8)
        if not flags & ACK:
            self._output += frame(PING, ACK, 0, payload)

    def _goaway(self, flags: int, stream: int, payload: bytes) -> Event:
        if len(payload) < 8:
            raise ProtocolError("a goaway frame that is too short")
        last = int.from_bytes(payload[:4], "big") & MAX_WINDOW
        return GoingAway(int.from_bytes(payload[4:8], "big"), processed=last >= STREAM)

    def _window_update(self, flags: int, stream: int, payload: bytes) -> None:
        _expect(payload, 4)
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        if stream == 0:
            self._connection_window += increment
        elif stream == STREAM:
            self._stream_window += increment
        else:
            raise ProtocolError(f"a window for stream {stream}")
        if not increment or max(self._connection_window, self._stream_window) > MAX_WINDOW:
            raise ProtocolError("a window update out of bounds")
        self._flush()

    def _push(self, flags: int, stream: int, payload: bytes) -> None:
        raise ProtocolError("a push, which was switched off")

    def _flush(self) -> None:
        while self._unsent:
            size = min(
                len(self._unsent),
                self._connection_window,
                self._stream_window,
                self._peer_max_frame,
            )
            if size <= 0:
                return
            part = bytes(self._unsent[:size])
            del self._unsent[:size]
            self._connection_window -= size
            self._stream_window -= size
            last = self._half_close and not self._unsent
            self._output += frame(DATA, END_STREAM if last else 0, STREAM, part)
            self._closed_here = last
        if self._half_close and not self._closed_here:
            self._output += frame(DATA, END_STREAM, STREAM, b"")
            self._closed_here = True

    def _give_back(self, size: int) -> None:
        """Send WINDOW_UPDATE for received data, in few large steps."""
        self._connection_credit += size
        if self._connection_credit > OUR_WINDOW:
            raise ProtocolError("more data than the window allows")
        if self._connection_credit >= OUR_WINDOW // 2:
            self._output += _window_update(0, self._connection_credit)
            self._output += _window_update(STREAM, self._connection_credit)
            self._connection_credit = 0


def _window_update(stream: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream, increment.to_bytes(4, "big"))


def _unpadded(flags: int, payload: bytes) -> bytes:
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ProtocolError("more padding than frame")
    return payload[1 : len(payload) - payload[0]]


def _expect(payload: bytes, length: int) -> None:
    if len(payload) != length:
        raise ProtocolError("a frame of a wrong length")


_CONNECTION_FRAMES = frozenset((SETTINGS, PING, GOAWAY))
_STREAM_FRAMES = frozenset((DATA, HEADERS, RST_STREAM, CONTINUATION))

_HANDLERS = {
    DATA: Connection._data,
    HEADERS: Connection._headers_frame,
    RST_STREAM: Connection._reset,
    SETTINGS: Connection._settings,
    PUSH_PROMISE: Connection._push,
    PING: Connection._ping,
    GOAWAY: Connection._goaway,
    WINDOW_UPDATE: Connection._window_update,
    CONTINUATION: Connection._continuation,
}
