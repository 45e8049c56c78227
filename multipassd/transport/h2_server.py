"""h2's server side of a connection with this service's limits instead of h2's own. Pure."""

from __future__ import annotations

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event
from h2.exceptions import FrameTooLargeError, ProtocolError
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream
from hyperframe.frame import ContinuationFrame, GoAwayFrame, WindowUpdateFrame

from multipassd.transport.h2_headers import Encoder
from multipassd.transport.quota import limits

_PREFACE = len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
_EVERY_STREAM = 2**31 - 1
_FRAME_HEADER = 9  # three bytes of it are the length


class ServerConnection(H2Connection):
    """The server's side of one connection."""

    MAX_CLOSED_STREAMS = limits.CLOSED_STREAMS

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self.encoder = Encoder()  # type: ignore[assignment]  # as much of hpack's as h2 uses
        self._frame_headers = FrameHeaders(self.max_inbound_frame_size)
        self._wide = False

    def receive(self, data: bytes) -> list[Event]:
        """`receive_data` that checks the headers of frames first. Raises H2Error."""
        try:
            self._frame_headers.watch(data)
        except ProtocolError as error:
            self.close_connection(error.error_code)
            raise
        return self.receive_data(data)

    def begin(self, streams: int) -> None:
        """Send the first SETTINGS. What is changed in `local_settings` would only be sent later."""
        self.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.HEADER_LIST,
            },
        )
        self.decoder.max_header_list_size = limits.HEADER_LIST
        self.initiate_connection()

    def widen(self, stream_id: int) -> None:
        """Let the peer send more of a request that is a stream. The window of the connection, which
        is given back at once, only bounds what is on its way: it is widened once."""
        if not self._wide:
            self._wide = True
            self.increment_flow_control_window(limits.STREAM_WINDOW)
        if (stream := self._open_stream(stream_id)) is not None:
            more = limits.STREAM_WINDOW - self.local_settings.initial_window_size
            self._prepare_for_sending(stream.increase_flow_control_window(more))

    def take_in(self, size: int) -> None:
        """Give the connection's window back, not that of a stream: other calls go on."""
        if more := self._inbound_flow_control_window_manager.process_bytes(size):
            update = WindowUpdateFrame(0)
            update.window_increment = more
            self._prepare_for_sending([update])

    def credit(self, stream_id: int, size: int) -> None:
        """Give back the window of a stream whose bytes are used."""
        if (stream := self._open_stream(stream_id)) is not None:
            self._prepare_for_sending(stream.acknowledge_received_data(size))

    def _open_stream(self, stream_id: int) -> H2Stream | None:
        """None if its peer can't send any more on it."""
        stream = self.streams.get(stream_id)
        return stream if stream is not None and stream.open else None

    def say_goodbye(self) -> None:
        """GOAWAY that lets calls in flight end (after h2's own nothing more could be sent), and
        those that cross it too (RFC 9113, 6.8): gRPC sends a call that was refused only once more.
        """
        goaway = GoAwayFrame(
            stream_id=0, last_stream_id=_EVERY_STREAM, error_code=ErrorCodes.NO_ERROR
        )
        self._prepare_for_sending([goaway])


class FrameHeaders:
    """Checks the header of each frame as it arrives. h2 looks at a length, up to 16 MiB, when all
    of the frame is there, and holds 64 frames, 1 MiB, of one header block."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._skip = _PREFACE  # bytes until the next frame's header
        self._header = b""
        self._block = 0  # frames of the header block that the last one belongs to

    def watch(self, data: bytes) -> None:
        """Raises FrameTooLargeError as soon as a length over the limit is announced, ProtocolError
        at a header block of too many frames."""
        at = 0
        while at + self._skip < len(data):
            at += self._skip
            part = data[at : at + _FRAME_HEADER - len(self._header)]
            at += len(part)
            self._header += part
            if len(self._header) < _FRAME_HEADER:
                self._skip = 0
                return
            self._check(int.from_bytes(self._header[:3], "big"), self._header[3])
            self._header = b""
        self._skip -= len(data) - at

    def _check(self, length: int, kind: int) -> None:
        self._skip = length
        if length > self._limit:
            raise FrameTooLargeError(f"a frame of {length} bytes")
        self._block = self._block + 1 if kind == ContinuationFrame.type else 1
        if self._block > limits.CONTINUATIONS:
            raise ProtocolError(f"more than {limits.CONTINUATIONS} frames in a header block")
