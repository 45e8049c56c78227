"""Bytes of one accepted socket, as the event loop finds it ready.

asyncio's own transport is made by a task, in three turns of the loop: a fifth of what a connection
costs beside TLS. This one is made at once, and does what a connection here needs.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol


class Owner(Protocol):
    """Who uses the socket."""

    def received(self, data: bytes) -> None: ...

    def writing_paused(self) -> None:
        """The peer does not take what it was sent; more than the limit waits."""

    def writing_resumed(self) -> None: ...

    def lost(self) -> None:
        """The socket is closed. Called once, last, and never from within another call."""


class SocketIo:
    """`closing`: nothing more is read, and ends once what was written has left."""

    def __init__(self, connected: socket.socket, owner: Owner, reading: memoryview) -> None:
        """`reading` is where all connections read to. Raises OSError."""
        connected.setblocking(False)
        self.closing = False
        self.most = len(reading)  # bytes to read at a time
        self._socket = connected
        self._fd = connected.fileno()
        self._owner: Owner | None = owner
        self._reading = reading
        self._loop = asyncio.get_running_loop()
        self._listens = False
        self._unsent = bytearray()
        self._high = self._low = 0
        self._paused = False
        self._ended = False
        self.resume_reading()

    def limit_unsent(self, high: int) -> None:
        """How much may wait until writing is paused; it is resumed when a quarter is left."""
        self._high, self._low = high, high // 4
        self._check_unsent()

    def pause_reading(self) -> None:
        if self._listens:
            self._listens = False
            self._loop.remove_reader(self._fd)

    def resume_reading(self) -> None:
        if not self._listens and not self.closing:
            self._loop.add_reader(self._fd, self._readable)
            self._listens = True

    def read_now(self) -> bytes:
        """What is there already; its end is left to the next turn of the loop."""
        if self.closing:
            return b""
        try:
            size = self._socket.recv_into(self._reading, self.most)
        except OSError:  # mostly that there is nothing
            return b""
        return bytes(self._reading[:size])

    def write(self, data: bytes) -> None:
        """At once what the socket takes, the rest when it is ready for it."""
        if self._ended or not data:
            return
        if not self._unsent:
            sent = self._send(data)
            if sent == len(data) or self._ended:
                return
            data = data[sent:]
            self._loop.add_writer(self._fd, self._writable)
        self._unsent += data
        self._check_unsent()

    def close(self) -> None:
        """Once all has left; `abort` if the peer does not read."""
        if not self.closing:
            self.closing = True
            self.pause_reading()
            if not self._unsent:
                self._end()

    def abort(self) -> None:
        """At once."""
        self.closing = True
        self.pause_reading()
        self._end()

    def _readable(self) -> None:
        try:
            size = self._socket.recv_into(self._reading, self.most)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        if not size:
            self.close()
            return
        assert self._owner is not None
        try:
            self._owner.received(bytes(self._reading[:size]))
        except BaseException:
            self.abort()  # the loop reports it
            raise

    def _writable(self) -> None:
        del self._unsent[: self._send(self._unsent)]
        if self._ended:
            return
        if not self._unsent:
            self._loop.remove_writer(self._fd)
            if self.closing:
                self._end()
                return
        self._check_unsent()

    def _send(self, data: bytes | bytearray) -> int:
        """How much the socket took."""
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # the peer is gone
            self.abort()
            return 0

    def _check_unsent(self) -> None:
        if self._owner is None:
            return
        if not self._paused and len(self._unsent) > self._high:
            self._paused = True
            self._owner.writing_paused()
        elif self._paused and len(self._unsent) <= self._low:
            self._paused = False
            self._owner.writing_resumed()

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._fd)
        self._loop.call_soon(self._finish)

    def _finish(self) -> None:
        owner, self._owner = self._owner, None  # else it would wait for the collector of cycles
        self._socket.close()
        if owner is not None:
            owner.lost()
