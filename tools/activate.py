"""Socket activation without systemd: hold a Unix socket, start the daemon when somebody calls.

    python -m tools.activate --socket PATH [--mode 660] [--group NAME] [--pid-file FILE] -- PROGRAM…

Like a systemd socket unit, the socket outlives the daemon: a daemon that ended, however it ended,
is started again by the next caller, who waits meanwhile. SIGTERM or Ctrl-C stops both.
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
# A daemon that cannot start must not be tried for ever by one caller that waits.
FAILURES_ALLOWED = 5
QUICK_FAILURE_SECONDS = 2.0
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def admin_group() -> int | None:
    """The group of the unopened socket, or None where there is none or it cannot be given."""
    if os.geteuid() != 0:
        return None
    for name in admins.GROUPS:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    return None


def listen(path: Path, mode: int = 0o660, group: int | None = None) -> socket.socket:
    """A listening Unix socket at ``path``; whatever socket was there before is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777)  # closed until owner, group and mode are right
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    if group is not None:
        os.chown(path, -1, group)
    listener.listen(socket.SOMAXCONN)  # first: whom the mode lets in is answered
    path.chmod(mode)
    return listener


def spawn(
    command: Sequence[str],
    listener: socket.socket,
    environment: Mapping[str, str],
    pid_file: Path | None = None,
) -> int:
    """Start ``command`` with the socket as file descriptor 3; the child's pid.

    LISTEN_PID has to hold the child's own pid, which no other way of starting one can tell it.
    The child notes its pid itself: it stands in the file before the daemon can answer anybody.
    """
    pid = os.fork()
    if pid:
        return pid
    try:
        for number in STOP_SIGNALS:  # our handlers would be gone with what they noted
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
    """A signal asked for the end."""


class FirstSignal:
    """Raises Stopped once: Ctrl-C reaches us twice, from the terminal and from the story."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        if not self._seen:
            self._seen = True
            raise Stopped


class Activator:
    def __init__(self, listener: socket.socket, command: Sequence[str], pid_file: Path | None):
        self.listener = listener
        self.command = command
        self.pid_file = pid_file
        # A signal in the instant before a wait begins ends it too: its number can be read here.
        self._told, self._tell = socket.socketpair()
        self._tell.setblocking(False)
        signal.set_wakeup_fd(self._tell.fileno())
        self.pid = 0
        self.failures = 0

    def serve(self) -> int:
        """Until a signal: wait for a caller, run the daemon to its end. The exit code.

        A signal that was blocked until now counts: whoever sees the socket may stop it at once.
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
        """End the daemon; 0 if it ended well, so that whoever started us learns of a bad end.

        One that had only just begun ends of the signal itself, which is well for systemd, too.
        """
        if not self.pid:
            return 0
        os.kill(self.pid, signal.SIGTERM)
        _, status = os.waitpid(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return 0 if code == -signal.SIGTERM else code & 0xFF


@contextmanager
def _no_stop() -> Iterator[None]:
    """A stop waits until the daemon and what is known of its pid agree."""
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
