"""The sockets: from systemd or bound here; their owner, group and mode; accepting with a cap."""

from __future__ import annotations

import asyncio
import fcntl
import grp
import os
import socket
import stat
import time
from collections.abc import Callable

from multipassd.system import activation, log
from multipassd.transport.quota import limits
from protocol import admins
from protocol.addresses import Address, UnixAddress

_log = log.get("listener")

CLOSED_MODE, OPEN_MODE = 0o660, 0o666
CLOSED_MODE_UNPRIVILEGED = 0o600  # without root there is no group to give it to


class ListenError(Exception):
    """A socket can't be bound or taken over; the sentence says which, why and what to do."""


def admin_group() -> int:
    """The gid of the first admin group there is, else root's. Asked at start only (NSS)."""
    for name in admins.GROUPS:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    return 0


def set_mode(path: str, open_to_all: bool, group: int) -> bool:
    """Open a socket's file to all users or narrow it to the admin group; a failure is logged.

    False: the socket was to be narrowed but can't be given to that group, so its mode stays, as it
    would lock the group out. The gate refuses others (`gate.py`) in any mode.
    """
    privileged = os.geteuid() == 0
    mode = OPEN_MODE if open_to_all else CLOSED_MODE
    if not privileged and not open_to_all:
        mode = CLOSED_MODE_UNPRIVILEGED
    try:
        status = os.lstat(path)
        if not stat.S_ISSOCK(status.st_mode):
            return True
        if privileged and not _give(path, status, group) and not open_to_all:
            return False
        if stat.S_IMODE(status.st_mode) != mode:
            os.chmod(path, mode)
    except OSError as error:
        _log.warning("can't set owner and mode of %s: %s", path, error.strerror)
    return True


def _give(path: str, status: os.stat_result, group: int) -> bool:
    """Make the socket root's and the admin group's. A snap may do that only with the interface
    multipass-support connected."""
    if (status.st_uid, status.st_gid) == (0, group):
        return True
    try:
        os.chown(path, 0, group)
    except PermissionError:
        return False
    return True


class Listener:
    """One listening socket. `path` is set for a Unix socket, `bound` if this process made it."""

    def __init__(self, listening: socket.socket, bound: bool) -> None:
        self.socket = listening
        self.bound = bound
        self.path = _path_of(listening)
        self._inode = os.stat(self.path).st_ino if self.path and bound else None
        self._reported = False  # that the socket can't be narrowed
        listening.setblocking(False)

    @property
    def group(self) -> int:
        """The socket file's group, which says who the administrators are; 0 if it says nothing."""
        return os.stat(self.path).st_gid if self.path else 0

    def set_mode(self, open_to_all: bool, group: int) -> None:
        """Open the socket to all users or narrow it to its admin group."""
        if not self.path or set_mode(self.path, open_to_all, group) or self._reported:
            return
        self._reported = True
        _log.info(
            "%s can't be given to the group %d here, so its mode stays: until the first client the "
            "service itself turns away everybody but root and that group",
            self.path,
            group,
        )

    def close(self) -> None:
        self.socket.close()
        if self._inode is None or not self.path:
            return
        try:
            if os.stat(self.path).st_ino == self._inode:  # not another process's by now
                os.unlink(self.path)
        except OSError:
            pass


def _path_of(listening: socket.socket) -> str:
    if listening.family != socket.AF_UNIX:
        return ""
    name = listening.getsockname()
    return name if isinstance(name, str) else ""  # an abstract one has no file


def inherited() -> list[Listener]:
    """The sockets that the service manager handed over. Raises ListenError."""
    try:
        names = activation.descriptors()
    except (OSError, ValueError) as error:
        raise ListenError(
            f"the service manager's LISTEN_FDS can't be understood: {error}; start the service "
            "without it, or by its socket unit"
        ) from None
    listeners = []
    for descriptor, name in names.items():
        if listening := _stream_socket(descriptor):
            listeners.append(Listener(listening, bound=False))
        else:
            _log.warning("descriptor %d (%s) is no listening stream socket", descriptor, name)
    return listeners


def _stream_socket(descriptor: int) -> socket.socket | None:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:
        return None
    listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if found.type == socket.SOCK_STREAM and listens:
        found.listen(limits.BACKLOG)  # the unit may have set another length
        return found
    found.detach()
    return None


def bind(address: Address, group: int) -> list[Listener]:
    """Bind `address`; a name may have several addresses. Raises ListenError."""
    if isinstance(address, UnixAddress):
        return [_bind_unix(address.path, group)]
    return _bind_tcp(address.host, address.port)


def _bind_unix(path: str, group: int) -> Listener:
    directory = os.path.dirname(path) or "."
    try:
        # The lock on the directory settles which of two daemons that start at once is second.
        lock = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ListenError(f"can't bind {path}: {directory}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _clear_path(path)
        return _bind_closed(path, group)
    except OSError as error:
        raise ListenError(f"can't bind {path}: {error.strerror}") from None
    finally:
        os.close(lock)


def _clear_path(path: str) -> None:
    """Remove a dead socket; refuse to touch a live one or anything else."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ListenError(f"can't bind {path}: something that is no socket is there")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
        except FileNotFoundError:
            return
        except OSError:
            pass  # busy is alive, too
    raise ListenError(
        f"another service is listening on {path}: stop that one first, "
        "or give this one another --address"
    )


def _bind_closed(path: str, group: int) -> Listener:
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        listening.bind(path)
    finally:
        os.umask(before)
    listener = Listener(listening, bound=True)
    listener.set_mode(open_to_all=False, group=group)  # before the first connection
    listening.listen(limits.BACKLOG)
    return listener


def _bind_tcp(host: str, port: int) -> list[Listener]:
    listeners = []
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, *_, where in dict.fromkeys(found):
            listening = socket.socket(family, socket.SOCK_STREAM)
            listeners.append(Listener(listening, bound=True))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(where)
            listening.listen(limits.BACKLOG)
    except OSError as error:
        for listener in listeners:
            listener.close()
        raise ListenError(f"can't listen on {host}:{port}: {error.strerror}") from None
    return listeners


class Acceptor:
    """Accepts from one listener while there is room; waits without spinning while there is none.
    A slice of time in each turn of the loop: a flood of callers holds nothing else up."""

    def __init__(
        self,
        listener: Listener,
        has_room: Callable[[], bool],
        take: Callable[[socket.socket], None],
    ) -> None:
        self._listener = listener
        self._has_room = has_room
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._accepting = False
        self._stopped = False

    def start(self) -> None:
        if not self._accepting:
            self._accepting = True
            self._loop.add_reader(self._listener.socket, self._accept)

    def resume(self) -> None:
        """Go on after a pause for want of room; an acceptor that was stopped stays so."""
        if not self._stopped:
            self.start()

    def stop(self) -> None:
        self._stopped = True
        self._pause()

    def _pause(self) -> None:
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._listener.socket)

    def _accept(self) -> None:
        end = time.perf_counter() + limits.ACCEPT_SLICE
        while time.perf_counter() < end:
            if not self._has_room():
                self._pause()  # `resume` comes when a connection ends
                return
            try:
                connection, _peer = self._listener.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:  # too many files, no memory, the network is down
                _log.warning("can't accept: %s; trying again", error.strerror)
                self._pause()
                self._loop.call_later(limits.ACCEPT_PAUSE, self.resume)
                return
            self._take(connection)
