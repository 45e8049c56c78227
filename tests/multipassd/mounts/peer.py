"""The guest's side of a mount: a client of SFTP version 3 on a socket, and a file server for it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multipassd.mounts.file_server import FileServer
from multipassd.mounts.order import Order, Pairs
from multipassd.mounts.sftp_packets import HEADER, Fields, Kind, Status, number, packet, string

NO_ATTRIBUTES = number(0)


class Refused(Exception):
    """The answer is a status that tells of a failure."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{Status(status).name}: {text}")
        self.status = Status(status)


class Peer:
    """Sends a request and takes its answer."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(60)
        self.connection = connection
        self._file = connection.makefile("rb")

    def ask(self, kind: Kind, *parts: bytes) -> Fields:
        """The answer's fields behind the request's number. Raises Refused, EOFError."""
        self.connection.sendall(packet(kind, number(7), *parts))
        return self.answer()

    def extended(self, name: bytes, *parts: bytes) -> Fields:
        return self.ask(Kind.EXTENDED, string(name), *parts)

    def answer(self) -> Fields:
        head = self._file.read(HEADER.size)
        if len(head) < HEADER.size:
            raise EOFError
        length, kind = HEADER.unpack(head)
        fields = Fields(memoryview(self._file.read(length - 1)))
        assert fields.number() == 7
        if kind == Kind.STATUS and (status := fields.number()) != Status.OK:
            raise Refused(status, bytes(fields.view()).decode())
        return fields

    def open(self, path: bytes, flags: int, attributes: bytes = NO_ATTRIBUTES) -> bytes:
        return bytes(self.ask(Kind.OPEN, string(path), number(flags), attributes).view())

    def read(self, handle: bytes, offset: int = 0, length: int = 1 << 15) -> bytes:
        where = offset.to_bytes(8, "big")
        return bytes(self.ask(Kind.READ, string(handle), where, number(length)).view())

    def write(self, handle: bytes, data: bytes, offset: int = 0) -> None:
        self.ask(Kind.WRITE, string(handle), offset.to_bytes(8, "big"), string(data))

    def content(self, path: bytes) -> bytes:
        return self.read(self.open(path, 1))

    def owner(self, path: bytes) -> tuple[int, int]:
        owner = self.ask(Kind.LSTAT, string(path)).attributes().owner
        assert owner is not None
        return owner

    def names(self, path: bytes) -> set[bytes]:
        handle = bytes(self.ask(Kind.OPENDIR, string(path)).view())
        found: set[bytes] = set()
        try:
            while True:
                fields = self.ask(Kind.READDIR, string(handle))
                for _ in range(fields.number()):
                    found.add(bytes(fields.view()))
                    fields.view()
                    fields.attributes()
        except Refused as end:
            assert end.status is Status.EOF
        self.ask(Kind.CLOSE, string(handle))
        return found - {b".", b".."}


def order(
    source: Path, uid: int = os.geteuid(), uids: Pairs | None = None, gids: Pairs | None = None
) -> Order:
    """For a file server alone: no guest is reached."""
    mine = ((uid, 1000),)
    return Order(
        storage="/no/such", instance="foo", target="t", path="/t", source=str(source),
        uid=uid, gid=uid if uid else os.getegid(),
        uids=mine if uids is None else uids, gids=mine if gids is None else gids,
        host="localhost", port=1, host_key="ssh-ed25519 AAAA", user="ubuntu",
    )  # fmt: skip


@contextmanager
def served(asked: Order) -> Iterator[Peer]:
    with FileServer.started(asked) as server:
        yield Peer(server.connection)
