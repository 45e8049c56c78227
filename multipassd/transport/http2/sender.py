"""What the server sends on one HTTP/2 connection, within the windows of its peer. Pure."""

from __future__ import annotations

from multipassd.transport.http2.answers import Encoder, Headers
from multipassd.transport.http2.receive_window import ReceiveWindow
from multipassd.transport.http2.rules import Rules
from multipassd.transport.http2.streams import Open, Streams
from protocol import http2_frames as frames

_EVERY_STREAM = frames.MAX_WINDOW  # the highest identifier there can be


class StreamGone(Exception):
    """A stream on which nothing can be sent any more."""


class Sender:
    """Write what `data_to_send` returns. `over`: a GOAWAY ended the connection."""

    def __init__(self, rules: Rules) -> None:
        self.over = False
        self._rules = rules
        self._streams = Streams(rules.closed_streams)
        self._encoder = Encoder()
        self._output: list[bytes] = []
        self._window = ReceiveWindow(frames.DEFAULT_WINDOW)  # of all streams together
        self._room = frames.DEFAULT_WINDOW  # the peer's, of all streams together
        self._max_frame = frames.DEFAULT_MAX_FRAME

    @property
    def called(self) -> bool:
        """Has there been a request?"""
        return self._streams.highest > 0

    def begin(self, streams: int) -> None:
        """Send the first SETTINGS: with how many calls at a time."""
        self._streams.announce(streams)
        values = {
            frames.MAX_CONCURRENT_STREAMS: streams,
            frames.MAX_HEADER_LIST_SIZE: self._rules.header_list,
        }
        self._output.append(frames.settings(values))

    def allow(self, streams: int) -> None:
        """From now on so many calls at a time."""
        if not self.over:
            self._streams.announce(streams)
            self._output.append(frames.settings({frames.MAX_CONCURRENT_STREAMS: streams}))

    def data_to_send(self) -> bytes:
        data = b"".join(self._output)
        self._output.clear()
        return data

    def say_goodbye(self) -> None:
        """GOAWAY that lets calls in flight end, and those that cross it too (RFC 9113, 6.8): gRPC
        sends a call that was refused only once more."""
        if not self.over:
            self._goaway(_EVERY_STREAM, frames.NO_ERROR)

    def close(self, code: int) -> None:
        """GOAWAY that ends the connection."""
        if not self.over:
            self._goaway(self._streams.highest, code)
            self.stop()

    def stop(self) -> None:
        """No further frame is handled, and no call answered."""
        self.over = True
        self._streams.clear()

    # -- the peer's permission to send ------------------------------------------------------------

    def widen(self, stream: int) -> None:
        """Let the peer send more of a request that is a stream. The window of the connection, which
        is given back at once, only bounds what is on its way: it is widened once."""
        wide = self._rules.wide_window
        self._update(0, self._window.widen(frames.DEFAULT_WINDOW + wide))
        if (state := self._sender(stream)) is not None:
            self._update(stream, state.window.widen(wide))

    def take_in(self, size: int) -> None:
        """Give the connection's window back, not that of a stream: other calls go on."""
        self._update(0, self._window.give_back(size))

    def credit(self, stream: int, size: int) -> None:
        """Give back the window of a stream whose bytes are used."""
        if (state := self._sender(stream)) is not None:
            self._update(stream, state.window.give_back(size))

    def _sender(self, stream: int) -> Open | None:
        """None if its peer can't send any more on it."""
        state = self._streams.get(stream)
        return None if state is None or state.remote_closed else state

    def _update(self, stream: int, increment: int) -> None:
        if increment:
            self._output.append(frames.window_update(stream, increment))

    # -- answers ----------------------------------------------------------------------------------

    def room(self, stream: int) -> int:
        """The bytes of DATA that one frame may have now. Raises StreamGone."""
        state = self._streams.get(stream)
        if state is None:
            raise StreamGone
        return min(state.room, self._room, self._max_frame)

    def send_headers(self, stream: int, headers: Headers, last: bool = False) -> None:
        """Raises StreamGone. The `last` end the answer; a client whose side is open is asked to
        close it, as gRPC wants it."""
        state = self._streams.get(stream)
        if state is None:
            raise StreamGone
        flags = frames.END_HEADERS | (frames.END_STREAM if last else 0)
        self._output.append(
            frames.frame(frames.HEADERS, flags, stream, self._encoder.encode(headers))
        )
        if last:
            if state.remote_closed:
                self._streams.close(stream)
            else:
                self.reset(stream, frames.NO_ERROR)

    def send_data(self, stream: int, data: bytes) -> None:
        """Within its `room`. Raises StreamGone."""
        state = self._streams.get(stream)
        if state is None:
            raise StreamGone
        state.room -= len(data)
        self._room -= len(data)
        self._output.append(frames.frame(frames.DATA, 0, stream, data))

    def reset(self, stream: int, code: int) -> None:
        if self._streams.get(stream) is not None:
            self._streams.close(stream)
            payload = code.to_bytes(4, "big")
            self._output.append(frames.frame(frames.RST_STREAM, 0, stream, payload))

    def _goaway(self, last: int, code: int) -> None:
        payload = last.to_bytes(4, "big") + code.to_bytes(4, "big")
        self._output.append(frames.frame(frames.GOAWAY, 0, 0, payload))
