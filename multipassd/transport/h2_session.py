"""HTTP/2 on one connection: frames become calls, and what they may cost is limited.

Knows nothing of TLS, sockets and time-outs of the connection: what it needs of that is `Link`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from multipassd.auth.standing import Standing
from multipassd.transport.grpc_headers import request_of
from multipassd.transport.grpc_stream import Carrier, Stream
from multipassd.transport.http2.request_block import Headers
from multipassd.transport.http2.rules import Rules
from multipassd.transport.http2.server import ServerConnection
from multipassd.transport.quota import limits
from multipassd.transport.quota.request_memory import RequestBuffers
from protocol.errors import MalformedRequest, RpcError, TooLarge
from protocol.grpc import FramingError, MessageTooLarge
from protocol.http2_frames import CANCEL, ENHANCE_YOUR_CALM, ProtocolError

_RULES = Rules(
    header_list=limits.HEADER_LIST,
    continuations=limits.CONTINUATIONS,
    closed_streams=limits.CLOSED_STREAMS,
    wide_window=limits.STREAM_WINDOW,
)


class Handler(Protocol):
    """What a session needs of the service: who answers its calls."""

    trusted_buffers: RequestBuffers
    strangers_buffers: RequestBuffers

    async def serve(self, stream: Stream) -> None: ...


class Link(Carrier, Protocol):
    """What a session needs of its connection."""

    closing: bool
    standing: Standing

    def charge(self, seconds: float) -> None: ...
    def take_control_frame(self) -> bool: ...
    def close(self) -> None: ...
    def shut(self, code: int) -> None: ...


class Session:
    """`active` is the loop's time when a call last began or ended."""

    def __init__(self, link: Link, handler: Handler) -> None:
        self.streams: dict[int, Stream] = {}
        self._loop = asyncio.get_running_loop()
        self.active = self._loop.time()
        self._link = link
        self._handler = handler
        self._http2 = ServerConnection(self, _RULES)
        self._draining = False
        self._goodbye_sent = False

    # -- for the connection -----------------------------------------------------------------------

    def begin(self) -> None:
        """TLS is established and the peer's limits are known."""
        self.active = self._loop.time()
        self._http2.begin(self._link.limits.streams)

    def limits_changed(self) -> None:
        self._http2.allow(self._link.limits.streams)

    def receive(self, plain: bytes) -> None:
        """Raises ProtocolError; the GOAWAY for it is ready to be sent then."""
        self._http2.receive(plain)

    def data_to_send(self) -> bytes:
        return self._http2.data_to_send()

    @property
    def relays(self) -> bool:
        """Is one of its calls a stream of messages, which lasts as long as its connection?"""
        return any(stream.inflow is not None for stream in self.streams.values())

    def reset_overdue(self, now: float) -> bool:
        """End the calls that last too long; True if there were any."""
        overdue = [stream for stream in self.streams.values() if stream.overdue(now)]
        for stream in overdue:
            self._http2.reset(stream.id, CANCEL)
            self._forget(stream)
        return bool(overdue)

    def drain(self) -> None:
        """Ask the peer to take its next call elsewhere."""
        self._draining = True
        self.active = self._loop.time()
        if self._http2.called:
            self._say_goodbye()

    def end(self, code: int) -> None:
        """GOAWAY that ends the connection; no call goes on."""
        self._http2.close(code)

    def abandon(self) -> None:
        """The connection is gone, and all calls with it. To be called last."""
        for stream in list(self.streams.values()):
            self._forget(stream)
        self._http2.release()
        del self._link  # else TLS's memory would wait for the collector of cycles

    def pump(self) -> None:
        """Send what waited for windows of the peer, or for it to read."""
        for every in list(self.streams.values()):
            if every.blocked:
                every.pump()

    # -- for streams ------------------------------------------------------------------------------

    def ended(self, stream: Stream) -> None:
        """The last byte of the stream's answer is on its way."""
        self._forget(stream)
        self.active = self._loop.time()

    # -- for HTTP/2 -------------------------------------------------------------------------------

    def request(self, stream: int, headers: Headers) -> None:
        """Raises ProtocolError."""
        if self._draining and not self._goodbye_sent:
            self._say_goodbye()
        self.active = self._loop.time()
        self._link.charge(limits.CALL_WORK)
        request = request_of(headers)
        if request is None:
            raise ProtocolError("malformed headers")
        made = Stream(self._link, self._http2, stream, self.active, self._buffers())
        self.streams[stream] = made
        made.accept(request, self._link.limits.message)

    def data(self, stream: int, data: bytes, size: int) -> None:
        call = self.streams.get(stream)
        self._take_in(stream, call, size)
        if call is None or call.finished or not call.listens:
            return  # a message that is not expected, or the rest of a refused one
        try:
            messages = call.feed(data)
        except MessageTooLarge:
            call.revoke(TooLarge(_too_large(self._link.standing, call)))
            return
        except FramingError as error:
            call.revoke(_malformed(error))
            return
        call.account()
        for message in messages:
            if call.task is None:
                self._start(call, message)
            else:
                call.hear(message)
        if call.buffers.exceeded(self._link.person) and (call.inflow or not messages):
            call.revoke(TooLarge("The service holds too many requests. Please try again."))

    def request_ended(self, stream: int) -> None:
        call = self.streams.get(stream)
        if call is None:
            return
        call.half_closed = True
        call.hear(None)
        if call.task is None and not call.finished:
            call.fail(_malformed("the call ended before its message"))

    def stream_gone(self, stream: int) -> None:
        if call := self.streams.get(stream):
            self._forget(call)

    def window_opened(self, stream: int) -> None:
        if not stream:
            self.pump()
        elif (call := self.streams.get(stream)) and call.blocked:
            call.pump()

    def control_frame(self) -> None:
        """Frames without a call are free for trusted peers and rationed for others."""
        if not self._link.standing.trusted and not self._link.take_control_frame():
            self._link.shut(ENHANCE_YOUR_CALM)
            self._http2.stop()

    def goodbye(self) -> None:
        self._link.close()
        self._http2.stop()

    # -- its parts --------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        """Not before a first call: grpcio 1.85 that reads GOAWAY together with SETTINGS, and then
        the end of the connection, sometimes waits for ever instead of connecting anew."""
        self._goodbye_sent = True
        self._http2.say_goodbye()

    def _take_in(self, stream: int, call: Stream | None, size: int) -> None:
        """Give windows back; that of a stream of messages follows once they are used."""
        self._http2.take_in(size)
        if call is not None and call.inflow is not None:
            call.inflow.held += size
        else:
            self._http2.credit(stream, size)

    def _start(self, stream: Stream, message: bytes) -> None:
        stream.message = message
        stream.task = self._loop.create_task(self._handler.serve(stream))

    def _buffers(self) -> RequestBuffers:
        trusted = self._link.standing.trusted
        return self._handler.trusted_buffers if trusted else self._handler.strangers_buffers

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        stream.abandon()


def _too_large(standing: Standing, stream: Stream) -> str:
    most = limits.of(standing).message
    if standing.trusted and stream.inflow is not None:
        return f"A message of the call is larger than {limits.STREAMED_MESSAGE} bytes."
    if standing.trusted:
        return f"The request is larger than {most} bytes."
    # A first command may be a launch with much cloud-init data.
    return (
        f"Requests of unauthenticated clients are limited to {most} bytes. "
        "Authenticate first, for example with `multipass list` or `multipass authenticate`."
    )


def _malformed(error: object) -> RpcError:
    return MalformedRequest(f"malformed request: {error}")
