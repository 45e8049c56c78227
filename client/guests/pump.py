"""Bytes between ssh's socket and the call `relay`, both ways at once, in one thread."""

from __future__ import annotations

import select
import socket
import time

from client import rpc
from protocol.messages.guests import RelayReply, RelayRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.transport.duplex import Duplex

LAST_WORDS = 2.0  # seconds that a service has for saying how a call ended
CHUNK = 64 * 1024  # bytes of one message: more costs memory and saves little


class Pump:
    """`run` returns when the call is over, or ssh has gone."""

    def __init__(self, duplex: Duplex, ssh: socket.socket) -> None:
        self._duplex = duplex
        self._ssh = ssh
        self._ssh.setblocking(False)
        self._to_ssh: list[memoryview] = []
        self._held = 0  # bytes of `_to_ssh`
        self._reads = True  # from ssh: it has not ended its side
        self._ended = False  # the instance has ended its side

    def run(self) -> None:
        """Raises CommandFailed."""
        try:
            self._pass_on()  # what came with the first reply
            while not self._duplex.over or self._to_ssh:
                self._wait()
                self._pass_on()
        except (BrokenPipeError, ConnectionResetError, EOFError):
            self._hear_the_end()
        self._duplex.close()
        if self._duplex.over:
            self._duplex.check()

    def _pass_on(self) -> None:
        self._receive()
        self._write_ssh()
        self._duplex.give_back(self._held)
        self._duplex.flush()

    def _hear_the_end(self) -> None:
        """ssh has gone, perhaps as the instance has: the service may say why."""
        if self._reads and not self._duplex.over:
            self._duplex.end()
        end = time.monotonic() + LAST_WORDS
        while not self._duplex.over and (left := end - time.monotonic()) > 0:
            self._duplex.flush()
            poll = select.poll()
            poll.register(self._duplex.fileno(), select.POLLIN)
            poll.poll(left * 1000)
            self._duplex.receive()
            self._duplex.give_back(0)

    def _wait(self) -> None:
        """Until something can be done; what ssh has sent is read. Raises EOFError if it is gone."""
        poll = select.poll()
        reads = 0
        if not self._duplex.over:
            writes = select.POLLOUT if self._duplex.blocked else 0
            poll.register(self._duplex.fileno(), select.POLLIN | writes)
            reads = select.POLLIN if self._reads and self._duplex.has_room else 0
        poll.register(self._ssh.fileno(), reads | (select.POLLOUT if self._to_ssh else 0))
        found = dict(poll.poll()).get(self._ssh.fileno(), 0)
        if reads and found & ~select.POLLOUT:
            self._read_ssh()
        elif found & (select.POLLHUP | select.POLLERR):
            raise EOFError

    def _read_ssh(self) -> None:
        """Raises OSError."""
        data = self._ssh.recv(CHUNK)
        if data:
            self._duplex.send(RelayRequest(data=data).encode())
        else:
            self._reads = False
            self._duplex.end()

    def _receive(self) -> None:
        for message in self._duplex.receive():
            reply = rpc.decode(RelayReply, message)
            if reply.data:
                self._to_ssh.append(memoryview(reply.data))
                self._held += len(reply.data)
            self._ended = self._ended or reply.ended

    def _write_ssh(self) -> None:
        while self._to_ssh:
            try:
                sent = self._ssh.send(self._to_ssh[0])
            except BlockingIOError:
                return
            self._held -= sent
            self._to_ssh[0] = self._to_ssh[0][sent:]
            if not self._to_ssh[0]:
                del self._to_ssh[0]
        if self._ended:
            self._ended = False
            self._ssh.shutdown(socket.SHUT_WR)
