"""The SSH connection to an instance that sessions of this client may share, one after the other.

A process of its own holds it (`holder.py`), so that it outlives the command for some seconds. One
session at a time: so a session ends in each case as if the connection were its own.
"""

from __future__ import annotations

import os

from client.errors import CommandFailed
from client.guests import idle, words
from client.transport.sockets import Socket, library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as AnySocket

    from client.guests.guest import Guest

READY, BACK = b"+", b"r"  # the holder's word, and the client's
GIVEN_WITHIN = 2.0  # seconds; a holder does nothing but wait for a client
CHUNK = 64 * 1024


class Connection:
    """One that this client alone uses, until it gives it back or closes it. `reused`: an earlier
    command has made it."""

    def __init__(self, lease: AnySocket, path: str, reused: bool) -> None:
        self.reused = reused
        self.control = idle.control(path)
        self.run = idle.run_of(path)
        self._lease = lease
        self._ready = reused

    def wait(self) -> bytes | None:
        """Until sessions are possible: None; else what ssh said before it ended."""
        if self._ready:
            return None
        said = b""
        while data := self._lease.recv(CHUNK):
            said += data
            if said == READY:
                self._ready = True
                return None
        return said

    def give_back(self) -> None:
        """Another session may follow: this one has ended as it should."""
        try:
            self._lease.sendall(BACK)
        except OSError:
            pass  # the connection has ended
        self._lease.close()

    def close(self) -> None:
        """The end of the connection, unless it was given back."""
        self._lease.close()


def take(place: str, prefix: str) -> Connection | None:
    """One that waits for its next use. `prefix`: as of `idle.whose`."""
    for path in idle.found(place, f"{prefix}."):
        lease = Socket(library.AF_UNIX, library.SOCK_STREAM)
        lease.settimeout(GIVEN_WITHIN)
        try:
            lease.connect(path)
            if lease.recv(1) == READY:
                lease.settimeout(None)
                return Connection(lease, path, reused=True)
        except ConnectionRefusedError:
            idle.remove(path)  # its process was killed
        except OSError:
            pass  # it has just ended, or another client was faster
        lease.close()
    return None


def begin(guest: Guest, stem: str) -> Connection:
    """A new one, which is to be waited for; `stem`: of `idle.stem`. Raises CommandFailed."""
    way = _connected(guest)
    from client.guests import holder

    return Connection(*holder.fork(guest, way, stem), reused=False)


def _connected(guest: Guest) -> Socket:
    """To the instance's SSH server, which begins its work at once: what this client and ssh do
    next costs no time. Raises CommandFailed."""
    host, port = guest.ssh.host, guest.ssh.port
    try:
        # As bytes: a text would load the codec of international names.
        family, kind, protocol, _, address = library.getaddrinfo(
            os.fsencode(host), port, type=library.SOCK_STREAM
        )[0]
        way = Socket(family, kind, protocol)
        way.settimeout(words.CONNECT_WITHIN)
        way.connect(address)
    except OSError as error:
        timed_out = isinstance(error, TimeoutError)
        why = "Connection timed out" if timed_out else error.strerror or str(error)
        raise CommandFailed(f"connect to host {host} port {port}: {why}") from error
    way.settimeout(None)
    way.setsockopt(library.SOL_SOCKET, library.SO_KEEPALIVE, 1)
    way.setsockopt(library.IPPROTO_TCP, library.TCP_NODELAY, 1)
    return way
