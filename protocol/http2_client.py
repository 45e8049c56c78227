"""A minimal sans-IO HTTP/2 client with one stream: bytes in, events out. Pure.

The part of RFC 9113 that one gRPC call needs. The service speaks h2 over TLS only, so there is no
upgrade; priorities, pushes and further streams do not occur.
"""

from __future__ import annotations

from protocol import hpack
from protocol import http2_frames as frames
from protocol.http2_frames import ProtocolError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

STREAM = 1  # the only one

OUR_WINDOW = 4 * 1024 * 1024  # one reply of the largest size without a round trip for credit
# Of a stream that is passed on as fast as it is taken, so less is on its way: 20 MB/s at 50 ms.
HELD_WINDOW = 1024 * 1024
MAX_HEADER_BLOCK = 64 * 1024
MAX_HEADERS = 64 * 1024  # decoded; a status message of many failed instances fits


class HeadersReceived:
    """A header block of the response, or its trailers."""

    __slots__ = ("ended", "headers")

    def __init__(self, headers: tuple[hpack.Header, ...], ended: bool) -> None:
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


class Connection:
    """One connection with one request on it.

    `start`, then write what `take_output` returns to the peer and pass its bytes to `receive`.
    """

    def __init__(self, huffman: Callable[[bytes], bytes], holds: bool = False) -> None:
        """`huffman`: see `hpack.Decoder`; `holds`: the peer may send more only when `give_back`
        says so."""
        self._decoder = hpack.Decoder(huffman, MAX_HEADERS, table=0)
        self._holds = holds
        self._window = HELD_WINDOW if holds else OUR_WINDOW
        self._input = bytearray()
        self._output = bytearray()
        self._unsent = bytearray()
        self._half_close = False
        self._closed_here = False
        self._connection_window = frames.DEFAULT_WINDOW
        self._stream_window = frames.DEFAULT_WINDOW
        self._peer_initial_window = frames.DEFAULT_WINDOW
        self._peer_max_frame = frames.DEFAULT_MAX_FRAME
        self._unreturned = 0  # bytes received and not yet returned as window
        self.heard = False  # the peer's first frame was received
        self._headers: bytearray | None = None  # a header block that CONTINUATION frames continue
        self._headers_end_stream = False

    def start(self, headers: Iterable[hpack.Header]) -> None:
        self._output += frames.PREFACE
        self._output += frames.settings(
            {
                frames.HEADER_TABLE_SIZE: 0,
                frames.ENABLE_PUSH: 0,
                frames.INITIAL_WINDOW_SIZE: self._window,
            }
        )
        self._output += frames.window_update(0, self._window - frames.DEFAULT_WINDOW)
        self._output += frames.frame(
            frames.HEADERS, frames.END_HEADERS, STREAM, hpack.encode(headers)
        )

    def send(self, data: bytes, end: bool) -> None:
        """Queue request data; what exceeds the peer's windows waits."""
        self._unsent += data
        self._half_close = self._half_close or end
        self._flush()

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer's windows."""
        return len(self._unsent)

    def give_back(self, held: int) -> None:
        """Send WINDOW_UPDATE for received data, but for `held` bytes of it, in few large steps."""
        size = self._unreturned - held
        if size >= self._window // 2:
            self._unreturned = held
            self._output += frames.window_update(0, size)
            self._output += frames.window_update(STREAM, size)

    def close(self) -> None:
        self._output += frames.frame(
            frames.GOAWAY, 0, 0, bytes(4) + frames.NO_ERROR.to_bytes(4, "big")
        )

    def take_output(self) -> bytes:
        output = bytes(self._output)
        self._output.clear()
        return output

    def receive(self, data: bytes) -> list[Event]:
        """Raises ProtocolError."""
        self._input += data
        events: list[Event] = []
        while len(self._input) >= frames.FRAME_HEADER:
            length = int.from_bytes(self._input[:3], "big")
            if length > frames.DEFAULT_MAX_FRAME:
                raise ProtocolError(f"a frame of {length} bytes")
            end = frames.FRAME_HEADER + length
            if len(self._input) < end:
                break
            kind, flags = self._input[3], self._input[4]
            stream = int.from_bytes(self._input[5 : frames.FRAME_HEADER], "big") & frames.MAX_WINDOW
            payload = bytes(self._input[frames.FRAME_HEADER : end])
            del self._input[:end]
            event = self._frame(kind, flags, stream, payload)
            if event is not None:
                events.append(event)
        return events

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> Event | None:
        if self._headers is not None and (kind != frames.CONTINUATION or stream != STREAM):
            raise ProtocolError("a header block is interrupted")
        if kind in _CONNECTION_FRAMES and stream:
            raise ProtocolError(f"frame type {kind} on a stream")
        if kind in _STREAM_FRAMES and stream != STREAM:
            raise ProtocolError(f"frame type {kind} on stream {stream}")
        self.heard = True
        handler = _HANDLERS.get(kind)
        return handler(self, flags, stream, payload) if handler else None  # unknown: ignored

    def _data(self, flags: int, stream: int, payload: bytes) -> Event:
        self._unreturned += len(payload)
        if self._unreturned > self._window:
            raise ProtocolError("more data than the window allows")
        if not self._holds:
            self.give_back(0)
        return DataReceived(frames.unpadded(flags, payload), bool(flags & frames.END_STREAM))

    def _headers_frame(self, flags: int, stream: int, payload: bytes) -> Event | None:
        block = frames.fragment(flags, payload)
        self._headers = bytearray()
        self._headers_end_stream = bool(flags & frames.END_STREAM)
        return self._continuation(flags, stream, block)

    def _continuation(self, flags: int, stream: int, payload: bytes) -> Event | None:
        if self._headers is None:
            raise ProtocolError("a continuation of nothing")
        self._headers += payload
        if len(self._headers) > MAX_HEADER_BLOCK:
            raise ProtocolError("a header block over the limit")
        if not flags & frames.END_HEADERS:
            return None
        block, self._headers = bytes(self._headers), None
        try:
            return HeadersReceived(self._decoder.decode(block), self._headers_end_stream)
        except hpack.HpackError as error:
            raise ProtocolError(str(error)) from None

    def _reset(self, flags: int, stream: int, payload: bytes) -> Event:
        frames.expect(payload, 4)
        return StreamReset(int.from_bytes(payload, "big"))

    def _settings(self, flags: int, stream: int, payload: bytes) -> None:
        if flags & frames.ACK:
            frames.expect(payload, 0)
            return
        values = frames.settings_of(payload)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self._peer_initial_window)
        self._stream_window += window - self._peer_initial_window
        self._peer_initial_window = window
        self._peer_max_frame = values.get(frames.MAX_FRAME_SIZE, self._peer_max_frame)
        self._output += frames.frame(frames.SETTINGS, frames.ACK, 0, b"")
        self._flush()

    def _ping(self, flags: int, stream: int, payload: bytes) -> None:
        frames.expect(payload, 8)
        if not flags & frames.ACK:
            self._output += frames.frame(frames.PING, frames.ACK, 0, payload)

    def _goaway(self, flags: int, stream: int, payload: bytes) -> Event:
        if len(payload) < 8:
            raise ProtocolError("a goaway frame that is too short")
        last = int.from_bytes(payload[:4], "big") & frames.MAX_WINDOW
        return GoingAway(int.from_bytes(payload[4:8], "big"), processed=last >= STREAM)

    def _window_update(self, flags: int, stream: int, payload: bytes) -> None:
        frames.expect(payload, 4)
        increment = int.from_bytes(payload, "big") & frames.MAX_WINDOW
        if stream == 0:
            self._connection_window += increment
        elif stream == STREAM:
            self._stream_window += increment
        else:
            raise ProtocolError(f"a window for stream {stream}")
        if not increment or max(self._connection_window, self._stream_window) > frames.MAX_WINDOW:
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
            self._output += frames.frame(
                frames.DATA, frames.END_STREAM if last else 0, STREAM, part
            )
            self._closed_here = last
        if self._half_close and not self._closed_here:
            self._output += frames.frame(frames.DATA, frames.END_STREAM, STREAM, b"")
            self._closed_here = True


_CONNECTION_FRAMES = frozenset((frames.SETTINGS, frames.PING, frames.GOAWAY))
_STREAM_FRAMES = frozenset((frames.DATA, frames.HEADERS, frames.RST_STREAM, frames.CONTINUATION))

_HANDLERS = {
    frames.DATA: Connection._data,
    frames.HEADERS: Connection._headers_frame,
    frames.RST_STREAM: Connection._reset,
    frames.SETTINGS: Connection._settings,
    frames.PUSH_PROMISE: Connection._push,
    frames.PING: Connection._ping,
    frames.GOAWAY: Connection._goaway,
    frames.WINDOW_UPDATE: Connection._window_update,
    frames.CONTINUATION: Connection._continuation,
}
