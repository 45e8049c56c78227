"""HTTP/2 on one connection: frames become calls, and what they may cost is limited.

Knows nothing of TLS, sockets and time-outs of the connection: what it needs of that is `Link`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

from h2.config import H2Configuration
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error, ProtocolError
from h2.settings import SettingCodes

from multipassd.auth.standing import Standing
from multipassd.transport.grpc_stream import Carrier, Stream, well_formed
from multipassd.transport.h2_server import ServerConnection
from multipassd.transport.quota import limits
from multipassd.transport.quota.request_memory import RequestBuffers
from protocol.errors import MalformedRequest, RpcError, TooLarge
from protocol.grpc import FramingError, MessageTooLarge


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
        self._http2 = ServerConnection(_CONFIGURATION)
        self._draining = False
        self._goodbye_sent = False

    # -- for the connection -----------------------------------------------------------------------

    def begin(self) -> None:
        """TLS is established and the peer's limits are known."""
        self.active = self._loop.time()
        self._http2.begin(self._link.limits.streams)

    def limits_changed(self) -> None:
        streams = self._link.limits.streams
        self._http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})

    def receive(self, plain: bytes) -> None:
        """In pieces, so that a flood is noticed at its beginning. Raises H2Error, ValueError."""
        for start in range(0, len(plain), limits.PIECE):
            for event in self._http2.receive(plain[start : start + limits.PIECE]):
                if self._link.closing:
                    return
                self._handle(event)

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
            with suppress(ProtocolError):  # closed already
                self._http2.reset_stream(stream.id, ErrorCodes.CANCEL)
            self._forget(stream)
        return bool(overdue)

    def drain(self) -> None:
        """Ask the peer to take its next call elsewhere."""
        self._draining = True
        self.active = self._loop.time()
        if self._http2.highest_inbound_stream_id:
            self._say_goodbye()

    def end(self, code: int) -> None:
        """GOAWAY that ends the connection; no call goes on."""
        with suppress(H2Error):  # closed already
            self._http2.close_connection(code)

    def abandon(self) -> None:
        """The connection is gone, and all calls with it. To be called last."""
        for stream in list(self.streams.values()):
            self._forget(stream)
        del self._link  # else TLS's memory would wait for the collector of cycles

    # -- for streams ------------------------------------------------------------------------------

    def ended(self, stream: Stream) -> None:
        """The last byte of the stream's answer is on its way."""
        self._forget(stream)
        self.active = self._loop.time()

    # -- events -----------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            self._open(event)
        elif isinstance(event, DataReceived):
            self._data(event)
        elif isinstance(event, StreamEnded):
            self._ended(event.stream_id)
        elif isinstance(event, WindowUpdated):
            self._window(event.stream_id)
        elif isinstance(event, StreamReset):
            self._count_control()
            if stream := self.streams.get(event.stream_id):
                self._forget(stream)
        elif isinstance(event, ConnectionTerminated):
            self._link.close()
        elif isinstance(event, RemoteSettingsChanged):
            self._window(0)  # of all streams, perhaps
        else:
            self._count_control()

    def _open(self, event: RequestReceived) -> None:
        if self._draining and not self._goodbye_sent:
            self._say_goodbye()
        self.active = self._loop.time()
        self._link.charge(limits.CALL_WORK)
        stream = Stream(self._link, self._http2, event.stream_id, self.active, self._buffers())
        self.streams[stream.id] = stream
        headers = [(str(name), str(value)) for name, value in event.headers]
        if not well_formed(headers):
            raise ValueError("malformed headers")
        stream.accept_headers(dict(headers), self._link.limits.message)

    def _say_goodbye(self) -> None:
        """Not before a first call: grpcio 1.85 that reads GOAWAY together with SETTINGS, and then
        the end of the connection, sometimes waits for ever instead of connecting anew."""
        self._goodbye_sent = True
        self._http2.say_goodbye()

    def _data(self, event: DataReceived) -> None:
        stream = self.streams.get(event.stream_id)
        self._take_in(event, stream)
        if not event.data:
            self._count_control()
        if stream is None or stream.finished or not stream.listens:
            return  # a message that is not expected, or the rest of a refused one
        try:
            messages = stream.feed(event.data)
        except MessageTooLarge:
            stream.revoke(TooLarge(_too_large(self._link.standing, stream)))
            return
        except FramingError as error:
            stream.revoke(_malformed(error))
            return
        stream.account()
        for message in messages:
            if stream.task is None:
                self._start(stream, message)
            else:
                stream.hear(message)
        if stream.buffers.exceeded(self._link.person) and (stream.inflow or not messages):
            stream.revoke(TooLarge("The service holds too many requests. Please try again."))

    def _take_in(self, event: DataReceived, stream: Stream | None) -> None:
        """Give windows back; that of a stream of messages follows once they are used."""
        size = event.flow_controlled_length
        if stream is not None and stream.inflow is not None:
            stream.inflow.held += size
            self._http2.take_in(size)
        elif size:
            self._http2.acknowledge_received_data(size, event.stream_id)

    def _start(self, stream: Stream, message: bytes) -> None:
        stream.message = message
        stream.task = self._loop.create_task(self._handler.serve(stream))

    def _ended(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        stream.half_closed = True
        stream.hear(None)
        if stream.task is None and not stream.finished:
            stream.fail(_malformed("the call ended before its message"))

    def pump(self) -> None:
        """Send what waited for windows of the peer, or for it to read."""
        for every in list(self.streams.values()):
            if every.blocked:
                every.pump()

    def _window(self, stream_id: int) -> None:
        if not stream_id:
            self.pump()
        elif (stream := self.streams.get(stream_id)) and stream.blocked:
            stream.pump()
        self._count_control()

    def _count_control(self) -> None:
        """Frames without a call are free for trusted peers and rationed for others."""
        if not self._link.standing.trusted and not self._link.take_control_frame():
            self._link.shut(ErrorCodes.ENHANCE_YOUR_CALM)

    # -- bookkeeping ------------------------------------------------------------------------------

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


# What we send is ours: checking it again costs a tenth of a call.
_CONFIGURATION = H2Configuration(
    client_side=False,
    header_encoding="utf-8",
    validate_inbound_headers=False,  # h2's way is a ninth of a small call; see `well_formed`
    validate_outbound_headers=False,
    normalize_outbound_headers=False,
)
