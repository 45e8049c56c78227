"""The connection to an SFTP server: many requests are sent before the first reply is awaited."""

from __future__ import annotations

import select
import socket
from collections import deque

from client.sftp import protocol
from client.sftp.protocol import ProtocolError, Refused
from client.terminal.console import HANDLE_SIGNALS_EVERY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from client.sftp.pipeline import Job
    from client.sftp.protocol import Reply

# Bytes of file content in a request. Every server takes 32 KiB; OpenSSH tells its limits.
LEAST, MOST = 32 * 1024, 255 * 1024
# Bytes of file content that are on the way at once: twice the window of an SSH channel.
IN_FLIGHT = 4 * 1024 * 1024
RECEIVE = 512 * 1024  # bytes taken from the connection at once
AT_ONCE = 64  # buffers given to the connection at once


class Lost(Exception):
    """The connection ended; ssh, which made it, knows why."""


class Pending:
    """A request; `reply` is None until the server has answered."""

    __slots__ = ("job", "reply", "weight")

    def __init__(self, weight: int) -> None:
        self.weight = weight  # bytes of file content that it, or its reply, has
        self.reply: Reply | None = None
        self.job: Job[Any] | None = None  # what waits for the reply


class Session:
    """Sends requests and receives replies; `start` comes first. Raises Lost, ProtocolError."""

    def __init__(self, connection: socket.socket, check: Callable[[], None]) -> None:
        """`check` is called between two exchanges, and may raise to end the transfer."""
        self._connection = connection
        self.check = check
        self._splitter = protocol.Splitter()
        self._received = memoryview(bytearray(RECEIVE))
        self._out: deque[memoryview | bytes] = deque()
        self._pending: dict[int, Pending] = {}
        self._number = 0
        self._poll = select.poll()
        self.in_flight = 0
        self.input_ready = False  # of the descriptor that the last wait was for, too
        self.extensions: dict[str, bytes] = {}
        self.most_read = self.most_write = LEAST

    def start(self) -> None:
        """Agree on the version and learn the limits."""
        self._connection.setblocking(False)
        self._out.append(protocol.hello())
        replies: list[Reply] = []
        while not replies:
            replies = self._exchange()
        self.extensions = protocol.extensions(replies[0])
        if protocol.LIMITS in self.extensions:
            asked = self.extended(protocol.LIMITS)
            while asked.reply is None:
                self.pump()
            try:
                read, write = protocol.largest(asked.reply)
            except Refused:
                return
            self.most_read = max(LEAST, min(read, MOST))
            self.most_write = max(LEAST, min(write, MOST))

    def send(self, kind: int, *fields: bytes | int, expects: int = 0) -> Pending:
        """`expects`: bytes of content that the reply may have."""
        return self._send(protocol.request(kind, self._next(), *fields), expects)

    def write(self, handle: bytes, offset: int, data: bytes) -> Pending:
        """`data` is not copied."""
        fields = (handle, protocol.offset(offset), len(data))
        head = protocol.request(protocol.WRITE, self._next(), *fields, data=len(data))
        pending = self._send(head, len(data))
        self._out.append(data)
        return pending

    def extended(self, name: str, *fields: bytes | int) -> Pending:
        return self.send(protocol.EXTENDED, name.encode(), *fields)

    def has_room(self) -> bool:
        """Whether more content may be requested or sent before some has arrived."""
        return self.in_flight < IN_FLIGHT

    def pump(self, also: int = -1) -> list[Pending]:
        """Wait for replies, or until the descriptor `also` is readable; what was answered."""
        return [self._answered(reply) for reply in self._exchange(also)]

    def _next(self) -> int:
        self._number = (self._number + 1) & 0xFFFFFFFF
        return self._number

    def _send(self, packet: bytes, weight: int) -> Pending:
        pending = Pending(weight)
        self._pending[self._number] = pending
        self.in_flight += weight
        self._out.append(packet)
        return pending

    def _answered(self, reply: Reply) -> Pending:
        pending = self._pending.pop(reply.number, None)
        if pending is None:
            raise ProtocolError("an answer to no request")
        pending.reply = reply
        self.in_flight -= pending.weight
        return pending

    def _exchange(self, also: int = -1) -> list[Reply]:
        """One wait: send what the connection takes, return what has arrived."""
        self.check()
        self._flush()
        wanted = select.POLLIN | (select.POLLOUT if self._out else 0)
        self._poll.register(self._connection, wanted)
        if also >= 0:
            self._poll.register(also, select.POLLIN)
        try:
            ready = dict(self._poll.poll(HANDLE_SIGNALS_EVERY * 1000))
        finally:
            if also >= 0:
                self._poll.unregister(also)
        self.input_ready = also in ready
        if not ready.get(self._connection.fileno(), 0) & ~select.POLLOUT:
            return []
        try:
            count = self._connection.recv_into(self._received)
        except BlockingIOError:
            return []
        except OSError as error:
            raise Lost from error
        if not count:
            raise Lost
        return self._splitter.feed(self._received[:count])

    def _flush(self) -> None:
        out = self._out
        while out:
            try:
                sent = self._connection.sendmsg([out[at] for at in range(min(len(out), AT_ONCE))])
            except BlockingIOError:
                return
            except OSError as error:
                raise Lost from error
            while sent:
                first = out.popleft()
                if len(first) > sent:
                    out.appendleft(memoryview(first)[sent:])
                    return
                sent -= len(first)
