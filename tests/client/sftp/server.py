"""SFTP servers in place of an instance's: OpenSSH's own as a child, and one that lies."""

from __future__ import annotations

import socket
import stat
import struct
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.sftp import protocol
from client.sftp.download import Download
from client.sftp.pipeline import Pipeline
from client.sftp.report import Report
from client.sftp.session import Session
from client.sftp.upload import Upload

PROGRAM = "/usr/lib/openssh/sftp-server"
DIRECTORY, FILE, LINK = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
PATIENCE = 30.0


class Client:
    """The client's side of a connection; `told` are the sentences of what failed."""

    def __init__(self, connection: socket.socket) -> None:
        self.told: list[str] = []
        self.moved = 0
        self.report = Report(self.told.append, self._moved, lambda size: None)
        self.session = Session(connection, lambda: None)
        self.session.start()
        self.pipeline = Pipeline(self.session)

    def upload(self, source: Path, target: Path | str, recursive: bool = True) -> None:
        job = Upload(self.session, self.report, recursive, False)
        path = job.path(bytes(source), str(target).encode())
        self.pipeline.run(self.report.of(path))

    def download(self, source: Path | str, target: Path) -> None:
        job = Download(self.session, self.report, True, False)
        path = job.path(str(source).encode(), bytes(target))
        self.pipeline.run(self.report.of(path))

    def _moved(self, count: int) -> None:
        self.moved += count


@contextmanager
def openssh(*options: str) -> Iterator[Client]:
    """With OpenSSH's SFTP server; `-P` with names of requests makes it refuse these."""
    if not Path(PROGRAM).exists():
        pytest.skip(f"{PROGRAM} is missing: it is of the package openssh-sftp-server")
    ours, theirs = socket.socketpair()
    command = [PROGRAM, *options]
    with ours, subprocess.Popen(command, stdin=theirs.fileno(), stdout=theirs.fileno()) as server:
        theirs.close()
        try:
            yield Client(ours)
        finally:
            ours.close()
            server.wait(PATIENCE)


class Liar:
    """A server whose directories list what a test wants, and whose files are as the test says.

    Everything that it is not told about is a file with the content `b"planted"`.
    """

    def __init__(self, **entries: Iterable[tuple[bytes, int]]) -> None:
        self.listings = {name.encode(): iter(content) for name, content in entries.items()}
        self.content = b"planted"
        self.size = len(self.content)
        self.link = b"/etc/passwd"
        self.answers: dict[int, Callable[[int, bytes], bytes]] = {}  # by kind of request
        self.asked: list[int] = []
        self._handles: dict[bytes, bytes] = {}

    @contextmanager
    def client(self) -> Iterator[Client]:
        ours, theirs = socket.socketpair()
        thread = threading.Thread(target=self._serve, args=(theirs,))
        thread.start()
        try:
            with ours:
                yield Client(ours)
        finally:
            ours.close()
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as requests:
            try:
                while head := requests.read(4):
                    packet = requests.read(int.from_bytes(head, "big"))
                    connection.sendall(self._answer(packet[0], packet[1:5], packet[5:]))
            except OSError:
                pass  # the client has given up

    def _answer(self, kind: int, number: bytes, body: bytes) -> bytes:
        if kind == protocol.INIT:
            return packet(protocol.VERSION_REPLY, number)
        self.asked.append(kind)
        if kind in self.answers:
            return self.answers[kind](int.from_bytes(number, "big"), body)
        reply, content = self._plain(kind, body)
        return packet(reply, number + content)

    def _plain(self, kind: int, body: bytes) -> tuple[int, bytes]:
        given = body[4 : 4 + int.from_bytes(body[:4], "big")]
        path = self._handles.get(given, given)
        if kind in (protocol.STAT, protocol.LSTAT):
            mode = DIRECTORY if path in self.listings else FILE
            return protocol.ATTRS, attributes(mode, self.size)
        if kind in (protocol.OPEN, protocol.OPENDIR):
            handle = str(len(self._handles)).encode()
            self._handles[handle] = path
            return protocol.HANDLE, string(handle)
        if kind == protocol.READDIR:
            names = next(self.listings[path], None)
            if names is None:
                return status(protocol.END)
            return protocol.NAME, listing([names])
        if kind == protocol.READLINK:
            return protocol.NAME, listing([(self.link, LINK)])
        if kind == protocol.READ:
            offset, length = struct.unpack(">QI", body[4 + len(given) :])
            data = self.content[offset : offset + length]
            return (protocol.DATA, string(data)) if data else status(protocol.END)
        return status(protocol.OK)


def packet(kind: int, body: bytes) -> bytes:
    return struct.pack(">IB", 1 + len(body), kind) + body


def string(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def attributes(mode: int, size: int) -> bytes:
    return struct.pack(">IQI", protocol.HAS_SIZE | protocol.HAS_MODE, size, mode)


def listing(names: list[tuple[bytes, int]]) -> bytes:
    entries = [string(name) + string(b"") + attributes(mode, 7) for name, mode in names]
    return struct.pack(">I", len(names)) + b"".join(entries)


def status(code: int) -> tuple[int, bytes]:
    return protocol.STATUS, struct.pack(">I", code) + string(b"\x1b[31mwords") + string(b"")
