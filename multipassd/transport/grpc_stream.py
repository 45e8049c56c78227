"""One gRPC call on an HTTP/2 connection: its message in, its replies and its status out."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Protocol

from h2.exceptions import H2Error

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.transport.h2_server import ServerConnection
from multipassd.transport.inflow import Inflow
from multipassd.transport.quota import limits
from multipassd.transport.quota.limits import PeerLimits
from multipassd.transport.quota.request_memory import RequestBuffers
from protocol.errors import NotImplementedYet, RpcError, TooLarge
from protocol.grpc import DETAILS, Deframer, encode_message, frame
from protocol.methods import BY_PATH, Method

_HEADERS = ((":status", "200"), ("content-type", "application/grpc"))
_NOT_GRPC = ((":status", "415"),)
_REQUIRED = {":method", ":scheme", ":path"}
_PSEUDO = _REQUIRED | {":authority"}
_OK = (("grpc-status", "0"),)


def well_formed(headers: list[tuple[str, str]]) -> bool:
    """RFC 9113's rules for a request's headers, as far as anything here depends on them:
    each pseudo-header once, before the others, none unknown; names in lower case; POST."""
    pseudo = dict[str, str]()
    regular = False
    for name, value in headers:
        if not name.startswith(":"):
            regular = True
            if not name or name != name.lower():
                return False
        elif regular or name in pseudo or name not in _PSEUDO:
            return False
        else:
            pseudo[name] = value
    return pseudo.keys() >= _REQUIRED and pseudo[":method"] == "POST"


def status_message(text: str) -> str:
    """Encoded, and cut where it is longer than clients take: it may quote what the caller sent."""
    encoded = encode_message(text)
    if len(encoded) <= limits.STATUS_MESSAGE:
        return encoded
    most = limits.STATUS_MESSAGE // 3 - len("…".encode())  # a byte takes up to three characters
    return encode_message(text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore") + "…")


class Carrier(Protocol):
    """What a stream needs of the connection that carries it."""

    peer: Peer | None
    limits: PeerLimits

    @property
    def person(self) -> str: ...
    @property
    def stalled(self) -> bool:
        """Does the peer not take what was sent?"""

    def standing_changed(self, standing: Standing) -> None: ...
    def ended(self, stream: Stream) -> None: ...
    def schedule_flush(self) -> None: ...


class Stream:
    """`task` serves the call once `message` is whole; `finished` once its status is known.
    `buffers` is where an unfinished request is counted."""

    def __init__(
        self,
        connection: Carrier,
        http2: ServerConnection,
        stream_id: int,
        now: float,
        buffers: RequestBuffers,
    ) -> None:
        self.connection = connection
        self.id = stream_id
        self.method: Method | None = None
        self.message = b""
        self.task: asyncio.Task[None] | None = None
        self.half_closed = False
        self.finished = False
        self.buffers = buffers
        self.inflow: Inflow | None = None  # of a request that is a stream
        self._accounted = 0  # bytes of this stream that `buffers` has counted
        self._stopped = False
        self._listening: asyncio.Future[bytes | None] | None = None
        self._draining: asyncio.Future[None] | None = None
        self._http2 = http2
        self._deadline = now + limits.REQUEST_TIMEOUT
        self._deframer = Deframer(limits.UNTRUSTED.message)
        self._headers_sent = False
        self._pending = bytearray()
        self._trailers: tuple[tuple[str, str], ...] = ()

    def accept_headers(self, headers: dict[str, str], limit: int) -> None:
        if not headers.get("content-type", "").startswith("application/grpc"):
            self._end_at_once(_NOT_GRPC)
            return
        self.method = BY_PATH.get(headers.get(":path", ""))
        if self.method is None:
            self.fail(NotImplementedYet("This service has no such call."))
        elif self.method.streams:
            self.inflow = Inflow(self._http2, self.id)
            limit = min(limit, limits.STREAMED_MESSAGE)
        self._deframer = Deframer(limit)

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole now; of a call with one message that, or the one that
        `next_message` waits for, as others are not looked at. Raises FramingError."""
        messages = self._deframer.feed(data)
        return messages if self.inflow is not None else messages[:1]

    def account(self) -> None:
        """Charge the person for what is held of the request now."""
        held = self._deframer.buffered if self.inflow is None else self.inflow.held
        self.buffers.change(self.connection.person, held - self._accounted)
        self._accounted = held

    @property
    def listens(self) -> bool:
        """Is the peer's next message wanted?"""
        return self.task is None or self._listening is not None or self.inflow is not None

    async def next_message(self, seconds: float) -> bytes | None:
        """A further message of the call's; None if the peer has nothing more to say."""
        if self.half_closed or self.finished:
            return None
        self._listening = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(seconds):
                return await self._listening
        except TimeoutError:
            return None
        finally:
            self._listening = None

    async def further(self) -> bytes | None:
        """The next message of a request that is a stream, None after the last; the one before it
        counts as used, so that the peer may send more."""
        if self.inflow is None or self.finished:
            return None
        try:
            return await self.inflow.next(self._deframer.buffered)
        finally:
            self.account()
            self.connection.schedule_flush()

    def hear(self, message: bytes | None) -> None:
        if self.inflow is not None:
            self.inflow.end() if message is None else self.inflow.put(message)
        elif self._listening is not None and not self._listening.done():
            self._listening.set_result(message)

    def overdue(self, now: float) -> bool:
        """Is a request incomplete, or an answer unread, for too long?"""
        waiting = self.task is None or self.finished
        return waiting and now > self._deadline

    def send(self, payload: bytes) -> None:
        """Queue one reply. Raises TooLarge when the peer has left too many unread."""
        if self.finished:
            return
        if len(self._pending) + len(payload) > self.connection.limits.buffers:
            raise TooLarge("The client does not read the replies.")
        if not self._headers_sent:
            self._headers_sent = True
            self._http2.send_headers(self.id, _HEADERS)
        self._pending += frame(payload)
        self.pump()

    async def drained(self) -> None:
        """Until the peer's windows have taken all that is queued. Raises TooLarge when it does not
        read; a stream waits as long as it has to."""
        if not self._pending or self.finished:
            return
        self._draining = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(limits.WRITE_TIMEOUT if self.inflow is None else None):
                await self._draining
        except TimeoutError:
            raise TooLarge("The client does not read the replies.") from None
        finally:
            self._draining = None

    def succeed(self) -> None:
        self._finish(_OK)

    def fail(self, error: RpcError) -> None:
        trailers = [("grpc-status", str(int(error.status)))]
        if message := status_message(error.message):
            trailers.append(("grpc-message", message))
        details = b64encode(error.details).decode()
        if 0 < len(details) <= limits.STATUS_DETAILS:
            trailers.append((DETAILS, details))
        self._finish(tuple(trailers))

    @property
    def blocked(self) -> bool:
        """Is there something to send that the peer's windows did not allow?"""
        return bool(self._pending)

    def pump(self) -> None:
        """Send what the peer's flow-control windows allow."""
        try:
            self._pump()
        except H2Error:  # the peer has closed the stream
            self._pending.clear()
            self.connection.ended(self)
        self.connection.schedule_flush()

    def revoke(self, error: RpcError) -> None:
        """The peer lost the right to it: fail with `error`, and stop the task that serves it."""
        self.fail(error)
        self._stop()

    def abandon(self) -> None:
        """The stream is gone: stop the task that serves it."""
        self.finished = True
        self._deframer = Deframer(0)
        self.inflow = None
        self.account()
        self._stop()

    def _stop(self) -> None:
        """Once: a second time would interrupt the clean-up of the first."""
        task = self.task
        if self._stopped or task is None or task.done() or task is asyncio.current_task():
            return
        self._stopped = True
        task.cancel()

    def _pump(self) -> None:
        while self._pending:
            room = min(
                self._http2.local_flow_control_window(self.id),
                self._http2.max_outbound_frame_size,
            )
            if room <= 0 or self.connection.stalled:
                return
            self._http2.send_data(self.id, bytes(self._pending[:room]))
            del self._pending[:room]
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)
        if self._trailers:
            self._http2.send_headers(self.id, self._trailers, end_stream=True)
            self._close()

    def _finish(self, trailers: tuple[tuple[str, str], ...]) -> None:
        if self.finished:
            return
        self.finished = True
        self._deadline = asyncio.get_running_loop().time() + limits.WRITE_TIMEOUT
        self._trailers = trailers if self._headers_sent else _HEADERS + trailers
        self.pump()

    def _end_at_once(self, headers: tuple[tuple[str, str], ...]) -> None:
        self.finished = True
        self._trailers = headers
        self.pump()

    def _close(self) -> None:
        if not self.half_closed:  # gRPC: asks a client whose side is open to close it
            self._http2.reset_stream(self.id)
        self.connection.ended(self)
