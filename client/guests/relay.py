"""SSH to an instance whose address this host does not reach: through the service.

A child of this process makes the call `relay` and passes bytes on between it and ssh. ssh gets a
socket of the child from its ProxyCommand, `hand_over.py`.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from client import instance_messages
from client.errors import CommandFailed
from client.guests import quoting
from protocol import grpc
from protocol.messages.guests import RelayRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from client.transport.channel import Channel

RELAY = grpc.path("relay", grpc.GUESTS_SERVICE)
TAKEN_WITHIN = 60.0  # seconds in which ssh must have started
UCRED_SIZE = 12  # struct ucred: pid, uid, gid, four bytes each
ASKS_EVERY = 0.01  # seconds
ENDS_WITHIN = 3.0  # seconds after ssh's end, with those in which the service says why
SEPARATOR = "\0"  # between sentence and hint of an error


class Relay:
    """The way to one instance, for one ssh at a time: `options`, run ssh, `failure` or `close`."""

    def __init__(self, channel: Channel, name: str) -> None:
        self._channel = channel
        self._name = name
        self._child = 0
        self._report = -1

    def options(self) -> tuple[str, ...]:
        """Starts the child; for ssh's command line."""
        address = _address()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(b"\0" + address.encode())
        listener.listen()
        self._report = os.memfd_create("report", os.MFD_CLOEXEC)
        self._child = os.fork()
        if not self._child:
            self._relay(listener)
        listener.close()
        program = os.path.join(os.path.dirname(__file__), "hand_over.py")
        command = quoting.join((sys.executable, "-IS", program, address)).replace("%", "%%")
        return (f"ProxyCommand={command}", "ProxyUseFdpass=yes")

    def failure(self) -> CommandFailed | None:
        """Why the relay ended, if it was not the end of the SSH connection; ssh has ended."""
        if self._child:
            _await_end(self._child)
        size = os.fstat(self._report).st_size
        text = os.pread(self._report, size, 0).decode("utf-8", "replace")
        sentence, _, hint = text.partition(SEPARATOR)
        return CommandFailed(sentence, hint) if sentence else None

    def close(self) -> None:
        """ssh has ended, so there is nothing to relay any more."""
        child, self._child = self._child, 0
        if not child:
            return
        try:
            os.kill(child, signal.SIGTERM)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # SIGCHLD was inherited as ignored

    def _relay(self, listener: socket.socket) -> None:
        """The child. Does not return."""
        code = 1
        try:
            _detach()
            self._pump(listener)
            code = 0
        except CommandFailed as error:
            if error.sentence:
                self._tell(error.sentence, error.hint)
            else:  # as 1.16 answers `ping`: the client is not authenticated
                self._tell(instance_messages.TRUST_ENDED, instance_messages.TRUST_ENDED_HINT)
        except BaseException as error:
            self._tell(instance_messages.RELAY_FAILED, str(error))
        finally:
            os._exit(code)  # closes ssh's connection; the report is written before

    def _pump(self, listener: socket.socket) -> None:
        """Raises CommandFailed."""
        from client import rpc
        from client.guests.pump import Pump
        from client.transport.duplex import Duplex

        first = rpc.encode(RelayRequest(instance_name=self._name))
        duplex = Duplex(self._channel, RELAY, first)
        duplex.open()
        Pump(duplex, _taken(listener)).run()

    def _tell(self, sentence: str, hint: str) -> None:
        os.write(self._report, f"{sentence}{SEPARATOR}{hint}".encode("utf-8", "replace"))


def _await_end(child: int) -> None:
    """By asking: a descriptor of the process is what a snap may not have."""
    deadline = time.monotonic() + ENDS_WITHIN
    try:
        while time.monotonic() < deadline:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                return
            time.sleep(ASKS_EVERY)
    except ChildProcessError:
        pass  # SIGCHLD was inherited as ignored


def _address() -> str:
    """A name that no other socket has. A snap may use names only that begin so."""
    snap = os.environ.get("SNAP_INSTANCE_NAME")
    return f"{f'snap.{snap}' if snap else 'multipass'}.relay.{os.urandom(16).hex()}"


def _detach() -> None:
    """Out of the reach of the terminal, whose Ctrl-C and Ctrl-Z are ssh's, and of the user's pipes,
    which must end with ssh."""
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in range(3):
        os.dup2(null, descriptor)


def _taken(listener: socket.socket) -> socket.socket:
    """ssh's connection. Raises OSError."""
    listener.settimeout(TAKEN_WITHIN)
    while True:
        connection, _ = listener.accept()
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED_SIZE)
        if int.from_bytes(credentials[4:8], sys.byteorder) == os.geteuid():
            listener.close()
            return connection
        connection.close()
