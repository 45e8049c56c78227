"""Socket activation without systemd: listen on a Unix socket, start the daemon at a connection.

    python -m tools.activate --socket PATH [--mode 660] [--group NAME] [--pid-file FILE] -- PROGRAM…

Like a systemd socket unit, the socket outlives the daemon: after any end of the daemon, the next
connection starts it again and waits in the queue. SIGTERM or Ctrl-C stops both.
"""

import argparse
import grp
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from protocol import admins

FIRST_FD = 3  # where the protocol of LISTEN_FDS begins
SOCKET_NAME = "multipassd.socket"
# A daemon that can't start must not be restarted endlessly for one waiting connection.
FAILURES_ALLOWED = 5
QUICK_FAILURE_SECONDS = 2.0
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def admin_group() -> int | None:
    """The group of the closed socket; None if there is none, or chown is not allowed."""
    if os.geteuid() != 0:
        return None
    for name in admins.GROUPS:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    return None


def listen(path: Path, mode: int = 0o660, group: int | None = None) -> socket.socket:
    """A listening Unix socket at ``path``; an existing socket there is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777)  # closed until owner, group and mode are right
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    if group is not None:
        os.chown(path, -1, group)
    listener.listen(
        socket.SOMAXCONN
    )  # before chmod: a connection that the mode allows must be accepted
    path.chmod(mode)
    return listener


def spawn(
    command: Sequence[str],
    listener: socket.socket,
    environment: Mapping[str, str],
    pid_file: Path | None = None,
) -> int:
    """Start ``command`` with the socket as file descriptor 3; returns the child's pid.

    LISTEN_PID must be the child's own pid, which only the child knows before exec. The child
    writes the pid file itself, so that it exists before the daemon answers.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in STOP_SIGNALS:  # the handlers' state would be lost
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        if pid_file is not None:
            pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
        os.dup2(listener.fileno(), FIRST_FD, inheritable=True)
        os.set_inheritable(FIRST_FD, True)
        os.execve(
            command[0],
            list(command),
            {
                **environment,
                "LISTEN_FDS": "1",
                "LISTEN_FDNAMES": SOCKET_NAME,
                "LISTEN_PID": str(os.getpid()),
            },
        )
    except OSError as error:
        print(f"activate: cannot run {command[0]}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(127)


class Stopped(Exception):
    """SIGTERM or SIGINT was received."""


class FirstSignal:
    """Raises Stopped once: Ctrl-C arrives twice, from the terminal and from the story."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._seen:
            self._seen = True
            raise Stopped


class Activator:
    """Holds the socket, and starts and stops the daemon."""

    def __init__(self, listener: socket.socket, command: Sequence[str], pid_file: Path | None):
        self.listener = listener
        self.command = command
        self.pid_file = pid_file
        # A signal just before the wait ends it, too: its number can be read here.
        self._told, self._tell = socket.socketpair()
        self._tell.setblocking(False)
        signal.set_wakeup_fd(self._tell.fileno())
        self.pid = 0
        self.failures = 0

    def serve(self) -> int:
        """Until a signal: wait for a connection, run the daemon to its end. Returns the exit code.

        A signal that was blocked before is handled, as the activator may be stopped at once.
        """
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            while self.failures < FAILURES_ALLOWED:
                self._wait_for(self.listener.fileno())
                self._run_once()
        except Stopped:
            return self._stop()
        print(
            f"activate: the daemon failed {self.failures} times at once; giving up. "
            "Its own messages above say why.",
            file=sys.stderr,
            flush=True,
        )
        return 1

    def _run_once(self) -> None:
        started = time.monotonic()
        with _no_stop():
            self.pid = spawn(self.command, self.listener, os.environ, self.pid_file)
        ended = os.pidfd_open(self.pid)
        try:
            self._wait_for(ended)
        finally:
            os.close(ended)
        with _no_stop():
            _, status = os.waitpid(self.pid, 0)
            self.pid = 0
        quick = time.monotonic() - started < QUICK_FAILURE_SECONDS
        failed = os.WIFEXITED(status) and os.WEXITSTATUS(status) != 0
        self.failures = self.failures + 1 if quick and failed else 0

    def _wait_for(self, descriptor: int) -> None:
        select.select([descriptor, self._told.fileno()], [], [])

    def _stop(self) -> int:
        """End the daemon; 0 if it ended well. The exit code is passed on.

        A daemon that has just begun ends by the signal itself, which systemd accepts, too.
        """
        if not self.pid:
            return 0
        os.kill(self.pid, signal.SIGTERM)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return 0 if code == -signal.SIGTERM else code & 0xFF


@contextmanager
def _no_stop() -> Iterator[None]:
    """Block the signals until the daemon's pid is recorded."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="activate", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--mode", type=lambda text: int(text, 8), default=0o660)
    parser.add_argument("--group", help="default: the machine's admin group")
    parser.add_argument("--pid-file", type=Path)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)

    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    first_signal = FirstSignal()
    for number in STOP_SIGNALS:
        signal.signal(number, first_signal)
    group = grp.getgrnam(options.group).gr_gid if options.group else admin_group()
    listener = listen(options.socket, options.mode, group)
    try:
        return Activator(listener, options.command, options.pid_file).serve()
    finally:
        options.socket.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
