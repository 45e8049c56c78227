"""The SFTP server's process: a child that becomes the user and enters the directory."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from multipassd.auth.run_as_user import end_child
from multipassd.mounts import jail, serving
from multipassd.mounts.id_map import IdMap
from multipassd.mounts.jail import NoJail, SourceRefused, User
from multipassd.mounts.order import Order, Pairs
from multipassd.mounts.sftp_files import SftpFiles
from multipassd.system import rights

SECONDS = 30.0  # to open the directory; it may lie on a file system that needs the network
MAX_WHY = 2000  # bytes of a reason
IN_PLACE, REFUSED, FAILED = b"+", b"-", b"!"  # what the child says, the latter two with a reason


class FileServer:
    """A child process that serves the other end of `connection`."""

    def __init__(self, pid: int, connection: socket.socket) -> None:
        self.pid = pid
        self.connection = connection

    @classmethod
    @contextmanager
    def started(cls, order: Order) -> Iterator[FileServer]:
        """In the directory, as its user. Forks, so this process has no other threads. Raises
        SourceRefused, NoJail, OSError."""
        reader, writer = os.pipe()
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            _child(order, theirs, writer)
        theirs.close()
        os.close(writer)
        try:
            with ours:
                _wait_until_in_place(reader)
                yield cls(child, ours)
        finally:
            os.close(reader)
            end_child(child)

    @property
    def stopped(self) -> bool:
        """By a signal, which its user may send: it is their process."""
        state = os.WSTOPPED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PID, self.pid, state) is not None


def _wait_until_in_place(reader: int) -> None:
    """Raises SourceRefused, NoJail."""
    said = b""
    if select.select([reader], [], [], SECONDS)[0]:
        said = os.read(reader, MAX_WHY)
    kind, why = said[:1], said[1:].decode("utf-8", "replace")
    if kind == REFUSED:
        raise SourceRefused(why)
    if kind != IN_PLACE:
        raise NoJail(why or f"the directory did not answer within {SECONDS:.0f} s")
    os.read(reader, 1)  # it closes the pipe now, and then has none but its socket


def shed_files(*kept: int) -> None:
    """The key of the instances, above all, is not the user's."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    start = 3
    for number in sorted(kept):
        os.closerange(start, number)
        start = number + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _child(order: Order, connection: socket.socket, writer: int) -> NoReturn:
    """Never returns into the caller's code."""
    try:
        shed_files(connection.fileno(), writer)
        try:
            parent = os.getppid()
            user = jail.server_of(User.of(order.uid, order.gid))
            paths = jail.enter(order.source, user)
            rights.end_with_parent()
            if os.getppid() != parent:
                os._exit(1)
        except (SourceRefused, NoJail, OSError) as error:
            kind = REFUSED if isinstance(error, SourceRefused) else FAILED
            os.write(writer, kind + str(error).encode("utf-8", "replace")[: MAX_WHY - 1])
            os._exit(1)
        os.write(writer, IN_PLACE)
        os.close(writer)
        uids, gids = _map(order.uids, order.uid, user.uid), _map(order.gids, order.gid, user.gid)
        serving.serve(connection, SftpFiles(paths, uids, gids))
    finally:
        os._exit(0)


def _map(pairs: Pairs, caller: int, server: int) -> IdMap:
    """What belongs to the server is shown as the caller's own, as it is made for the caller."""
    if server == caller:
        return IdMap(pairs)
    return IdMap((*pairs, *((server, guest) for host, guest in pairs if host == caller)))
