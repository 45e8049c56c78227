"""One gRPC call on an HTTP/2 connection: request in, messages and status out. Pure."""

from __future__ import annotations

from client.errors import BadAnswer, NotProcessed, Status
from protocol import grpc
from protocol import http2_client as http2
from protocol import http2_frames as frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from protocol.http2_client import Event

AUTHORITY = b"localhost"  # the name in the service's certificate, at any address
MAX_REPLY = 4 * 1024 * 1024  # bytes of a message; the limit of gRPC's own clients
NO_STATUS = "the service ended the call without a status"


class Exchange:
    """`receive` takes the connection's bytes; `status` is None until the call has ended.

    `method` is a method of `multipass.Rpc`, or the full path of one of another service.
    """

    def __init__(self, method: str, payload: bytes, half_close: bool, holds: bool = False) -> None:
        """`holds`: the service may send more only when `give_back` says so."""
        self.status: int | None = None
        self.message = ""
        self.details = b""
        self._http = http2.Connection(_huffman, holds)
        self._deframer = grpc.Deframer(MAX_REPLY)
        self._answered = False
        self._http.start(
            (
                (b":method", b"POST"),
                (b":scheme", b"https"),
                (b":path", (method if method.startswith("/") else grpc.path(method)).encode()),
                (b":authority", AUTHORITY),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
            )
        )
        self.send(payload, half_close)

    def send(self, payload: bytes, half_close: bool) -> None:
        self._http.send(grpc.frame(payload), half_close)

    def end(self) -> None:
        """No further message follows."""
        self._http.send(b"", True)

    @property
    def unsent(self) -> int:
        """Bytes of messages that the service does not take yet."""
        return self._http.unsent

    def give_back(self, held: int) -> None:
        """Let the service send more; `held` bytes of what it has sent are not used yet."""
        self._http.give_back(held + self._deframer.buffered)

    def take_output(self) -> bytes:
        return self._http.take_output()

    @property
    def heard(self) -> bool:
        """Whether the service has sent a frame; its first precedes any answer."""
        return self._http.heard

    def goaway(self) -> bytes:
        self._http.close()
        return self._http.take_output()

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes. Raises NotProcessed, BadAnswer."""
        messages: list[bytes] = []
        try:
            for event in self._http.receive(data):
                messages += self._take(event)
                if self.status is not None:
                    break
        except (frames.ProtocolError, grpc.FramingError) as error:
            raise BadAnswer(str(error)) from None
        return messages

    def _take(self, event: Event) -> list[bytes]:
        if isinstance(event, http2.DataReceived):
            messages = self._deframer.feed(event.data) if self._answered else []
            if event.ended:
                self._end(Status.UNKNOWN, NO_STATUS)
            return messages
        if isinstance(event, http2.HeadersReceived):
            self._headers(dict(event.headers), event.ended)
        elif isinstance(event, http2.StreamReset):
            if event.code == frames.REFUSED_STREAM and not self._answered:
                raise NotProcessed
            self._end(
                Status.UNAVAILABLE, f"the service broke the call off (HTTP/2 error {event.code})"
            )
        elif not event.processed and not self._answered:
            raise NotProcessed
        return []

    def _headers(self, headers: dict[bytes, bytes], ended: bool) -> None:
        if not self._answered:
            http_status = headers.get(b":status", b"")
            if http_status.startswith(b"1"):
                return  # an interim answer
            content = headers.get(b"content-type", b"")
            if http_status != b"200" or not content.startswith(b"application/grpc"):
                raise BadAnswer("an HTTP answer that is no gRPC")
            self._answered = True
        if b"grpc-status" in headers:
            self._trailers(headers)
        elif ended:
            self._end(Status.UNKNOWN, NO_STATUS)

    def _trailers(self, headers: dict[bytes, bytes]) -> None:
        code = headers[b"grpc-status"]
        text = headers.get(b"grpc-message", b"").decode("utf-8", "replace")
        status = int(code) if code.isdigit() and len(code) < 4 else Status.UNKNOWN
        self.details = _binary(headers.get(b"grpc-status-details-bin", b""))
        self._end(status, grpc.decode_message(text))

    def _end(self, status: int, message: str) -> None:
        self.status = status
        self.message = message


def _binary(value: bytes) -> bytes:
    """A `-bin` header's content: base64 with or without padding; empty if it is invalid."""
    if not value:
        return b""
    import binascii

    try:
        return binascii.a2b_base64(value + b"=" * (-len(value) % 4))
    except binascii.Error:
        return b""


def _huffman(coded: bytes) -> bytes:
    from protocol import huffman  # this service does not use the Huffman code; others do

    return huffman.decode(coded)
