"""A call of which both sides are streams, over a connection that blocks neither way."""

from __future__ import annotations

from client import messages
from client.errors import BadAnswer, ConnectionLost, NotProcessed
from client.transport.channel import ATTEMPTS, check_status, failure
from client.transport.exchange import Exchange

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.transport.channel import Channel
    from client.transport.tls import Stream

AHEAD = 256 * 1024  # bytes that may wait for the service's windows


class Duplex:
    """`open`, then `receive` and `flush` whenever the connection is ready for them."""

    def __init__(self, channel: Channel, method: str, first: bytes) -> None:
        self._channel = channel
        self._request = (method, first)
        self._exchange: Exchange
        self._stream: Stream
        self._unwritten = memoryview(b"")
        self._early: list[bytes] = []  # replies that came with the first

    def open(self) -> None:
        """Returns with the first reply, which says that the call goes on; its content is ignored.
        Raises CommandFailed."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._begin()
            except NotProcessed as error:
                if attempt == ATTEMPTS:
                    raise failure(error) from error
                self._stream.close()
            except (BadAnswer, OSError) as error:
                raise failure(error) from error
            else:
                self._stream.unblock()
                return

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def over(self) -> bool:
        return self._exchange.status is not None

    @property
    def blocked(self) -> bool:
        """Does something wait until the connection takes it?"""
        return bool(self._unwritten)

    @property
    def has_room(self) -> bool:
        """May `send` be called?"""
        return not self._unwritten and self._exchange.unsent < AHEAD

    def send(self, payload: bytes) -> None:
        self._exchange.send(payload, False)

    def end(self) -> None:
        self._exchange.end()

    def give_back(self, held: int) -> None:
        self._exchange.give_back(held)

    def receive(self) -> list[bytes]:
        """The replies that are there, also before anything can be read from the connection; when it
        is `over`, `check` says how. Raises CommandFailed."""
        replies, self._early = self._early, []
        try:
            while not self.over and (data := self._stream.read_some()) is not None:
                if not data:
                    raise ConnectionLost(messages.CONNECTION_LOST, messages.LOST_HINT)
                replies += self._exchange.receive(data)
        except (NotProcessed, BadAnswer, OSError) as error:
            raise failure(error) from error
        return replies

    def check(self) -> None:
        """Raises StatusError if the call has failed."""
        check_status(self._exchange)

    def flush(self) -> None:
        """Write what there is, as much as the connection takes. Raises CommandFailed."""
        while output := self._unwritten or memoryview(self._exchange.take_output()):
            try:
                written = self._stream.write_some(output)
            except (BrokenPipeError, ConnectionResetError):
                self._unwritten = memoryview(b"")  # what came before the end can still be read
                return
            except OSError as error:
                raise failure(error) from error
            self._unwritten = output[written:]
            if not written:
                return

    def close(self) -> None:
        """End the connection, with the words of HTTP/2 if they can be written at once."""
        try:
            if self.over:
                self._stream.write_some(self._exchange.goaway())
        except OSError:
            pass
        self._stream.close()

    def _begin(self) -> None:
        """Raises NotProcessed, BadAnswer, OSError, CommandFailed."""
        self._exchange = Exchange(*self._request, half_close=False, holds=True)
        self._stream = self._channel.connect()
        replies: list[bytes] = []
        while not replies:
            if output := self._exchange.take_output():
                self._stream.write(output)
            if not (data := self._stream.read()):
                if not self._exchange.heard:
                    raise NotProcessed
                raise ConnectionLost(messages.CONNECTION_LOST, messages.LOST_HINT)
            replies = self._exchange.receive(data)
            if not replies:
                check_status(self._exchange)
        self._early = replies[1:]
