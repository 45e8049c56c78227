"""One peer: asyncio on one side, TLS, HTTP/2 and gRPC framing on the other, limits between.

The only place that glues asyncio to the pure parts. What it knows of the service is `Host`.
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
from OpenSSL import SSL

from multipassd import limits, log
from multipassd.http2 import ServerConnection
from multipassd.limits import PeerLimits
from multipassd.peer import Credentials, Peer
from multipassd.stream import Stream, well_formed
from multipassd.tls import TlsError, TlsSession
from protocol.errors import MalformedRequest, RpcError, TooLarge
from protocol.grpc import FramingError, MessageTooLarge
from protocol.pem import fingerprint

_log = log.get("connection")


class Host(Protocol):
    """What a connection needs of the service."""

    buffered: int  # bytes of unfinished requests, all connections together

    def established(self, connection: Connection) -> bool: ...
    def closed(self, connection: Connection) -> None: ...
    def trusts(self, peer: Peer) -> bool: ...
    async def serve(self, stream: Stream) -> None: ...


class Connection(asyncio.Protocol):
    """`provisional`: taken from the reserve, so closed unless its certificate is trusted."""

    def __init__(
        self, host: Host, context: SSL.Context, credentials: Credentials | None, provisional: bool
    ) -> None:
        self._host = host
        self._credentials = credentials
        self.provisional = provisional
        self.peer: Peer | None = None
        self.limits: PeerLimits = limits.UNTRUSTED
        self.streams: dict[int, Stream] = {}
        self._tls = TlsSession(context)
        self._http2 = ServerConnection(_CONFIGURATION)
        self._transport: asyncio.Transport | None = None  # until asyncio has taken the socket over
        self._loop = asyncio.get_running_loop()
        self._opened = self._active = self._loop.time()
        self._stalled: float | None = None  # since when the peer does not read
        self._control = _Allowance(self._opened)
        self._flush_scheduled = False
        self._closing = False
        self._draining = False
        self._told = False  # of it
        self._drained_from = 0.0  # loop time
        self._ending: float | None = None  # since when the transport is closing

    # -- asyncio's side ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=self.limits.buffers)
        if self._closing:  # the service stopped meanwhile
            transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            plain = self._tls.receive(data)
            if self.peer is None and self._tls.established:
                self._begin_http2()
            if plain and not self._closing:
                self._receive(plain)
        except TlsError:
            self.flush()  # the alert, if OpenSSL made one
            self.close()
        except (H2Error, ValueError) as error:
            _log.debug("%s broke HTTP/2: %s", self, type(error).__name__)
            if isinstance(error, ProtocolError):
                self.close()  # h2 has its GOAWAY ready
            else:
                self.shut(ErrorCodes.PROTOCOL_ERROR)
        else:
            self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        for stream in list(self.streams.values()):
            self._forget(stream)
        self._host.closed(self)

    def pause_writing(self) -> None:
        self._stalled = self._loop.time()
        if self._transport is not None:
            self._transport.pause_reading()  # who doesn't read isn't read either

    def resume_writing(self) -> None:
        self._stalled = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    # -- for the service --------------------------------------------------------------------------

    def __str__(self) -> str:
        return str(self.peer or self._credentials or "TCP client")

    @property
    def established(self) -> bool:
        return self.peer is not None

    def trust(self, trusted: bool) -> None:
        """Set the limits by whether the peer is trusted now."""
        chosen = limits.TRUSTED if trusted else limits.UNTRUSTED
        if chosen is self.limits or self._closing:
            return
        self._use(chosen)
        self._http2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: chosen.streams})
        self.flush()

    def check(self, now: float) -> None:
        """End what lasts too long: handshake, silence, half a request, a reply nobody reads."""
        if self._transport is None:
            return
        if self._transport.is_closing():
            self._check_ending(now)
            return
        if not self.established:
            if now - self._opened > limits.HANDSHAKE_TIMEOUT:
                self.close()
            return
        if self._stalled is not None and now - self._stalled > limits.WRITE_TIMEOUT:
            self._transport.abort()
            return
        for stream in list(self.streams.values()):
            if stream.overdue(now):
                self._reset(stream, ErrorCodes.CANCEL)
        if not self.streams and now - self._active > self.limits.idle:
            self.shut(ErrorCodes.NO_ERROR)
        self.flush()

    def _check_ending(self, now: float) -> None:
        """A transport closes by itself when all is sent; a peer that doesn't read prevents that."""
        assert self._transport is not None
        held_up = self._draining and self.limits is limits.UNTRUSTED
        patience = limits.DRAIN_SILENCE if held_up else limits.CLOSE_TIMEOUT
        if self._ending is None:
            self._ending = now
        elif now - self._ending > patience:
            self._transport.abort()

    def drain(self) -> None:
        """Ask the peer to take its next call elsewhere. What it sends before it has heard of that,
        and what a handshake under way brings, is still answered."""
        self._draining = True
        self._active = self._drained_from = self._loop.time()
        if self._http2.highest_inbound_stream_id and not self._closing:
            self._say_goodbye()
            self.flush()

    def _say_goodbye(self) -> None:
        """Not before a first call: grpcio 1.85 that reads GOAWAY together with SETTINGS, and then
        the end of the connection, sometimes waits for ever instead of connecting anew."""
        self._told = True
        self._http2.say_goodbye()

    def drained(self) -> bool:
        """No call in flight, and the peer has had time to hear of it and to hang up; or the peer
        is not trusted and had its time."""
        now = self._loop.time()
        if self.limits is limits.UNTRUSTED and now - self._drained_from > limits.DRAIN_STRANGERS:
            return True
        quiet = now - self._active > limits.DRAIN_SILENCE
        return self.established and not self.streams and quiet

    def shut(self, code: int) -> None:
        """GOAWAY, then close."""
        if self.established and not self._closing:
            with suppress(H2Error):  # closed already
                self._http2.close_connection(code)
        self.close()

    def close(self) -> None:
        """Send what is ready, then close."""
        if self._closing:
            return
        self.flush()
        self._closing = True
        if self._transport is not None:
            self._tls.close()
            self._write(self._tls.outgoing())
            self._transport.close()

    def flush(self) -> None:
        """Send what HTTP/2 and TLS have ready, in one write."""
        self._flush_scheduled = False
        if self._transport is None or self._transport.is_closing():
            return
        try:
            if data := self._http2.data_to_send():
                self._tls.send(data)
        except TlsError:
            self._transport.abort()
            return
        self._write(self._tls.outgoing())

    def schedule_flush(self) -> None:
        """One write for all that happens in this turn of the loop: the largest gain measured."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self.flush)

    # -- HTTP/2's side ----------------------------------------------------------------------------

    def _begin_http2(self) -> None:
        if not self._tls.speaks_http2:
            self.close()
            return
        certificate = self._tls.peer_certificate()
        self.peer = Peer(
            self._credentials, certificate, fingerprint(certificate) if certificate else ""
        )
        self._active = self._loop.time()
        if not self._host.established(self):
            self.close()
            return
        self._use(limits.TRUSTED if self._host.trusts(self.peer) else limits.UNTRUSTED)
        self._http2.begin(self.limits.streams)

    def _use(self, chosen: PeerLimits) -> None:
        self.limits = chosen
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=chosen.buffers)

    def _receive(self, plain: bytes) -> None:
        """In pieces, so that a flood is noticed at its beginning."""
        for start in range(0, len(plain), limits.PIECE):
            for event in self._http2.receive(plain[start : start + limits.PIECE]):
                if self._closing:
                    return
                self._handle(event)

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
            self.close()
        elif isinstance(event, RemoteSettingsChanged):
            self._window(0)  # of all streams, perhaps
        else:
            self._count_control()

    def _open(self, event: RequestReceived) -> None:
        if self._draining and not self._told:
            self._say_goodbye()
        stream = Stream(self, self._http2, event.stream_id, self._loop.time())
        self.streams[stream.id] = stream
        self._active = self._loop.time()
        headers = [(str(name), str(value)) for name, value in event.headers]
        if not well_formed(headers):
            raise ValueError("malformed headers")
        stream.accept_headers(dict(headers), self.limits.message)

    def _data(self, event: DataReceived) -> None:
        if event.flow_controlled_length:
            self._http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if not event.data:
            self._count_control()
        stream = self.streams.get(event.stream_id)
        if stream is None or stream.finished or not stream.listens:
            return  # a message that nobody waits for, or the rest of a refused one
        try:
            message = stream.feed(event.data)
        except MessageTooLarge:
            stream.fail(TooLarge(f"The request is larger than {self.limits.message} bytes."))
            return
        except FramingError as error:
            stream.fail(_malformed(error))
            return
        self._account(stream, stream.buffered)
        if message is not None and stream.task is not None:
            stream.hear(message)
        elif message is not None:
            self._start(stream, message)
        elif self._host.buffered > limits.REQUEST_BUFFERS:
            stream.fail(TooLarge("The service holds too many requests. Please try again."))

    def _account(self, stream: Stream, buffered: int) -> None:
        self._host.buffered += buffered - stream.accounted
        stream.accounted = buffered

    def _start(self, stream: Stream, message: bytes) -> None:
        stream.message = message
        stream.task = self._loop.create_task(self._host.serve(stream))

    def _ended(self, stream_id: int) -> None:
        stream = self.streams.get(stream_id)
        if stream is None:
            return
        stream.half_closed = True
        stream.hear(None)
        if stream.task is None and not stream.finished:
            stream.fail(_malformed("the call ended before its message"))

    def _window(self, stream_id: int) -> None:
        if not stream_id:
            for every in list(self.streams.values()):
                if every.blocked:
                    every.pump()
        elif (stream := self.streams.get(stream_id)) and stream.blocked:
            stream.pump()
        self._count_control()

    def _count_control(self) -> None:
        """Frames without a call are free for trusted peers and rationed for others."""
        if self.limits is limits.UNTRUSTED and not self._control.take(self._loop.time()):
            self.shut(ErrorCodes.ENHANCE_YOUR_CALM)

    # -- for streams ------------------------------------------------------------------------------

    def ended(self, stream: Stream) -> None:
        """The last byte of the stream's answer is on its way."""
        self._forget(stream)
        self._active = self._loop.time()

    def _reset(self, stream: Stream, code: int) -> None:
        with suppress(ProtocolError):  # closed already
            self._http2.reset_stream(stream.id, code)
        self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._account(stream, 0)
        stream.abandon()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


class _Allowance:
    """A token bucket for control frames."""

    def __init__(self, now: float) -> None:
        self._tokens = float(limits.CONTROL_FRAMES_BURST)
        self._at = now

    def take(self, now: float) -> bool:
        earned = (now - self._at) * limits.CONTROL_FRAMES_PER_SECOND
        self._tokens = min(limits.CONTROL_FRAMES_BURST, self._tokens + earned) - 1
        self._at = now
        return self._tokens >= 0


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
