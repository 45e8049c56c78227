"""Connect a socket to an address, and explain why that failed."""

from __future__ import annotations

import posix
import sys
import time

from client import messages
from client.errors import AccessDenied, CommandFailed, Unreachable
from client.terminal.console import HANDLE_SIGNALS_EVERY
from client.transport.sockets import Socket, library
from protocol.addresses import UnixAddress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.server import Server
    from protocol.addresses import Address, TcpAddress

__all__ = ["Socket", "denied_hint", "dial", "failure", "listener"]

TIMEOUT = 10.0  # seconds for connecting, and for each step of the handshake
# Over a Unix socket callers wait in the listen queue while the service starts, which takes long if
# it is killed repeatedly, or starts on a busy machine.
UNIX_TIMEOUT = 30.0
# A service that is gone without a word, as after a sleep of this host or behind a cut cable, is
# noticed in about five minutes, as ssh notices a guest. A minute also keeps routers from forgetting
# a connection that says nothing.
ALIVE_AFTER, ALIVE_EVERY, ALIVE_COUNT = 60, 30, 8  # seconds, seconds, probes
UNANSWERED = 300_000  # milliseconds in which what was sent must be acknowledged
EVERYBODY = 0o006  # mode bits that let all users connect
_UCRED_SIZE = 12  # struct ucred: pid, uid, gid, four bytes each


def dial(server: Server) -> Socket:
    """Raises Unreachable, AccessDenied."""
    address = server.address
    try:
        if isinstance(address, UnixAddress):
            return _dial_unix(address)
        return _dial_tcp(address, server.connect_within or TIMEOUT)
    except OSError as error:
        raise failure(server, error) from error


def failure(server: Server, error: OSError) -> CommandFailed:
    """The error for a failed connection: what happened, and what to do."""
    address = server.address
    if not isinstance(address, UnixAddress):
        hint = messages.host_fails(server, _why(error))
        return Unreachable(messages.CANNOT_CONNECT, hint)
    if isinstance(error, PermissionError):
        return AccessDenied(messages.ACCESS_DENIED, denied_hint(address))
    return Unreachable(messages.CANNOT_CONNECT, _unreachable_hint(address.path, error))


def denied_hint(address: Address) -> str:
    """The hint for a socket that denies access: who may use it, and what to do."""
    if not isinstance(address, UnixAddress):
        return messages.denied_over_network(str(address))
    try:
        status = posix.stat(address.path)
    except OSError:
        return messages.denied_on_the_way(address.path)
    if status.st_gid:
        group = _group_name(status.st_gid)
    else:
        # A snap's socket has no admin group: there the service itself denies access.
        group = _admin_group() if status.st_mode & EVERYBODY == EVERYBODY else ""
    if not group:
        return messages.denied_to_all_but_root(address.path)
    return messages.denied_until_first(address.path, group)


def listener(socket: Socket) -> int:
    """The uid of the process that listens on a Unix socket, as the kernel names it."""
    credentials = socket.getsockopt(library.SOL_SOCKET, library.SO_PEERCRED, _UCRED_SIZE)
    return int.from_bytes(credentials[4:8], sys.byteorder)


def _dial_unix(address: UnixAddress) -> Socket:
    path = address.path
    try:
        return _connected(_unix_socket(), path, UNIX_TIMEOUT)
    except BlockingIOError:  # the listen queue is full
        return _queued(_unix_socket(), path)


def _unix_socket() -> Socket:
    return Socket(library.AF_UNIX, library.SOCK_STREAM)


def _queued(socket: Socket, path: str) -> Socket:
    """Wait in the kernel for room in the listen queue, first come, first served; repeated attempts
    would lose to callers that try more often. Raises BlockingIOError after the time limit."""
    from errno import EAGAIN, ENOTCONN

    end = time.monotonic() + UNIX_TIMEOUT
    try:
        _limit_sending(socket, HANDLE_SIGNALS_EVERY)
        while True:
            try:
                socket.connect(path)
                socket.getpeername()  # a stop and `fg` end the wait, too
                break
            except OSError as error:
                waits = error.errno in (EAGAIN, ENOTCONN)
                if not waits or time.monotonic() >= end:
                    raise
        _limit_sending(socket, 0)
        socket.settimeout(UNIX_TIMEOUT)
    except BaseException:
        socket.close()
        raise
    return socket


def _limit_sending(socket: Socket, seconds: float) -> None:
    """Set SO_SNDTIMEO, which limits connect(2), too; 0 for no limit."""
    from struct import pack  # imported here, as most callers never wait

    whole = int(seconds)
    limit = pack("ll", whole, int((seconds - whole) * 1e6))
    socket.setsockopt(library.SOL_SOCKET, library.SO_SNDTIMEO, limit)


def _dial_tcp(address: TcpAddress, seconds: float) -> Socket:
    """Try every address of the name, as socket.create_connection does."""
    from errno import EADDRNOTAVAIL

    # ASCII as bytes: text would load the tables of encodings.idna.
    host = address.host.encode() if address.host.isascii() else address.host
    last: OSError | None = None
    found = library.getaddrinfo(host, address.port, type=library.SOCK_STREAM)
    for family, kind, number, _, target in found:
        socket = Socket(family, kind, number)
        _tune(socket)
        try:
            return _connected(socket, target, seconds)
        except OSError as error:
            last = error
    raise last or OSError(EADDRNOTAVAIL, posix.strerror(EADDRNOTAVAIL))


def _tune(socket: Socket) -> None:
    """No waiting for more to send, and an end to waiting for a peer that is gone."""
    tcp = library.IPPROTO_TCP
    socket.setsockopt(tcp, library.TCP_NODELAY, 1)
    socket.setsockopt(library.SOL_SOCKET, library.SO_KEEPALIVE, 1)
    socket.setsockopt(tcp, library.TCP_KEEPIDLE, ALIVE_AFTER)
    socket.setsockopt(tcp, library.TCP_KEEPINTVL, ALIVE_EVERY)
    socket.setsockopt(tcp, library.TCP_KEEPCNT, ALIVE_COUNT)
    socket.setsockopt(tcp, library.TCP_USER_TIMEOUT, UNANSWERED)


def _connected(socket: Socket, target: object, timeout: float) -> Socket:
    try:
        socket.settimeout(timeout)
        socket.connect(target)  # type: ignore[arg-type]
    except BaseException:
        socket.close()
        raise
    return socket


def _unreachable_hint(path: str, error: OSError) -> str:
    remedy = _remedy(path)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return messages.no_socket(path, remedy)
    if isinstance(error, ConnectionRefusedError):
        return messages.no_listener(path, remedy)
    return messages.socket_fails(path, _why(error), remedy)


def _remedy(path: str) -> str:
    if path.startswith("/var/snap/multipass/"):
        return messages.REMEDY_SNAP
    if posix.environ.get(b"MULTIPASS_SERVER_ADDRESS"):
        return messages.REMEDY_NAMED
    return messages.REMEDY_SYSTEMD


def _why(error: OSError) -> str:
    if isinstance(error, TimeoutError):  # the TLS library's text names a line of its source
        return messages.NO_ANSWER
    if isinstance(error, BlockingIOError):
        return messages.TOO_MANY_CALLERS
    return error.strerror or str(error)


def _admin_group() -> str:
    """The admin group that the service uses; empty if there is none."""
    import grp

    from protocol import admins

    for name in admins.GROUPS:
        try:
            return grp.getgrnam(name).gr_name
        except KeyError:
            continue
    return ""


def _group_name(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
