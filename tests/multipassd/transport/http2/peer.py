"""A server's connection by its bytes, and what it says and sends."""

from __future__ import annotations

from multipassd.transport.http2.request_block import Headers
from multipassd.transport.http2.rules import Rules
from multipassd.transport.http2.server import ServerConnection
from protocol import hpack
from protocol import http2_frames as frames
from protocol.http2_frames import ProtocolError

RULES = Rules(header_list=16_384, continuations=4, closed_streams=3, wide_window=512 * 1024)
STREAMS = 4

HEADERS: Headers = (
    (b":method", b"POST"),
    (b":scheme", b"https"),
    (b":path", b"/x"),
    (b"te", b"trailers"),
)
HELLO = frames.PREFACE + frames.settings({})


class Recorder:
    """A receiver that notes what it is told, by stream."""

    def __init__(self) -> None:
        self.requests: dict[int, Headers] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: list[int] = []
        self.gone: list[int] = []
        self.opened: list[int] = []
        self.control = 0
        self.goodbyes = 0

    def request(self, stream: int, headers: Headers) -> None:
        assert stream not in self.requests
        self.requests[stream] = headers
        self.bodies[stream] = b""

    def data(self, stream: int, data: bytes, size: int) -> None:
        assert stream in self.requests and stream not in self.ended and stream not in self.gone
        assert size >= len(data)
        self.bodies[stream] += data

    def request_ended(self, stream: int) -> None:
        assert stream in self.requests and stream not in self.ended
        self.ended.append(stream)

    def stream_gone(self, stream: int) -> None:
        self.gone.append(stream)

    def window_opened(self, stream: int) -> None:
        self.opened.append(stream)

    def control_frame(self) -> None:
        self.control += 1

    def goodbye(self) -> None:
        self.goodbyes += 1


class Peer:
    """A client that writes frames by hand."""

    def __init__(self, hello: bytes = HELLO) -> None:
        self.told = Recorder()
        self.server = ServerConnection(self.told, RULES)
        self.server.begin(STREAMS)
        self._code: int | None = None
        self.send(hello)
        self.answers()

    def send(self, data: bytes) -> None:
        try:
            self.server.receive(data)
        except ProtocolError as error:
            self._code = error.code

    def ended_with(self) -> int | None:
        """The code of the error that ended the connection."""
        return self._code

    def answers(self) -> list[tuple[int, int, int, bytes]]:
        """The frames that the server sends: type, flags, stream, payload."""
        return list(cut(self.server.data_to_send()))


def cut(data: bytes) -> list[tuple[int, int, int, bytes]]:
    found = []
    while data:
        end = frames.FRAME_HEADER + int.from_bytes(data[:3], "big")
        found.append((data[3], data[4], int.from_bytes(data[5:9], "big"), data[9:end]))
        data = data[end:]
    return found


def number(value: int) -> bytes:
    return value.to_bytes(4, "big")


def raw(kind: int, stream: int = 0, payload: bytes = b"", flags: int = 0) -> bytes:
    return frames.frame(kind, flags, stream, payload)


def block(headers: Headers = HEADERS) -> bytes:
    return hpack.encode(headers)


def request(stream: int = 1, *, ended: bool = False, more: Headers = ()) -> bytes:
    flags = frames.END_HEADERS | (frames.END_STREAM if ended else 0)
    return raw(frames.HEADERS, stream, block(HEADERS + more), flags)


def data(stream: int = 1, content: bytes = b"x", *, ended: bool = False) -> bytes:
    return raw(frames.DATA, stream, content, frames.END_STREAM if ended else 0)


def reset(stream: int = 1, code: int = frames.CANCEL) -> bytes:
    return raw(frames.RST_STREAM, stream, number(code))
