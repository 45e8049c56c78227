"""Run a command or a login shell inside an instance, with OpenSSH's client."""

from __future__ import annotations

import os
import signal
import time

from client import instance_messages
from client.errors import CommandFailed
from client.guests import words
from client.guests.guest import Refused, Stale
from client.guests.words import NOT_STARTED, OPENED, REPORTED
from client.terminal import console

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from client.guests.connection import Connection
    from client.guests.guest import Guest

OWN_FAILURE = 255  # ssh's exit code when it fails, and also a remote command's own 255
# Seconds in which a session begins on an earlier connection, or another one is made: the guest may
# be gone. One that is emulated on a busy machine needs a tenth of that.
OPENS_WITHIN = 5.0
# Seconds between two looks at whether a shared connection's session can still write its output.
LOOKS_EVERY = 0.5
CHUNK = 65536  # bytes
ENDS_WITHIN = 1.0  # seconds that a subsystem has for its own end, so that its connection goes on

# The latter where few attempts are allowed: the certificate and its key count as two.
REFUSALS = ("Permission denied", "Too many authentication failures")
SUBSYSTEM_REFUSED = b"subsystem request failed"
# Forwarded to ssh, which then ends and restores the terminal's modes.
FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)


def run(guest: Guest, command: str | None) -> int:
    """The remote command's exit status; without a command, a login shell's. Raises CommandFailed.

    The remote side gets a terminal only if stdin and stdout are terminals.
    """
    return guest.log_in(lambda found: _attempt(found, command))


def _attempt(guest: Guest, command: str | None) -> int:
    log = words.memory("log", b"")
    terminal = "-tt" if console.is_live() else "-T"
    try:
        code = _run(guest, log, terminal, () if command is None else (command,))
        said = words.content(log)
        if REPORTED in said:
            _give_back(guest)
            return code
        if code != OWN_FAILURE:
            return code
        raise _failure(guest, said)
    finally:
        _let_go(guest)


def _run(guest: Guest, log: int, flag: str, command: Sequence[str]) -> int:
    """Its exit code, or 128 and the signal's number, as a shell has it; OWN_FAILURE where it had to
    be ended, as nothing has begun. Raises CommandFailed."""
    # If SIGCHLD was inherited as ignored, waitpid would fail.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # What nohup ignores, ssh must ignore, too.
    forwarded = {number for number in FORWARDED if signal.getsignal(number) != signal.SIG_IGN}
    watched = {signal.SIGCHLD, *forwarded}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, watched)  # none is lost before the wait
    try:
        child = _spawn(guest, log, (flag,), command, setsigmask=before)
        return _wait(child, watched, _deadline(guest, log), _unread(guest, log))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _spawn(
    guest: Guest, log: int, flags: Sequence[str], rest: Sequence[str], **options: Any
) -> int:
    """ssh's process, once there is the connection that it is to use. Raises CommandFailed."""
    connection = guest.connection
    gate, release = -1, -1
    if connection is None:
        line = words.alone(guest, log, *flags)
    elif connection.reused:
        line = words.shared(guest, connection.control, log, *flags)
    else:
        gate, release = os.pipe()
        line = words.shared(guest, connection.control, log, *flags, gate=gate)
    try:
        # Python ignores SIGPIPE; ssh needs it to end when its reader has gone.
        child = os.posix_spawnp(
            line[0], [*line, *rest], words.environ(), setsigdef=(signal.SIGPIPE,), **options
        )
    except OSError as error:
        raise _not_started(error) from error
    if connection is not None and release >= 0:
        _admit(guest, connection, child)
        os.close(release)  # the gate stays open: ssh may open it later than this
    return child


def _admit(guest: Guest, connection: Connection, child: int) -> None:
    """Wait for the connection, while ssh starts. Raises CommandFailed; then ssh has ended."""
    held_back = signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    try:
        if (said := connection.wait()) is not None:
            raise _refusal(guest, said)
    except BaseException:
        os.kill(child, signal.SIGKILL)
        _await(child)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held_back)


def _refusal(guest: Guest, said: bytes) -> CommandFailed:
    """Why there is no connection, from the log of the ssh that was to make it."""
    if said.startswith(NOT_STARTED):
        number = int(said[1:])
        return _not_started(OSError(number, os.strerror(number)))
    if any(each in said for each in words.UNSHARED):
        return Stale(instance_messages.SSH_LOST)
    return _failure(guest, said)


def _deadline(guest: Guest, log: int) -> Callable[[], bool] | None:
    """Of an earlier connection: whether a session has begun on it, which it must in time."""
    if guest.connection is None or not guest.connection.reused:
        return None
    return lambda: OPENED in words.content(log)


def _unread(guest: Guest, log: int) -> Callable[[], bool] | None:
    """Whether output could not be written: its reader has gone, or the disk is full. ssh by itself
    ends then, or has the guest end what writes. In a session on a shared connection it goes on, and
    never reads what the guest sends."""
    if guest.connection is None:
        return None
    return lambda: words.UNREAD in words.content(log)


def _wait(
    child: int,
    watched: set[signal.Signals],
    has_begun: Callable[[], bool] | None,
    is_unread: Callable[[], bool] | None,
) -> int:
    """Wait for the end of `child`; forward all other signals to it."""
    got: list[int] = []
    number: int | None = signal.SIGCHLD  # it may have ended before the signals were held back
    deadline = time.monotonic() + OPENS_WITHIN if has_begun is not None else None
    ended_here = False
    while True:
        if number is None:
            if deadline is not None and time.monotonic() >= deadline:
                deadline = None
                if has_begun is not None and not has_begun():
                    ended_here = True
                    os.kill(child, signal.SIGTERM)  # it restores the terminal's modes
            if is_unread is not None and is_unread():
                got.append(signal.SIGPIPE)
                os.kill(child, signal.SIGTERM)
                is_unread = None
        elif number != signal.SIGCHLD:
            got.append(number)
            os.kill(child, number)  # the pid is valid until it is waited for
        else:
            ended, status = os.waitpid(child, os.WNOHANG)  # 0: it was only stopped
            if ended:
                code = os.waitstatus_to_exitcode(status)
                code = 128 + got[0] if got else code if code >= 0 else 128 - code
                return OWN_FAILURE if ended_here and not got else code
        number = _next_signal(watched, deadline, LOOKS_EVERY if is_unread is not None else None)


def _next_signal(
    watched: set[signal.Signals], deadline: float | None, most: float | None
) -> int | None:
    """None at the deadline, or after `most` seconds."""
    left = [max(0.0, deadline - time.monotonic())] if deadline is not None else []
    left += [most] if most is not None else []
    if not left:
        return signal.sigwait(watched)
    info = signal.sigtimedwait(watched, min(left))
    return info.si_signo if info is not None else None


class Subsystem:
    """A subsystem of the instance's SSH server, such as sftp: ssh's process, and a socket to it.

    Ctrl-C does not reach that process, so that what has begun can be cleaned up.
    """

    def __init__(self, guest: Guest, name: str) -> None:
        """Raises CommandFailed."""
        import socket

        self._guest = guest
        self.connection, theirs = socket.socketpair()
        self._log = words.memory("log", b"")
        null = os.open(os.devnull, os.O_WRONLY)  # what the instance writes to stderr is not shown
        copies = [(os.POSIX_SPAWN_DUP2, each, to) for to, each in enumerate((theirs.fileno(),) * 2)]
        try:
            self._child = _spawn(
                guest, self._log, ("-T", "-s"), (name,), setpgroup=0,
                file_actions=[*copies, (os.POSIX_SPAWN_DUP2, null, 2)],
            )  # fmt: skip
        except BaseException:
            _let_go(guest)
            raise
        finally:
            theirs.close()
            os.close(null)
        self._deadline = time.monotonic() + OPENS_WITHIN

    def is_overdue(self) -> bool:
        """Whether nothing has begun in time, on an earlier connection. Then ssh is ended."""
        overdue = time.monotonic() > self._deadline
        if overdue and _is_stale(self._guest, words.content(self._log)):
            os.kill(self._child, signal.SIGTERM)
            return True
        return False

    def close(self) -> None:
        """End ssh, also where the instance does not answer any more."""
        if not self._child:
            return
        if self._guest.connection is not None and self._ends_by_itself():
            _give_back(self._guest)
        self.connection.close()
        os.kill(self._child, signal.SIGTERM)
        self._reap()
        _let_go(self._guest)

    def _ends_by_itself(self) -> bool:
        """Whether the subsystem has ended in order, after the end of its input."""
        import socket

        try:
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(ENDS_WITHIN)
            while self.connection.recv(CHUNK):
                pass
        except OSError:  # also that it took too long
            return False
        return REPORTED in words.content(self._log)

    def failure(self, had_begun: bool) -> CommandFailed:
        """Why the connection ended, once it has ended; `had_begun` to work before."""
        self._reap()
        self.connection.close()
        try:
            return self._failure(words.content(self._log), had_begun)
        finally:
            _let_go(self._guest)

    def _failure(self, said: bytes, had_begun: bool) -> CommandFailed:
        if _is_stale(self._guest, said):
            return Stale(instance_messages.SSH_LOST)
        if SUBSYSTEM_REFUSED in said or (REPORTED in said and not had_begun):
            return CommandFailed(instance_messages.NO_SFTP, instance_messages.NO_SFTP_HINT)
        if REPORTED in said:
            return CommandFailed(instance_messages.SFTP_ENDED)
        return _failure(self._guest, said)

    def _reap(self) -> None:
        child, self._child = self._child, 0
        _await(child)


def _await(child: int) -> None:
    try:
        os.waitpid(child, 0)
    except ChildProcessError:
        pass  # SIGCHLD was inherited as ignored


def _give_back(guest: Guest) -> None:
    """The session has ended as it should, so another one may follow on its connection."""
    if guest.connection:
        guest.connection.give_back()


def _let_go(guest: Guest) -> None:
    """ssh has ended, so nothing is relayed any more."""
    if guest.connection:
        guest.connection.close()
    if guest.relay:
        guest.relay.close()


def _not_started(error: OSError) -> CommandFailed:
    if isinstance(error, FileNotFoundError):
        return CommandFailed(instance_messages.NO_SSH, instance_messages.NO_SSH_HINT)
    return CommandFailed(error.strerror or str(error))


def _failure(guest: Guest, said: bytes) -> CommandFailed:
    """The error for a failure of ssh itself, or of the way to the instance."""
    if guest.relay and (failure := guest.relay.failure()):
        return failure
    if _is_stale(guest, said):
        return Stale(instance_messages.SSH_LOST)
    text = said.decode("utf-8", "replace")
    if "Host key verification failed" in text:
        return CommandFailed(
            instance_messages.WRONG_HOST_KEY, instance_messages.WRONG_HOST_KEY_HINT
        )
    if any(each in text for each in REFUSALS):
        return Refused(instance_messages.NOT_LET_IN, instance_messages.NOT_LET_IN_HINT)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("debug")]  # see words.LOG_SESSION
    return CommandFailed(lines[-1].removeprefix("ssh: ") if lines else instance_messages.SSH_LOST)


def _is_stale(guest: Guest, said: bytes) -> bool:
    """Whether the instance was not even sent what was to be run, over an earlier connection."""
    return guest.connection is not None and guest.connection.reused and OPENED not in said
