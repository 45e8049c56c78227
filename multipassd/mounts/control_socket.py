"""The control socket of a mount's server: by it a daemon finds servers that an earlier one started.

Who connects is sent the order that is carried out, and the connection lasts as long as the server.
A line of STOP ends it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

MODE = 0o700  # of the directory: only the service's user connects
WAITING = 8  # connections; a daemon has one for each mount
STOP = b"stop\n"


class AlreadyServed(Exception):
    """A server listens there."""


@contextmanager
def path_of(directory: str, name: str) -> Iterator[str]:
    """A path of the socket, however long the directory's is: a socket's may have 107 bytes. Raises
    OSError."""
    descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


@contextmanager
def claimed(directory: str, name: str) -> Iterator[socket.socket]:
    """A listening socket, removed at the end. What a killed server has left is taken over. Raises
    AlreadyServed, OSError."""
    os.makedirs(directory, MODE, exist_ok=True)
    with path_of(directory, name) as path, socket.socket(socket.AF_UNIX) as listening:
        if _served(path):
            raise AlreadyServed
        with suppress(FileNotFoundError):
            os.unlink(path)
        listening.bind(path)
        listening.listen(WAITING)
        try:
            yield listening
        finally:
            with suppress(OSError):
                os.unlink(path)


def _served(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        return True


class Visitors:
    """The connections to a control socket, which does not block."""

    def __init__(self, listening: socket.socket, message: dict[str, Any]) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._line = json.dumps(message).encode() + b"\n"
        self._open: dict[int, socket.socket] = {}

    def descriptors(self) -> tuple[int, ...]:
        """What to wait for."""
        return (self._listening.fileno(), *self._open)

    def handle(self, descriptor: int) -> bool:
        """What is to be read there; does it ask for the server's end?"""
        if descriptor == self._listening.fileno():
            self._greet()
            return False
        if descriptor not in self._open:
            return False
        try:
            said = self._open[descriptor].recv(len(STOP))
        except OSError:
            said = b""
        if not said:
            self._open.pop(descriptor).close()
        return said == STOP

    def _greet(self) -> None:
        with suppress(OSError):
            connection, _ = self._listening.accept()
            connection.setblocking(False)
            connection.send(self._line)
            self._open[connection.fileno()] = connection
