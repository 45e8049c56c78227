"""Calls to the service over a blocking connection."""

from __future__ import annotations

import time

from client import messages
from client.errors import (
    BadAnswer,
    CommandFailed,
    ConnectionLost,
    DeadlinePassed,
    HungUp,
    NotProcessed,
    Status,
    StatusError,
    Unreachable,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from client.transport.exchange import Exchange
    from client.transport.server_identity import Peer
    from client.transport.tls import Stream

PATIENCE = 3.0  # seconds to wait for an absent or refusing socket: the service may be restarting
# A service that closes the connection is running, and may be restarted several times in a row.
PATIENCE_WITH_RESTARTS = 3  # times as long
RETRY_EVERY = 0.05
ATTEMPTS = 4  # of a request that was not processed: restarts may follow one another


class Channel:
    """Makes calls to one peer; each on a connection of its own, as most commands make one."""

    def __init__(
        self, peer: Peer, patience: float = PATIENCE, deadline: float | None = None
    ) -> None:
        self._peer = peer
        self._patience = patience
        self._deadline = deadline  # by time.monotonic()

    @property
    def certificate(self) -> str:
        """The path of the client's that the next connection presents; empty without one."""
        return self._peer.identity[0] if self._peer.identity else ""

    def check(self) -> None:
        """Raises Unverified if another program answers; an unreachable service is ignored."""
        try:
            self._peer.check()
        except Unreachable:
            return

    def call(self, method: str, payload: bytes) -> Iterator[bytes]:
        """One request; yields the replies as they come. Raises CommandFailed."""
        call = self.begin(method, payload, half_close=True)
        return call.replies()

    def begin(self, method: str, payload: bytes, half_close: bool) -> Call:
        return Call(self, method, payload, half_close)

    def connect(self) -> Stream:
        began = time.monotonic()
        while True:
            try:
                stream = self._peer.connect()
            except HungUp:
                if time.monotonic() >= began + self._patience * PATIENCE_WITH_RESTARTS:
                    raise
                self.remaining()
            except Unreachable:
                # The connection error tells more than that the deadline has passed.
                if self._is_past(began + self._patience):
                    raise
            else:
                stream.set_timeout(self.remaining())
                return stream
            time.sleep(RETRY_EVERY)

    def _is_past(self, end: float) -> bool:
        """Whether that moment, or the deadline, has passed."""
        now = time.monotonic()
        return now >= end or (self._deadline is not None and now >= self._deadline)

    def present_another(self) -> bool:
        """Whether there is another certificate of this client, which the next connection shows."""
        return self._peer.present_another()

    def remaining(self) -> float | None:
        """Seconds to the deadline, None without one. Raises DeadlinePassed."""
        if self._deadline is None:
            return None
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise DeadlinePassed(messages.NO_ANSWER)
        return left


def failure(error: Exception) -> CommandFailed:
    """What an error of a call's connection is for the user."""
    if isinstance(error, BadAnswer):
        return CommandFailed(messages.PROTOCOL_BROKEN, messages.foreign_answer(str(error)))
    if isinstance(error, TimeoutError):
        return DeadlinePassed(messages.NO_ANSWER)
    return ConnectionLost(messages.CONNECTION_LOST, messages.LOST_HINT)


def check_status(exchange: Exchange) -> None:
    """Raises StatusError if the call has failed."""
    if exchange.status:
        raise StatusError(exchange.status, exchange.message, details=exchange.details)


class Call:
    """One call in progress."""

    def __init__(self, channel: Channel, method: str, payload: bytes, half_close: bool) -> None:
        self._channel = channel
        self._request = (method, payload, half_close)
        self._exchange: Exchange
        self._stream: Stream | None = None
        self._sent = False

    def start(self) -> None:
        """Connect and send the request; without this, `replies` does. What is done between the two
        takes no time: the service works during it. Raises CommandFailed."""
        try:
            self._begin()
        except OSError as error:
            self._close()
            raise failure(error) from error
        self._sent = True

    def replies(self) -> Iterator[bytes]:
        """Raises CommandFailed; StatusError if the service answers with an error status."""
        try:
            yield from self._until_accepted()
        except (NotProcessed, BadAnswer, OSError) as error:
            raise failure(error) from error
        finally:
            self._close()
        check_status(self._exchange)

    def answer(self, payload: bytes) -> None:
        """Send the last message of a call that was begun without half-close."""
        self._exchange.send(payload, True)
        self._send()

    def _until_accepted(self) -> Iterator[bytes]:
        """The replies. A client that the service does not know has sent nothing that counts yet:
        the request is sent again with its other certificates, as after a renewal."""
        refused: Exchange | None = None
        while True:
            began = False
            for reply in self._until_processed():
                began = True
                yield reply
            if self._exchange.status != Status.UNAUTHENTICATED or began:
                return
            refused = refused or self._exchange
            if not self._channel.present_another():
                self._exchange = refused
                return
            self._close()

    def _until_processed(self) -> Iterator[bytes]:
        """The replies; a request that was not processed is sent again. Raises NotProcessed."""
        for _ in range(ATTEMPTS - 1):
            try:
                return (yield from self._attempt())
            except NotProcessed:
                self._close()
        yield from self._attempt()

    def _attempt(self) -> Iterator[bytes]:
        if not self._sent:
            self._begin()
        self._sent = False
        while self._exchange.status is None:
            data = self._read()
            yield from self._exchange.receive(data)
            if self._exchange.status is None:
                self._send()
        self._part()

    def _begin(self) -> None:
        self._stream = self._channel.connect()
        from client.transport.exchange import Exchange  # loaded while the service answered

        self._exchange = Exchange(*self._request)
        self._send()

    def _read(self) -> bytes:
        assert self._stream is not None
        if data := self._stream.read():
            return data
        # A service sends SETTINGS first, so without them it can't have read the request.
        if not self._exchange.heard:
            raise NotProcessed
        raise ConnectionLost(messages.CONNECTION_LOST, messages.LOST_HINT)

    def _send(self) -> None:
        assert self._stream is not None
        output = self._exchange.take_output()
        if output:
            try:
                self._stream.write(output)
            except (BrokenPipeError, ConnectionResetError):
                pass  # the reply, or a GOAWAY, may have been received before the end
        self._stream.set_timeout(self._channel.remaining())

    def _part(self) -> None:
        """Close the TLS session, so that the service does not log a broken connection."""
        assert self._stream is not None
        try:
            self._stream.write(self._exchange.goaway())
        except OSError:
            return

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
