"""The process that holds an SSH connection to an instance: a fork of the client, ssh's parent.

The client uses the connection as long as it has the lease, a socket to this process. It gives it
back by a byte; if it ends without that, by `kill -9` or as its session broke, the connection ends.
One that was given back waits `IDLE` seconds for the next client. Nothing is left when this process
is killed: the kernel ends ssh then.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import time

from client.guests import idle, words
from client.guests.connection import BACK, READY
from client.transport.sockets import library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from socket import socket as Socket

    from client.guests.guest import Guest

IDLE = 10.0  # seconds without use after which a connection ends
ENDS_WITHIN = 5.0  # seconds that ssh has for ending

CHUNK = 4096
MAX_LOG = 64 * 1024  # bytes of ssh's log that are kept: the errors of one log-in
PR_SET_PDEATHSIG = 1
ARG_START, ARG_END = 48, 49  # fields of /proc/PID/stat: where the arguments lie in memory
KEPT_FROM = 3  # descriptors from here on are closed, but for what is used


def fork(guest: Guest, way: Socket, stem: str) -> tuple[Socket, str]:
    """The lease of a connection over `way`, for the client, and the path that begins with `stem`.
    After READY it can be used; else ssh's log follows, and the end."""
    ours, theirs = library.socketpair()
    if child := os.fork():
        theirs.close()
        way.close()
        return ours, idle.path_of(stem, child)
    ours.close()
    try:
        Holder(guest, way, idle.path_of(stem, os.getpid())).run(theirs)
    finally:
        os._exit(1)


class Holder:
    """Of one connection; `run` returns when it has ended."""

    def __init__(self, guest: Guest, way: Socket, path: str) -> None:
        self._guest = guest
        self._way = way
        self._path = path
        self._control = idle.control(path)
        self._said = b""
        self._ssh = 0
        self._log, self._log_end = os.pipe2(os.O_NONBLOCK)  # ssh opens the latter by its path
        # ssh's standard error, whose end is that of its process. (A snap may not have a descriptor
        # of the process itself.)
        self._ended, self._ends = os.pipe2(os.O_CLOEXEC)

    def run(self, lease: Socket) -> None:
        leased: Socket | None = lease
        try:
            if not self._start(lease):
                lease.sendall(self._said)
                return
            lease.sendall(READY)
            while leased is not None:
                leased = self._next() if self._is_given_back(leased) else None
        finally:
            self._end()

    def _start(self, lease: Socket) -> bool:
        """Log in; True once sessions are possible."""
        used = (self._log, self._log_end, self._ended, self._ends)
        _detach((self._way.fileno(), lease.fileno(), *used))
        _show(f"multipass: connection to {self._guest.name}")
        command = words.master(self._guest, self._log_end, self._control)
        holder = os.getpid()
        self._ssh = os.fork()
        if not self._ssh:
            self._become_ssh(command, holder)
        self._way.close()
        os.close(self._ends)
        while words.LISTENS not in self._said:
            if self._wait(lease.fileno()) is not None:  # ssh has failed, or the client has ended
                return False
            if words.UNSHARED[-1] in self._said:
                return False
        return True

    def _become_ssh(self, command: list[str], holder: int) -> None:
        """Does not return."""
        try:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() == holder:  # it lives
                for descriptor in (0, 1):
                    os.dup2(self._way.fileno(), descriptor)
                os.dup2(self._ends, 2)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                os.execvpe(command[0], command, words.environ())
        except OSError as error:
            os.write(self._log_end, words.NOT_STARTED + str(error.errno).encode())
        finally:
            os._exit(1)

    def _is_given_back(self, lease: Socket) -> bool:
        """Once the lease or the connection has ended."""
        while (event := self._wait(lease.fileno())) is None:
            pass
        given_back = event == lease.fileno() and _received(lease) == BACK
        lease.close()
        return given_back

    def _next(self) -> Socket | None:
        """The lease of the next client; None if there was none in time, or another connection of
        the same kind waits already."""
        place, _, name = self._path.rpartition("/")
        if idle.found(place, name.partition(".")[0] + "."):
            return None
        import socket  # costs the client nothing here

        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(self._path)
            listener.listen()
            deadline = time.monotonic() + IDLE
            while (left := deadline - time.monotonic()) > 0:
                event = self._wait(listener.fileno(), left)
                if event == listener.fileno():
                    lease, _ = listener.accept()
                    lease.sendall(READY)
                    return lease
                if event is not None:
                    break  # the connection has ended
        except OSError:
            pass
        finally:
            idle.remove(self._path)
            listener.close()
        return None

    def _wait(self, other: int, seconds: float | None = None) -> int | None:
        """Which has happened: something at the descriptor `other`, or the end of ssh (then that is
        returned); None if it was only a line of ssh's log, or nothing in time."""
        poll = select.poll()
        for descriptor in (self._log, self._ended, other):
            poll.register(descriptor, select.POLLIN)
        events = {found for found, _ in poll.poll(None if seconds is None else seconds * 1000)}
        if self._log in events:  # before ssh's end, or its reason would be lost
            self._said = (self._said + os.read(self._log, CHUNK))[-MAX_LOG:]
            return None
        if other in events:
            return other
        if self._ended in events and not os.read(self._ended, CHUNK):
            return self._ended
        return None

    def _end(self) -> None:
        """Nothing is left: no process and no socket."""
        if self._ssh:
            poll = select.poll()
            poll.register(self._ended, 0)  # its end needs no asking
            for number in (signal.SIGTERM, signal.SIGKILL):
                os.kill(self._ssh, number)  # the pid is valid until it is waited for
                if poll.poll(ENDS_WITHIN * 1000):
                    break
        idle.remove(self._control)


def _received(lease: Socket) -> bytes:
    try:
        return lease.recv(1)
    except OSError:
        return b""


def _detach(kept: tuple[int, ...]) -> None:
    """Out of the reach of the user's terminal, directory and pipes, which must end with the
    command."""
    os.setsid()
    os.chdir("/")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(KEPT_FROM):
        os.dup2(null, descriptor)
    low = KEPT_FROM
    for descriptor in (*sorted(kept), os.sysconf("SC_OPEN_MAX")):
        os.closerange(low, descriptor)
        low = descriptor + 1


def _show(title: str) -> None:
    """In the list of processes, in place of the command, which has ended or will before this."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(") ")[2].split()
    start, end = (int(fields[number - 3]) for number in (ARG_START, ARG_END))
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, title.encode(), min(len(title), end - start - 1))
