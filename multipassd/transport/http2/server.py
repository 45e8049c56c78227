"""The server's side of one HTTP/2 connection: a client's bytes become calls of a `Receiver`. Pure.

Priorities are ignored and nothing is pushed. Where RFC 9113 allows to end the connection for an
error of a stream (5.4.1), it is ended for what no client of gRPC does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from multipassd.transport.http2.frame_reader import FrameReader
from multipassd.transport.http2.request_block import Headers, RequestBlock
from multipassd.transport.http2.rules import Rules
from multipassd.transport.http2.sender import Sender
from multipassd.transport.http2.streams import Open
from protocol import http2_frames as frames
from protocol.http2_frames import CONTINUATION, DATA, END_STREAM, HEADERS, ProtocolError


class Receiver(Protocol):
    """What a connection's frames mean. None of these is called once the connection is `over`."""

    def request(self, stream: int, headers: Headers) -> None: ...

    def data(self, stream: int, data: bytes, size: int) -> None:
        """`size`: what flow control counts, which is to be given back."""

    def request_ended(self, stream: int) -> None:
        """Its sender has nothing more to say."""

    def stream_gone(self, stream: int) -> None:
        """The peer took the call back, or broke HTTP/2 on it."""

    def window_opened(self, stream: int) -> None:
        """There may be room for what waits: on one stream, or for 0 on any."""

    def control_frame(self) -> None:
        """A frame that makes work and carries no call; before it is handled."""

    def goodbye(self) -> None:
        """The peer ends the connection."""


class ServerConnection(Sender):
    """`receive` the peer's bytes; once it is `over` none is handled any more."""

    def __init__(self, receiver: Receiver, rules: Rules) -> None:
        super().__init__(rules)
        self._receiver: Receiver | None = receiver
        self._reader = FrameReader()
        self._greeted = False  # the peer's SETTINGS, which come first, are there
        self._block = RequestBlock(rules)
        self._initial_room = frames.DEFAULT_WINDOW  # the peer's, of a new stream

    def receive(self, data: bytes) -> None:
        """Raises ProtocolError, and has the GOAWAY for it ready then."""
        try:
            for kind, flags, stream, payload in self._reader.read(data):
                if self.over:
                    return
                self._take(kind, flags, stream, payload)
        except ProtocolError as error:
            self.close(error.code)
            raise

    def release(self) -> None:
        """Nothing is to be called any more: without the collector of cycles the memory is free."""
        self.stop()
        self._receiver = None

    # -- frames -----------------------------------------------------------------------------------

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        assert self._receiver is not None
        if self._block.stream:
            self._block.check(kind, stream)
        if not self._greeted:
            if kind != frames.SETTINGS or flags & frames.ACK:
                raise ProtocolError("something else before SETTINGS")
            self._greeted = True
        if kind == DATA:
            self._data(self._receiver, flags, stream, payload)
        elif kind == HEADERS:
            self._headers(self._receiver, flags, stream, payload)
        elif kind == CONTINUATION:
            last = self._block.last
            headers = self._block.go_on(flags, payload)
            if headers is not None:
                self._request(self._receiver, stream, headers, last)
        else:
            self._receiver.control_frame()
            handler = _HANDLERS.get(kind)
            if handler is not None and not self.over:  # unknown types are ignored
                handler(self, self._receiver, flags, stream, payload)

    def _data(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        size = len(payload)
        data = frames.unpadded(flags, payload)
        last = bool(flags & END_STREAM)
        if not self._window.take(size):
            raise ProtocolError("more data than the window allows", frames.FLOW_CONTROL_ERROR)
        state = self._streams.get(stream)
        if not data:
            receiver.control_frame()
            if self.over:
                return
        if state is None or state.remote_closed:
            self._late(receiver, stream, state, last)
            self.take_in(size)
            return
        if not state.window.take(size):
            raise ProtocolError("more data than a window allows", frames.FLOW_CONTROL_ERROR)
        state.received += len(data)
        state.remote_closed = last
        if state.expected is not None and not state.holds(last):
            self.take_in(size)
            self._break_off(receiver, stream, frames.PROTOCOL_ERROR)
            return
        receiver.data(stream, data, size)
        if last and not self.over:
            receiver.request_ended(stream)

    def _headers(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        block = frames.fragment(flags, payload)
        last = bool(flags & END_STREAM)
        if not stream:
            raise ProtocolError("headers on the connection")
        if flags & frames.END_HEADERS:
            self._request(receiver, stream, self._block.decode(block), last)
        else:
            self._block.begin(stream, block, last)

    def _request(self, receiver: Receiver, stream: int, headers: Headers, last: bool) -> None:
        state = self._streams.get(stream)
        if state is not None:
            self._trailers(receiver, stream, state, headers, last)
        elif stream <= self._streams.highest:
            receiver.control_frame()
            self._late(receiver, stream, None, last)
        else:
            made = self._streams.open(stream, self._initial_room, last)
            made.expect(headers)
            if not made.holds(last):
                self._break_off(receiver, stream, frames.PROTOCOL_ERROR)
                return
            receiver.request(stream, headers)
            if last and not self.over:
                receiver.request_ended(stream)

    def _trailers(
        self, receiver: Receiver, stream: int, state: Open, headers: Headers, last: bool
    ) -> None:
        if state.remote_closed:
            self._late(receiver, stream, state, last)
            return
        state.remote_closed = last
        wrong = not last or any(name.startswith(b":") for name, _ in headers)
        if wrong or not state.holds(last):
            self._break_off(receiver, stream, frames.PROTOCOL_ERROR)
        else:
            receiver.request_ended(stream)

    def _late(self, receiver: Receiver, stream: int, state: Open | None, last: bool) -> None:
        """A frame of a request that its sender has ended, or that is over."""
        if state is None:
            self._streams.check_late(stream, last)
        else:
            self._break_off(receiver, stream, frames.STREAM_CLOSED)

    def _break_off(self, receiver: Receiver, stream: int, code: int) -> None:
        """An error that ends one stream (RFC 9113, 5.4.2)."""
        receiver.control_frame()
        self.reset(stream, code)
        receiver.stream_gone(stream)

    def _priority(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        frames.expect(payload, frames.PRIORITY_SIZE)
        if not stream:
            raise ProtocolError("a priority of the connection")

    def _rst_stream(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        frames.expect(payload, 4)
        self._streams.check_not_idle(stream)
        known = self._streams.get(stream) is not None
        self._streams.end_by_peer(stream)
        if known:
            receiver.stream_gone(stream)

    def _settings(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ProtocolError("settings of a stream")
        if flags & frames.ACK:
            frames.expect(payload, 0)
            self._streams.acknowledged()
            return
        values = frames.settings_of(payload)
        self._max_frame = values.get(frames.MAX_FRAME_SIZE, self._max_frame)
        initial = values.get(frames.INITIAL_WINDOW_SIZE, self._initial_room)
        for state in self._streams.every():
            state.room += initial - self._initial_room
            if state.room > frames.MAX_WINDOW:
                raise ProtocolError("a window over the limit", frames.FLOW_CONTROL_ERROR)
        self._initial_room = initial
        self._output.append(frames.frame(frames.SETTINGS, frames.ACK, 0, b""))
        receiver.window_opened(0)

    def _push(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        raise ProtocolError("a push by a client")

    def _ping(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        frames.expect(payload, 8)
        if stream:
            raise ProtocolError("a ping of a stream")
        if not flags & frames.ACK:
            self._output.append(frames.frame(frames.PING, frames.ACK, 0, payload))

    def _goaway_received(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        if stream:
            raise ProtocolError("the end of a stream as of the connection")
        if len(payload) < 8:
            raise ProtocolError("a goaway frame that is too short", frames.FRAME_SIZE_ERROR)
        receiver.goodbye()

    def _window_update(self, receiver: Receiver, flags: int, stream: int, payload: bytes) -> None:
        frames.expect(payload, 4)
        increment = int.from_bytes(payload, "big") & frames.MAX_WINDOW
        if not stream:
            self._room += increment
            if not increment:
                raise ProtocolError("a window update of nothing")
            if self._room > frames.MAX_WINDOW:
                raise ProtocolError("a window over the limit", frames.FLOW_CONTROL_ERROR)
            receiver.window_opened(0)
            return
        self._streams.check_not_idle(stream)
        state = self._streams.get(stream)
        if state is None:
            return
        state.room += increment
        if not increment:
            self._break_off(receiver, stream, frames.PROTOCOL_ERROR)
        elif state.room > frames.MAX_WINDOW:
            self._break_off(receiver, stream, frames.FLOW_CONTROL_ERROR)
        else:
            receiver.window_opened(stream)


_HANDLERS: dict[int, Callable[[ServerConnection, Receiver, int, int, bytes], None]] = {
    frames.PRIORITY: ServerConnection._priority,
    frames.RST_STREAM: ServerConnection._rst_stream,
    frames.SETTINGS: ServerConnection._settings,
    frames.PUSH_PROMISE: ServerConnection._push,
    frames.PING: ServerConnection._ping,
    frames.GOAWAY: ServerConnection._goaway_received,
    frames.WINDOW_UPDATE: ServerConnection._window_update,
}
