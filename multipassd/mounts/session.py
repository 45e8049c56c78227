"""One log-in to the guest, with sshfs in there at the file server's socket, until either ends."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from multipassd.mounts import guest_commands
from multipassd.mounts.control_socket import Visitors
from multipassd.mounts.file_server import FileServer
from multipassd.mounts.order import Order
from multipassd.system import rights, ssh_command

SECONDS = 60.0  # until it is mounted; an emulated guest on a busy host logs in slowly
# A guest that is gone without a word ends the session after these; one that stands still for a
# moment does not.
ALIVE_INTERVAL, ALIVE_COUNT = 5, 12
MAX_SAID = 64 << 10  # bytes that a guest may say; then it is not listened to any more
CHUNK = 4096
END_SECONDS = 2.0
# A file server that its user stopped would hang all who look at the mount, so it is ended where it
# is still stopped at the next look.
LOOK_SECONDS = 5.0
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH")


class SessionFailed(Exception):
    """The guest did not mount it; the text is a clause of a sentence."""


class Session:
    """An ssh process whose input and output are the file server."""

    def __init__(self, ssh: subprocess.Popen[bytes]) -> None:
        self._ssh = ssh
        self._said = b""

    @classmethod
    @contextmanager
    def started(cls, order: Order, log_in: list[int], files: FileServer) -> Iterator[Session]:
        """`log_in`: files in memory with the private key and, perhaps, a certificate for it. Raises
        SessionFailed."""
        known = os.memfd_create("known_hosts", os.MFD_CLOEXEC)
        try:
            os.write(known, f"{order.instance} {order.host_key}\n".encode())
            ssh = _ssh(order, log_in, known, files.connection)
            files.connection.close()  # ssh alone has it: its end is the file server's
            with ssh:
                try:
                    yield cls(ssh)
                finally:
                    ssh.kill()
        finally:
            os.close(known)

    def wait_until_mounted(self, asking: socket.socket) -> None:
        """Raises SessionFailed, also if `asking` hangs up."""
        assert self._ssh.stderr is not None
        errors = self._ssh.stderr.fileno()
        deadline = time.monotonic() + SECONDS
        with selectors.DefaultSelector() as selector:
            for number in (errors, asking.fileno()):
                selector.register(number, selectors.EVENT_READ)
            while (left := deadline - time.monotonic()) > 0:
                ready = [key.fd for key, _ in selector.select(left)]
                if asking.fileno() in ready:
                    raise SessionFailed("the service does not wait for it any more")
                if errors in ready and self._listen(errors):
                    return
        raise SessionFailed(f"the guest did not mount it within {SECONDS:.0f} s")

    def _listen(self, errors: int) -> bool:
        """Has the guest said that it is mounted? Raises SessionFailed at its end."""
        chunk = os.read(errors, CHUNK)
        self._said = (self._said + chunk)[-MAX_SAID:]
        if not chunk:
            with suppress(subprocess.TimeoutExpired):
                self._ssh.wait(END_SECONDS)
            said = guest_commands.shown(self._said.decode("utf-8", "replace"))
            raise SessionFailed(said or f"ssh ended with {self._ssh.poll()}")
        return f"{guest_commands.MOUNTED}\n".encode() in self._said

    def wait(self, control: socket.socket, message: dict[str, Any], files: FileServer) -> None:
        """Until it ends, or is asked to, or the file server stands still. Who connects to `control`
        is sent `message`."""
        visitors = Visitors(control, message)
        assert self._ssh.stderr is not None
        errors = self._ssh.stderr.fileno()
        look, stopped = time.monotonic() + LOOK_SECONDS, False
        while True:
            with selectors.DefaultSelector() as selector:
                for number in (errors, *visitors.descriptors()):
                    selector.register(number, selectors.EVENT_READ)
                ready = [key.fd for key, _ in selector.select(LOOK_SECONDS)]
            if time.monotonic() >= look:
                before, stopped = stopped, files.stopped
                look = time.monotonic() + LOOK_SECONDS
                if before and stopped:
                    return
            # All that holds the other end of its errors has ended: ssh.
            if errors in ready and not os.read(errors, CHUNK):
                return
            if any(visitors.handle(number) for number in ready if number != errors):
                return


def _ssh(
    order: Order, log_in: list[int], known: int, connection: socket.socket
) -> subprocess.Popen[bytes]:
    """It closes what it inherits, so it opens both files by this process's table."""
    for file in log_in:
        os.fchmod(file, 0o600)
    key, *certificates = (f"/proc/{os.getpid()}/fd/{file}" for file in log_in)
    words = ssh_command.words(
        order.instance, order.host, order.port, order.user,
        key=key,
        known_hosts=f"/proc/{os.getpid()}/fd/{known}",
        more={
            "ServerAliveInterval": str(ALIVE_INTERVAL),
            "ServerAliveCountMax": str(ALIVE_COUNT),
            "Compression": "no",
            **({"CertificateFile": certificates[0]} if certificates else {}),
        },
    )  # fmt: skip
    try:
        return subprocess.Popen(
            [*words, guest_commands.serve(order.tag, order.path)],
            stdin=connection.fileno(), stdout=connection.fileno(), stderr=subprocess.PIPE, cwd="/",
            env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
            preexec_fn=rights.end_with_parent,
        )  # fmt: skip
    except OSError as error:
        raise SessionFailed(f"ssh can't be started: {error.strerror}") from None
