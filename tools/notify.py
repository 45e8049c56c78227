"""Receive sd_notify messages: wait until a daemon reports that it is ready."""

import socket
import time
from pathlib import Path

DATAGRAM_LIMIT = 8192


class NotifySocket:
    """Listens at ``path``; give ``str(path)`` to the daemon as NOTIFY_SOCKET."""

    def __init__(self, path: Path):
        self.path = path
        path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.lines: list[str] = []

    def wait_for(self, line: str, timeout: float) -> float:
        """Wait until the daemon sends ``line`` (such as ``READY=1``); the monotonic time."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no {line} within {timeout} s; received: {self.lines}")
            self._socket.settimeout(left)
            try:
                received = self._socket.recv(DATAGRAM_LIMIT).decode(errors="replace").splitlines()
            except TimeoutError:
                continue
            now = time.monotonic()
            self.lines += received
            if line in received:
                return now

    def close(self) -> None:
        self._socket.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "NotifySocket":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
