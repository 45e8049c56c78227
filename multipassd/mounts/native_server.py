"""The process of a native mount's server: a child that becomes the user, has nothing but the
directory and the host's programs in sight, and then virtiofsd."""

from __future__ import annotations

import os
import select
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from multipassd.auth.run_as_user import end_child
from multipassd.mounts import jail, virtiofsd
from multipassd.mounts.control_socket import Visitors
from multipassd.mounts.file_server import FAILED, MAX_WHY, REFUSED, shed_files
from multipassd.mounts.jail import NoJail, SourceRefused, User
from multipassd.mounts.order import Order
from multipassd.system import rights

SECONDS = 30.0  # to open the directory, and to start; the host may be busy
CHUNK = 4096


class NativeServer:
    """virtiofsd, known by its errors, which are read to their end."""

    def __init__(self, errors: int) -> None:
        self._errors = errors

    @classmethod
    @contextmanager
    def started(cls, order: Order, listening: int) -> Iterator[NativeServer]:
        """It waits for a connection at the socket `listening`. Forks, so this process has no other
        threads. Raises SourceRefused, NoJail, OSError."""
        errors, theirs = os.pipe()
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            _child(order, listening, theirs, writer)
        os.close(theirs)
        os.close(writer)
        try:
            _wait_until_in_place(reader)
            server = cls(errors)
            server._wait_until_ready()
            yield server
        finally:
            os.close(reader)
            os.close(errors)
            end_child(child)

    def _wait_until_ready(self) -> None:
        """Raises NoJail at its end."""
        said = b""
        deadline = time.monotonic() + SECONDS
        while virtiofsd.READY not in said:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([self._errors], [], [], left)[0]:
                raise NoJail(f"virtiofsd did not start within {SECONDS:.0f} s")
            chunk = os.read(self._errors, CHUNK)
            if not chunk:
                raise NoJail(f"virtiofsd did not start: {_last_line(said)}")
            said = (said + chunk)[-MAX_WHY:]

    def wait(self, control: socket.socket, message: dict[str, Any]) -> None:
        """Until it ends, as with its machine, or is asked to."""
        visitors = Visitors(control, message)
        while True:
            with selectors.DefaultSelector() as selector:
                for number in (self._errors, *visitors.descriptors()):
                    selector.register(number, selectors.EVENT_READ)
                ready = [key.fd for key, _ in selector.select()]
            # What it says is not kept: a guest can make it say any amount.
            if self._errors in ready and not os.read(self._errors, CHUNK):
                return
            if any(visitors.handle(number) for number in ready if number != self._errors):
                return


def _wait_until_in_place(reader: int) -> None:
    """Until the child runs virtiofsd, which closes the pipe. Raises SourceRefused, NoJail."""
    if not select.select([reader], [], [], SECONDS)[0]:
        raise NoJail(f"the directory did not answer within {SECONDS:.0f} s")
    said = os.read(reader, MAX_WHY)
    why = said[1:].decode("utf-8", "replace")
    if said[:1] == REFUSED:
        raise SourceRefused(why)
    if said:
        raise NoJail(why)


def _child(order: Order, listening: int, errors: int, writer: int) -> NoReturn:
    """Never returns into the caller's code."""
    try:
        shed_files(listening, errors, writer)
        os.dup2(errors, 2)
        os.set_inheritable(listening, True)
        try:
            parent = os.getppid()
            words = virtiofsd.command(order, listening, jail.SHARED)
            user = User.of(order.uid, order.gid)
            jail.enter_with_programs(order.source, user, virtiofsd.root(), virtiofsd.MOST_FILES)
            rights.end_with_parent()
            if os.getppid() != parent:
                os._exit(1)
            os.execve(words[0], words, {})
        except (SourceRefused, NoJail, OSError) as error:
            kind = REFUSED if isinstance(error, SourceRefused) else FAILED
            os.write(writer, kind + str(error).encode("utf-8", "replace")[: MAX_WHY - 1])
    finally:
        os._exit(1)


def _last_line(said: bytes) -> str:
    lines = said.decode("utf-8", "replace").split("\n")
    found = [line for line in lines if line.strip()]
    return found[-1] if found else "it gave no reason"
