"""One connection: bytes between its socket, TLS and the HTTP/2 session; time limits from handshake
to close. What it needs of the service is `Host`."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol

from multipassd.auth.peer import Peer
from multipassd.auth.standing import STRANGER, Standing
from multipassd.system import log
from multipassd.transport.grpc_stream import Stream
from multipassd.transport.h2_session import Handler
from multipassd.transport.quota import limits
from multipassd.transport.quota.limits import PeerLimits
from multipassd.transport.quota.origin import Caller
from multipassd.transport.quota.turns import Turns, Worker, measured
from multipassd.transport.socket_io import Owner, SocketIo
from multipassd.transport.tls import TlsContext, TlsError
from multipassd.transport.wire_session import Conversation
from protocol.http2_frames import NO_ERROR, ProtocolError

_log = log.get("connection")


class Host(Handler, Protocol):
    """What a connection needs of the service."""

    turns: Turns
    reading: memoryview  # where all connections read to: what is read is copied at once

    def context(self) -> TlsContext: ...
    def established(self, connection: Connection) -> bool: ...
    def closed(self, connection: Connection) -> None: ...
    def standing(self, peer: Peer) -> Standing: ...


class Connection(Owner, Worker):
    """TLS and HTTP/2 are made at the first byte. What a peer without trust sends waits for its
    person's turn, and no more is read until then."""

    def __init__(self, host: Host, caller: Caller, accepted: socket.socket) -> None:
        """Takes the socket over. Raises OSError."""
        self._host = host
        self._caller = caller
        self.peer: Peer | None = None
        self.standing = STRANGER
        self.limits: PeerLimits = limits.of(STRANGER)
        self.closing = False
        self._talk: Conversation | None = None
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.time()
        self._spent = 0.0  # of the person's account
        self._stalled: float | None = None  # since when the peer does not read
        self._flush_scheduled = False
        self._met = False  # just now
        self._draining = False
        self._drained_from = 0.0  # loop time
        self._ending: float | None = None  # since when the socket is closing
        self._io = SocketIo(accepted, self, host.reading)
        self._limit_io()

    # -- the socket's side ------------------------------------------------------------------------

    def received(self, data: bytes) -> None:
        if self._talk is None:
            self._talk = self._begin()
        self._talk.take(data)
        account, now = self._caller.account, self._loop.time()
        if self.standing.trusted or account.exempt:
            self._work_all(self._talk)
        elif self.peer is None and account.known(now) and account.solvent(now):
            while measured(self):
                pass
        else:
            self._io.pause_reading()
            self._host.turns.ask(account, self)

    def lost(self) -> None:
        self.closing = True
        if self._talk is not None:
            self._talk.session.abandon()
        self._host.closed(self)

    def writing_paused(self) -> None:
        self._stalled = self._loop.time()
        self._io.pause_reading()  # who doesn't read isn't read either

    def writing_resumed(self) -> None:
        self._stalled = None
        if self._talk is not None and not self.closing:
            self._talk.session.pump()
        self._read_on()

    # -- work -------------------------------------------------------------------------------------

    def work(self) -> bool:
        """A small step with what was received: one flight of the handshake, or some frames."""
        assert self._talk is not None
        self._step(self._talk, limits.STRANGERS_PIECE)
        if self.standing.trusted:
            self._work_all(self._talk)
        if self._talk.pending:
            return True
        self._read_on()
        return False

    def charge(self, seconds: float) -> None:
        if not self.standing.trusted:
            self._spent += seconds
            self._caller.account.spend(seconds, self._loop.time())

    def _work_all(self, talk: Conversation) -> None:
        while True:
            if self._met:  # the first request follows the handshake closely: it is there, mostly
                self._met = False
                talk.take(self._io.read_now())
            if not talk.pending:
                break
            self._step(talk, limits.READ)
        self.schedule_flush()

    def _step(self, talk: Conversation, size: int) -> None:
        try:
            if not self.closing:
                talk.decrypt()
                if self.peer is None and talk.established:
                    self._meet(talk)
            if self.closing:
                talk.discard()
            else:
                talk.handle(size)
        except TlsError:
            self.flush()  # the alert, if OpenSSL made one
            self.close()
        except ProtocolError as error:
            _log.debug("%s broke HTTP/2: %s", self, error)
            self.close()  # the GOAWAY is ready
        else:
            if not self.standing.trusted:  # what it costs is charged, too
                self.flush()

    def _begin(self) -> Conversation:
        talk = Conversation(self._host.context(), self, self._host)
        if self._draining:
            talk.session.drain()
        return talk

    def _meet(self, talk: Conversation) -> None:
        """The handshake is over: who is it, and may it stay?"""
        if not talk.speaks_http2:
            self.close()
            return
        self.peer = talk.peer(self._caller)
        if not self._host.established(self):
            self.close()
            return
        self._take(self._host.standing(self.peer))
        talk.session.begin()
        self._met = True

    def _read_on(self) -> None:
        ready = self._stalled is None and not (self._talk and self._talk.pending)
        if ready:
            self._io.resume_reading()

    # -- for the service --------------------------------------------------------------------------

    def __str__(self) -> str:
        return str(self.peer or self._caller.credentials or "TCP client")

    @property
    def person(self) -> str:
        return self._caller.person

    @property
    def stalled(self) -> bool:
        return self._stalled is not None

    @property
    def established(self) -> bool:
        return self.peer is not None

    def standing_changed(self, standing: Standing) -> None:
        """Set the limits that go with what the peer is now."""
        if standing == self.standing or self.closing or self._talk is None:
            return
        self._take(standing)
        self._talk.session.limits_changed()
        self.flush()

    def take_control_frame(self) -> bool:
        return self._caller.account.take_control_frame(self._loop.time())

    def check(self, now: float) -> None:
        """End what lasts too long: handshake, silence, half a request, a reply that is not read."""
        if self._io.closing:
            self._check_ending(now)
            return
        if self._talk is None or not self.established:
            if now - self._opened > limits.HANDSHAKE_TIMEOUT:
                self.close()
            return
        session = self._talk.session
        silent = self._stalled is not None and now - self._stalled > limits.WRITE_TIMEOUT
        if silent and not session.relays:  # a terminal that is stopped may be resumed next day
            self._io.abort()
        elif session.reset_overdue(now):
            self.flush()
        elif not session.streams and now - session.active > self.limits.idle:
            self.shut(NO_ERROR)

    def _check_ending(self, now: float) -> None:
        """A socket is closed once all is sent; a peer that doesn't read prevents that."""
        held_up = self._draining and not self.standing.trusted
        patience = limits.DRAIN_SILENCE if held_up else limits.CLOSE_TIMEOUT
        if self._ending is None:
            self._ending = now
        elif now - self._ending > patience:
            self._io.abort()

    def drain(self) -> None:
        """Ask the peer to take its next call elsewhere. What it sends before it has heard of that,
        and what a handshake under way brings, is still answered."""
        self._draining = True
        self._drained_from = self._loop.time()
        if not self.closing and self._talk is not None:
            self._talk.session.drain()
            self.flush()

    def drained(self) -> bool:
        """No call in flight, and the peer has had time to hear of it and to hang up; or the peer
        is not trusted and had its time."""
        now = self._loop.time()
        overdue = now - self._drained_from > limits.DRAIN_STRANGERS
        if overdue and not self.standing.trusted:
            return True
        if self._talk is None or not self.established or self._talk.session.streams:
            return False
        return now - self._talk.session.active > limits.DRAIN_SILENCE

    def shut(self, code: int) -> None:
        """GOAWAY, then close."""
        if self._talk is not None and self.established and not self.closing:
            self._talk.session.end(code)
        self.close()

    def close(self) -> None:
        """Send what is ready, then close."""
        if self.closing:
            return
        self.flush()
        self.closing = True
        if self._talk is not None:
            if not self._io.closing:
                self._io.write(self._talk.last_words())
        self._io.close()

    def abort(self) -> None:
        """Close without a word: nothing of it stays, whether the peer reads or not."""
        self.closing = True
        self._io.abort()

    def flush(self) -> None:
        """Send what HTTP/2 and TLS have ready, in one write."""
        self._flush_scheduled = False
        if self._talk is None or self._io.closing:
            return
        try:
            self._io.write(self._talk.output())
        except TlsError:
            self._io.abort()

    def schedule_flush(self) -> None:
        """One write for all that happens in this turn of the loop: the largest gain measured."""
        if not self._flush_scheduled:
            self._flush_scheduled = True
            self._loop.call_soon(self.flush)

    def ended(self, stream: Stream) -> None:
        if self._talk is not None:
            self._talk.session.ended(stream)

    # -- its parts --------------------------------------------------------------------------------

    def _take(self, standing: Standing) -> None:
        self.standing = standing
        self.limits = limits.of(standing)
        if standing.trusted:
            self._caller.account.prove(self._spent, self._loop.time())
            self._spent = 0.0
        self._limit_io()

    def _limit_io(self) -> None:
        self._io.most = limits.READ if self.standing.trusted else limits.STRANGERS_READ
        self._io.limit_unsent(min(self.limits.buffers, limits.STREAM_WINDOW))
