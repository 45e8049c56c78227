"""The states of a connection's streams (RFC 9113, 5.1), which only the client opens. Pure."""

from __future__ import annotations

from collections import deque

from multipassd.transport.http2.receive_window import ReceiveWindow
from protocol.hpack import Header
from protocol.http2_frames import DEFAULT_WINDOW, STREAM_CLOSED, ProtocolError

Headers = tuple[Header, ...]

MOST_DIGITS = 20  # of a content's length
NEVER = -1  # a length that no content has


class Open:
    """A stream on which we may send. `remote_closed`: the peer may not (half-closed (remote))."""

    __slots__ = ("expected", "received", "remote_closed", "room", "window")

    def __init__(self, room: int, remote_closed: bool) -> None:
        self.room = room  # bytes that the peer takes; a change of its settings may make it negative
        self.remote_closed = remote_closed
        self.window = ReceiveWindow(DEFAULT_WINDOW)
        self.expected: int | None = None  # bytes of content that the request announced
        self.received = 0

    def expect(self, headers: Headers) -> None:
        """Note the length that these headers announce (RFC 9110, 8.6)."""
        for name, value in headers:
            if name == b"content-length":
                length = int(value) if value.isdigit() and len(value) < MOST_DIGITS else NEVER
                self.expected = length if self.expected in (None, length) else NEVER

    def holds(self, last: bool) -> bool:
        """Is what was received as long as announced?"""
        if self.expected is None:
            return True
        return self.received == self.expected if last else self.received <= self.expected


class Streams:
    """All of one connection. `remembered`: how many ended ones it may be asked about."""

    def __init__(self, remembered: int) -> None:
        self.highest = 0  # the last that the peer has opened
        self._open: dict[int, Open] = {}
        self._remembered = remembered
        # Those that we have ended first: what the peer sent before it heard of that is no error.
        self._cut: set[int] = set()
        self._cut_order: deque[int] = deque()
        self._allowed = 0
        self._announced: deque[int] = deque()  # limits that the peer has not acknowledged

    def get(self, stream: int) -> Open | None:
        return self._open.get(stream)

    def every(self) -> list[Open]:
        return list(self._open.values())

    def open(self, stream: int, room: int, remote_closed: bool) -> Open:
        """Raises ProtocolError for a stream that may not begin."""
        if not stream & 1:
            raise ProtocolError(f"a request on stream {stream}")
        if len(self._open) >= self._limit:
            raise ProtocolError("more calls at a time than are allowed")
        self.highest = stream
        self._open[stream] = made = Open(room, remote_closed)
        return made

    def close(self, stream: int) -> None:
        """We have ended it."""
        closed = self._open.pop(stream, None)
        if closed is None or closed.remote_closed:
            return
        self._cut.add(stream)
        self._cut_order.append(stream)
        if len(self._cut_order) > self._remembered:
            self._cut.discard(self._cut_order.popleft())

    def end_by_peer(self, stream: int) -> None:
        """The peer has ended it, or its side of one that we ended."""
        self._open.pop(stream, None)
        self._cut.discard(stream)

    def clear(self) -> None:
        self._open.clear()

    def check_not_idle(self, stream: int) -> None:
        """Raises ProtocolError for a stream that never began."""
        if stream > self.highest or not stream & 1:
            raise ProtocolError(f"a frame on stream {stream}, which does not exist")

    def check_late(self, stream: int, last: bool) -> None:
        """A frame of a request that is over; `last`: it is the peer's end of it. Raises
        ProtocolError unless it may have been sent before the peer heard of the end."""
        self.check_not_idle(stream)
        if stream not in self._cut:
            raise ProtocolError(f"more of stream {stream}, which is closed", STREAM_CLOSED)
        if last:
            self._cut.discard(stream)

    # -- how many at a time -----------------------------------------------------------------------

    def announce(self, limit: int) -> None:
        """A SETTINGS frame with that limit is on its way. The first counts at once."""
        if not self._allowed:
            self._allowed = limit
        self._announced.append(limit)

    def acknowledged(self) -> None:
        if self._announced:
            self._allowed = self._announced.popleft()

    @property
    def _limit(self) -> int:
        """A higher one counts from its announcement, a lower one once the peer knows of it."""
        return max(self._allowed, *self._announced, 0)
