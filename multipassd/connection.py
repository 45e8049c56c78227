"""One peer's connection: bytes between asyncio's transport, TLS and the HTTP/2 session; its life
from handshake to close, and how long each part of that may take.

What it knows of the service is `Host`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from h2.errors import ErrorCodes
from h2.exceptions import H2Error, ProtocolError
from OpenSSL import SSL

from multipassd import limits, log
from multipassd.limits import PeerLimits
from multipassd.peer import Credentials, Peer
from multipassd.session import Handler, Session
from multipassd.stream import Stream
from multipassd.tls import TlsError, TlsSession
from protocol.pem import fingerprint

_log = log.get("connection")


class Host(Handler, Protocol):
    """What a connection needs of the service."""

    def established(self, connection: Connection) -> bool: ...
    def closed(self, connection: Connection) -> None: ...
    def trusts(self, peer: Peer) -> bool: ...


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
        self.closing = False
        self._tls = TlsSession(context)
        self._session = Session(self, host)
        self._transport: asyncio.Transport | None = None  # until asyncio has taken the socket over
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.time()
        self._stalled: float | None = None  # since when the peer does not read
        self._flush_scheduled = False
        self._draining = False
        self._drained_from = 0.0  # loop time
        self._ending: float | None = None  # since when the transport is closing

    # -- asyncio's side ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=self.limits.buffers)
        if self.closing:  # the service stopped meanwhile
            transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            plain = self._tls.receive(data)
            if self.peer is None and self._tls.established:
                self._begin_http2()
            if plain and not self.closing:
                self._session.receive(plain)
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
        self.closing = True
        self._session.abandon()
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
        if chosen is self.limits or self.closing:
            return
        self._use(chosen)
        self._session.limits_changed()
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
        self._session.reset_overdue(now)
        if not self._session.streams and now - self._session.active > self.limits.idle:
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
        self._drained_from = self._loop.time()
        if not self.closing:
            self._session.drain()
            self.flush()

    def drained(self) -> bool:
        """No call in flight, and the peer has had time to hear of it and to hang up; or the peer
        is not trusted and had its time."""
        now = self._loop.time()
        if self.limits is limits.UNTRUSTED and now - self._drained_from > limits.DRAIN_STRANGERS:
            return True
        quiet = now - self._session.active > limits.DRAIN_SILENCE
        return self.established and not self._session.streams and quiet

    def shut(self, code: int) -> None:
        """GOAWAY, then close."""
        if self.established and not self.closing:
            self._session.end(code)
        self.close()

    def close(self) -> None:
        """Send what is ready, then close."""
        if self.closing:
            return
        self.flush()
        self.closing = True
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
            if data := self._session.data_to_send():
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

    def ended(self, stream: Stream) -> None:
        self._session.ended(stream)

    # -- its parts --------------------------------------------------------------------------------

    def _begin_http2(self) -> None:
        if not self._tls.speaks_http2:
            self.close()
            return
        certificate = self._tls.peer_certificate()
        self.peer = Peer(
            self._credentials, certificate, fingerprint(certificate) if certificate else ""
        )
        if not self._host.established(self):
            self.close()
            return
        self._use(limits.TRUSTED if self._host.trusts(self.peer) else limits.UNTRUSTED)
        self._session.begin()

    def _use(self, chosen: PeerLimits) -> None:
        self.limits = chosen
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=chosen.buffers)

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
