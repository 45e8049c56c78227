"""One gRPC call on an HTTP/2 connection: its message in, its replies and its status out."""

from __future__ import annotations

import asyncio
from typing import Protocol

from multipassd.auth.peer import Peer
from multipassd.auth.standing import Standing
from multipassd.transport.grpc_headers import (
    ANSWER,
    NOT_GRPC,
    SUCCESS,
    Headers,
    Request,
    trailers_of,
)
from multipassd.transport.http2.sender import Sender, StreamGone
from multipassd.transport.inflow import Inflow
from multipassd.transport.quota import limits
from multipassd.transport.quota.limits import PeerLimits
from multipassd.transport.quota.request_memory import RequestBuffers
from protocol.errors import NotImplementedYet, RpcError, TooLarge
from protocol.grpc import Deframer, frame
from protocol.methods import Method


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
        http2: Sender,
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
        self._trailers: Headers = ()

    def accept(self, request: Request, limit: int) -> None:
        """Take a call whose messages may have `limit` bytes, or refuse it."""
        if not request.grpc:
            self._end_at_once(NOT_GRPC)
            return
        self.method = request.method
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
        self._finish(SUCCESS)

    def fail(self, error: RpcError) -> None:
        self._finish(trailers_of(error))

    @property
    def blocked(self) -> bool:
        """Is there something to send that the peer's windows did not allow?"""
        return bool(self._pending)

    def pump(self) -> None:
        """Send what the peer's flow-control windows allow."""
        try:
            self._pump()
        except StreamGone:  # the peer has closed it, or the connection ends
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
        """Raises StreamGone."""
        if self._pending and not self._headers_sent:
            self._headers_sent = True
            self._http2.send_headers(self.id, ANSWER)
        while self._pending:
            room = self._http2.room(self.id)
            if room <= 0 or self.connection.stalled:
                return
            self._http2.send_data(self.id, bytes(self._pending[:room]))
            del self._pending[:room]
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)
        if self._trailers:
            self._http2.send_headers(self.id, self._trailers, last=True)
            self.connection.ended(self)

    def _finish(self, trailers: Headers) -> None:
        if self.finished:
            return
        self.finished = True
        self._deadline = asyncio.get_running_loop().time() + limits.WRITE_TIMEOUT
        self._trailers = trailers if self._headers_sent else ANSWER + trailers
        self.pump()

    def _end_at_once(self, headers: Headers) -> None:
        self.finished = True
        self._trailers = headers
        self.pump()
