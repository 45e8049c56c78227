"""The service manager's side: READY, STATUS, reload, watchdog. Best effort: without one, nothing.

A refused or missing NOTIFY_SOCKET is no error: the daemon works the same without systemd.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from contextlib import suppress

NOTIFY_TIMEOUT = 1.0  # seconds


class Manager:
    def __init__(self) -> None:
        # Popped, as children don't speak for the daemon.
        self._socket = _connected(os.environ.pop("NOTIFY_SOCKET", ""))
        self._watchdog = _watchdog_interval()
        self._timer: asyncio.TimerHandle | None = None
        self._status = ""  # as last told

    def ready(self, status: str) -> None:
        self._status = status
        self._notify(f"READY=1\nSTATUS={status}")
        if self._watchdog and self._timer is None:
            self._feed()

    def status(self, status: str) -> None:
        """Tells it if it is news."""
        if status != self._status:
            self._status = status
            self._notify(f"STATUS={status}")

    def reloading(self) -> None:
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._notify(f"RELOADING=1\nMONOTONIC_USEC={usec}")

    def stopping(self, status: str) -> None:
        """The last STATUS stays in `systemctl status` after the exit."""
        self._notify(f"STOPPING=1\nSTATUS={status}")
        if self._timer is not None:
            self._timer.cancel()

    def _notify(self, state: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # the manager restarts, or does not read: a notice is lost
                self._socket.send(state.encode("utf-8", "replace"))

    def _feed(self) -> None:
        self._notify("WATCHDOG=1")
        self._timer = asyncio.get_running_loop().call_later(self._watchdog, self._feed)


def _connected(address: str) -> socket.socket | None:
    """A socket to the manager at `address`, a path or, after an @, an abstract name."""
    if not address:
        return None
    notifier = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    # A receiver that does not read must not hang the daemon.
    notifier.settimeout(NOTIFY_TIMEOUT)
    try:
        notifier.connect(f"\0{address[1:]}" if address.startswith("@") else address)
    except OSError:
        notifier.close()
        return None
    return notifier


def _watchdog_interval() -> float:
    """Half of what systemd allows, in seconds; 0 if it doesn't watch this process."""
    try:
        usec = int(os.environ.pop("WATCHDOG_USEC", "0"))
        pid = int(os.environ.pop("WATCHDOG_PID", str(os.getpid())))
    except ValueError:
        return 0
    return usec / 2e6 if pid == os.getpid() else 0
